//! A store that lets others run around each call, workers on it, and what their rows should be.

use async_trait::async_trait;
use core::task::{Context, Poll};
use core::time::Duration;
use futures::FutureExt;
use futures::task::noop_waker;
use portolan::MemoryStore;
use portolan::domain::{Projection, RecordedAs, Row, Upcasters, decode_recorded};
use portolan::drivers::{Alone, EventStoreExt as _, ProjectionOptions, Said, Work};
use portolan::ports::*;
use portolan::values::*;
use portolan_testing::TestRuntime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Around a store: a task is polled once more before each call, and once more after it. It takes as much as it is said.
pub(crate) struct Steps<S> {
    pub(crate) inner: S,
    pub(crate) limits: RowLimits,
    pub(crate) commits: AtomicU64,
    /// How many questions for an application's rows by key it panics at.
    pub(crate) panics: AtomicU64,
}

async fn around<T>(call: impl Future<Output = T>) -> T {
    step().await;
    let answer = call.await;
    step().await;
    answer
}

async fn step() {
    let mut is_done = false;
    core::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if core::mem::replace(&mut is_done, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[async_trait]
impl<S: EventStore> EventStore for Steps<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        around(self.inner.append(append)).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        around(self.inner.read(read)).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        around(self.inner.recall(scope, id)).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        around(EventStore::checkpoint(&self.inner, name)).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        around(self.inner.changed(query, after)).await
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[async_trait]
impl<S: ReadModelStore> ReadModelStore for Steps<S> {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        around(self.inner.define(collection)).await
    }
    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        around(self.inner.versions(collection)).await
    }
    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        self.limits.check_batch(&batch)?;
        self.commits.fetch_add(1, Ordering::SeqCst);
        around(self.inner.commit(batch)).await
    }
    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        let panics =
            || self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(collection.starts_with('$') || !panics(), "the store's own mistake");
        let (size, limit) = (keys.len() as u64, u64::from(self.limits.page_rows));
        if size > limit {
            return Err(RowError::TooLarge { what: "keys".into(), size, limit });
        }
        around(self.inner.get(collection, version, keys)).await
    }
    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let limit = find.limit.min(self.limits.page_rows);
        around(self.inner.find(find.limit(limit))).await
    }
    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        around(ReadModelStore::checkpoint(&self.inner, name)).await
    }
    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        around(self.inner.remove(collection, version, checkpoint)).await
    }
    fn limits(&self) -> RowLimits {
        self.limits
    }
}

#[async_trait]
impl<S: LeaseStore> LeaseStore for Steps<S> {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        around(self.inner.grant(name, holder, time_to_live)).await
    }
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        around(self.inner.take_over(seen, holder, time_to_live)).await
    }
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        around(self.inner.renew(lease)).await
    }
    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        around(self.inner.release(lease)).await
    }
}

pub(crate) fn small_limits(changes: u32) -> RowLimits {
    let mut limits = RowLimits::default();
    limits.batch_changes = changes;
    limits.page_rows = changes.max(2);
    limits
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A projection's name.
pub(crate) fn named<P: Projection>() -> Name {
    name(P::NAME)
}

pub(crate) type Rows = BTreeMap<String, Vec<Cell>>;

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) steps: Arc<Steps<MemoryStore>>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) rows: Arc<dyn ReadModelStore>,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) runtime: TestRuntime,
    pub(crate) options: ProjectionOptions,
}

pub(crate) const FIRST: Edition = Edition::first(1);

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(RowLimits::default())
    }

    pub(crate) fn with_limits(limits: RowLimits) -> Self {
        let store = MemoryStore::new();
        let (commits, panics) = Default::default();
        let steps = Arc::new(Steps { inner: store.clone(), limits, commits, panics });
        Self {
            store,
            steps: steps.clone(),
            events: steps.clone(),
            rows: steps.clone(),
            leases: steps,
            runtime: TestRuntime::at_once(),
            options: ProjectionOptions::default(),
        }
    }

    pub(crate) fn page(mut self, events: u32) -> Self {
        self.options = self.options.with_page_events(events);
        self
    }

    pub(crate) fn alone(&self, holder: &str) -> Alone {
        let runtime = &self.runtime;
        Alone::new(
            (self.events.clone(), self.rows.clone(), self.leases.clone()),
            (runtime.clock.clone(), runtime.ids.clone(), runtime.sleep.clone(), runtime.spawn.clone()),
            Upcasters::new(),
            self.options,
            name(holder),
        )
    }

    /// Another process that shares the store alone.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { runtime: TestRuntime::at_once(), ..self.clone() }
    }

    pub(crate) fn append(&self, events: impl IntoIterator<Item = NewEvent>) -> Option<Position> {
        now(self.store.append(Append::new(events))).unwrap().last
    }

    pub(crate) fn log(&self) -> Vec<Arc<Recorded>> {
        let events = self.store.read_all(Read::log(Query::all()));
        now(futures::TryStreamExt::try_collect(events)).unwrap()
    }

    /// The last event of an account.
    pub(crate) fn last_to_apply(&self) -> Option<Position> {
        let query = Query::of(Item::new().category(name("account")));
        let read = Read::log(query).backward().limit(1);
        now(self.store.read(read)).unwrap().events.last().map(|event| event.position)
    }

    pub(crate) fn checkpoint<P: Projection>(&self, edition: Edition) -> Option<CheckpointState> {
        let checkpoint = edition.checkpoint(&named::<P>()).unwrap();
        now(ReadModelStore::checkpoint(&self.store, checkpoint)).unwrap()
    }

    pub(crate) fn position<P: Projection>(&self, edition: Edition) -> Option<Position> {
        self.checkpoint::<P>(edition).and_then(|stands| stands.position)
    }

    pub(crate) fn position_of(&self, projection: &Name, edition: Edition) -> Option<Position> {
        let checkpoint = edition.checkpoint(projection).unwrap();
        now(ReadModelStore::checkpoint(&self.store, checkpoint)).unwrap().and_then(|stands| stands.position)
    }

    pub(crate) fn rows_of(&self, collection: &Name, edition: Edition) -> Rows {
        let mut find = Find::all(collection.clone()).version(edition.to_stored());
        let mut rows = Rows::new();
        loop {
            let set = match now(self.store.find(find.clone())) {
                Err(RowError::UnknownCollection { .. }) => return rows,
                set => set.unwrap(),
            };
            rows.extend(set.rows.into_iter().map(|row| (row.key.to_string(), row.cells)));
            match set.next {
                Some(next) => find.after = Some(next),
                None => return rows,
            }
        }
    }

    /// What the rows should be at this position, were these events not in the log.
    pub(crate) fn fold<P: Projection>(&self, to: Option<Position>, without: &BTreeSet<Position>) -> Rows {
        let mut rows = BTreeMap::new();
        for recorded in self.log() {
            if Some(recorded.position) > to || without.contains(&recorded.position) {
                continue;
            }
            let Ok(events) = decode_recorded::<P::Event>(&Upcasters::new(), &recorded) else { continue };
            for event in events {
                let event = RecordedAs::new(event, recorded.clone());
                if let Some(key) = P::key(&event) {
                    P::apply(rows.entry(key).or_insert(None), &event);
                }
            }
        }
        rows.into_iter().filter_map(|(key, row)| Some((key, row?.to_cells().unwrap()))).collect()
    }

    /// Checks that the rows are a fold of the log up to their position.
    #[track_caller]
    pub(crate) fn check<P: Projection>(&self, edition: Edition) {
        let position = self.position::<P>(edition);
        let parked = now(self.store.versions(name("$parked"))).unwrap();
        let without = match parked.defined.is_empty() {
            true => BTreeSet::new(),
            false => self.parked::<P>(edition).into_iter().map(|parked| parked.position).collect(),
        };
        assert_eq!(self.rows_of(&named::<P>(), edition), self.fold::<P>(position, &without), "at {position:?}");
    }

    /// The same, were these events not in the log.
    #[track_caller]
    pub(crate) fn check_without<P: Projection>(&self, dropped: &[Position]) {
        let parked = self.parked::<P>(FIRST).into_iter().map(|parked| parked.position);
        let without = parked.chain(dropped.iter().copied()).collect();
        let fold = self.fold::<P>(self.position::<P>(FIRST), &without);
        assert_eq!(self.rows_of(&named::<P>(), FIRST), fold);
    }

    pub(crate) fn parked<P: Projection>(&self, edition: Edition) -> Vec<Parked> {
        now(self.still().parked(&named::<P>(), edition)).unwrap()
    }

    pub(crate) fn said(&self, projection: &Name, edition: Edition) -> Option<Said> {
        match now(self.still().said(projection, edition)) {
            Err(RowError::UnknownCollection { .. }) => None,
            said => said.unwrap(),
        }
    }

    pub(crate) fn wish(&self, alone: &Alone, projection: &Name, action: ProjectionAction) {
        let mut wish = alone.wish(projection, 1, action).boxed();
        poll_until(&mut wish, 1_000, || false).expect("a wish is recorded").unwrap();
    }

    /// The same store, without steps.
    fn still(&self) -> Alone {
        let store = Arc::new(self.store.clone());
        Self { events: store.clone(), rows: store.clone(), leases: store, ..self.clone() }.alone("nobody")
    }

    /// Runs the worker until its projection has caught up.
    #[track_caller]
    pub(crate) fn catch_up(&self, work: &mut Work, projection: &Name, edition: Edition) {
        let checkpoint = edition.checkpoint(projection).unwrap();
        self.run_until(work, || {
            let stands = now(ReadModelStore::checkpoint(&self.store, checkpoint.clone())).unwrap();
            stands.and_then(|stands| stands.position) >= self.last_to_apply()
                && self.said(projection, edition).is_some_and(|said| said.state == ProjectionState::CaughtUp)
        });
    }

    #[track_caller]
    pub(crate) fn run_until(&self, work: &mut Work, condition: impl FnMut() -> bool) {
        let end = poll_until(&mut work.0, 20_000, condition);
        assert!(end.is_none(), "the worker ended by itself");
    }

    /// Runs the worker for so many polls.
    pub(crate) fn run_for(&self, work: &mut Work, polls: u64) {
        let mut left = polls;
        let _ = poll_until(&mut work.0, polls + 1, || {
            left = left.saturating_sub(1);
            left == 0
        });
    }
}

/// Polls until the condition holds, which is looked at before each poll, or it is ready.
#[track_caller]
pub(crate) fn poll_until<F: Future + Unpin>(
    future: &mut F,
    most: u64,
    mut condition: impl FnMut() -> bool,
) -> Option<F::Output> {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    for _ in 0..most {
        if condition() {
            return None;
        }
        if let Poll::Ready(output) = future.poll_unpin(&mut context) {
            return Some(output);
        }
    }
    panic!("it has not come that far in {most} polls");
}

/// A call of a store that is always ready.
#[track_caller]
pub(crate) fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("the store in memory is always ready")
}
