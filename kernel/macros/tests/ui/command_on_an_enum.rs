use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
enum Deposit {
    Cash { amount: u64 },
}

fn main() {}
