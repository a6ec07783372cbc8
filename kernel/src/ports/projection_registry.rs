//! The port `ProjectionRegistry`: what projections there are, how they stand, their rows, and what is done to them.

use super::{Parked, ProjectionAction, ProjectionStatus, Source};
use crate::values::{By, Collection, Cursor, Direction, Edition, KeyedRow, Name, Position, RowKey};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use futures::future::BoxFuture;

/// Why a projection has not applied an event, and will not for now, however long one waits.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// No projection has this name. The caller or the registration is mistaken.
    #[error("there is no projection {0}")]
    UnknownProjection(Name),
    /// It does not move: paused, failed, or stuck at an event. An operator has to look.
    #[error("projection {name} has stopped: {reason}")]
    Stopped {
        /// Its name.
        name: Name,
        /// Why, in a sentence.
        reason: String,
    },
    /// It is behind, nothing has stopped it, and it has not moved for a while: nobody runs it, or its worker hangs.
    #[error("projection {name} is behind, has not stopped, and does not move; see whether anybody runs it")]
    Stalled {
        /// Its name.
        name: Name,
    },
    /// It has come past the event, which is parked: its rows are as if it had not happened. An operator has to look.
    #[error("event {position} is parked by projection {name}; retry it or drop it")]
    Parked {
        /// Its name.
        name: Name,
        /// The event.
        position: Position,
    },
    /// This caller may not, says a policy between the caller and the port. Asking again changes nothing until the policy
    /// does.
    #[error("not allowed: {0}")]
    Denied(String),
    /// It cannot be told now. Try again, with a pause.
    #[error("the projections cannot be asked now; try again")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the projections cannot be asked: {0}")]
    Other(#[source] Source),
}

/// Why a projection was not asked or not acted upon.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// No projection has this name. The caller or the registration is mistaken.
    #[error("there is no projection {0}")]
    UnknownProjection(Name),
    /// It has no such edition, or no such parked event. Ask for its status.
    #[error("projection {name} has no {what}")]
    NotFound {
        /// Its name.
        name: Name,
        /// What it does not have.
        what: String,
    },
    /// There are no rows to read yet: the first edition has not caught up. Try again later; its status says how far
    /// it is.
    #[error("projection {0} has not caught up for the first time yet; try again later")]
    NotReady(Name),
    /// The rows that the cursor belongs to have been removed. Begin again without a cursor.
    #[error("edition {edition} of projection {name} is gone; begin again without a cursor")]
    Gone {
        /// Its name.
        name: Name,
        /// The edition.
        edition: Edition,
    },
    /// What was asked or told contradicts itself, or how the projection stands. It is a mistake of the caller.
    #[error("the request is invalid: {0}")]
    Invalid(String),
    /// It asks for more than one answer takes. Ask for less.
    #[error("{what}: {size} is more than one answer takes, which is {limit}")]
    TooLarge {
        /// What is too large.
        what: Cow<'static, str>,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The rows will not come up to the position that was asked for.
    #[error(transparent)]
    Wait(WaitError),
    /// This caller may not, says a policy between the caller and the port. Asking again changes nothing until the policy
    /// does.
    #[error("not allowed: {0}")]
    Denied(String),
    /// There is no room for it now. Safe to retry, with a pause.
    #[error("the projections are busy; nothing was done, try again")]
    Busy(#[source] Source),
    /// It may have been done. Ask for the status.
    #[error("the outcome is unknown: {0}; the status tells it")]
    Unknown(#[source] Source),
    /// The store met damaged rows. Rebuild the projection.
    #[error("the rows are damaged at {place}; rebuild the projection")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// Anything else.
    #[error("the projections cannot be used: {0}")]
    Other(#[source] Source),
}

/// A question for rows of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowsQuestion {
    /// The projection.
    pub projection: Name,
    /// The version of the rows that the asker knows. If that has caught up once it answers, else the active edition.
    pub prefer: Option<u16>,
    /// Which rows.
    pub rows: WhichRows,
    /// The answer waits until every event up to here is in it.
    pub at_least: Option<Position>,
}

/// Which rows are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichRows {
    /// Those of these keys that there are, in the order of the keys.
    Keys(Vec<RowKey>),
    /// A page of those by an index or by key, as in [`Find`](crate::values::Find).
    Page {
        /// Which, and in which order.
        by: By,
        /// Which way.
        direction: Direction,
        /// The most rows in the page; at least 1.
        limit: u32,
        /// The cursor of the page before. With it, `prefer` is not asked: a listing stays on its edition.
        after: Option<Cursor>,
    },
}

impl RowsQuestion {
    /// A question for the rows of these keys.
    #[must_use]
    pub fn keys(projection: Name, keys: Vec<RowKey>) -> Self {
        Self { projection, prefer: None, rows: WhichRows::Keys(keys), at_least: None }
    }

    /// A question for the first 100 rows in this order.
    #[must_use]
    pub fn page(projection: Name, by: By) -> Self {
        let rows = WhichRows::Page { by, direction: Direction::Forward, limit: 100, after: None };
        Self { projection, prefer: None, rows, at_least: None }
    }

    /// The same question, from the far end of the page's order.
    #[must_use]
    pub fn backward(mut self) -> Self {
        if let WhichRows::Page { direction, .. } = &mut self.rows {
            *direction = Direction::Backward;
        }
        self
    }

    /// The same question, for at most this many rows a page.
    #[must_use]
    pub fn limit(mut self, most: u32) -> Self {
        if let WhichRows::Page { limit, .. } = &mut self.rows {
            *limit = most;
        }
        self
    }

    /// The same question, for the page after this cursor.
    #[must_use]
    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        if let WhichRows::Page { after, .. } = &mut self.rows {
            *after = cursor;
        }
        self
    }

    /// The same question, for rows that have every event up to here in them.
    #[must_use]
    pub fn at_least(self, position: Option<Position>) -> Self {
        Self { at_least: position, ..self }
    }

    /// The same question, by somebody who knows this version of the rows.
    #[must_use]
    pub fn prefer(self, version: u16) -> Self {
        Self { prefer: Some(version), ..self }
    }
}

/// Rows of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowsAnswer {
    /// Which edition answered, in its version, and what its columns are.
    pub collection: Collection,
    /// The rows.
    pub rows: Vec<KeyedRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl RowsAnswer {
    /// An answer.
    #[must_use]
    pub fn new(collection: Collection, rows: Vec<KeyedRow>, next: Option<Cursor>) -> Self {
        Self { collection, rows, next }
    }

    /// The edition that answered.
    #[must_use]
    pub fn edition(&self) -> Edition {
        Edition::stored(self.collection.version)
    }
}

/// A page of parked events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ParkedPage {
    /// The events, in the order of the log.
    pub events: Vec<Parked>,
    /// The position to ask after for the next page; `None` at the end.
    pub next: Option<Position>,
}

impl ParkedPage {
    /// A page.
    #[must_use]
    pub fn new(events: Vec<Parked>, next: Option<Position>) -> Self {
        Self { events, next }
    }
}

/// The projections of an application.
///
/// # Laws
///
/// - **PR-01** Every registered projection is listed with its state, position, frontier, lag and last error. Pausing
///   ends its movement, resuming and resetting begin it, rebuilding makes its rows anew; each for all processes.
/// - **PR-02** Events are applied in the order of the log, each once: rows equal a fold of the log up to their
///   position.
/// - **PR-03** What cannot be applied is tried again with growing pauses where that can help, and then stops the
///   projection, is skipped, or is parked, as the projection says. What is skipped, be it that it failed or that it is
///   unknown, is counted with the rows, each event once. While an event is parked, the later ones of its sequence wait with
///   it, and others go on. Retried, they are applied in their order; dropped, one is left out. `wait_for` tells of an event
///   that is parked.
/// - **PR-04** A rebuild ends in the same rows whatever the size of its batches, goes on where it was after a crash,
///   and can be cancelled. Until it has caught up readers see the edition before, then all of them the new one at
///   once; no answer and no listing mixes two.
/// - **PR-05** Two workers on one projection have the effects of one, also when one that was taken for dead wakes up.
/// - **PR-06** `wait_for` returns once every event up to the position is in the rows that are read, and tells a
///   projection that has stopped and one that is stalled from one that is only slow.
/// - **PR-07** A projection that is registered late catches up from the first event on.
/// - **PR-08** An inline projection is never behind: the store makes its rows inside of the append. What it refuses fails
///   that append alone. Until the store can, the worker catches up and hands over.
#[async_trait]
pub trait ProjectionRegistry: Send + Sync {
    /// Whether there is a projection of this name; `None` when that cannot be told without asking elsewhere. So that
    /// a command that waits for a misspelt name is refused before it runs.
    fn knows(&self, projection: &Name) -> Option<bool> {
        let _ = projection;
        None
    }

    /// All projections, by name.
    ///
    /// # Errors
    ///
    /// `Busy`, `Other`, or what reading may fail with.
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError>;

    /// How one stands.
    ///
    /// # Errors
    ///
    /// `UnknownProjection`, or what reading may fail with.
    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError>;

    /// Acts upon one. It is done once it is recorded; the status shows it take effect. Doing the same again is no error.
    ///
    /// # Errors
    ///
    /// `UnknownProjection`, `NotFound`, `Invalid`, `Busy`, `Unknown`, or what reading may fail with.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the action taken or not.
    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError>;

    /// A page of the events that the edition which is read has parked, after this position; `limit` is at least 1.
    ///
    /// # Errors
    ///
    /// `UnknownProjection`, `Invalid`, or what reading may fail with.
    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError>;

    /// Rows of one, all of one edition.
    ///
    /// # Errors
    ///
    /// [`ProjectionError`]; asking can always be repeated.
    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError>;

    /// Returns once the projection has applied every event up to this position, one that is not in the log yet included.
    /// It may take for ever: whoever waits sets the limit, by dropping the future.
    ///
    /// It speaks of the rows that this version of the code reads ([`RowsQuestion::prefer`]), so that a deployment that was
    /// rolled back does not wait for rows that nobody makes any more. While two versions run, or another one is pinned,
    /// those are not the active rows: whoever reads what is active, as readers over HTTP do who prefer no version,
    /// asks with [`RowsQuestion::at_least`], which waits for the very rows that it answers.
    ///
    /// # Errors
    ///
    /// [`WaitError`], as soon as waiting longer is of no use.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing but the answer is lost.
    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError>;
}

/// A shared registry is a registry. It hands on its own futures, at no cost.
impl<R: ProjectionRegistry + ?Sized> ProjectionRegistry for Arc<R> {
    fn knows(&self, projection: &Name) -> Option<bool> {
        (**self).knows(projection)
    }
    fn list<'s, 'f>(&'s self) -> BoxFuture<'f, Result<Vec<ProjectionStatus>, ProjectionError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).list()
    }
    fn status<'s, 'f>(&'s self, projection: Name) -> BoxFuture<'f, Result<ProjectionStatus, ProjectionError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).status(projection)
    }
    fn act<'s, 'f>(&'s self, projection: Name, action: ProjectionAction) -> BoxFuture<'f, Result<(), ProjectionError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).act(projection, action)
    }
    fn parked<'s, 'f>(
        &'s self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> BoxFuture<'f, Result<ParkedPage, ProjectionError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).parked(projection, after, limit)
    }
    fn rows<'s, 'f>(&'s self, question: RowsQuestion) -> BoxFuture<'f, Result<RowsAnswer, ProjectionError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).rows(question)
    }
    fn wait_for<'s, 'f>(&'s self, projection: Name, position: Position) -> BoxFuture<'f, Result<(), WaitError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).wait_for(projection, position)
    }
}

/// The registry of an application without projections.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProjections;

#[async_trait]
impl ProjectionRegistry for NoProjections {
    fn knows(&self, _: &Name) -> Option<bool> {
        Some(false)
    }
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        Ok(Vec::new())
    }
    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        Err(ProjectionError::UnknownProjection(projection))
    }
    async fn act(&self, projection: Name, _: ProjectionAction) -> Result<(), ProjectionError> {
        Err(ProjectionError::UnknownProjection(projection))
    }
    async fn parked(&self, projection: Name, _: Option<Position>, _: u32) -> Result<ParkedPage, ProjectionError> {
        Err(ProjectionError::UnknownProjection(projection))
    }
    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        Err(ProjectionError::UnknownProjection(question.projection))
    }
    async fn wait_for(&self, projection: Name, _: Position) -> Result<(), WaitError> {
        Err(WaitError::UnknownProjection(projection))
    }
}
