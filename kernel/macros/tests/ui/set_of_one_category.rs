use portolan_kernel::domain::{Event, EventSet};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Opened,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum BalanceEvent {
    Deposited { amount: u64 },
}

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
    Balance(BalanceEvent),
}

fn main() {}
