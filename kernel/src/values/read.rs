//! Reads: one page at a time, each with what is needed to go on.

use super::{Position, Query, Recorded, Revision, StreamId};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A question for one page of events.
///
/// ```
/// # use portolan_kernel::values::*;
/// let newest = Read::log(Query::all()).backward().limit(10);
/// assert_eq!(newest.limit, 10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read {
    /// Which events, and after which of them to start.
    pub from: Start,
    /// Which way.
    pub direction: Direction,
    /// The most events in the page, after filtering; at least 1. A page may hold fewer, even none.
    pub limit: u32,
    /// Only events at or below this position. `None`: up to the frontier at the time of the read.
    pub until: Option<Position>,
}

/// Which events a read is about. Both starts are exclusive, in the direction of the read; `None` starts
/// at the near end: the first event forward, the last one backward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The events of one stream, by revision. System streams are read like any other.
    Stream(StreamId, Option<Revision>),
    /// The events of the log that match the query, by position.
    Log(Query, Option<Position>),
}

/// Which way a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forward,
    /// From new to old: the exact reverse.
    Backward,
}

impl Read {
    /// The limit of a read that names none.
    pub const DEFAULT_LIMIT: u32 = 256;

    /// The events of one stream from its first.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::from(Start::Stream(stream, None))
    }

    /// The events of one stream after this revision.
    #[must_use]
    pub fn stream_after(stream: StreamId, after: Option<Revision>) -> Self {
        Self::from(Start::Stream(stream, after))
    }

    /// The matching events of the log from its first.
    #[must_use]
    pub fn log(query: Query) -> Self {
        Self::from(Start::Log(query, None))
    }

    /// The matching events of the log after this position.
    #[must_use]
    pub fn log_after(query: Query, after: Option<Position>) -> Self {
        Self::from(Start::Log(query, after))
    }

    /// The same read, backward.
    #[must_use]
    pub fn backward(self) -> Self {
        Self { direction: Direction::Backward, ..self }
    }

    /// The same read, with at most this many events a page.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// The same read, only of events at or below this position.
    #[must_use]
    pub fn until(self, until: Option<Position>) -> Self {
        Self { until, ..self }
    }

    /// The same read, starting after this event of its last page.
    #[must_use]
    pub fn after(mut self, event: &Recorded) -> Self {
        match &mut self.from {
            Start::Stream(_, after) => *after = Some(event.revision),
            Start::Log(_, after) => *after = Some(event.position),
        }
        self
    }
}

impl From<Start> for Read {
    fn from(from: Start) -> Self {
        Self { from, direction: Direction::Forward, limit: Self::DEFAULT_LIMIT, until: None }
    }
}

/// An answer to a [`Read`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Page {
    /// The events, in the direction of the read.
    pub events: Vec<Arc<Recorded>>,
    /// The frontier this read sees, the same for all its pages; `None` while the store is empty.
    ///
    /// For a log read: everything at or below it is visible, for good (ES-3), so that a reader that has come
    /// to the end goes on from here later, however little its query matched. It never passes
    /// [`Read::until`]. For a stream read: a position of which the same is true for that stream; stores
    /// for which a log-wide frontier costs a second request give the end of the append that wrote the stream's
    /// last event, and `None` for a missing stream.
    pub frontier: Option<Position>,
    /// The read that continues this one, with its frontier fixed; `None` when this one has come to its end.
    pub next: Option<Read>,
    /// For a stream read, the last revision of the stream up to the frontier, whatever the page holds;
    /// `None` for a missing stream and for a log read.
    pub revision: Option<Revision>,
}

impl Page {
    /// A page, as a store or a wire makes it.
    #[must_use]
    pub fn new(
        events: Vec<Arc<Recorded>>,
        frontier: Option<Position>,
        next: Option<Read>,
        revision: Option<Revision>,
    ) -> Self {
        Self { events, frontier, next, revision }
    }
}
