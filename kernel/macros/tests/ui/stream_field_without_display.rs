use portolan_kernel::domain::Command;
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(stream = "account-{account_id}")]
struct Deposit {
    account_id: Option<String>,
}

fn main() {}
