/// Pays into an account.
#[derive(Command, Validate, Serialize, Deserialize)]
#[command(stream = "account-{account_id}")]
struct Deposit {
    account_id: String,
    #[validate(range(min = 1))]
    amount: u64,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account", version = 2)]
enum AccountEvent {
    Opened {
        #[tag]
        owner: String,
        #[event(added = 2, default = "EUR")]
        currency: String,
    },
    #[event(renamed_from = "PaidIn", since = 2)]
    Deposited {
        amount: u64,
    },
    Closed,
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize)]
enum Refused {
    #[error("{missing} cents short")]
    InsufficientFunds { missing: u64 },
}

/// An account as it stands.
#[derive(Query, Serialize, Deserialize)]
#[query(name = "account", answer = AccountView)]
struct AccountQuery {
    account_id: String,
}

#[derive(EventSet)]
enum BankEvent {
    Account(AccountEvent),
    Owner(OwnerEvent),
}

#[derive(Row, Projection)]
#[projection(events = AccountEvent, key = stream_id, on(Deposited { amount } = deposited), delete_on(Closed))]
struct Balance {
    #[row(index)]
    owner: String,
    #[projection(default)]
    balance: u64,
}

/// Moves money from one account to another.
#[saga(name = "transfer-money", input = TransferMoney, timeout = "1m")]
impl Transfers {
    #[step(1, compensate = "refund", retry(attempts = 5, max = "5s"))]
    async fn debit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        step.send(Withdraw::of(transfer)).await?;
        Ok(())
    }

    #[step(2)]
    async fn credit(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        step.send(Deposit::of(transfer)).await?;
        Ok(())
    }

    #[compensation(timeout = "10s")]
    async fn refund(&self, transfer: &TransferMoney, step: &StepContext) -> Result<(), StepError> {
        step.send(Deposit::back(transfer)).await?;
        Ok(())
    }
}
