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
    #[step(1, retry(attempts = 3, maximum = "1s"))]
    async fn debit(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
