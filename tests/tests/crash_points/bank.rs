//! An application with an aggregate and a projection, and a client that repeats its command until it is answered.

use portolan::application::Application;
use portolan::domain::{
    Aggregate, Command, Context, Decide, Decision, Event, Projection, RecordedAs, Rejection, Row, StreamCommand,
};
use portolan::drivers::CommandBusExt as _;
use portolan::ports::{CommandError, Receipt};
use portolan::values::{InvalidName, StreamId};
use portolan_testing::crash::Process;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Deposited { amount: i64 },
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Deposit {
    pub(crate) account: String,
    pub(crate) amount: i64,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

impl StreamCommand for Deposit {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account))
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Never {}
impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account;

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Never;
    type Commands = (Deposit,);
    fn evolve(&mut self, _: &AccountEvent) {}
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        Ok(vec![AccountEvent::Deposited { amount: command.amount }])
    }
}

#[derive(Row)]
struct Balance {
    balance: i64,
}

struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        let AccountEvent::Deposited { amount } = event.event;
        row.get_or_insert(Balance { balance: 0 }).balance += amount;
    }
}

/// The application, over this process.
pub(crate) async fn bank(process: &Process) -> Application {
    let builder = Application::builder(process.storage(), process.runtime());
    builder.aggregate::<Account>().projection::<Balances>().build().await.unwrap()
}

/// Sends the command until it is answered and in the rows.
pub(crate) async fn deposit(process: &Process, bank: &Application, amount: i64, id: Option<&str>) -> Receipt {
    let commands = bank.ports().commands;
    loop {
        let sending = commands.send(Deposit { account: "ann".into(), amount }).wait_for("balances");
        let sending = match id {
            Some(id) => sending.id(id),
            None => sending,
        };
        match sending.await {
            Ok(receipt) => return receipt,
            Err(error @ (CommandError::Invalid { .. } | CommandError::UnknownCommand { .. })) => panic!("{error}"),
            Err(_) => process.runtime().sleep.sleep(Duration::from_millis(100)).await,
        }
    }
}
