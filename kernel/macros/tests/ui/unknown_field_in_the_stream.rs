use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(stream = "account-{acount_id}")]
struct Deposit {
    account_id: String,
    amount: u64,
}

fn main() {}
