use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Money {
    cents: u64,
}

#[derive(Command, Serialize, Deserialize)]
struct Deposit {
    amount: Money,
}

fn main() {}
