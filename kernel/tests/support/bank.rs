//! A bank by hand: what an application writes, without any derive of ours.

use portolan_kernel::Bytes;
use portolan_kernel::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, Rejection, SnapshotPolicy,
    StreamCommand, variant,
};
use portolan_kernel::drivers::{QueryContext, Question, Reply};
use portolan_kernel::ports::{QueryError, RawEvent, Violation};
use portolan_kernel::values::{InvalidName, StreamId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    pub account_id: String,
    pub owner: String,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    pub account_id: String,
    pub amount: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    pub account_id: String,
    pub amount: u64,
}

fn account(id: &str) -> Result<StreamId, InvalidName> {
    StreamId::new(format!("account-{id}"))
}

fn above_zero(amount: u64) -> Vec<Violation> {
    (amount == 0).then(|| Violation::new("amount", "zero", "the amount has to be above zero")).into_iter().collect()
}

impl Command for OpenAccount {
    const NAME: &'static str = "open-account";
}

impl StreamCommand for OpenAccount {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        account(&self.account_id)
    }
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
    fn validate(&self) -> Vec<Violation> {
        above_zero(self.amount)
    }
}

impl StreamCommand for Deposit {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        account(&self.account_id)
    }
}

impl Command for Withdraw {
    const NAME: &'static str = "withdraw";
    fn validate(&self) -> Vec<Violation> {
        above_zero(self.amount)
    }
}

impl StreamCommand for Withdraw {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        account(&self.account_id)
    }
}

/// Changes nothing.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    pub account_id: String,
}

impl Command for Touch {
    const NAME: &'static str = "touch";
}

impl StreamCommand for Touch {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        account(&self.account_id)
    }
}

impl Decide<Touch> for Account {
    fn decide(&self, _: &Touch, _: &Context) -> Decision<Self> {
        Ok(vec![])
    }
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum AccountEvent {
    #[serde(rename = "account.opened")]
    Opened { owner: String },
    #[serde(rename = "account.deposited")]
    Deposited { amount: u64 },
    #[serde(rename = "account.withdrawn")]
    Withdrawn { amount: u64 },
}

impl Event for AccountEvent {
    const CATEGORY: &'static str = "account";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    #[error("the account is already open")]
    AlreadyOpen,
    #[error("there is no such account")]
    NoAccount,
    #[error("{missing} cents short")]
    InsufficientFunds { missing: u64 },
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
pub struct Account {
    pub owner: Option<String>,
    pub balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (OpenAccount, Deposit, Withdraw, Touch);

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { owner } => self.owner = Some(owner.clone()),
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }

    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::every(5).version(2)
    }
}

impl Decide<OpenAccount> for Account {
    fn decide(&self, command: &OpenAccount, _: &Context) -> Decision<Self> {
        match self.owner {
            Some(_) => Err(Refused::AlreadyOpen),
            None => Ok(vec![AccountEvent::Opened { owner: command.owner.clone() }]),
        }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        match self.owner {
            Some(_) => Ok(vec![AccountEvent::Deposited { amount: command.amount }]),
            None => Err(Refused::NoAccount),
        }
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    pub account_id: String,
}

impl Question for Balance {
    const NAME: &'static str = "balance";
    type Answer = u64;
}

pub async fn balance(asked: Balance, context: QueryContext) -> Result<Reply<u64>, QueryError> {
    let stream = account(&asked.account_id).map_err(|error| QueryError::NotFound(error.to_string()))?;
    let account = context.load::<Account>(stream).await?;
    if !account.exists() {
        return Err(QueryError::NotFound(format!("there is no account {}", asked.account_id)));
    }
    Ok(Reply::new(account.state.balance).at(account.revision))
}

pub fn open(account_id: &str) -> OpenAccount {
    OpenAccount { account_id: account_id.into(), owner: "Ann".into() }
}

pub fn deposit(account_id: &str, amount: u64) -> Deposit {
    Deposit { account_id: account_id.into(), amount }
}

pub fn withdraw(account_id: &str, amount: u64) -> Withdraw {
    Withdraw { account_id: account_id.into(), amount }
}
