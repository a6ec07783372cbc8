use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
struct Deposit {
    #[validate(range(min = 1))]
    amount: u64,
}

fn main() {}
