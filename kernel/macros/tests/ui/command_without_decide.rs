use portolan_kernel::domain::{Aggregate, Command, Event, Rejection};
use serde::{Deserialize, Serialize};

#[derive(Command, Serialize, Deserialize)]
#[command(stream = "account-{account_id}")]
struct Deposit {
    account_id: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Deposited { amount: u64 },
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Debug)]
enum Refused {
    #[error("the account is closed")]
    Closed,
}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (Deposit,);

    fn evolve(&mut self, _: &AccountEvent) {}
}

fn main() {}
