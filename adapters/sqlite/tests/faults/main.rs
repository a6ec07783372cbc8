//! What the store does when the file, the disk or the neighbours misbehave.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

extern crate alloc;

mod crowd;
mod damage;
mod flips;
mod full;
mod groups;
mod locked;
mod migrating;
mod opening;
mod read_models;
mod restoring;
#[cfg(target_os = "linux")]
mod syncs;
mod verifying;

use alloc::sync::Arc;
use portolan_kernel::ports::{EventStore, ReadError};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use std::path::{Path, PathBuf};

pub(crate) fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: impl AsRef<str>) -> T {
    T::try_from(text.as_ref()).unwrap()
}

/// A folder with room for one store.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("log.db")
    }

    pub(crate) async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.file()).await.unwrap()
    }

    /// The file through other eyes: as another process has it.
    pub(crate) fn other(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }
}

pub(crate) fn event(stream: &str, payload: impl Into<Vec<u8>>) -> NewEvent {
    NewEvent::new(name(stream), name("thing.happened"), payload.into())
}

pub(crate) fn key(id: &str) -> IdempotencyKey {
    IdempotencyKey::new(name("test"), name(id), [7; 32])
}

pub(crate) async fn read_all(store: &SqliteStore) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let (mut events, mut next) = (Vec::new(), Some(Read::log(Query::all())));
    while let Some(read) = next {
        let page = store.read(read).await?;
        events.extend(page.events);
        next = page.next;
    }
    Ok(events)
}

pub(crate) async fn payloads(store: &SqliteStore) -> Vec<String> {
    let events = read_all(store).await.unwrap();
    events.iter().map(|event| String::from_utf8(event.payload.to_vec()).unwrap()).collect()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
