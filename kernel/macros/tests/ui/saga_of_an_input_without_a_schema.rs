use portolan_kernel::domain::saga::{StepContext, StepError};
use portolan_kernel::domain::{JsonSchema, saga};
use serde::{Deserialize, Serialize};

#[derive(JsonSchema, Serialize, Deserialize)]
struct TransferMoney {
    amount: u64,
}

struct Transfers;

#[derive(Serialize, Deserialize)]
struct Plain {}

#[saga(input = Plain)]
impl Transfers {
    #[step(1)]
    async fn debit(&self, _: &Plain, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
