use portolan_kernel::domain::{Event, EventSet};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened,
}

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
    Other(AccountEvent),
}

fn main() {}
