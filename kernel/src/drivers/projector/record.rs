//! What the worker of an edition says of it: one row an edition in the collection `$editions`, written only in batches
//! under the edition's own checkpoint and token, so that a worker that was superseded says nothing any more.
//!
//! How many events it has skipped is a row of the same key in the collection `$skipped`. Older programs know only the first
//! row: they may work beside, and what they skip is not counted.

use crate::ports::{ProjectionFailure, ProjectionState, ReadModelStore, RowError};
use crate::values::{Batch, Cell, Collection, ColumnType, Edition, KeyedRow, Name, Position, RowKey, Timestamp};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// It has caught up once, and so may be read.
    pub(super) is_ready: bool,
    /// What it does. `Stalled` is never said: others find that out.
    pub(super) state: ProjectionState,
    /// The event it has stopped at.
    pub(super) stopped_at: Option<Position>,
    /// Who works on it.
    pub(super) holder: Option<Name>,
    /// When it said so; at least every few seconds while it works.
    pub(super) said_at: Timestamp,
    /// When its checkpoint moved last.
    pub(super) moved_at: Timestamp,
    /// How many events a second it has applied of late.
    pub(super) events_per_second: u64,
    /// The last failure, also one that was overcome.
    pub(super) last_error: Option<ProjectionFailure>,
    /// How many events it has parked.
    pub(super) parked: u64,
    /// How many events it has left out of the rows for good by itself: said in the batch that goes past them.
    pub(super) skipped: u64,
    /// The number of the last request that was carried out.
    pub(super) requests_done: u64,
    /// Events up to here had their effects before this edition began.
    pub(super) replayed_to: Option<Position>,
}

impl Record {
    /// Of an edition that begins now.
    pub(super) fn beginning(now: Timestamp) -> Self {
        Self {
            is_ready: false,
            state: ProjectionState::CatchingUp,
            stopped_at: None,
            holder: None,
            said_at: now,
            moved_at: now,
            events_per_second: 0,
            last_error: None,
            parked: 0,
            skipped: 0,
            requests_done: 0,
            replayed_to: None,
        }
    }
}

/// The system's collection of such rows, but for what was skipped.
pub(super) fn collection() -> Collection {
    let columns = [
        ("ready", ColumnType::Bool),
        ("state", ColumnType::Text),
        ("reason", ColumnType::Text),
        ("stopped_at", ColumnType::Integer),
        ("holder", ColumnType::Text),
        ("said_at", ColumnType::Integer),
        ("moved_at", ColumnType::Integer),
        ("events_per_second", ColumnType::Integer),
        ("failed_at", ColumnType::Integer),
        ("failed_position", ColumnType::Integer),
        ("failure", ColumnType::Text),
        ("parked", ColumnType::Integer),
        ("requests_done", ColumnType::Integer),
        ("replayed_to", ColumnType::Integer),
    ];
    columns
        .into_iter()
        .fold(Collection::new(name(), 1), |collection, (column, kind)| collection.column(constant(column), kind))
}

/// The system's collection of what was skipped.
pub(super) fn skipped_collection() -> Collection {
    Collection::new(skipped_name(), 1).column(constant("skipped"), ColumnType::Integer)
}

fn name() -> Name {
    constant("$editions")
}

fn skipped_name() -> Name {
    constant("$skipped")
}

fn constant(text: &'static str) -> Name {
    Name::new(text).expect("it is written above")
}

fn key(projection: &Name, edition: Edition) -> Result<RowKey, RowError> {
    RowKey::new(format!("{projection}@{edition}")).map_err(|error| RowError::Invalid(error.to_string()))
}

/// What was said last of these editions, in their order; `None`: nothing yet. The collection has to be defined; that of what
/// was skipped is not, where only older programs have worked.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn load(
    rows: &dyn ReadModelStore,
    projection: &Name,
    editions: &[Edition],
) -> Result<Vec<Option<Record>>, RowError> {
    let mut records = Vec::with_capacity(editions.len());
    for some in editions.chunks(rows.limits().page_rows.max(1) as usize) {
        let keys = some.iter().map(|edition| key(projection, *edition)).collect::<Result<Vec<_>, _>>()?;
        let mut found = rows.get(name(), Some(1), keys.clone()).await?.rows.into_iter().peekable();
        let skipped = match rows.get(skipped_name(), Some(1), keys.clone()).await {
            Err(RowError::UnknownCollection { .. }) => Vec::new(),
            skipped => skipped?.rows,
        };
        let mut skipped = skipped.into_iter().peekable();
        for key in keys {
            let damaged = |of: Name| RowError::Corrupt { place: format!("row {key} of {of}") };
            let row = found.next_if(|row| row.key == key);
            let skipped = match skipped.next_if(|row| row.key == key) {
                Some(row) => decode_skipped(row.cells).ok_or_else(|| damaged(skipped_name()))?,
                None => 0,
            };
            let record = row.map(|row| decode(row.cells, skipped).ok_or_else(|| damaged(name())));
            records.push(record.transpose()?);
        }
    }
    Ok(records)
}

/// The batch, with what is said in it.
///
/// # Errors
///
/// [`RowError::Invalid`] when the projection's name is too long.
pub(super) fn say(batch: Batch, projection: &Name, edition: Edition, record: &Record) -> Result<Batch, RowError> {
    let key = key(projection, edition)?;
    let skipped = KeyedRow::new(key.clone(), vec![cell_u64(record.skipped)]);
    Ok(batch.put(name(), 1, KeyedRow::new(key, encode(record))).put(skipped_name(), 1, skipped))
}

/// The batch, with what was said of the edition gone.
///
/// # Errors
///
/// [`RowError::Invalid`] when the projection's name is too long.
pub(super) fn forget(batch: Batch, projection: &Name, edition: Edition) -> Result<Batch, RowError> {
    let key = key(projection, edition)?;
    Ok(batch.delete(name(), 1, key.clone()).delete(skipped_name(), 1, key))
}

/// A number as a cell. What is larger than a cell holds is as good as the largest.
pub(super) fn cell_u64(number: u64) -> Cell {
    Cell::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Exactly so many cells.
pub(super) fn read_cells<const N: usize>(cells: Vec<Cell>) -> Option<[Cell; N]> {
    cells.try_into().ok()
}

fn encode(record: &Record) -> Vec<Cell> {
    let text = |text: &str| Cell::Text(text.to_string());
    let (state, reason) = match &record.state {
        ProjectionState::Paused => ("paused", Cell::Null),
        ProjectionState::Stopped { reason } => ("stopped", text(reason)),
        ProjectionState::CaughtUp => ("caught-up", Cell::Null),
        ProjectionState::CatchingUp | ProjectionState::Stalled { .. } => ("catching-up", Cell::Null),
    };
    let failure = record.last_error.as_ref();
    let position = |position: Option<Position>| position.map_or(Cell::Null, |position| cell_u64(position.get()));
    vec![
        Cell::Bool(record.is_ready),
        text(state),
        reason,
        position(record.stopped_at),
        record.holder.as_ref().map_or(Cell::Null, |holder| text(holder)),
        cell_u64(record.said_at.as_micros()),
        cell_u64(record.moved_at.as_micros()),
        cell_u64(record.events_per_second),
        failure.map_or(Cell::Null, |failure| cell_u64(failure.at.as_micros())),
        position(failure.and_then(|failure| failure.position)),
        failure.map_or(Cell::Null, |failure| text(&failure.reason)),
        cell_u64(record.parked),
        cell_u64(record.requests_done),
        position(record.replayed_to),
    ]
}

fn decode_skipped(cells: Vec<Cell>) -> Option<u64> {
    let [skipped] = read_cells(cells)?;
    number(skipped)
}

fn decode(cells: Vec<Cell>, skipped: u64) -> Option<Record> {
    let [
        ready,
        state,
        reason,
        stopped_at,
        holder,
        said_at,
        moved_at,
        rate,
        failed_at,
        failed_position,
        failure,
        parked,
        done,
        replayed_to,
    ] = read_cells(cells)?;
    let position = |cell| Some(maybe(cell, number)?.and_then(Position::new));
    let state = match (text(state)?.as_str(), maybe(reason, text)?) {
        ("paused", None) => ProjectionState::Paused,
        ("stopped", Some(reason)) => ProjectionState::Stopped { reason },
        ("caught-up", None) => ProjectionState::CaughtUp,
        ("catching-up", None) => ProjectionState::CatchingUp,
        _ => return None,
    };
    let (at, place) = (maybe(failed_at, number)?, position(failed_position)?);
    let failure = maybe(failure, text)?;
    let last_error = at.zip(failure);
    Some(Record {
        is_ready: matches!(ready, Cell::Bool(true)),
        state,
        stopped_at: position(stopped_at)?,
        holder: maybe(holder, text)?.map(Name::new).transpose().ok()?,
        said_at: Timestamp::from_micros(number(said_at)?),
        moved_at: Timestamp::from_micros(number(moved_at)?),
        events_per_second: number(rate)?,
        last_error: last_error.map(|(at, reason)| ProjectionFailure::new(Timestamp::from_micros(at), place, reason)),
        parked: number(parked)?,
        skipped,
        requests_done: number(done)?,
        replayed_to: position(replayed_to)?,
    })
}

fn maybe<T>(cell: Cell, read: fn(Cell) -> Option<T>) -> Option<Option<T>> {
    if cell == Cell::Null { Some(None) } else { read(cell).map(Some) }
}

fn number(cell: Cell) -> Option<u64> {
    if let Cell::Integer(number) = cell { u64::try_from(number).ok() } else { None }
}

fn text(cell: Cell) -> Option<String> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}
