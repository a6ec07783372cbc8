//! Events that are parked: rows of the system's, in the same batches as the rows of the projection.
//!
//! A parked event has failed, or waits for one before it in one of its sequences. One that waits is applied as soon as
//! no earlier one of its sequences is parked any more, whatever ended that.

use super::record::{cell_u64, read_cells};
use crate::ports::{Parked, ReadModelStore, RowError, Source};
use crate::values::{
    Batch, By, Cell, Collection, ColumnType, Edition, Find, Index, KeyedRow, Name, Position, RowKey, StreamId,
    Timestamp,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

/// Which events wait for one another: those of a row, or those of a stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sequence {
    Key(RowKey),
    Stream(StreamId),
}

impl Sequence {
    fn to_text(&self) -> String {
        match self {
            Self::Key(key) => format!("key:{key}"),
            Self::Stream(stream) => format!("stream:{stream}"),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("key", key) => RowKey::new(key).ok().map(Self::Key),
            ("stream", stream) => StreamId::new(stream).ok().map(Self::Stream),
            _ => None,
        }
    }
}

/// The sequences that wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    keys: BTreeSet<RowKey>,
    streams: BTreeSet<StreamId>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.streams.is_empty()
    }

    pub(super) fn holds_stream(&self, stream: &StreamId) -> bool {
        self.streams.contains(stream)
    }

    /// Whether an event of this stream that changes the rows of these keys has to wait; never one that changes none.
    pub(super) fn holds_keys<'a>(&self, keys: impl IntoIterator<Item = &'a RowKey>, stream: &StreamId) -> bool {
        keys.into_iter().any(|key| self.keys.contains(key) || self.holds_stream(stream))
    }

    /// Whether an event of this stream and these sequences has to wait.
    pub(super) fn holds(&self, sequences: &[Sequence], stream: &StreamId) -> bool {
        self.holds_stream(stream) || self.overlaps(sequences)
    }

    /// Whether one of these sequences waits.
    pub(super) fn overlaps(&self, sequences: &[Sequence]) -> bool {
        sequences.iter().any(|sequence| match sequence {
            Sequence::Key(key) => self.keys.contains(key),
            Sequence::Stream(stream) => self.streams.contains(stream),
        })
    }

    pub(super) fn hold(&mut self, sequences: &[Sequence]) {
        for sequence in sequences {
            match sequence {
                Sequence::Key(key) => self.keys.insert(key.clone()),
                Sequence::Stream(stream) => self.streams.insert(stream.clone()),
            };
        }
    }
}

/// A parked event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParkedEvent {
    pub(super) stream: StreamId,
    /// At least one.
    pub(super) sequences: Vec<Sequence>,
    /// It has not been tried: it waits for an earlier one.
    pub(super) waits: bool,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

impl ParkedEvent {
    /// As the registry shows it.
    pub(super) fn show(self, position: Position) -> Parked {
        let key = match <[_; 1]>::try_from(self.sequences) {
            Ok([Sequence::Key(key)]) => Some(key),
            _ => None,
        };
        Parked::new(position, self.stream, key, self.reason, self.at)
    }
}

/// The system's collection of such rows.
pub(super) fn collection() -> Collection {
    let columns = [
        ("edition", ColumnType::Text),
        ("sequence", ColumnType::Text),
        ("further", ColumnType::Json),
        ("position", ColumnType::Integer),
        ("stream", ColumnType::Text),
        ("waits", ColumnType::Bool),
        ("reason", ColumnType::Text),
        ("at", ColumnType::Integer),
    ];
    columns
        .into_iter()
        .fold(Collection::new(name(), 1), |collection, (column, kind)| collection.column(constant(column), kind))
        .index(Index::new(constant("edition"), ["edition", "position"].map(constant)))
}

fn name() -> Name {
    constant("$parked")
}

fn constant(text: &'static str) -> Name {
    Name::new(text).expect("it is written above")
}

fn place(projection: &Name, edition: Edition) -> String {
    format!("{projection}@{edition}")
}

fn key(place: &str, position: Position) -> Result<RowKey, RowError> {
    RowKey::new(format!("{place}/{position:019}")).map_err(|error| RowError::Invalid(error.to_string()))
}

/// The batch, with the event parked.
///
/// # Errors
///
/// [`RowError::Invalid`] when the projection's name is too long.
pub(super) fn park(
    batch: Batch,
    projection: &Name,
    edition: Edition,
    position: Position,
    event: &ParkedEvent,
) -> Result<Batch, RowError> {
    let place = place(projection, edition);
    let mut sequences = event.sequences.iter().map(Sequence::to_text);
    let first = sequences.next().unwrap_or_default();
    let further: Vec<_> = sequences.collect();
    let further = match further.is_empty() {
        true => Cell::Null,
        false => Cell::Text(serde_json::to_string(&further).map_err(|error| RowError::Other(Source::new(error)))?),
    };
    let cells = vec![
        Cell::Text(place.clone()),
        Cell::Text(first),
        further,
        cell_u64(position.get()),
        Cell::Text(event.stream.to_string()),
        Cell::Bool(event.waits),
        Cell::Text(event.reason.clone()),
        cell_u64(event.at.as_micros()),
    ];
    Ok(batch.put(name(), 1, KeyedRow::new(key(&place, position)?, cells)))
}

/// The batch, with the event parked no more.
///
/// # Errors
///
/// [`RowError::Invalid`] when the projection's name is too long.
pub(super) fn release(
    batch: Batch,
    projection: &Name,
    edition: Edition,
    position: Position,
) -> Result<Batch, RowError> {
    Ok(batch.delete(name(), 1, key(&place(projection, edition), position)?))
}

/// The events that the edition has parked after this position, in order, at most so many. The collection has to be
/// defined.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn load(
    rows: &dyn ReadModelStore,
    projection: &Name,
    edition: Edition,
    after: Option<Position>,
    most: usize,
) -> Result<BTreeMap<Position, ParkedEvent>, RowError> {
    let place = place(projection, edition);
    let low = match after {
        Some(after) => Bound::Excluded(key(&place, after)?),
        None => Bound::Included(key(&place, Position::new(0).unwrap_or(Position::MAX))?),
    };
    let by = By::Key(low, Bound::Included(key(&place, Position::MAX)?));
    let mut find = Find::by(name(), by).version(1).limit(u32::try_from(most).unwrap_or(u32::MAX));
    let mut parked = BTreeMap::new();
    loop {
        let set = rows.find(find.clone()).await?;
        for row in set.rows {
            let place = format!("row {} of $parked", row.key);
            let (position, event) = decode(row.cells).ok_or(RowError::Corrupt { place })?;
            if parked.len() < most {
                parked.insert(position, event);
            }
        }
        match set.next {
            Some(next) if parked.len() < most => find.after = Some(next),
            _ => return Ok(parked),
        }
    }
}

/// The parked event of this position. The collection has to be defined.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn find(
    rows: &dyn ReadModelStore,
    projection: &Name,
    edition: Edition,
    position: Position,
) -> Result<Option<ParkedEvent>, RowError> {
    let key = key(&place(projection, edition), position)?;
    let set = rows.get(name(), Some(1), vec![key.clone()]).await?;
    let damaged = || RowError::Corrupt { place: format!("row {key} of $parked") };
    set.rows.into_iter().next().map(|row| Ok(decode(row.cells).ok_or_else(damaged)?.1)).transpose()
}

fn decode(cells: Vec<Cell>) -> Option<(Position, ParkedEvent)> {
    let [_, sequence, further, position, stream, waits, reason, at] = read_cells(cells)?;
    let (Cell::Text(sequence), Cell::Integer(position), Cell::Text(stream)) = (sequence, position, stream) else {
        return None;
    };
    let (Cell::Bool(waits), Cell::Text(reason), Cell::Integer(at)) = (waits, reason, at) else { return None };
    let mut sequences = vec![Sequence::from_text(&sequence)?];
    match further {
        Cell::Null => {}
        Cell::Text(further) => {
            let further: Vec<String> = serde_json::from_str(&further).ok()?;
            for text in further {
                sequences.push(Sequence::from_text(&text)?);
            }
        }
        _ => return None,
    }
    let event = ParkedEvent {
        stream: StreamId::new(stream).ok()?,
        sequences,
        waits,
        reason,
        at: Timestamp::from_micros(u64::try_from(at).ok()?),
    };
    Some((Position::new(u64::try_from(position).ok()?)?, event))
}
