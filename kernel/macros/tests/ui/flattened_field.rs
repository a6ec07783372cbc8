use portolan_kernel::domain::{Command, JsonSchema};
use serde::{Deserialize, Serialize};

#[derive(JsonSchema, Serialize, Deserialize)]
struct Money {
    cents: u64,
}

#[derive(Command, Serialize, Deserialize)]
struct Deposit {
    #[serde(flatten)]
    amount: Money,
}

fn main() {}
