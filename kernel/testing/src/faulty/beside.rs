//! Faults of the stores beside the log: snapshots, rows and leases.

use super::{Failures, Faulty};
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::ports::{
    Lease, LeaseError, LeaseStore, ReadModelStore, RowError, RowLimits, Snapshot, SnapshotError, SnapshotStore,
};
use portolan_kernel::values::{
    Batch, Checkpoint, CheckpointState, Collection, Find, Name, Revision, RowKey, Rowset, StreamId, Token, Versions,
};

#[async_trait]
impl<S: SnapshotStore + ?Sized> SnapshotStore for Faulty<S> {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        self.before_read(SnapshotError::Busy, SnapshotError::Other).await?;
        self.inner.load(stream, kind, at_most).await
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        self.write(OF_SNAPSHOTS, no_conflict(), self.inner.save(snapshot)).await
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        self.write(OF_SNAPSHOTS, no_conflict(), self.inner.delete(stream, kind, below)).await
    }
}

const OF_SNAPSHOTS: Failures<SnapshotError> =
    Failures { busy: SnapshotError::Busy, unknown: SnapshotError::Other, other: SnapshotError::Other };

async fn no_conflict() -> SnapshotError {
    SnapshotError::Other(super::source())
}

#[async_trait]
impl<S: ReadModelStore + ?Sized> ReadModelStore for Faulty<S> {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        let (name, version) = (collection.name.clone(), collection.version);
        let conflict = async move { RowError::DefinedOtherwise { collection: name, version } };
        self.write(OF_ROWS, conflict, self.inner.define(collection)).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.before_read(RowError::Busy, RowError::Other).await?;
        self.inner.versions(collection).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        let conflict = moved(&*self.inner, batch.checkpoint.clone());
        self.write(OF_ROWS, conflict, self.inner.commit(batch)).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        self.before_read(RowError::Busy, RowError::Other).await?;
        self.inner.get(collection, version, keys).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        self.before_read(RowError::Busy, RowError::Other).await?;
        self.inner.find(find).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.before_read(RowError::Busy, RowError::Other).await?;
        self.inner.checkpoint(name).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        let conflict = moved(&*self.inner, checkpoint.clone());
        self.write(OF_ROWS, conflict, self.inner.remove(collection, version, checkpoint)).await
    }

    fn limits(&self) -> RowLimits {
        self.inner.limits()
    }
}

const OF_ROWS: Failures<RowError> =
    Failures { busy: RowError::Busy, unknown: RowError::Unknown, other: RowError::Other };

async fn moved<S: ReadModelStore + ?Sized>(store: &S, checkpoint: Checkpoint) -> RowError {
    let state = store.checkpoint(checkpoint.name.clone()).await.ok().flatten();
    let (actual, token) = state.map_or((None, Token(0)), |state| (state.position, state.token));
    RowError::CheckpointMoved { name: checkpoint.name, actual, token }
}

#[async_trait]
impl<S: LeaseStore + ?Sized> LeaseStore for Faulty<S> {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let held = held(name.clone(), Token(1), time_to_live);
        self.write(OF_LEASES, held, self.inner.grant(name, holder, time_to_live)).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let held = held(seen.name.clone(), next(seen.token), time_to_live);
        self.write(OF_LEASES, held, self.inner.take_over(seen, holder, time_to_live)).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.write(OF_LEASES, lost(&lease), self.inner.renew(lease.clone())).await
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.write(OF_LEASES, lost(&lease), self.inner.release(lease.clone())).await
    }
}

const OF_LEASES: Failures<LeaseError> =
    Failures { busy: LeaseError::Busy, unknown: LeaseError::Unknown, other: LeaseError::Other };

fn next(token: Token) -> Token {
    Token(token.0.saturating_add(1))
}

async fn held(name: Name, token: Token, time_to_live: Duration) -> LeaseError {
    match Name::new("rival") {
        Ok(rival) => LeaseError::Held(Lease::new(name, rival, token, time_to_live)),
        Err(error) => LeaseError::Other(portolan_kernel::ports::Source::new(error)),
    }
}

async fn lost(lease: &Lease) -> LeaseError {
    LeaseError::Lost { name: lease.name.clone(), token: next(lease.token) }
}
