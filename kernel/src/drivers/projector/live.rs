//! Projections that are folded whenever they are read, and stored nowhere.

use super::caught::caught;
use super::env::Model;
use super::errors;
use super::folded::parts;
use super::waiting::reached;
use crate::domain::{OnFailure, Projection, Row, Upcasters};
use crate::ports::{
    EditionStatus, EventStore, ProjectionError, ProjectionState, ProjectionStatus, RowLimits, RowsAnswer, RowsQuestion,
    Source, Spawn, WaitError, WhichRows,
};
use crate::values::{
    By, Cell, Collection, Cursor, Direction, Edition, Find, KeyedRow, Position, Query, Read, RowKey, StreamId,
};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::marker::PhantomData;
use core::ops::{Bound, RangeBounds};

/// A projection whose rows are nowhere.
#[async_trait]
pub(crate) trait LiveRows: Send + Sync {
    /// The rows that are asked for, as the log has them now: what was acknowledged before is in them.
    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError>;

    /// Returns once the log has come to this position: then it is in the rows.
    async fn reach(&self, position: Position) -> Result<(), WaitError>;

    /// How it stands: it is never behind.
    async fn status(&self) -> Result<ProjectionStatus, ProjectionError>;
}

/// How many events a page of the log has.
const PAGE: u32 = 1_000;

/// Folds a [`Projection`].
///
/// A row that has no cells fails the question, whatever the projection's policy: which of its events is at fault cannot
/// be told. So does a panic of the projection while it applies an event: the row is in pieces by then.
pub(super) struct Live<P> {
    model: Model,
    events: Arc<dyn EventStore>,
    upcasters: Arc<Upcasters>,
    spawn: Arc<dyn Spawn>,
    limits: RowLimits,
    projection: PhantomData<fn() -> P>,
}

impl<P: Projection> Live<P> {
    pub(super) fn new(
        model: Model,
        events: Arc<dyn EventStore>,
        upcasters: Arc<Upcasters>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        Self { model, events, upcasters, spawn, limits: RowLimits::default(), projection: PhantomData }
    }

    /// The rows of these keys, or all.
    async fn fold(&self, keys: Option<&BTreeSet<RowKey>>) -> Result<BTreeMap<RowKey, P::Row>, ProjectionError> {
        let mut rows: BTreeMap<RowKey, Option<P::Row>> = BTreeMap::new();
        let mut held: BTreeSet<StreamId> = BTreeSet::new();
        let mut next = Some(Read::log(self.model.query.clone()).limit(PAGE));
        while let Some(read) = next {
            let page = self.events.read(read).await.map_err(errors::log)?;
            for recorded in &page.events {
                if held.contains(&recorded.stream) {
                    continue;
                }
                let parts = caught(&*self.spawn, || parts::<P>(&self.upcasters, recorded)).flatten();
                match (parts, self.model.policy.then) {
                    (Ok((parts, _)), _) => {
                        for (key, event) in parts {
                            if keys.is_none_or(|keys| keys.contains(&key)) {
                                let row = rows.entry(key).or_default();
                                caught(&*self.spawn, || P::apply(row, &event)).map_err(|reason| {
                                    let reason = format!("event {}: {reason}", recorded.position);
                                    ProjectionError::Other(Source::new(reason))
                                })?;
                            }
                        }
                    }
                    (Err(_), OnFailure::Skip) => {}
                    (Err(_), OnFailure::Park) => {
                        held.insert(recorded.stream.clone());
                    }
                    (Err(reason), OnFailure::Stop) => return Err(ProjectionError::Other(Source::new(reason))),
                }
            }
            next = page.next;
        }
        Ok(rows.into_iter().filter_map(|(key, row)| Some((key, row?))).collect())
    }
}

fn keyed<R: Row>(spawn: &dyn Spawn, (key, row): (RowKey, R)) -> Result<KeyedRow, ProjectionError> {
    let cells = caught(spawn, || row.to_cells().map_err(|error| error.to_string())).flatten();
    let cells = cells.map_err(|reason| ProjectionError::Other(Source::new(format!("row {key}: {reason}"))))?;
    Ok(KeyedRow::new(key, cells))
}

#[async_trait]
impl<P: Projection> LiveRows for Live<P> {
    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        if let Some(position) = question.at_least {
            reached(&*self.events, position).await.map_err(errors::log)?;
        }
        let collection = self.model.collection.clone();
        match question.rows {
            WhichRows::Keys(keys) => {
                self.limits.check_get(&keys).map_err(errors::rows)?;
                let rows = self.fold(Some(&keys.into_iter().collect())).await?;
                let rows = rows.into_iter().map(|row| keyed(&*self.spawn, row)).collect::<Result<Vec<_>, _>>()?;
                self.limits.check_got(rows.iter().map(KeyedRow::bytes).sum()).map_err(errors::rows)?;
                Ok(RowsAnswer::new(collection, rows, None))
            }
            WhichRows::Page { by, direction, limit, after } => {
                if let Some(of_other) = after.as_ref().filter(|cursor| cursor.version != collection.version) {
                    let edition = Edition::stored(of_other.version);
                    return Err(ProjectionError::Gone { name: self.model.name.clone(), edition });
                }
                let mut find = Find::by(self.model.name.clone(), by).limit(limit).after(after);
                find.direction = direction;
                self.limits.check_find(&collection, &find).map_err(errors::rows)?;
                let rows = self.fold(None).await?.into_iter().map(|row| keyed(&*self.spawn, row));
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                let (rows, next) = page(&collection, rows, &find, &self.limits);
                Ok(RowsAnswer::new(collection, rows, next))
            }
        }
    }

    async fn reach(&self, position: Position) -> Result<(), WaitError> {
        reached(&*self.events, position).await.map_err(errors::log_waited)
    }

    async fn status(&self) -> Result<ProjectionStatus, ProjectionError> {
        let model = &self.model;
        let newest = Read::log(Query::all().with_system()).backward().limit(1);
        let frontier = self.events.read(newest).await.map_err(errors::log)?.frontier;
        let edition = Edition::first(model.version);
        let mut only = EditionStatus::new(edition);
        (only.state, only.is_active, only.is_ready, only.position) = (ProjectionState::CaughtUp, true, true, frontier);
        let mut status = ProjectionStatus::new(model.name.clone(), model.version, model.lifecycle);
        (status.state, status.edition) = (ProjectionState::CaughtUp, Some(edition));
        (status.position, status.frontier) = (frontier, frontier);
        status.editions.push(only);
        Ok(status)
    }
}

/// What a row is ordered by, and the row.
type Placed = (Vec<Cell>, KeyedRow);

/// The page of these rows that is asked for, and where to go on when there are more.
fn page(
    collection: &Collection,
    rows: Vec<KeyedRow>,
    find: &Find,
    limits: &RowLimits,
) -> (Vec<KeyedRow>, Option<Cursor>) {
    let place = |row: KeyedRow| -> Option<Placed> {
        match &find.by {
            By::Key(from, to) => is_within(from, to, &row.key).then(|| (Vec::new(), row)),
            By::Index { name, equals, range: (from, to) } => {
                let values = collection.index_values(collection.find_index(name)?, &row.cells);
                let rest = values.strip_prefix(&**equals)?;
                let is_asked_for = rest.first().is_none_or(|value| is_within(from, to, value));
                is_asked_for.then_some((values, row))
            }
        }
    };
    let is_after = |(values, row): &Placed| {
        find.after.as_ref().is_none_or(|cursor| {
            let (this, last) = ((values, &row.key), (&cursor.values, &cursor.key));
            if find.direction == Direction::Forward { this > last } else { this < last }
        })
    };
    let mut placed: Vec<_> = rows.into_iter().filter_map(place).filter(is_after).collect();
    placed.sort_unstable_by(|(values, row), (of_other, other)| (values, &row.key).cmp(&(of_other, &other.key)));
    if find.direction == Direction::Backward {
        placed.reverse();
    }
    let mut bytes = 0;
    let has_room = |(_, row): &&Placed| {
        let room = bytes < limits.page_bytes;
        bytes += row.bytes();
        room
    };
    let fit = placed.iter().take(find.limit.min(limits.page_rows) as usize).take_while(has_room).count();
    let more = placed.len() > fit;
    placed.truncate(fit);
    let next = placed.last().filter(|_| more);
    let next = next.map(|(values, row)| Cursor::new(collection.version, values.clone(), row.key.clone()));
    (placed.into_iter().map(|(_, row)| row).collect(), next)
}

fn is_within<T: Ord>(from: &Bound<T>, to: &Bound<T>, value: &T) -> bool {
    (from.as_ref(), to.as_ref()).contains(&value)
}
