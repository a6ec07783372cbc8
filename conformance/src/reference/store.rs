//! The model behind a mutex: a store, slow and right.

use super::Model;
use async_trait::async_trait;
use portolan_kernel::ports::{
    AppendError, Capabilities, Capability, Clock, EventStore, ReadError, Snapshot, SnapshotError, SnapshotStore,
    StoreId,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Revision, StreamId,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// An event and snapshot store in memory: one mutex, one list. It keeps every law but durability and can
/// stand in for a real store in tests.
///
/// ```
/// # use portolan_conformance::{ReferenceStore, TestClock};
/// # use portolan_kernel::{ports::EventStore, values::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = ReferenceStore::new(std::sync::Arc::new(TestClock::default()));
/// let event = NewEvent::new(StreamId::new("account-ann")?, EventType::new("opened")?, "{}");
/// assert_eq!(store.append(Append::new([event])).await?.streams[0].1, Some(Revision::FIRST));
/// # Ok(()) }
/// ```
pub struct ReferenceStore {
    clock: Arc<dyn Clock>,
    model: Mutex<Model>,
    snapshots: Mutex<Vec<Snapshot>>,
    written: Notify,
}

impl core::fmt::Debug for ReferenceStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReferenceStore").field("model", &self.model).finish_non_exhaustive()
    }
}

impl ReferenceStore {
    /// An empty store with an identity of its own.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let identity = StoreId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)));
        let capabilities =
            Capabilities::new(identity).lacking(Capability::Durability).lacking(Capability::SeveralProcesses);
        Self::with_capabilities(clock, capabilities)
    }

    /// An empty store that is, lacks and takes what these say.
    #[must_use]
    pub fn with_capabilities(clock: Arc<dyn Clock>, capabilities: Capabilities) -> Self {
        let model = Mutex::new(Model::new(capabilities));
        Self { clock, model, snapshots: Mutex::default(), written: Notify::new() }
    }

    /// The model, to look into or to spoil.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        locked(&self.model)
    }
}

// Nothing under these locks panics halfway through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl EventStore for ReferenceStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.model().append(&append, self.clock.now());
        self.written.notify_waiters();
        appended
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.model().read(&read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(self.model().recall(&scope, &id, self.clock.now()))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        Ok(self.model().checkpoint(&name))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        loop {
            // Made before the look, so that a write after it wakes.
            let written = self.written.notified();
            if !self.model().read(&Read::log_after(query.clone(), after).limit(1))?.events.is_empty() {
                return Ok(());
            }
            written.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.model().capabilities.clone()
    }
}

#[async_trait]
impl SnapshotStore for ReferenceStore {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let wanted = |kept: &&Snapshot| {
            kept.stream == stream && kept.kind == kind && at_most.is_none_or(|bound| kept.revision <= bound)
        };
        Ok(locked(&self.snapshots).iter().filter(wanted).max_by_key(|kept| kept.revision).cloned())
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let mut snapshots = locked(&self.snapshots);
        snapshots.retain(|kept| {
            (&kept.stream, &kept.kind, kept.revision) != (&snapshot.stream, &snapshot.kind, snapshot.revision)
        });
        snapshots.push(snapshot);
        Ok(())
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        let deleted = |kept: &Snapshot| {
            kept.stream == stream && kept.kind == kind && below.is_none_or(|bound| kept.revision < bound)
        };
        locked(&self.snapshots).retain(|kept| !deleted(kept));
        Ok(())
    }
}
