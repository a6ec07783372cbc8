//! Portolan's storage in memory: for tests, for trials, and for logs that need not outlive their process.
//!
//! It keeps every law of the ports but durability and several processes; a new store is empty and has an
//! identity of its own.
//!
//! ```
//! # fn main() {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use portolan_kernel::ports::EventStore;
//! use portolan_kernel::values::{Append, EventType, NewEvent, Query, Read, StreamId};
//! use portolan_memory::MemoryStore;
//!
//! let store = MemoryStore::new();
//! let opened = NewEvent::new(StreamId::new("account-ann")?, EventType::new("account.opened")?, "{}");
//! store.append(Append::new([opened])).await?;
//! assert_eq!(store.read(Read::log(Query::all())).await?.events.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap() }
//! ```
//!
//! One lock guards the whole log. Shards by stream would buy nothing: every append takes the next places of
//! the one log, may have a guard that looks at any stream, and must become visible at once; so each would
//! take the log's lock besides its shard's. What needs no lock is done before it is taken, and the section
//! under it is short: no clock, no scan, a few insertions an event.
//!
//! Read models have a lock of their own, so that rows are read and written beside appends. An append with inline
//! projections takes both, the log's first, and changes nothing before it holds both: whoever sees its events finds its
//! rows, and whoever sees its rows finds its events. Nothing else takes both.

extern crate alloc;

mod append;
mod config;
mod index;
mod inline;
mod keys;
mod leases;
mod log;
mod read;
mod read_models;
mod snapshots;
mod table;

pub use config::MemoryConfig;

use crate::inline::Inlined;
use crate::leases::Leases;
use crate::log::{Log, index_after};
use crate::read_models::ReadModels;
use crate::snapshots::Snapshots;
use alloc::sync::Arc;
use async_trait::async_trait;
use event_listener::Event;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{AppendError, Capabilities, Clock, EventStore, ReadError};
use portolan_kernel::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Token};
use std::sync::{Mutex, PoisonError, RwLock};

/// What is looked up for every event. The standard library's hasher takes a tenth of an append.
type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// Events, snapshots, read models and leases in memory. A clone is another handle on the same store.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    log: RwLock<Log>,
    grown: Event,
    snapshots: RwLock<Snapshots>,
    read_models: RwLock<ReadModels>,
    inline: Inlined,
    leases: Mutex<Leases>,
}

impl MemoryStore {
    /// A new, empty store on the system's clock that keeps idempotency keys for a week.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A new, empty store of which some things are to be said.
    pub fn builder() -> MemoryConfig {
        MemoryConfig::new()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl From<MemoryStore> for Storage {
    fn from(store: MemoryStore) -> Self {
        let (inline, store) = (store.0.inline.projections(), Arc::new(store));
        Self::new(store.clone(), store.clone()).with_read_models(store.clone()).with_leases(store).with_inline(inline)
    }
}

impl core::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MemoryStore").field("identity", &self.0.capabilities.identity).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let shared = &*self.0;
        shared.capabilities.check(&append)?;
        let now = shared.clock.now();
        let written = {
            let mut log = shared.log.write().map_err(|_| AppendError::Corrupt { place: in_doubt() })?;
            let mut inline = shared.inline.lock(&shared.read_models, shared.capabilities.identity);
            log.append(append, now, inline.as_mut())?
        };
        if written.last.is_some() && !written.repeated {
            shared.grown.notify(usize::MAX);
        }
        Ok(written)
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.0.capabilities.check_read(&read)?;
        let limit = read.limit.min(self.0.capabilities.limits.page_events);
        self.0.log.read().map_err(read_in_doubt)?.read(read, limit)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let now = self.0.clock.now();
        Ok(self.0.log.read().map_err(read_in_doubt)?.keys.get(&(scope, id), now).cloned())
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let log = self.0.log.read().map_err(read_in_doubt)?;
        let (position, token) = log.checkpoints.get(&name).copied().unwrap_or((None, Token(0)));
        Ok(CheckpointState::new(self.0.capabilities.identity, position, token))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        let mut seen = index_after(after);
        loop {
            // Listening begins before the look, so that nothing falls between the two.
            let grown = self.0.grown.listen();
            {
                let log = self.0.log.read().map_err(read_in_doubt)?;
                if log.may_hold(&query, seen) {
                    return Ok(());
                }
                seen = seen.max(log.len());
            }
            grown.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities.clone()
    }
}

fn in_doubt() -> String {
    "the memory of a thread that panicked while it wrote; start anew".into()
}

fn read_in_doubt<T>(_: PoisonError<T>) -> ReadError {
    ReadError::Corrupt { place: in_doubt() }
}
