//! What a projection registry says of its projections, and what can be done to them.

use crate::values::{Edition, Name, Position, RowKey, StreamId, Timestamp};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// How a projection stands, as the readers of the process that was asked see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// Its name.
    pub name: Name,
    /// The version of its code in the process that was asked.
    pub version: u16,
    /// When its rows are made.
    pub lifecycle: Lifecycle,
    /// What it does: the state of the edition that is read.
    pub state: ProjectionState,
    /// The edition that is read; `None` while there is none that has caught up.
    pub edition: Option<Edition>,
    /// Every event up to here is in the rows that are read.
    pub position: Option<Position>,
    /// Where the log ended when it was asked.
    pub frontier: Option<Position>,
    /// How far the rows are behind the log.
    pub lag: Lag,
    /// How many events a second were applied of late.
    pub events_per_second: u64,
    /// The last failure, also one that was overcome.
    pub last_error: Option<ProjectionFailure>,
    /// How many events are parked.
    pub parked: u64,
    /// How many events the rows that are read are without for good, because the projection does not know them and says
    /// [`Unknown::Skip`](crate::domain::Unknown::Skip), or because they failed and it says
    /// [`OnFailure::Skip`](crate::domain::OnFailure::Skip). Each is counted once, with the rows, whoever works on them: so
    /// after a deployment it tells what an older process has left out, until the rows are made anew. What programs leave out
    /// that are older than this count is not in it.
    ///
    /// Those that an operator has dropped are not counted, nor is what a store leaves out inside of an append or a live
    /// projection each time that it is folded: [`on_skipped`](crate::application::ApplicationBuilder::on_skipped) tells of
    /// the latter.
    pub skipped: u64,
    /// All its editions, rising.
    pub editions: Vec<EditionStatus>,
}

impl ProjectionStatus {
    /// The status of a projection of which nothing is known yet.
    #[must_use]
    pub fn new(name: Name, version: u16, lifecycle: Lifecycle) -> Self {
        Self {
            name,
            version,
            lifecycle,
            state: ProjectionState::CatchingUp,
            edition: None,
            position: None,
            frontier: None,
            lag: Lag::default(),
            events_per_second: 0,
            last_error: None,
            parked: 0,
            skipped: 0,
            editions: Vec::new(),
        }
    }
}

/// When the rows of a projection are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Lifecycle {
    /// A worker follows the log.
    #[default]
    Asynchronous,
    /// The store makes them inside of each append, so that they are never behind (PR-08). An application whose store
    /// does not is refused at start-up.
    ///
    /// Nothing of it is parked, for the store would not hold back what waits: until the store has it, its worker stops where
    /// the projection says [`OnFailure::Park`](crate::domain::OnFailure::Park).
    Inline,
    /// As [`Inline`](Self::Inline) on a store that does, as [`Asynchronous`](Self::Asynchronous) on another.
    InlineIfPossible,
    /// They are folded from the log each time they are read, and stored nowhere.
    Live,
}

/// What a projection does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectionState {
    /// It is behind the log, and moves.
    CatchingUp,
    /// It has caught up, and applies events as they come.
    CaughtUp,
    /// An operator has paused it.
    Paused,
    /// It has met what it cannot apply, or what makes no sense. It goes on once an operator says so.
    Stopped {
        /// What it met, in a sentence.
        reason: String,
    },
    /// It is behind the log and has not moved for a while, though nothing has stopped it: nobody runs it, or its
    /// worker hangs.
    Stalled {
        /// Since when.
        since: Timestamp,
    },
}

/// How far rows are behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lag {
    /// At most so many events are not applied yet; 0 exactly when all are.
    pub events: u64,
    /// How long ago the first event was recorded that is not applied yet.
    pub time: Duration,
}

impl Lag {
    /// So many events at most, the first of them recorded so long ago.
    #[must_use]
    pub const fn new(events: u64, time: Duration) -> Self {
        Self { events, time }
    }
}

/// What went wrong in a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionFailure {
    /// When.
    pub at: Timestamp,
    /// At which event, if it was at one.
    pub position: Option<Position>,
    /// What, in a sentence.
    pub reason: String,
}

impl ProjectionFailure {
    /// A failure.
    #[must_use]
    pub fn new(at: Timestamp, position: Option<Position>, reason: String) -> Self {
        Self { at, position, reason }
    }
}

/// How an edition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditionStatus {
    /// Which one.
    pub edition: Edition,
    /// What it does.
    pub state: ProjectionState,
    /// Whether it is the one that everybody reads who prefers no version.
    pub is_active: bool,
    /// Whether it has caught up once, and so may be read.
    pub is_ready: bool,
    /// Every event up to here is in its rows.
    pub position: Option<Position>,
    /// Who works on it; `None`: nobody has said so.
    pub holder: Option<Name>,
}

impl EditionStatus {
    /// An edition that nobody has begun.
    #[must_use]
    pub fn new(edition: Edition) -> Self {
        Self {
            edition,
            state: ProjectionState::CatchingUp,
            is_active: false,
            is_ready: false,
            position: None,
            holder: None,
        }
    }
}

/// What an operator does to a projection.
///
/// An action is taken once it is recorded, for whatever process works on the projection: that one looks at least once a
/// second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProjectionAction {
    /// It moves no further, until [`Resume`](Self::Resume). Its rows stay readable.
    ///
    /// That is said to workers. A store that runs an edition inside of its appends ([`Lifecycle::Inline`]) goes on with it,
    /// for its rows are never behind; an edition that is not handed over yet stays where it is.
    Pause,
    /// It goes on, also after it has stopped: then it tries the event again that it stopped at.
    Resume,
    /// Its rows are emptied at once and made anew from the first event on; readers see them come.
    Reset,
    /// Its rows are made anew beside those that are read, and readers are switched once they have caught up. The edition
    /// before stays, and moves no further, until it is removed.
    Rebuild,
    /// A rebuild that is not done ends, and its rows are removed.
    CancelRebuild,
    /// Readers who prefer no version see this one, and go on to, until another is named: for a rollback. `None`: the
    /// newest that has caught up, as usual.
    Activate(Option<u16>),
    /// The rows of this edition are removed. The one that is read cannot be.
    Remove(Edition),
    /// The parked event at this position is tried again, with all that wait for it; `None`: all parked events.
    Retry(Option<Position>),
    /// The parked event at this position, or the one that the projection has stopped at, is left out for good.
    Drop(Position),
}

impl ProjectionAction {
    /// Its name in kebab case, as wires write it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::Rebuild => "rebuild",
            Self::CancelRebuild => "cancel-rebuild",
            Self::Activate(_) => "activate",
            Self::Remove(_) => "remove",
            Self::Retry(_) => "retry",
            Self::Drop(_) => "drop",
        }
    }
}

/// An event that waits for an operator, because it could not be applied or comes after one of its sequence that could
/// not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// The event.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// The key of the row that it would change; `None`: it could not be told, and the events of its stream wait.
    pub key: Option<RowKey>,
    /// Why it is parked, in a sentence.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

impl Parked {
    /// A parked event.
    #[must_use]
    pub fn new(position: Position, stream: StreamId, key: Option<RowKey>, reason: String, at: Timestamp) -> Self {
        Self { position, stream, key, reason, at }
    }
}
