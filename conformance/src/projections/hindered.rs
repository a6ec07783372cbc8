//! A process whose writes come late: to its rows, and to its leases.

use async_trait::async_trait;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{Lease, LeaseError, LeaseStore, ReadModelStore, RowError, RowLimits};
use portolan_kernel::values::{
    Batch, Checkpoint, CheckpointState, Collection, Find, Move, Name, RowKey, Rowset, Versions,
};
use std::sync::Arc;
use tokio::sync::{RwLock, RwLockWriteGuard};

/// What is in the way of a process's writes.
#[derive(Default)]
pub(crate) struct Hindrance {
    rows: RwLock<()>,
    leases: RwLock<()>,
    /// How long each batch takes.
    pause: Duration,
    /// Batches of events that were begun, and that were answered.
    begun: AtomicUsize,
    answered: AtomicUsize,
}

impl Hindrance {
    /// One that makes each batch take this much longer.
    pub(crate) fn slow(pause: Duration) -> Arc<Self> {
        Arc::new(Self { pause, ..Self::default() })
    }

    /// Lets no batch through as long as this is kept.
    pub(crate) async fn close_rows(&self) -> RwLockWriteGuard<'_, ()> {
        self.rows.write().await
    }

    /// Lets no renewal through as long as this is kept.
    pub(crate) async fn close_leases(&self) -> RwLockWriteGuard<'_, ()> {
        self.leases.write().await
    }

    /// How many batches of events were begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// How many batches of events were answered.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// The storage, as the hindered process has it.
    pub(crate) fn of(self: &Arc<Self>, mut storage: Storage) -> Storage {
        let hindrance = || self.clone();
        storage.read_models =
            storage.read_models.map(|inner| Arc::new(Hindered { inner, by: hindrance() }) as Arc<dyn ReadModelStore>);
        storage.leases =
            storage.leases.map(|inner| Arc::new(Hindered { inner, by: hindrance() }) as Arc<dyn LeaseStore>);
        storage
    }
}

struct Hindered<S> {
    inner: S,
    by: Arc<Hindrance>,
}

#[async_trait]
impl ReadModelStore for Hindered<Arc<dyn ReadModelStore>> {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        self.inner.define(collection).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.inner.versions(collection).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        let of_events = usize::from(matches!(batch.checkpoint.to, Move::At(_)));
        self.by.begun.fetch_add(of_events, Ordering::SeqCst);
        tokio::time::sleep(self.by.pause).await;
        drop(self.by.rows.read().await);
        let committed = self.inner.commit(batch).await;
        self.by.answered.fetch_add(of_events, Ordering::SeqCst);
        committed
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        self.inner.get(collection, version, keys).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        self.inner.find(find).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.inner.checkpoint(name).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.inner.remove(collection, version, checkpoint).await
    }

    fn limits(&self) -> RowLimits {
        self.inner.limits()
    }
}

#[async_trait]
impl LeaseStore for Hindered<Arc<dyn LeaseStore>> {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.inner.grant(name, holder, time_to_live).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.inner.take_over(seen, holder, time_to_live).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        drop(self.by.leases.read().await);
        self.inner.renew(lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.inner.release(lease).await
    }
}
