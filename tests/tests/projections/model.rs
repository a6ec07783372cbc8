//! What the tests project: accounts whose rows tell every event, its order, and how often it was applied.

use portolan::domain::{Event, FailurePolicy, OnFailure, Projection, RecordedAs, Row};
use portolan::values::{EventType, NewEvent, StreamId};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Debug, Clone)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    Opened { email: String },
    Deposited { amount: u64 },
    Closed {},
}

#[derive(Row, Debug, Clone, PartialEq)]
pub(crate) struct Account {
    #[row(unique)]
    pub(crate) email: Option<String>,
    /// Depends on each amount and on the order of all.
    pub(crate) digest: u64,
    pub(crate) events: u64,
}

/// An amount that has no place in a row.
pub(crate) const TOO_MUCH: u64 = u64::MAX;

pub(crate) const STOP: u8 = 0;
pub(crate) const SKIP: u8 = 1;
pub(crate) const PARK: u8 = 2;

/// Accounts by stream, with a policy.
pub(crate) struct Accounts<const POLICY: u8>;

impl<const POLICY: u8> Projection for Accounts<POLICY> {
    const NAME: &'static str = "accounts";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Account;

    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().to_string())
    }

    fn apply(row: &mut Option<Account>, event: &RecordedAs<AccountEvent>) {
        let account = row.get_or_insert(Account { email: None, digest: 0, events: 0 });
        account.events += 1;
        match &event.event {
            AccountEvent::Opened { email } => account.email = Some(email.clone()),
            AccountEvent::Deposited { amount } if *amount == TOO_MUCH => account.digest = TOO_MUCH,
            AccountEvent::Deposited { amount } => account.digest = (account.digest * 31 + amount) % 1_000_007,
            AccountEvent::Closed {} => *row = None,
        }
    }

    fn on_failure() -> FailurePolicy {
        policy(POLICY)
    }
}

pub(crate) fn policy(policy: u8) -> FailurePolicy {
    FailurePolicy::then(match policy {
        STOP => OnFailure::Stop,
        SKIP => OnFailure::Skip,
        _ => OnFailure::Park,
    })
}

/// All events together.
pub(crate) struct Counter;

impl Projection for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Account;

    fn key(_: &RecordedAs<AccountEvent>) -> Option<String> {
        Some("all".to_owned())
    }

    fn apply(row: &mut Option<Account>, event: &RecordedAs<AccountEvent>) {
        let row = row.get_or_insert(Account { email: None, digest: 0, events: 0 });
        row.events += 1;
        if let AccountEvent::Deposited { amount } = event.event {
            row.digest = (row.digest * 31 + amount) % 1_000_007;
        }
    }
}

pub(crate) fn stream(account: impl core::fmt::Display) -> StreamId {
    StreamId::new(format!("account-{account}")).unwrap()
}

pub(crate) fn event(account: impl core::fmt::Display, event: &AccountEvent) -> NewEvent {
    NewEvent::new(stream(account), EventType::new(event.event_type()).unwrap(), event.encode().unwrap())
}

pub(crate) fn opened(account: impl core::fmt::Display, email: &str) -> NewEvent {
    event(account, &AccountEvent::Opened { email: email.to_owned() })
}

pub(crate) fn deposited(account: impl core::fmt::Display, amount: u64) -> NewEvent {
    event(account, &AccountEvent::Deposited { amount })
}

pub(crate) fn closed(account: impl core::fmt::Display) -> NewEvent {
    event(account, &AccountEvent::Closed {})
}

/// An event that cannot be decoded.
pub(crate) fn broken(account: impl core::fmt::Display) -> NewEvent {
    NewEvent::new(stream(account), EventType::new("account.deposited").unwrap(), r#"{"amount":"many"}"#)
}

/// An event of no account.
pub(crate) fn foreign() -> NewEvent {
    NewEvent::new(StreamId::new("other-1").unwrap(), EventType::new("other.happened").unwrap(), "{}")
}
