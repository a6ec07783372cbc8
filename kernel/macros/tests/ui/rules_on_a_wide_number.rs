use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};
use validator::Validate;

#[derive(Command, Validate, Serialize, Deserialize)]
struct Deposit {
    #[validate(range(min = 1))]
    amount: Option<u128>,
}

fn main() {}
