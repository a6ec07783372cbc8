//! The storage of a process that may die at each call.

use super::life::{Boundary, Life};
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{
    AppendError, Capabilities, EventStore, Lease, LeaseError, LeaseStore, ReadError, ReadModelStore, RowError,
    RowLimits, Snapshot, SnapshotError, SnapshotStore,
};
use portolan_kernel::values::{
    Append, Appended, Batch, By, Checkpoint, CheckpointState, Collection, Find, Name, Page, Position, Query, Read,
    Recalled, Revision, RowKey, Rowset, Start, StreamId, Versions,
};
use std::fmt::Write as _;
use std::sync::Arc;

/// The storage as this process sees it.
pub(super) fn storage_of(storage: &Storage, life: &Arc<Life>) -> Storage {
    let events = Mortal { life: life.clone(), inner: storage.events.clone() };
    let snapshots = Mortal { life: life.clone(), inner: storage.snapshots.clone() };
    let mut seen = Storage::new(Arc::new(events), Arc::new(snapshots)).with_inline(storage.inline.clone());
    if let Some(inner) = storage.read_models.clone() {
        seen = seen.with_read_models(Arc::new(Mortal { life: life.clone(), inner }));
    }
    if let Some(inner) = storage.leases.clone() {
        seen = seen.with_leases(Arc::new(Mortal { life: life.clone(), inner }));
    }
    seen
}

/// Around a store: what a process that may die has of it.
struct Mortal<S: ?Sized> {
    life: Arc<Life>,
    inner: Arc<S>,
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Mortal<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let boundary = Boundary::new("events", "append", about_append(&append));
        let appended = self.life.call(boundary, self.inner.append(append)).await;
        self.life.grow();
        appended
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.life.call(Boundary::new("events", "read", about_read(&read)), self.inner.read(read)).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let boundary = Boundary::new("events", "recall", format!("{scope} {id}"));
        self.life.call(boundary, self.inner.recall(scope, id)).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let boundary = Boundary::new("events", "checkpoint", &*name);
        self.life.call(boundary, self.inner.checkpoint(name)).await
    }

    /// A store's own hint comes when it comes. This one comes at the append that it is for: nobody else appends.
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        loop {
            let grown = self.life.grown();
            let read = Read::log_after(query.clone(), after).limit(1);
            let page = self.life.look(self.inner.read(read)).await?;
            if !page.events.is_empty() || page.next.is_some() {
                return Ok(());
            }
            let _ = grown.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

fn about_append(append: &Append) -> String {
    let events = append.events.iter().map(|event| format!("{} {}", event.stream, event.event_type));
    let key = append.key.iter().map(|key| format!("key {} {}", key.scope, key.id));
    let checkpoint = append.checkpoint.iter().map(|checkpoint| format!("checkpoint {}", checkpoint.name));
    events.chain(key).chain(checkpoint).collect::<Vec<_>>().join(", ")
}

fn about_read(read: &Read) -> String {
    match &read.from {
        Start::Stream(stream, None) => stream.to_string(),
        Start::Stream(stream, Some(after)) => format!("{stream} after {after}"),
        Start::Log(_, None) => "the log".to_owned(),
        Start::Log(_, Some(after)) => format!("the log after {after}"),
    }
}

#[async_trait]
impl<S: SnapshotStore + ?Sized> SnapshotStore for Mortal<S> {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let boundary = Boundary::new("snapshots", "load", format!("{stream} {kind}"));
        self.life.call(boundary, self.inner.load(stream, kind, at_most)).await
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let boundary = Boundary::new("snapshots", "save", format!("{} {}", snapshot.stream, snapshot.kind));
        self.life.call(boundary, self.inner.save(snapshot)).await
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        let boundary = Boundary::new("snapshots", "delete", format!("{stream} {kind}"));
        self.life.call(boundary, self.inner.delete(stream, kind, below)).await
    }
}

#[async_trait]
impl<S: ReadModelStore + ?Sized> ReadModelStore for Mortal<S> {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        let boundary = Boundary::new("rows", "define", format!("{}@{}", collection.name, collection.version));
        self.life.call(boundary, self.inner.define(collection)).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        let boundary = Boundary::new("rows", "versions", &*collection);
        self.life.call(boundary, self.inner.versions(collection)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        self.life.call(Boundary::new("rows", "commit", about_batch(&batch)), self.inner.commit(batch)).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        let about = keys.iter().fold(collection.to_string(), |about, key| format!("{about} {key}"));
        self.life.call(Boundary::new("rows", "get", about), self.inner.get(collection, version, keys)).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let by = match &find.by {
            By::Index { name, .. } => format!("{} by {name}", find.collection),
            _ => find.collection.to_string(),
        };
        self.life.call(Boundary::new("rows", "find", by), self.inner.find(find)).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.life.call(Boundary::new("rows", "checkpoint", &*name), self.inner.checkpoint(name)).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        let boundary = Boundary::new("rows", "remove", format!("{collection}@{version}"));
        self.life.call(boundary, self.inner.remove(collection, version, checkpoint)).await
    }

    fn limits(&self) -> RowLimits {
        self.inner.limits()
    }
}

fn about_batch(batch: &Batch) -> String {
    let mut about = format!("checkpoint {}", batch.checkpoint.name);
    for change in &batch.changes {
        let change_of = if change.cells.is_some() { "" } else { "without " };
        let _ = write!(about, ", {change_of}{} {}", change.collection, change.key);
    }
    for (collection, version) in &batch.activate {
        let _ = write!(about, ", activates {collection}@{version}");
    }
    about
}

#[async_trait]
impl<S: LeaseStore + ?Sized> LeaseStore for Mortal<S> {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let boundary = Boundary::new("leases", "grant", &*name);
        self.life.call(boundary, self.inner.grant(name, holder, time_to_live)).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let boundary = Boundary::new("leases", "take_over", &*seen.name);
        self.life.call(boundary, self.inner.take_over(seen, holder, time_to_live)).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.life.call(Boundary::new("leases", "renew", &*lease.name), self.inner.renew(lease)).await
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.life.call(Boundary::new("leases", "release", &*lease.name), self.inner.release(lease)).await
    }
}
