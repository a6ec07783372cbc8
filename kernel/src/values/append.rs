//! Appends: what is written, on which conditions, and what came of it.

use super::{Name, NewEvent, Position, Query, Revision, StoreId, StreamId};
use alloc::vec::Vec;
use bytes::Bytes;

/// One write: events in log order and the conditions on which they are written, all or nothing.
///
/// ```
/// # use portolan_kernel::values::*;
/// # fn main() -> Result<(), InvalidName> {
/// let account = StreamId::new("account-ann")?;
/// let opened = NewEvent::new(account.clone(), EventType::new("account.opened")?, r#"{"owner":"Ann"}"#);
/// let append = Append::new([opened]).expect(account, Expected::NoStream);
/// assert_eq!(append.expect.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Append {
    /// The events, in the order of the log. May be empty (ES-10).
    pub events: Vec<NewEvent>,
    /// What must be true of streams, written or not; at most one entry a stream, none = any.
    pub expect: Vec<(StreamId, Expected)>,
    /// What must not have happened.
    pub guard: Option<Guard>,
    /// A checkpoint that moves with the events.
    pub checkpoint: Option<Checkpoint>,
    /// What makes a repetition harmless.
    pub key: Option<IdempotencyKey>,
}

impl Append {
    /// These events, on no condition.
    #[must_use]
    pub fn new(events: impl IntoIterator<Item = NewEvent>) -> Self {
        Self { events: events.into_iter().collect(), ..Self::default() }
    }

    /// The same append, if this is true of the stream.
    #[must_use]
    pub fn expect(mut self, stream: StreamId, expected: Expected) -> Self {
        self.expect.push((stream, expected));
        self
    }

    /// The same append, if the guard holds.
    #[must_use]
    pub fn guard(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// The same append, moving this checkpoint.
    #[must_use]
    pub fn checkpoint(self, checkpoint: Checkpoint) -> Self {
        Self { checkpoint: Some(checkpoint), ..self }
    }

    /// The same append, at most once under this key.
    #[must_use]
    pub fn key(self, key: IdempotencyKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// What must be true of one stream when the append is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// The stream has no event.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The last event of the stream has this revision.
    Exact(Revision),
}

impl Expected {
    /// What a reader that saw `last` expects: that nothing has been added since.
    #[must_use]
    pub const fn unchanged_since(last: Option<Revision>) -> Self {
        match last {
            None => Self::NoStream,
            Some(last) => Self::Exact(last),
        }
    }

    /// Whether a stream whose last revision is `last` is as expected.
    #[must_use]
    pub fn holds(self, last: Option<Revision>) -> bool {
        match self {
            Self::NoStream => last.is_none(),
            Self::StreamExists => last.is_some(),
            Self::Exact(revision) => last == Some(revision),
        }
    }
}

/// A dynamic consistency boundary: the append is refused when an event that matches the query stands
/// after the position.
///
/// The idea is Sara Pellegrini's and Milan Savić's ("Killing the aggregate"; specified at dcb.events).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guard {
    /// The events that the decision depends on.
    pub none_of: Query,
    /// How far the decision has read; `None`: no such event may exist at all.
    pub after: Option<Position>,
}

impl Guard {
    /// No event of `none_of` after this position.
    #[must_use]
    pub fn new(none_of: Query, after: Option<Position>) -> Self {
        Self { none_of, after }
    }
}

/// A fencing token: a holder's rank. Larger ones come later; 0 is below every grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(pub u64);

/// A move of a checkpoint by compare-and-set, fenced (ES-13).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Whose checkpoint.
    pub name: Name,
    /// The store that the positions are of (ES-27).
    pub store: StoreId,
    /// The writer's token. Refused when the store has seen a larger one under the name.
    pub token: Token,
    /// Where the writer believes the checkpoint stands. Refused when it stands elsewhere.
    pub from: Option<Position>,
    /// Where it goes.
    pub to: Move,
}

impl Checkpoint {
    /// A move of the checkpoint `name` from where `state` says it stands.
    #[must_use]
    pub fn new(name: Name, state: CheckpointState, token: Token, to: Move) -> Self {
        Self { name, store: state.store, token, from: state.position, to }
    }
}

/// Where a checkpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// It stays; only its token rises, which shuts out holders of smaller ones.
    Claim,
    /// Forward to this position, or where it already is.
    At(Position),
    /// Anywhere, also back or to the beginning.
    Reset(Option<Position>),
}

/// Where a checkpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CheckpointState {
    /// The store that the position is of.
    pub store: StoreId,
    /// The position; `None` before the first move.
    pub position: Option<Position>,
    /// The largest token seen.
    pub token: Token,
}

impl CheckpointState {
    /// A state, as a store or a wire makes it.
    #[must_use]
    pub const fn new(store: StoreId, position: Option<Position>, token: Token) -> Self {
        Self { store, position, token }
    }
}

/// What makes an append happen at most once (ES-9).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyKey {
    /// The space the id is unique in, such as a command's name.
    pub scope: Name,
    /// The id.
    pub id: Name,
    /// A digest (32 bytes, by convention SHA-256) of what was asked, to tell a repetition from a reuse.
    pub digest: [u8; 32],
    /// A small note kept with the key and returned with each repetition.
    pub note: Bytes,
}

impl IdempotencyKey {
    /// A key with an empty note.
    #[must_use]
    pub fn new(scope: Name, id: Name, digest: [u8; 32]) -> Self {
        Self { scope, id, digest, note: Bytes::new() }
    }

    /// The same key with this note.
    #[must_use]
    pub fn with_note(self, note: impl Into<Bytes>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// What came of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The position of the first event; `None` when there were none.
    pub first: Option<Position>,
    /// The position of the last event; `None` when there were none.
    pub last: Option<Position>,
    /// The last revision, after the append, of each stream that was written or expected: written ones in
    /// order of their first event, then the others in order of their expectation. `None`: the stream is
    /// missing.
    pub streams: Vec<(StreamId, Option<Revision>)>,
    /// The note of the key; empty without one.
    pub note: Bytes,
    /// Whether this is the answer to an earlier append under the same key.
    pub repeated: bool,
}

impl Appended {
    /// An outcome, as a store or a wire makes it: without a note, and not repeated.
    #[must_use]
    pub fn new(first: Option<Position>, last: Option<Position>, streams: Vec<(StreamId, Option<Revision>)>) -> Self {
        Self { first, last, streams, note: Bytes::new(), repeated: false }
    }

    /// The same outcome with the note of its key.
    #[must_use]
    pub fn with_note(self, note: Bytes) -> Self {
        Self { note, ..self }
    }

    /// The same outcome, as a repetition returns it.
    #[must_use]
    pub fn as_repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// What a store recorded under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recalled {
    /// The outcome, note included, marked as repeated.
    pub appended: Appended,
    /// The digest of what was asked.
    pub digest: [u8; 32],
}

impl Recalled {
    /// What was recorded, as a store or a wire makes it.
    #[must_use]
    pub fn new(appended: Appended, digest: [u8; 32]) -> Self {
        Self { appended, digest }
    }
}
