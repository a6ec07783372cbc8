//! What operators wish of a projection: one row a name in the collection `$projections`, changed by compare-and-set.
//!
//! A wish that is carried out once, such as retrying what is parked, has a number. A worker keeps the last number that it
//! carried out with its rows, in the batch that carries it out: so each takes effect once for each edition, whoever
//! works on it.

use super::record::{cell_u64, read_cells};
use crate::ports::{ReadModelStore, RowError, Source, StoreId};
use crate::values::{
    Batch, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Edition, KeyedRow, Move, Name, Position, RowKey,
    Timestamp, Token,
};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// All that is wished of one projection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Control {
    /// Nothing of it moves, since then.
    pub(super) paused_at: Option<Timestamp>,
    /// The version that readers see who prefer none; `None`: the newest that has caught up.
    pub(super) pinned: Option<u16>,
    /// For each version, which rebuild is to be read; a missing one: the first edition, rebuild 0.
    pub(super) wanted: BTreeMap<u16, Wanted>,
    /// What is to be carried out once, in order.
    pub(super) requests: Vec<Request>,
    /// The number of the last request ever.
    pub(super) last_request: u64,
}

/// The edition of a version that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The number of its rebuild.
    pub(super) rebuild: u16,
    /// The highest number that a rebuild of it ever had: a cancelled rebuild's is not used again.
    pub(super) highest: u16,
    /// It is read at once, and not when it has caught up: the projection was reset.
    pub(super) at_once: bool,
}

/// Something to be carried out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What.
    pub(super) what: What,
}

/// What is to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    /// Go on after a stop: try the event again.
    Resume,
    /// Try the parked event of this position again, with what waits for it; `None`: all.
    Retry(Option<u64>),
    /// Leave out the parked event of this position, or the one that was stopped at.
    Drop(u64),
}

impl Control {
    /// The edition of this version that is to be read.
    pub(super) fn wanted(&self, version: u16) -> Edition {
        let rebuild = self.wanted.get(&version).map_or(0, |wanted| wanted.rebuild);
        Edition { version, rebuild }
    }

    /// Adds something to be carried out once. Those carried out by all, up to `done`, are forgotten. However often an
    /// operator asks while nobody carries them out, they do not pile up: what is dropped is dropped, and of the same twice
    /// with nothing dropped in between the later is enough.
    pub(super) fn request(&mut self, what: What, done: u64) {
        self.requests.retain(|request| request.number > done);
        let is_drop = |what: &What| matches!(what, What::Drop(_));
        if is_drop(&what) && self.requests.iter().any(|request| request.what == what) {
            return;
        }
        let since = self.requests.iter().rposition(|request| is_drop(&request.what)).map_or(0, |last| last + 1);
        let mut later = self.requests.split_off(since);
        later.retain(|request| request.what != what);
        self.requests.append(&mut later);
        self.last_request += 1;
        self.requests.push(Request { number: self.last_request, what });
    }
}

/// The row of a projection, and where its checkpoint stands, for a compare-and-set.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) control: Control,
    state: Option<CheckpointState>,
}

impl Kept {
    /// What no change is made of: it would be refused.
    pub(super) fn to_read(control: Control) -> Self {
        Self { control, state: None }
    }
}

/// The system's collection of such rows.
pub(super) fn collection() -> Collection {
    Collection::new(name(), 1)
        .column(constant("paused_at"), ColumnType::Integer)
        .column(constant("pinned"), ColumnType::Integer)
        .column(constant("wanted"), ColumnType::Json)
        .column(constant("requests"), ColumnType::Json)
        .column(constant("last_request"), ColumnType::Integer)
}

fn name() -> Name {
    constant("$projections")
}

fn constant(text: &'static str) -> Name {
    Name::new(text).expect("it is written above")
}

fn key(projection: &Name) -> Result<RowKey, RowError> {
    RowKey::new(projection.as_str()).map_err(|error| RowError::Invalid(error.to_string()))
}

fn checkpoint(projection: &Name) -> Result<Name, RowError> {
    Name::new(format!("$projections/{projection}")).map_err(|error| RowError::Invalid(error.to_string()))
}

/// What is wished of the projection, for whoever changes nothing of it. The collection has to be defined.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn read(rows: &dyn ReadModelStore, projection: &Name) -> Result<Control, RowError> {
    let set = rows.get(name(), Some(1), vec![key(projection)?]).await?;
    let control = set.rows.into_iter().next().map(|row| decode(projection, row.cells)).transpose()?;
    Ok(control.unwrap_or_default())
}

/// The same, for a change by compare-and-set. The collection has to be defined.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn load(rows: &dyn ReadModelStore, projection: &Name) -> Result<Kept, RowError> {
    // The checkpoint first: a row that is newer than it makes the compare-and-set fail, and never succeed wrongly.
    let state = rows.checkpoint(checkpoint(projection)?).await?;
    Ok(Kept { control: read(rows, projection).await?, state })
}

/// Puts the wishes in place of those that were loaded.
///
/// # Errors
///
/// [`RowError::CheckpointMoved`] when somebody else has changed them since: load again and decide anew; or what a
/// commit may fail with.
pub(super) async fn save(
    rows: &dyn ReadModelStore,
    log: StoreId,
    projection: &Name,
    loaded: &Kept,
    control: &Control,
) -> Result<(), RowError> {
    save_and_activate(rows, log, projection, loaded, control, None).await
}

/// The same, and in the same batch switches readers to this version of the projection's rows: so that what is named and
/// what is read are one, also where nobody works on that version any more.
///
/// # Errors
///
/// As [`save`].
pub(super) async fn save_and_activate(
    rows: &dyn ReadModelStore,
    log: StoreId,
    projection: &Name,
    loaded: &Kept,
    control: &Control,
    activate: Option<u32>,
) -> Result<(), RowError> {
    // The checkpoint counts changes. It is of no log: wishes outlive a log that was swapped.
    let state = loaded.state.unwrap_or(CheckpointState::new(log, None, Token(1)));
    let next = state.position.map_or(1, |count| count.get() + 1);
    let next = Position::new(next).ok_or_else(|| RowError::Other(Source::new("its wishes were changed too often")))?;
    let checkpoint = Checkpoint::new(checkpoint(projection)?, state, Token(1), Move::At(next));
    let row = KeyedRow::new(key(projection)?, encode(control)?);
    let batch = Batch::new(checkpoint).put(name(), 1, row);
    rows.commit(match activate {
        Some(version) => batch.activate(projection.clone(), version),
        None => batch,
    })
    .await
}

fn encode(control: &Control) -> Result<Vec<Cell>, RowError> {
    fn json<T: Serialize>(value: &T) -> Result<Cell, RowError> {
        serde_json::to_string(value).map(Cell::Text).map_err(|error| RowError::Other(Source::new(error)))
    }
    Ok(vec![
        control.paused_at.map_or(Cell::Null, |at| cell_u64(at.as_micros())),
        control.pinned.map_or(Cell::Null, |version| Cell::Integer(version.into())),
        json(&control.wanted)?,
        json(&control.requests)?,
        cell_u64(control.last_request),
    ])
}

fn decode(projection: &Name, cells: Vec<Cell>) -> Result<Control, RowError> {
    let damaged = || RowError::Corrupt { place: format!("row {projection} of $projections") };
    let [paused, pinned, wanted, requests, last] = read_cells(cells).ok_or_else(damaged)?;
    let (Cell::Text(wanted), Cell::Text(requests), Cell::Integer(last)) = (wanted, requests, last) else {
        return Err(damaged());
    };
    let number = |cell| match cell {
        Cell::Null => Ok(None),
        Cell::Integer(number) => u64::try_from(number).map(Some).map_err(|_| damaged()),
        _ => Err(damaged()),
    };
    Ok(Control {
        paused_at: number(paused)?.map(Timestamp::from_micros),
        pinned: number(pinned)?.map(u16::try_from).transpose().map_err(|_| damaged())?,
        wanted: serde_json::from_str(&wanted).map_err(|_| damaged())?,
        requests: serde_json::from_str(&requests).map_err(|_| damaged())?,
        last_request: u64::try_from(last).map_err(|_| damaged())?,
    })
}
