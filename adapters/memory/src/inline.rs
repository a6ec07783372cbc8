//! Projections that are run inside of appends.

use crate::log::{Log, index_after, position_before};
use crate::read_models::ReadModels;
use alloc::sync::Arc;
use portolan_kernel::ports::{
    AppendError, INLINE_GAP, Inline, InlineChanges, RowLimits, StoreId, inline_batch, is_edition_of, runs_at,
};
use portolan_kernel::values::{
    Batch, CheckpointState, Collection, Edition, Name, NewEvent, Query, Recorded, Revision, StreamId, Timestamp, Token,
};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

/// The projections that a store was given.
#[derive(Default)]
pub(crate) struct Inlined {
    projections: Vec<Running>,
}

struct Running {
    projection: Arc<dyn Inline>,
    collection: Collection,
    wants: Query,
}

impl Inlined {
    /// Defines their first editions. One that no store of read models would define is not run; its worker says why.
    pub(crate) fn new(projections: Vec<Arc<dyn Inline>>, read_models: &mut ReadModels) -> Self {
        let mut inlined = Self::default();
        for projection in projections {
            let (collection, wants) = (projection.collection(), projection.wants());
            let of = |other: &Collection| (&other.name, other.version) == (&collection.name, collection.version);
            inlined.projections.retain(|other| !of(&other.collection));
            inlined.projections.push(Running { projection, collection, wants });
        }
        for Running { collection, .. } in &inlined.projections {
            if RowLimits::default().check_collection(collection).is_ok() {
                let _ = read_models.define(collection.clone());
            }
        }
        inlined
    }

    pub(crate) fn projections(&self) -> Vec<Arc<dyn Inline>> {
        self.projections.iter().map(|running| running.projection.clone()).collect()
    }

    /// Takes the lock of the read models, if there is anything to run. Whoever calls it holds the log's.
    pub(crate) fn lock<'s>(&'s self, read_models: &'s RwLock<ReadModels>, store: StoreId) -> Option<Held<'s>> {
        let lock = || read_models.write().unwrap_or_else(PoisonError::into_inner);
        (!self.projections.is_empty()).then(|| Held { inlined: self, read_models: lock(), store })
    }
}

/// The projections, and the read models locked for an append.
pub(crate) struct Held<'s> {
    inlined: &'s Inlined,
    read_models: RwLockWriteGuard<'s, ReadModels>,
    store: StoreId,
}

/// What an append comes to for each edition that it runs.
pub(crate) type Judged = Vec<(Batch, CheckpointState)>;

impl Held<'_> {
    /// Applies the events of an append that is otherwise judged, and judges the rows. Of the append nothing is written.
    pub(crate) fn judge(&mut self, log: &Log, events: &[NewEvent], now: Timestamp) -> Result<Judged, AppendError> {
        let mut judged = Judged::new();
        if events.is_empty() {
            return Ok(judged);
        }
        let mut recorded = None;
        let inlined = self.inlined;
        for running in &inlined.projections {
            for (edition, checkpoint) in self.editions(&running.collection) {
                if !self.catches_up(log, running, &edition, &checkpoint) {
                    continue;
                }
                let recorded = recorded.get_or_insert_with(|| places(log, events, now));
                let refused = |reason| AppendError::InlineRefused { projection: edition.name.clone(), reason };
                judged.extend(self.apply(running, &edition, &checkpoint, recorded).map_err(refused)?);
            }
        }
        Ok(judged)
    }

    pub(crate) fn write(&mut self, judged: Judged) {
        judged.into_iter().for_each(|(batch, moved)| self.read_models.write(batch, moved));
    }

    fn editions(&self, of: &Collection) -> Vec<(Collection, Name)> {
        let tables = self.read_models.tables(&of.name).filter(|table| is_edition_of(&table.collection, of));
        let with_checkpoint = tables.filter_map(|table| {
            let edition = Edition::stored(table.collection.version);
            Some((table.collection.clone(), edition.checkpoint(&of.name).ok()?))
        });
        with_checkpoint.collect()
    }

    /// Whether the edition stands at the frontier, or has been brought there over a small gap.
    fn catches_up(&mut self, log: &Log, running: &Running, edition: &Collection, checkpoint: &Name) -> bool {
        let stands = self.read_models.stands(checkpoint);
        if runs_at(stands, self.store, log.frontier()) {
            return true;
        }
        if stands.is_some_and(|stands| stands.store != self.store) {
            return false;
        }
        let after = index_after(stands.and_then(|stands| stands.position));
        let Some(gap) = log.events.get(after as usize..).filter(|gap| gap.len() as u64 <= INLINE_GAP) else {
            return false;
        };
        let batch = self.apply(running, edition, checkpoint, gap);
        let closed = batch.is_ok();
        self.write(batch.into_iter().flatten().collect());
        closed && runs_at(self.read_models.stands(checkpoint), self.store, log.frontier())
    }

    /// What the events change, judged; `None` for no events.
    fn apply(
        &self,
        running: &Running,
        edition: &Collection,
        checkpoint: &Name,
        events: &[Arc<Recorded>],
    ) -> Result<Option<(Batch, CheckpointState)>, String> {
        let Some(last) = events.last() else { return Ok(None) };
        let stands = self.read_models.stands(checkpoint);
        let stands = stands.unwrap_or(CheckpointState::new(self.store, None, Token(0)));
        let table = self.read_models.tables(&edition.name).find(|table| table.collection.version == edition.version);
        let stored = |key: &_| Ok(table.and_then(|table| table.row(key)).map(|row| row.cells));
        let mut rows = InlineChanges::new(stored);
        // What it leaves half done is thrown away.
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let mut wanted = events.iter().filter(|event| running.wants.matches(event));
            wanted.try_for_each(|event| running.projection.apply(event, &mut rows))
        }));
        applied.unwrap_or_else(|_| Err("it panicked".into()))?;
        let batch = inline_batch(edition, checkpoint.clone(), stands, last.position, rows.into_changed());
        let moved = self.read_models.judge(&batch, &RowLimits::default()).map_err(|error| error.to_string())?;
        Ok(Some((batch, moved)))
    }
}

/// The events as they will be recorded.
fn places(log: &Log, events: &[NewEvent], now: Timestamp) -> Vec<Arc<Recorded>> {
    let mut revisions: HashMap<&StreamId, u64> = HashMap::new();
    let recorded = events.iter().zip(log.len() + 1..).filter_map(|(event, end)| {
        let known = || log.last_revision(&event.stream).map_or(0, |last| last.get() + 1);
        let next = revisions.entry(&event.stream).or_insert_with(known);
        let revision = Revision::new(*next);
        *next += 1;
        Some(Arc::new(Recorded::new(event.clone(), revision, position_before(end)?, now)))
    });
    recorded.collect()
}
