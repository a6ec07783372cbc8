//! The index of sagas: a projection of the kernel's own, a row a saga.
//!
//! It is a projection like any other, with editions, rebuilds and a status in the registry, but for its name. Streams of sagas
//! tell everything; the index is for finding them. So nothing that it meets stops it: a fact that this code cannot read leaves
//! the row as it was, with the reason in it.

use crate::domain::history::Histories;
use crate::domain::saga::{Brief, Open, Phase, SagaEvent, Status, Way};
use crate::domain::{
    CellValue, Event, EventError, EventSet, FailurePolicy, OnFailure, Projection, RecordedAs, Row, RowColumn, RowIndex,
    RowValueError, row_cells,
};
use crate::drivers::{ModelError, ProjectionForm};
use crate::ports::RawEvent;
use crate::values::{Cell, Position, SAGA_CATEGORY, SagaId, Timestamp};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The name of the projection that is the index of sagas.
pub const SAGA_INDEX: &str = "$sagas";

/// How many slots there are. Every saga has one, and a range of them is a share of the work.
pub const SAGA_SLOTS: u32 = 1 << 16;

/// The slot of this saga: the first two bytes of the SHA-256 of its stream's name, so the same in every process for ever.
#[must_use]
pub fn saga_slot(saga: &SagaId) -> u32 {
    let hash = Sha256::digest(saga.stream().as_bytes());
    u32::from(u16::from_be_bytes([hash[0], hash[1]]))
}

/// The index, to be registered.
pub(crate) fn saga_index() -> Result<ProjectionForm, ModelError> {
    ProjectionForm::of_system::<SagaRows>()
}

/// Between the name and the id in a key. It comes before all that a name is made of, so that keys are in the order of names
/// and ids.
pub(super) const BETWEEN: char = ',';

/// The key of a saga's row.
pub(super) fn key_of(saga: &SagaId) -> String {
    format!("{}{BETWEEN}{}", saga.name(), saga.id())
}

/// The saga whose row has this key; `None`: that is no such key.
pub(super) fn saga_of(key: &str) -> Option<SagaId> {
    let (name, id) = key.split_once(BETWEEN)?;
    SagaId::new(name, id).ok()
}

/// The projection.
pub(super) struct SagaRows;

impl Projection for SagaRows {
    const NAME: &'static str = SAGA_INDEX;

    /// To be raised with each change of the row, also of what `Open` is as JSON, and with each new fact or form of one: rows of
    /// the version before were made without knowing it.
    const VERSION: u16 = 2;

    type Event = Fact;
    type Row = SagaRow;

    fn key(event: &RecordedAs<Fact>) -> Option<String> {
        SagaId::of_stream(event.stream()).map(|saga| key_of(&saga))
    }

    fn apply(row: &mut Option<SagaRow>, event: &RecordedAs<Fact>) {
        let Some(saga) = SagaId::of_stream(event.stream()) else { return };
        let position = event.recorded.position;
        match (row, &event.event.read) {
            (Some(row), Ok(fact)) => {
                row.brief.apply(fact);
                row.position = position;
            }
            (Some(row), Err(unread)) => {
                row.brief.pass_over(&unread.why);
                row.position = position;
            }
            (row, Ok(fact)) => *row = Some(SagaRow { saga, brief: Brief::first(fact), position }),
            (row, Err(unread)) => {
                let started_at = unread.head.at.unwrap_or(event.recorded.recorded_at);
                let version = unread.head.version.unwrap_or_default();
                let mut brief = Brief::new(version, started_at, unread.head.deadline);
                brief.pass_over(&unread.why);
                *row = Some(SagaRow { saga, brief, position });
            }
        }
    }

    /// A row is small and has cells whatever is in it, so that nothing fails but for a store with lower limits, or a mistake
    /// here. Then the row stays as it was: it must not be all sagas that wait.
    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Skip)
    }
}

/// What stands in the stream of a saga, whether this code can read it or not.
pub(super) struct Fact {
    /// The version of its form.
    version: u32,
    read: Result<SagaEvent, Unread>,
}

struct Unread {
    why: String,
    head: Head,
}

/// What can be told of a start that cannot be read.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    at: Option<Timestamp>,
    version: Option<u32>,
    deadline: Option<Timestamp>,
}

impl Fact {
    fn unread(raw: &RawEvent, why: String) -> Self {
        let head = serde_json::from_slice(&raw.payload).unwrap_or_default();
        Self { version: raw.version, read: Err(Unread { why, head }) }
    }
}

impl EventSet for Fact {
    const CATEGORIES: &'static [&'static str] = &[SAGA_CATEGORY];

    /// The kernel's own facts have no history that an application would judge.
    fn histories(_: &mut Histories) {}

    fn decode_in(_: &str, raw: &RawEvent) -> Result<Self, EventError> {
        Ok(match SagaEvent::decode(raw) {
            Ok(fact) if fact.version() == raw.version => Self { version: raw.version, read: Ok(fact) },
            Ok(_) => Self::unread(raw, format!("version {} of {}", raw.version, raw.event_type)),
            Err(error) => Self::unread(raw, error.to_string()),
        })
    }

    fn current_version(&self) -> u32 {
        self.version
    }
}

/// A saga, as the index keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SagaRow {
    pub(super) saga: SagaId,
    pub(super) brief: Brief,
    /// Of its last fact.
    pub(super) position: Position,
}

impl Row for SagaRow {
    /// All of them hold what there may be, so that rows become cells once a batch; so `open` is text that is JSON.
    const COLUMNS: &'static [RowColumn] = &[
        RowColumn::of::<String>("saga"),
        RowColumn::of::<String>("name"),
        RowColumn::of::<u32>("version"),
        RowColumn::of::<String>("phase"),
        RowColumn::of::<String>("step"),
        RowColumn::of::<String>("way"),
        RowColumn::of::<u32>("attempt"),
        RowColumn::of::<i64>("since"),
        RowColumn::of::<i64>("due"),
        RowColumn::of::<String>("reason"),
        RowColumn::of::<i64>("started_at"),
        RowColumn::of::<i64>("deadline"),
        RowColumn::of::<String>("unread"),
        RowColumn::of::<u32>("slot"),
        RowColumn::of::<i64>("position"),
        RowColumn::of::<String>("open"),
    ];

    /// The key stands in `saga` too, so that a range of it can be asked for within a phase. An ended saga has no slot, and so
    /// is past no bound of a range of slots.
    const INDEXES: &'static [RowIndex] =
        &[RowIndex::new("phase", &["phase", "saga"]), RowIndex::new("slot", &["name", "slot"])];

    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        let Brief { version, started_at, deadline, status, unread, open } = &self.brief;
        let slot = open.is_some().then(|| saga_slot(&self.saga));
        // Strings, numbers and lists of them: there is nothing that could fail.
        let open = open.as_ref().map(|open| serde_json::to_string(open).unwrap_or_default());
        Ok(alloc::vec![
            Cell::Text(key_of(&self.saga)),
            Cell::Text(self.saga.name().as_str().into()),
            version.to_cell()?,
            Cell::Text(status.phase.name().into()),
            status.step.to_cell()?,
            status.way.map(|way| way.to_string()).to_cell()?,
            status.attempt.to_cell()?,
            status.since.map(number).to_cell()?,
            status.due.map(number).to_cell()?,
            status.reason.to_cell()?,
            number(*started_at).to_cell()?,
            deadline.map(number).to_cell()?,
            unread.to_cell()?,
            slot.to_cell()?,
            i64::try_from(self.position.get()).unwrap_or(i64::MAX).to_cell()?,
            open.to_cell()?,
        ])
    }

    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [
            saga,
            _,
            version,
            phase,
            step,
            way,
            attempt,
            since,
            due,
            reason,
            started_at,
            deadline,
            unread,
            _,
            position,
            open,
        ] = row_cells(cells)?;
        let status = Status {
            phase: read(phase, "phase of a saga", |text| text.parse::<Phase>().ok())?,
            step: CellValue::from_cell(step)?,
            way: maybe(way, |way| read(way, "way of a step", way_of))?,
            attempt: CellValue::from_cell(attempt)?,
            since: maybe(since, time)?,
            due: maybe(due, time)?,
            reason: CellValue::from_cell(reason)?,
            is_overdue: false,
        };
        let brief = Brief {
            version: CellValue::from_cell(version)?,
            started_at: time(started_at)?,
            deadline: maybe(deadline, time)?,
            status,
            unread: CellValue::from_cell(unread)?,
            open: maybe(open, |open| read(open, "saga's state", |text| serde_json::from_str::<Open>(text).ok()))?,
        };
        let saga = read(saga, "name and id of a saga", saga_of)?;
        Ok(Self { saga, brief, position: CellValue::from_cell(position)? })
    }
}

/// A time as a column holds it. Those too far away to have a place are as far away as there is.
fn number(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

fn time(cell: Cell) -> Result<Timestamp, RowValueError> {
    u64::from_cell(cell).map(Timestamp::from_micros)
}

fn way_of(text: &str) -> Option<Way> {
    [Way::Forward, Way::Settle, Way::Back].into_iter().find(|way| way.to_string() == text)
}

fn maybe<T>(cell: Cell, read: impl FnOnce(Cell) -> Result<T, RowValueError>) -> Result<Option<T>, RowValueError> {
    if cell == Cell::Null { Ok(None) } else { read(cell).map(Some) }
}

fn read<T>(cell: Cell, expected: &'static str, of: impl FnOnce(&str) -> Option<T>) -> Result<T, RowValueError> {
    let found = if let Cell::Text(text) = &cell { of(text) } else { None };
    found.ok_or_else(|| RowValueError::NotOfType { cell: format!("{cell:?}"), expected })
}

#[cfg(test)]
mod tests;
