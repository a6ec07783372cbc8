use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deposit", name = "pay-in")]
struct Deposit {
    amount: u64,
}

fn main() {}
