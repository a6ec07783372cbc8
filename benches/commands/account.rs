//! The domain: accounts that money is paid into.

use crate::support::Outcome;
use crate::support::fixture::{Kind, remove};
use portolan::application::ApplicationBuilder;
use portolan::memory::MemoryStore;
use portolan::prelude::*;
use portolan::sqlite::SqliteStore;
use portolan_tracing::Tracing;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Serialize, Deserialize, Clone, Event)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "account.deposited")]
    Deposited { amount: u64, currency: String, reference: String, note: String },
}

#[derive(Serialize, Deserialize, Clone, Command)]
#[command(name = "deposit", stream = "account-{account}")]
pub(crate) struct Deposit {
    pub(crate) account: u64,
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) reference: String,
    pub(crate) note: String,
}

impl Deposit {
    /// A deposit into this account; its event's payload has about 150 bytes.
    pub(crate) fn to(account: u64) -> Self {
        Self {
            account,
            amount: 1_000,
            currency: "EUR".into(),
            reference: "invoice 2026-11".into(),
            note: "as payloads are, about one hundred and fifty bytes".into(),
        }
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Debug)]
pub(crate) enum Never {}

impl portolan::domain::Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct Account {
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Never;
    type Commands = (Deposit,);
    fn evolve(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited { amount, .. } = event;
        self.balance += amount;
    }
    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::every(100)
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        let Deposit { amount, currency, reference, note, .. } = command.clone();
        Ok(vec![AccountEvent::Deposited { amount, currency, reference, note }])
    }
}

/// An application on this storage.
pub(crate) fn builder(storage: impl Into<Storage>) -> ApplicationBuilder {
    Application::builder(storage, Runtime::tokio()).middleware(Tracing).aggregate::<Account>()
}

/// The same, built.
pub(crate) async fn open(storage: impl Into<Storage>) -> Outcome<Application> {
    Ok(builder(storage).build().await?)
}

/// A new storage of this kind, and its file.
pub(crate) async fn storage(kind: &Kind) -> Outcome<(Storage, Option<PathBuf>)> {
    Ok(match kind {
        Kind::Memory => (MemoryStore::new().into(), None),
        Kind::Sqlite(dir) => {
            let file = dir.join(format!("bank-{}.db", std::process::id()));
            remove(&file);
            (SqliteStore::open(&file).await?.into(), Some(file))
        }
    })
}

/// Ends an application on that file, and tells how many bytes the file has.
pub(crate) async fn close(application: Application, storage: Storage, file: Option<PathBuf>) -> Option<u64> {
    application.shutdown().await;
    drop((application, storage));
    let file = file?;
    let bytes = std::fs::metadata(&file).ok().map(|file| file.len());
    remove(&file);
    bytes
}
