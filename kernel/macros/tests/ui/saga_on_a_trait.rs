#![allow(unused_imports)]

use portolan_kernel::domain::saga::{StepContext, StepError};
use portolan_kernel::domain::{JsonSchema, saga};
use serde::{Deserialize, Serialize};

#[derive(JsonSchema, Serialize, Deserialize)]
struct TransferMoney {
    amount: u64,
}

struct Transfers;

trait Step {
    fn step(&self);
}

#[saga(input = TransferMoney)]
impl Step for Transfers {
    fn step(&self) {}
}

fn main() {}
