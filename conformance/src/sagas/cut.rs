//! A process that dies, or stands still, at a boundary: between two of its appends, or before or after an effect.

use async_trait::async_trait;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, SAGA_CATEGORY,
};
use std::sync::Arc;
use tokio::sync::{RwLock, RwLockWriteGuard, watch};

/// Where a process dies: at a boundary, by its number.
#[derive(Debug)]
pub(crate) struct Cut {
    at: usize,
    passed: AtomicUsize,
    /// The boundary where it has died.
    death: watch::Sender<Option<String>>,
    appends: RwLock<()>,
    held: AtomicUsize,
    key_retention: Option<Duration>,
}

impl Cut {
    /// A process that lives.
    pub(crate) fn never() -> Arc<Self> {
        Self::at(usize::MAX)
    }

    /// A process that dies at this boundary, the first being 0.
    pub(crate) fn at(at: usize) -> Arc<Self> {
        Arc::new(Self::new(at, None))
    }

    /// A process that takes it that keys are kept so long.
    pub(crate) fn with_keys_for(key_retention: Duration) -> Arc<Self> {
        Arc::new(Self::new(usize::MAX, Some(key_retention)))
    }

    fn new(at: usize, key_retention: Option<Duration>) -> Self {
        Self {
            at,
            passed: AtomicUsize::new(0),
            death: watch::Sender::new(None),
            appends: RwLock::default(),
            held: AtomicUsize::new(0),
            key_retention,
        }
    }

    /// A boundary, and what it is between. Whoever has died passes none.
    pub(super) async fn here(&self, side: &str, what: &str) {
        if self.death.borrow().is_some() {
            return core::future::pending().await;
        }
        if self.passed.fetch_add(1, SeqCst) == self.at {
            self.death.send_replace(Some(format!("{side} {what}")));
            core::future::pending().await
        }
    }

    /// How many boundaries were passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(SeqCst)
    }

    /// Ready once it is dead, with the boundary in words.
    pub(crate) async fn has_died(&self) -> String {
        let mut death = self.death.subscribe();
        // The sender lives in `self`.
        death.wait_for(Option::is_some).await.ok().and_then(|death| death.clone()).unwrap_or_default()
    }

    /// Lets no append about sagas through as long as this is kept.
    pub(crate) async fn close(&self) -> RwLockWriteGuard<'_, ()> {
        self.appends.write().await
    }

    /// How many appends about sagas have come while they were not let through.
    pub(crate) fn held(&self) -> usize {
        self.held.load(SeqCst)
    }

    /// The storage, as the process has it.
    pub(super) fn of(self: &Arc<Self>, mut storage: Storage) -> Storage {
        storage.events = Arc::new(CutStore { inner: storage.events, cut: self.clone() });
        storage
    }
}

struct CutStore {
    inner: Arc<dyn EventStore>,
    cut: Arc<Cut>,
}

#[async_trait]
impl EventStore for CutStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let is_of = |category: &str| append.events.iter().any(|event| event.stream.category() == category);
        if !is_of(SAGA_CATEGORY) && !is_of("till") {
            return self.inner.append(append).await;
        }
        // Whoever has read before may come between.
        tokio::task::yield_now().await;
        let types: Vec<_> = append.events.iter().map(|event| event.event_type.as_str()).collect();
        let what = format!("the append of {}", types.join(", "));
        self.cut.here("before", &what).await;
        if is_of(SAGA_CATEGORY) && self.cut.appends.try_read().is_err() {
            self.cut.held.fetch_add(1, SeqCst);
            drop(self.cut.appends.read().await);
        }
        let appended = self.inner.append(append).await;
        self.cut.here("after", &what).await;
        appended
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.inner.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.inner.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        match self.cut.key_retention {
            Some(kept) => capabilities.with_key_retention(Some(kept)),
            None => capabilities,
        }
    }
}
