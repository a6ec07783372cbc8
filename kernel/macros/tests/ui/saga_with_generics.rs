use portolan_kernel::domain::saga::{StepContext, StepError};
use portolan_kernel::domain::{JsonSchema, saga};
use serde::{Deserialize, Serialize};

#[derive(JsonSchema, Serialize, Deserialize)]
struct TransferMoney {
    amount: u64,
}

struct Transfers;

struct Kept<T>(T);

#[saga(input = TransferMoney)]
impl<T: Send + Sync + 'static> Kept<T> {
    #[step(1)]
    async fn debit(&self, _: &TransferMoney, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
