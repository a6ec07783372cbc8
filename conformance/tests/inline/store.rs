//! A store that runs projections inside of its appends, as simple as can be, and how it can be wrong.

use crate::rows::{self, Kept};
use async_trait::async_trait;
use core::sync::atomic::{AtomicUsize, Ordering};
use futures::FutureExt;
use portolan_conformance::{Fixture, Judgment, Model, Place, ReferenceStore, Storage};
use portolan_kernel::ports::{
    AppendError, Capabilities, Clock, EventStore, INLINE_GAP, Inline, InlineChanges, InlineRows, ReadError,
    ReadModelStore, RowError, RowLimits, Snapshot, SnapshotError, SnapshotStore, inline_batch, is_edition_of, runs_at,
};
use portolan_kernel::values::{
    Append, Appended, Batch, Cell, Checkpoint, CheckpointState, Collection, Edition, Find, Move, Name, Page, Position,
    Query, Read, Recalled, Recorded, Revision, RowKey, Rowset, StreamId, Timestamp, Token, Versions,
};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::RwLock;

/// Stores that outlive their handles, by place.
static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<Shared>>>> = LazyLock::new(Mutex::default);

pub type Events = Vec<Arc<Recorded>>;

/// How a store is wrong; `RIGHT` where it is right.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    /// The checks of the law that it breaks.
    pub breaks: &'static [&'static str],
    /// What becomes of the rows when it is opened, with the projections that it is given.
    pub opened: fn(&mut Kept, &[Arc<dyn Inline>]),
    pub rows: rows::Mutant,
    /// The events that a projection is applied to, of all that an append has.
    pub applied: fn(&Query, Events) -> Events,
    /// Whether an event sees what those before it in the append have changed.
    pub sees_changes: bool,
    pub catches_panics: bool,
    /// The batch of an append, of what it should be.
    pub batch: fn(Batch, wanted: bool) -> Batch,
    /// What is left of rows when an append is refused: those before it, and those that it had come to.
    pub on_refusal: fn(before: &Kept, half: &Kept, refusing: &Name) -> Kept,
    /// What is left in the log of an append that was refused.
    pub log_on_refusal: fn(&mut Model, &Append, Timestamp),
    /// Whether those that wait when a projection panics are refused with its append.
    pub takes_others_along: bool,
    /// Whether the projections are asked before all else is judged.
    pub asks_first: bool,
    /// Whether what is refused otherwise is applied all the same.
    pub applies_refused: bool,
    pub applies_repeated: bool,
    /// What an append without events does to the rows.
    pub nothing: fn(&mut Kept),
    /// Whether an edition is run.
    pub runs: fn(Option<CheckpointState>, &Model) -> bool,
    /// The largest gap that is closed.
    pub gap: u64,
    /// The events of a gap that are applied.
    pub gap_events: fn(Events) -> Events,
    /// Whether a gap that cannot be closed refuses the append.
    pub gap_refuses: bool,
    /// Whether a defined collection holds an edition of a projection's.
    pub is_edition: fn(defined: &Collection, projection: &Collection) -> bool,
    /// Whether the editions are those that were there when the store was opened.
    pub remembers_editions: bool,
    /// Whether an edition that was run once is run from then on, wherever its checkpoint stands.
    pub remembers_running: bool,
    /// Whether others may look between the rows and the events, and which of them they see first.
    pub torn: Option<First>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum First {
    Rows,
    Events,
}

/// Why an append is refused whose projection panicked.
const PANICKED: &str = "it panicked";

pub const RIGHT: Mutant = Mutant {
    name: "right",
    breaks: &[],
    opened: define,
    rows: rows::RIGHT,
    applied: |wants, events| events.into_iter().filter(|event| wants.matches(event)).collect(),
    sees_changes: true,
    catches_panics: true,
    batch: |batch, _| batch,
    on_refusal: |before, _, _| before.clone(),
    log_on_refusal: |_, _, _| {},
    takes_others_along: false,
    asks_first: false,
    applies_refused: false,
    applies_repeated: false,
    nothing: |_| {},
    runs: |stands, model| runs_at(stands, model.capabilities.identity, model.frontier()),
    gap: INLINE_GAP,
    gap_events: |events| events,
    gap_refuses: false,
    is_edition: is_edition_of,
    remembers_editions: false,
    remembers_running: false,
    torn: None,
};

pub fn define(kept: &mut Kept, inline: &[Arc<dyn Inline>]) {
    for collection in inline.iter().map(|inline| inline.collection()) {
        let version = (collection.name.clone(), collection.version);
        kept.tables.entry(version).or_insert_with(|| (collection, rows::Rows::new()));
    }
}

/// What all handles at a place share.
struct Shared {
    capabilities: Capabilities,
    model: RwLock<Model>,
    rows: rows::Store,
    waiting: AtomicUsize,
    doomed: AtomicUsize,
    /// One torn append at a time.
    torn: tokio::sync::Mutex<()>,
}

pub struct Store {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    mutant: Mutant,
    inline: Vec<Arc<dyn Inline>>,
    editions: BTreeSet<(Name, u32)>,
    running: Mutex<BTreeSet<(Name, u32)>>,
}

impl Mutant {
    pub fn fixture(self) -> Fixture<Storage> {
        Fixture::inline(async move |place: &Place, inline: Vec<Arc<dyn Inline>>| {
            Ok::<_, String>(self.open(place, inline))
        })
    }

    fn open(self, place: &Place, inline: Vec<Arc<dyn Inline>>) -> Storage {
        let made = || {
            let model = ReferenceStore::new(place.clock()).model().clone();
            let capabilities = model.capabilities.clone();
            let (model, rows) = (RwLock::new(model), self.rows.open_alone());
            Arc::new(Shared {
                capabilities,
                model,
                rows,
                waiting: 0.into(),
                doomed: 0.into(),
                torn: tokio::sync::Mutex::default(),
            })
        };
        let shared = STORES.lock().unwrap().entry(place.dir().to_path_buf()).or_insert_with(made).clone();
        (self.opened)(&mut shared.rows.kept.lock().unwrap(), &inline);
        let editions = shared.rows.kept.lock().unwrap().tables.keys().cloned().collect();
        let (clock, running) = (place.clock(), Mutex::default());
        let store = Arc::new(Store { shared, clock, mutant: self, inline: inline.clone(), editions, running });
        Storage::new(store.clone(), store.clone()).with_read_models(store).with_inline(inline)
    }
}

/// What one edition comes to.
type Come = Result<Batch, String>;

impl Store {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.shared.rows.kept.lock().unwrap()
    }

    fn editions(&self, of: &Collection) -> Vec<Collection> {
        let kept = self.kept();
        let all: Vec<_> = if self.mutant.remembers_editions {
            let known = |(name, version): &(Name, u32)| {
                let mut known = of.clone();
                (known.name, known.version) = (name.clone(), *version);
                known
            };
            self.editions.iter().map(known).collect()
        } else {
            kept.tables.values().map(|(collection, _)| collection.clone()).collect()
        };
        all.into_iter().filter(|defined| (self.mutant.is_edition)(defined, of)).collect()
    }

    fn apply(&self, model: &Model, inline: &dyn Inline, edition: &Collection, events: Vec<Arc<Recorded>>) -> Come {
        let name = Edition::stored(edition.version).checkpoint(&edition.name).unwrap();
        let stands = self.kept().checkpoints.get(&name).copied();
        let stands = stands.unwrap_or(CheckpointState::new(model.capabilities.identity, None, Token(0)));
        let before = self.kept().tables.get(&(edition.name.clone(), edition.version)).map(|(_, rows)| rows.clone());
        let before = before.unwrap_or_default();
        let changes = InlineChanges::new(|key: &RowKey| Ok(before.get(key).cloned()));
        let mut rows = Rows { changes, before: &before, sees: self.mutant.sees_changes };
        let last = events.last().map(|event| event.position).unwrap();
        let mut wanted = (self.mutant.applied)(&inline.wants(), events);
        let any = !wanted.is_empty();
        let mut run = || wanted.drain(..).try_for_each(|event| inline.apply(&event, &mut rows));
        if self.mutant.catches_panics {
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(PANICKED.into()))?;
        } else {
            run()?;
        }
        let batch = inline_batch(edition, name, stands, last, rows.changes.into_changed());
        Ok((self.mutant.batch)(batch, any))
    }

    fn commit(&self, batch: Batch) -> Result<(), String> {
        self.shared.rows.commit(batch).now_or_never().unwrap().map_err(|error| error.to_string())
    }

    /// Changes the rows as the append does.
    fn run(&self, model: &Model, append: &Append, now: Timestamp) -> Result<(), AppendError> {
        if append.events.is_empty() {
            (self.mutant.nothing)(&mut self.kept());
            return Ok(());
        }
        let mut after = model.clone();
        after.write(append, now);
        for inline in &self.inline {
            let of = inline.collection();
            for edition in self.editions(&of) {
                let refused = |reason| AppendError::InlineRefused { projection: of.name.clone(), reason };
                if !self.catches_up(model, &**inline, &edition).map_err(refused)? {
                    continue;
                }
                let events = after.events[model.events.len()..].to_vec();
                let done = self.apply(model, &**inline, &edition, events).and_then(|batch| self.commit(batch));
                done.map_err(refused)?;
            }
        }
        Ok(())
    }

    fn catches_up(&self, model: &Model, inline: &dyn Inline, edition: &Collection) -> Result<bool, String> {
        let id = (edition.name.clone(), edition.version);
        let name = Edition::stored(edition.version).checkpoint(&edition.name).unwrap();
        let stands = self.kept().checkpoints.get(&name).copied();
        if self.mutant.remembers_running && self.running.lock().unwrap().contains(&id) {
            return Ok(true);
        }
        if (self.mutant.runs)(stands, model) {
            self.running.lock().unwrap().insert(id);
            return Ok(true);
        }
        if stands.is_some_and(|stands| stands.store != model.capabilities.identity) {
            return Ok(false);
        }
        let after = stands.and_then(|stands| stands.position);
        let gap: Vec<_> = model.events.iter().filter(|event| Some(event.position) > after).cloned().collect();
        if gap.is_empty() || gap.len() as u64 > self.mutant.gap {
            return Ok(false);
        }
        let closed = self.apply(model, inline, edition, (self.mutant.gap_events)(gap));
        match closed.and_then(|batch| self.commit(batch)) {
            Err(reason) if self.mutant.gap_refuses => Err(reason),
            closed => Ok(closed.is_ok()),
        }
    }
}

/// Rows of which a wrong store shows only those before the append.
struct Rows<'b, R> {
    changes: InlineChanges<R>,
    before: &'b rows::Rows,
    sees: bool,
}

impl<R: FnMut(&RowKey) -> Result<Option<Vec<Cell>>, String>> InlineRows for Rows<'_, R> {
    fn get(&mut self, key: &RowKey) -> Result<Option<Vec<Cell>>, String> {
        if self.sees { self.changes.get(key) } else { Ok(self.before.get(key).cloned()) }
    }
    fn set(&mut self, key: RowKey, cells: Option<Vec<Cell>>) {
        self.changes.set(key, cells);
    }
}

#[async_trait]
impl EventStore for Store {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let now = self.clock.now();
        let _alone = if self.mutant.torn.is_some() { Some(self.shared.torn.lock().await) } else { None };
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let mut model = self.shared.model.write().await;
        let waiting = self.shared.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if self.shared.doomed.load(Ordering::SeqCst) > 0 {
            self.shared.doomed.fetch_sub(1, Ordering::SeqCst);
            return Err(AppendError::InlineRefused { projection: Name::new("x").unwrap(), reason: "another".into() });
        }
        let before = self.kept().clone();
        let mut judged = model.judge(&append, now);
        if matches!(judged, Ok(Judgment::Repeat(_))) && self.mutant.applies_repeated
            || judged.is_err() && self.mutant.applies_refused
        {
            let _ = self.run(&model, &append, now);
        }
        if self.mutant.asks_first && !matches!(judged, Ok(Judgment::Repeat(_))) {
            let asked = self.run(&model, &append, now);
            *self.kept() = before.clone();
            judged = asked.and(judged);
        }
        if let Judgment::Repeat(appended) = judged? {
            return Ok(appended);
        }
        let ran = self.run(&model, &append, now);
        if let Err(AppendError::InlineRefused { projection, reason }) = &ran {
            let half = self.kept().clone();
            *self.kept() = (self.mutant.on_refusal)(&before, &half, projection);
            (self.mutant.log_on_refusal)(&mut model, &append, now);
            // Not after every refusal: those of a unique value race in a check that this is not to break.
            if self.mutant.takes_others_along && reason == PANICKED {
                self.shared.doomed.store(waiting, Ordering::SeqCst);
            }
        }
        ran?;
        let Some(first) = self.mutant.torn else { return Ok(model.write(&append, now)) };
        // Nobody else writes meanwhile; whoever reads sees a half.
        let after = self.kept().clone();
        let mut whole = model.clone();
        let appended = whole.write(&append, now);
        match first {
            First::Rows => {}
            First::Events => {
                *self.kept() = before;
                *model = whole.clone();
            }
        }
        drop(model);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        *self.shared.model.write().await = whole;
        *self.kept() = after;
        Ok(appended)
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.shared.model.read().await.read(&read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(self.shared.model.read().await.recall(&scope, &id, self.clock.now()))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        Ok(self.shared.model.read().await.checkpoint(&name))
    }

    async fn changed(&self, _: Query, _: Option<Position>) -> Result<(), ReadError> {
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }
}

#[async_trait]
impl ReadModelStore for Store {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        let _log = self.shared.model.write().await;
        self.shared.rows.define(collection).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        let _log = self.shared.model.read().await;
        self.shared.rows.versions(collection).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        let _log = self.shared.model.write().await;
        self.shared.rows.commit(batch).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        let _log = self.shared.model.read().await;
        self.shared.rows.get(collection, version, keys).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let _log = self.shared.model.read().await;
        self.shared.rows.find(find).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        let _log = self.shared.model.read().await;
        self.shared.rows.checkpoint(name).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        let _log = self.shared.model.write().await;
        self.shared.rows.remove(collection, version, checkpoint).await
    }

    fn limits(&self) -> RowLimits {
        self.shared.rows.limits()
    }
}

/// Nobody asks for snapshots here.
#[async_trait]
impl SnapshotStore for Store {
    async fn load(&self, _: StreamId, _: Name, _: Option<Revision>) -> Result<Option<Snapshot>, SnapshotError> {
        Ok(None)
    }

    async fn save(&self, _: Snapshot) -> Result<(), SnapshotError> {
        Ok(())
    }

    async fn delete(&self, _: StreamId, _: Name, _: Option<Revision>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

/// The batch with its checkpoint moved otherwise.
pub fn with_checkpoint(mut batch: Batch, change: impl FnOnce(&mut Checkpoint)) -> Batch {
    change(&mut batch.checkpoint);
    batch
}

/// Changes the checkpoint of each row that there is of the suite's projection.
pub fn each_checkpoint(kept: &mut Kept, change: impl Fn(&mut CheckpointState)) {
    kept.checkpoints.values_mut().for_each(change);
}

/// No checkpoint moves.
pub const STAY: fn(&mut Checkpoint) = |checkpoint| checkpoint.to = Move::Claim;
