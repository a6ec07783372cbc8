//! Stores that the checks and mutants put before a store.

use async_trait::async_trait;
use futures::TryStreamExt;
use portolan::MemoryStore;
use portolan::drivers::EventStoreExt;
use portolan::ports::{AppendError, Capabilities, EventStore, ReadError, Source};
use portolan::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Recorded, StreamId,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Barrier;

pub(crate) fn memory() -> Arc<dyn EventStore> {
    Arc::new(MemoryStore::builder().build())
}

pub(crate) fn stream() -> StreamId {
    StreamId::new("$schemas").unwrap()
}

/// What stands in the stream.
pub(crate) async fn registrations(store: &Arc<dyn EventStore>) -> Vec<Arc<Recorded>> {
    store.read_all(Read::stream(stream())).try_collect().await.unwrap()
}

/// What becomes of calls on the way to a store.
pub(crate) enum Way {
    /// The first reads wait for each other, so that all have read before any has written.
    Together(Arc<Barrier>, AtomicUsize),
    /// Nothing is expected of streams.
    Unconditional,
    /// A conflict is nothing to go on from.
    NoSecondTry,
    /// An append takes two events.
    Narrow,
}

pub(crate) struct Before(pub(crate) Arc<dyn EventStore>, pub(crate) Way);

impl Before {
    pub(crate) fn together(store: Arc<dyn EventStore>, of: usize) -> Arc<dyn EventStore> {
        Arc::new(Self(store, Way::Together(Arc::new(Barrier::new(of)), AtomicUsize::new(of))))
    }

    /// One of several, each before a store of its own, whose first reads wait for each other.
    pub(crate) fn one_of(store: Arc<dyn EventStore>, barrier: &Arc<Barrier>) -> Arc<dyn EventStore> {
        Arc::new(Self(store, Way::Together(barrier.clone(), AtomicUsize::new(1))))
    }
}

#[async_trait]
impl EventStore for Before {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        assert!(append.events.len() <= self.capabilities().limits.append_events as usize);
        if let Way::Unconditional = self.1 {
            append.expect.clear();
        }
        match (self.0.append(append).await, &self.1) {
            (Err(conflict @ AppendError::Conflict { .. }), Way::NoSecondTry) => {
                Err(AppendError::Other(Source::new(conflict)))
            }
            (outcome, _) => outcome,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let page = self.0.read(read).await;
        if let Way::Together(barrier, first) = &self.1
            && first.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            barrier.wait().await;
        }
        page
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.0.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.0.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.0.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.0.capabilities();
        if let Way::Narrow = self.1 {
            capabilities.limits.append_events = 2;
        }
        capabilities
    }
}
