//! Projections that the writer runs inside of appends.
//!
//! They are judged before anything of the append is written, by rows that are kept in memory until the transaction ends:
//! a refusal needs no savepoint, and many appends to one row write it once. Only rows with a unique index are written
//! after each append, for the file judges them.

use crate::append::{Refusal, position};
use crate::error::Fault;
use crate::names::Names;
use crate::read_models::{self, Final};
use crate::rows::{self, select_events};
use crate::tables::Table;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use portolan_kernel::ports::{
    AppendError, INLINE_GAP, Inline, InlineChanges, RowLimits, StoreId, inline_batch, is_edition_of, judge_checkpoint,
    runs_at,
};
use portolan_kernel::values::{
    Batch, Cell, CheckpointState, Collection, Edition, Name, Query, Recorded, RowKey, Token,
};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The projections that a store was given, and the editions of them that it runs.
pub(crate) struct Inlines {
    projections: Vec<Given>,
    limits: RowLimits,
    /// As the file has them; `None`: to be looked up.
    running: Option<Vec<Running>>,
}

struct Given {
    projection: Arc<dyn Inline>,
    collection: Collection,
    wants: Query,
}

/// An edition whose checkpoint stands at the frontier.
struct Running {
    /// Which of the projections.
    of: usize,
    table: Table,
    select: String,
    has_unique: bool,
    checkpoint: Name,
    stands: CheckpointState,
    /// What the transaction has changed and not yet written.
    pending: BTreeMap<RowKey, Option<Vec<Cell>>>,
    moved: bool,
}

/// What an append comes to for one edition.
pub(crate) struct Change {
    of: usize,
    changed: BTreeMap<RowKey, Option<Vec<Cell>>>,
    stands: CheckpointState,
}

/// What there is to know of the log for it.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    pub(crate) identity: StoreId,
    pub(crate) last_position: i64,
}

/// An answer of the projection or of the judgement of its rows, or a failure of the file.
type Applied = Result<Result<(BTreeMap<RowKey, Option<Vec<Cell>>>, CheckpointState), String>, Fault>;

impl Inlines {
    pub(crate) fn new(projections: Vec<Arc<dyn Inline>>) -> Self {
        let mut given: Vec<Given> = Vec::new();
        for projection in projections {
            let (collection, wants) = (projection.collection(), projection.wants());
            let of = |other: &Collection| (&other.name, other.version) == (&collection.name, collection.version);
            given.retain(|other| !of(&other.collection));
            given.push(Given { projection, collection, wants });
        }
        Self { projections: given, limits: RowLimits::default(), running: None }
    }

    pub(crate) fn projections(&self) -> Vec<Arc<dyn Inline>> {
        self.projections.iter().map(|given| given.projection.clone()).collect()
    }

    /// Defines the first editions that are missing. One that cannot be defined is not run; its worker says why.
    pub(crate) fn define(&self, conn: &mut Connection) -> Result<(), Fault> {
        for Given { collection, .. } in &self.projections {
            let versions = read_models::versions(conn, &collection.name)?;
            let is_there = versions.defined.iter().any(|defined| defined.version == collection.version);
            if !is_there && self.limits.check_collection(collection).is_ok() {
                let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                let _ = read_models::define(&transaction, collection)?;
                transaction.commit()?;
            }
        }
        Ok(())
    }

    /// Whether the next judgement looks at the log, to see where its editions stand.
    pub(crate) fn look_at_the_log(&self) -> bool {
        self.running.is_none() && !self.projections.is_empty()
    }

    /// Forgets what may not be true, once the file is not known to be as this writer left it.
    pub(crate) fn forget(&mut self) {
        self.running = None;
    }

    /// Makes room for another write to rows of these collections, or to this checkpoint.
    pub(crate) fn settle<'n>(
        &mut self,
        conn: &Connection,
        checkpoint: Option<&Name>,
        mut collections: impl Iterator<Item = &'n Name>,
    ) -> Result<(), Fault> {
        let ours = |name: &Name| self.projections.iter().any(|given| given.collection.name == *name);
        let editions = checkpoint.and_then(|name| name.strip_prefix("projection/")?.rsplit_once('@'));
        let concerns = editions.is_some_and(|(name, _)| Name::new(name).is_ok_and(|name| ours(&name)));
        if self.running.is_some() && (concerns || collections.any(ours)) {
            self.write(conn)?;
            self.forget();
        }
        Ok(())
    }

    /// Applies the events of an append that is otherwise judged, and judges the rows. Of the append nothing is written.
    pub(crate) fn judge(
        &mut self,
        conn: &Connection,
        names: &mut Names,
        log: Log,
        recorded: impl FnOnce() -> Vec<Arc<Recorded>>,
    ) -> Result<Vec<Change>, Refusal> {
        if self.projections.is_empty() {
            return Ok(Vec::new());
        }
        let Self { projections, limits, running } = self;
        let running = running.get_or_insert_with(|| look_up(conn, names, log, projections, limits));
        if running.is_empty() {
            return Ok(Vec::new());
        }
        let events = recorded();
        let mut changes = Vec::with_capacity(running.len());
        for (of, edition) in running.iter_mut().enumerate() {
            if edition.has_unique {
                edition.write_rows(conn)?;
            }
            let (changed, stands) =
                edition.apply(conn, &projections[edition.of], limits, &events)?.map_err(|reason| {
                    AppendError::InlineRefused { projection: edition.table.collection.name.clone(), reason }
                })?;
            changes.push(Change { of, changed, stands });
        }
        Ok(changes)
    }

    /// What was judged happens with the transaction.
    pub(crate) fn accept(&mut self, changes: Vec<Change>) {
        let Some(running) = &mut self.running else { return };
        for Change { of, changed, stands } in changes {
            if let Some(edition) = running.get_mut(of) {
                edition.accept(changed, stands);
            }
        }
    }

    /// Writes the rows and checkpoints that have changed: once a transaction, however many appends are in it.
    pub(crate) fn write(&mut self, conn: &Connection) -> Result<(), Fault> {
        for edition in self.running.iter_mut().flatten() {
            edition.write_rows(conn)?;
            if core::mem::take(&mut edition.moved) {
                read_models::save_checkpoint(conn, &edition.checkpoint, edition.stands)?;
            }
        }
        Ok(())
    }
}

/// The editions that stand at the frontier, or that are brought there. What fails leaves the edition to its worker.
fn look_up(conn: &Connection, names: &mut Names, log: Log, projections: &[Given], limits: &RowLimits) -> Vec<Running> {
    let mut running = Vec::new();
    for (of, given) in projections.iter().enumerate() {
        let tables = read_models::tables(conn, &given.collection.name).unwrap_or_default();
        for table in tables.into_iter().filter(|table| is_edition_of(&table.collection, &given.collection)) {
            if let Ok(Some(mut edition)) = Running::at(conn, log, of, table)
                && edition.catches_up(conn, names, log, given, limits).unwrap_or(false)
            {
                running.push(edition);
            }
        }
    }
    running
}

impl Running {
    /// An edition of this log.
    fn at(conn: &Connection, log: Log, of: usize, table: Table) -> Result<Option<Self>, Fault> {
        let collection = &table.collection;
        let Ok(checkpoint) = Edition::stored(collection.version).checkpoint(&collection.name) else { return Ok(None) };
        let stands = read_models::checkpoint(conn, &checkpoint)?;
        let stands = stands.unwrap_or(CheckpointState::new(log.identity, None, Token(0)));
        let has_unique = collection.indexes.iter().any(|index| index.unique);
        let select = format!("{} WHERE _key = ?1", table.select());
        let (pending, moved) = (BTreeMap::new(), false);
        let edition = Self { of, table, select, has_unique, checkpoint, stands, pending, moved };
        Ok((stands.store == log.identity).then_some(edition))
    }

    /// Whether it stands at the frontier, or has been brought there over a small gap.
    fn catches_up(
        &mut self,
        conn: &Connection,
        names: &mut Names,
        log: Log,
        given: &Given,
        limits: &RowLimits,
    ) -> Result<bool, Fault> {
        if runs_at(Some(self.stands), log.identity, position(log.last_position)) {
            return Ok(true);
        }
        let after = self.stands.position.map_or(0, |position| position.get().cast_signed());
        let gap = log.last_position.checked_sub(after).and_then(|gap| u64::try_from(gap).ok());
        if after < 0 || gap.is_none_or(|gap| gap > INLINE_GAP) {
            return Ok(false);
        }
        let mut statement = conn.prepare_cached(select_events!("WHERE position > ?1 ORDER BY position"))?;
        let mut rows = statement.query([after])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(rows::decode(conn, names, row)?);
        }
        match self.apply(conn, given, limits, &events)? {
            Ok((changed, stands)) => self.accept(changed, stands),
            Err(_) => return Ok(false),
        }
        Ok(runs_at(Some(self.stands), log.identity, position(log.last_position)))
    }

    fn apply(&self, conn: &Connection, given: &Given, limits: &RowLimits, events: &[Arc<Recorded>]) -> Applied {
        let Some(last) = events.last() else { return Ok(Ok((BTreeMap::new(), self.stands))) };
        let mut failed = None;
        let mut rows = InlineChanges::new(|key: &RowKey| match self.pending.get(key) {
            Some(cells) => Ok(cells.clone()),
            None => self.stored(conn, key).map_err(|fault| {
                let reason = fault.to_string();
                failed = Some(fault);
                reason
            }),
        });
        // What it leaves half done is thrown away.
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let mut wanted = events.iter().filter(|event| given.wants.matches(event));
            wanted.try_for_each(|event| given.projection.apply(event, &mut rows))
        }));
        let changed = rows.into_changed();
        if let Some(fault) = failed {
            return Err(fault);
        }
        match applied {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Ok(Err(reason)),
            Err(_) => return Ok(Err("it panicked".into())),
        }
        let batch =
            inline_batch(&self.table.collection, self.checkpoint.clone(), self.stands, last.position, changed.clone());
        Ok(match self.judge(conn, limits, &batch)? {
            Ok(stands) => Ok((changed, stands)),
            Err(error) => Err(error.to_string()),
        })
    }

    fn stored(&self, conn: &Connection, key: &RowKey) -> Result<Option<Vec<Cell>>, Fault> {
        let mut statement = conn.prepare_cached(&self.select)?;
        let mut rows = statement.query([key.as_str()])?;
        rows.next()?.map(|row| self.table.row(row).map(|row| row.cells)).transpose()
    }

    fn judge(&self, conn: &Connection, limits: &RowLimits, batch: &Batch) -> read_models::Judged<CheckpointState> {
        let by_itself = || {
            limits.check_batch(batch)?;
            batch.changes.iter().try_for_each(|change| limits.check_change(&self.table.collection, change))?;
            judge_checkpoint(&batch.checkpoint, Some(self.stands))
        };
        let moved = match by_itself() {
            Ok(moved) => moved,
            Err(error) => return Ok(Err(error)),
        };
        if !self.has_unique {
            return Ok(Ok(moved));
        }
        let changes = batch.changes.iter().map(|change| (&change.key, change.cells.as_deref())).collect();
        Ok(read_models::judge_unique(conn, &self.table, &changes)?.map(|()| moved))
    }

    fn accept(&mut self, changed: BTreeMap<RowKey, Option<Vec<Cell>>>, stands: CheckpointState) {
        self.moved |= stands != self.stands;
        self.pending.extend(changed);
        self.stands = stands;
    }

    fn write_rows(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let changes: Final<'_> = self.pending.iter().map(|(key, cells)| (key, cells.as_deref())).collect();
        read_models::write(conn, &self.table, &changes)?;
        self.pending.clear();
        Ok(())
    }
}
