use portolan_kernel::domain::saga::{StepContext, StepError};
use portolan_kernel::domain::{JsonSchema, saga};
use serde::{Deserialize, Serialize};

#[derive(JsonSchema, Serialize, Deserialize)]
struct TransferMoney {
    amount: u64,
}

struct Transfers;

#[saga(input = TransferMoney)]
impl Transfers {
    #[step(1)]
    async fn debit(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    #[compensation(timeout = "1s")]
    async fn refund(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
