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
    #[step(1, harmless)]
    async fn check(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    #[step(2)]
    #[cfg(unix)]
    async fn credit(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
