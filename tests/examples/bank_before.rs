//! The bank before its deposits had a reference, for tests of deployments: what `examples/bank.rs` was, as far as they look,
//! and a projection for each way with events that a newer bank has written. On one SQLite file, over HTTP.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use clap::Parser;
use core::error::Error;
use portolan::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Event, Serialize, Deserialize, Clone, Debug)]
#[event(category = "account")]
enum AccountEvent {
    Opened { owner: String, currency: String },
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
    Closed,
}

#[derive(Command, Serialize, Deserialize, Clone)]
#[command(stream = "account-{account_id}")]
struct OpenAccount {
    account_id: String,
    owner: String,
    currency: String,
}

#[derive(Command, Serialize, Deserialize, Clone)]
#[command(stream = "account-{account_id}")]
struct Deposit {
    account_id: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone)]
#[command(stream = "account-{account_id}")]
struct Withdraw {
    account_id: String,
    amount: u64,
}

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug)]
enum Refused {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("{missing} cents are missing")]
    InsufficientFunds { missing: u64 },
}

/// It takes no event that it does not know: its decisions would not know what they are about.
#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    is_open: bool,
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (OpenAccount, Deposit, Withdraw);

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => self.is_open = true,
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
            AccountEvent::Closed => self.is_open = false,
        }
    }
}

impl Decide<OpenAccount> for Account {
    fn decide(&self, command: &OpenAccount, _: &Context) -> Decision<Self> {
        let OpenAccount { owner, currency, .. } = command.clone();
        if self.is_open { Err(Refused::AlreadyOpen) } else { Ok(vec![AccountEvent::Opened { owner, currency }]) }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        Ok(vec![AccountEvent::Deposited { amount: command.amount }])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: &Withdraw, _: &Context) -> Decision<Self> {
        match command.amount.saturating_sub(self.balance) {
            0 => Ok(vec![AccountEvent::Withdrawn { amount: command.amount }]),
            missing => Err(Refused::InsufficientFunds { missing }),
        }
    }
}

/// It parks them, and with them their account.
#[derive(Row, Projection, Clone, Debug)]
#[projection(name = "balances", version = 1, events = AccountEvent, key = stream_id, on_failure = park)]
#[projection(on(Deposited { amount } = deposited, Withdrawn { amount } = withdrawn), delete_on(Closed))]
struct Balance {
    #[row(index)]
    owner: String,
    currency: String,
    #[row(index)]
    #[projection(default)]
    balance: u64,
}

impl Balance {
    fn deposited(&mut self, amount: &u64) {
        self.balance += amount;
    }

    fn withdrawn(&mut self, amount: &u64) {
        self.balance -= amount;
    }
}

/// It stops at them.
#[derive(Row, Projection, Clone, Debug)]
#[projection(name = "turnovers", events = AccountEvent, key = stream_id, on_failure = stop)]
#[projection(on(Deposited { amount } = moved, Withdrawn { amount } = moved), ignore(Opened))]
struct Turnover {
    #[projection(default)]
    turnover: u64,
}

impl Turnover {
    fn moved(&mut self, amount: &u64) {
        self.turnover += amount;
    }
}

/// It goes on without them.
#[derive(Row, Projection, Clone, Debug)]
#[projection(name = "deposits", events = AccountEvent, key = stream_id, on(Deposited {} = deposited), on_unknown = skip)]
struct Deposits {
    owner: String,
    #[projection(default)]
    deposits: u64,
}

impl Deposits {
    fn deposited(&mut self) {
        self.deposits += 1;
    }
}

/// It has them as they are stored.
#[derive(Row, Clone, Default, Debug)]
struct Kinds {
    known: u64,
    raw: u64,
}

impl Projection for Kinds {
    const NAME: &'static str = "kinds";
    const VERSION: u16 = 1;
    type Event = OrRaw<AccountEvent>;
    type Row = Self;

    fn key(event: &RecordedAs<Self::Event>) -> Option<String> {
        Some(event.recorded.event_type.to_string())
    }

    fn apply(row: &mut Option<Self>, event: &RecordedAs<Self::Event>) {
        let row = row.get_or_insert_default();
        match event.event {
            OrRaw::Event(_) => row.known += 1,
            _ => row.raw += 1,
        }
    }
}

#[derive(Parser)]
struct Flags {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    listen: core::net::SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let bank = Application::builder(SqliteStore::open(&flags.data).await?, Runtime::tokio()).aggregate::<Account>();
    let bank = bank.projection::<Balance>().projection::<Turnover>().projection::<Deposits>().projection::<Kinds>();
    let bank = bank.build().await?;
    let http = HttpServer::new(bank.ports()).bind(flags.listen).await?;
    let address = http.local_addr();
    let http = http.serve(shutdown_signal());
    println!("The bank of before listens on http://{address}");
    http.await;
    bank.shutdown().await;
    Ok(())
}
