//! A store that is the reference but for one function.

use async_trait::async_trait;
use core::ops::{Deref, DerefMut};
use futures::future::BoxFuture;
use portolan_conformance::{Fixture, Model, Place};
use portolan_kernel::ports::{AppendError, Capabilities, Clock, EventStore, ReadError, StoreId};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Timestamp,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// The model, and a number for whatever a mutant has to remember.
pub struct State {
    pub model: Model,
    pub count: u64,
}

impl Deref for State {
    type Target = Model;
    fn deref(&self) -> &Model {
        &self.model
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.model
    }
}

type AppendFn = fn(&mut State, &Append, Timestamp) -> Result<Appended, AppendError>;
pub type SlowAppend = fn(Arc<Inner>, Append) -> BoxFuture<'static, Result<Appended, AppendError>>;
pub type BeforeRead = fn(Arc<Inner>) -> BoxFuture<'static, ()>;
pub type Changed = fn(Arc<Inner>, Query, Option<Position>) -> BoxFuture<'static, Result<(), ReadError>>;

/// One wrong store: what it does otherwise, and the laws that this breaks.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// What it breaks or not, by how others happen to come between.
    pub perhaps: &'static [&'static str],
    pub append: AppendFn,
    pub slow_append: Option<SlowAppend>,
    /// What a read waits for.
    pub before_read: Option<BeforeRead>,
    pub read: fn(&State, &Read) -> Result<Page, ReadError>,
    pub recall: fn(&State, &Name, &Name, Timestamp) -> Option<Recalled>,
    pub changed: Changed,
    pub capabilities: fn(&State) -> Capabilities,
    /// What a new store begins with.
    pub born: fn(&mut State),
    /// What happens between two lives.
    pub reopen: fn(&mut State),
    /// Whether a second handle has a copy of its own.
    pub copied_handles: bool,
    /// Whether a second handle is refused.
    pub alone: bool,
}

impl Mutant {
    pub const fn new(name: &'static str, breaks: &'static [&'static str]) -> Self {
        Self {
            name,
            breaks,
            perhaps: &[],
            append: |state, append, now| state.model.append(append, now),
            slow_append: None,
            before_read: None,
            read: |state, read| state.model.read(read),
            recall: |state, scope, id, now| state.model.recall(scope, id, now),
            changed: |inner, query, after| Box::pin(async move { wait(&inner, &query, after).await }),
            capabilities: |state| state.model.capabilities.clone(),
            born: |_| (),
            reopen: |_| (),
            copied_handles: false,
            alone: false,
        }
    }

    pub const fn perhaps(self, perhaps: &'static [&'static str]) -> Self {
        Self { perhaps, ..self }
    }

    pub const fn append(self, append: AppendFn) -> Self {
        Self { append, ..self }
    }

    pub const fn read(self, read: fn(&State, &Read) -> Result<Page, ReadError>) -> Self {
        Self { read, ..self }
    }

    /// A fixture whose places keep their stores for as long as it lives.
    pub fn fixture(self) -> Fixture<dyn EventStore> {
        let stores: Rc<RefCell<HashMap<String, MutantStore>>> = Rc::default();
        Fixture::event_store(async move |place: &Place| {
            let mut stores = stores.borrow_mut();
            let store = stores.entry(place.name().to_string()).or_insert_with(|| MutantStore::new(self, place.clock()));
            if Arc::strong_count(&store.inner) == 1 {
                (self.reopen)(&mut store.inner.state());
            } else if self.alone {
                return Err("the store is open".to_string());
            } else if self.copied_handles {
                let copy = store.inner.state().model.clone();
                let inner = Inner { state: Mutex::new(State { model: copy, count: 0 }), ..Inner::new(place.clock()) };
                return Ok(MutantStore { inner: Arc::new(inner), mutant: self });
            }
            Ok(store.clone())
        })
        .remote("it lives as long as its fixture")
    }
}

/// What a mutant's functions work on.
pub struct Inner {
    state: Mutex<State>,
    pub clock: Arc<dyn Clock>,
    pub written: Notify,
}

impl Inner {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let identity = StoreId::from_bytes(std::array::from_fn(|_| fastrand::u8(..)));
        let capabilities = Capabilities::new(identity).with_key_retention(Some(Duration::from_secs(3600)));
        let mut model = Model::new(capabilities);
        // Room enough for every law, and no more: each limit is filled once.
        let limits = &mut model.capabilities.limits;
        (limits.append_events, limits.append_streams) = (1_500, 200);
        (limits.event_bytes, limits.append_bytes) = (2 << 20, 8 << 20);
        let state = Mutex::new(State { model, count: 0 });
        Self { state, clock, written: Notify::new() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[derive(Clone)]
pub struct MutantStore {
    inner: Arc<Inner>,
    mutant: Mutant,
}

impl MutantStore {
    fn new(mutant: Mutant, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner::new(clock);
        (mutant.born)(&mut inner.state());
        Self { inner: Arc::new(inner), mutant }
    }
}

/// The right way to wait for a change.
pub async fn wait(inner: &Inner, query: &Query, after: Option<Position>) -> Result<(), ReadError> {
    loop {
        let written = inner.written.notified();
        if !inner.state().read(&Read::log_after(query.clone(), after).limit(1))?.events.is_empty() {
            return Ok(());
        }
        written.await;
    }
}

#[async_trait]
impl EventStore for MutantStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let outcome = match self.mutant.slow_append {
            Some(slow) => slow(self.inner.clone(), append).await,
            None => (self.mutant.append)(&mut self.inner.state(), &append, self.inner.clock.now()),
        };
        self.inner.written.notify_waiters();
        outcome
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        if let Some(before) = self.mutant.before_read {
            before(self.inner.clone()).await;
        }
        (self.mutant.read)(&self.inner.state(), &read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok((self.mutant.recall)(&self.inner.state(), &scope, &id, self.inner.clock.now()))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        Ok(self.inner.state().checkpoint(&name))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        (self.mutant.changed)(self.inner.clone(), query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        (self.mutant.capabilities)(&self.inner.state())
    }
}
