use portolan_kernel::domain::{Event, EventSet, Projection, Row};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64 },
}

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
}

#[derive(Row, Projection)]
#[projection(events = BankEvent, key = stream, ignore(Account))]
struct Balance {
    owner: String,
}

fn main() {}
