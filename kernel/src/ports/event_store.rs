//! The port `EventStore`: the log, and everything that must be atomic with it.

use super::{Capabilities, Capability, Source};
use crate::values::{
    Append, Appended, CheckpointState, Expected, Name, Page, Position, Query, Read, Recalled, Revision, StoreId,
    StreamId, Token,
};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt::Write as _;
use futures::future::BoxFuture;

/// What is wrong with one payload of an append, by the schema that is registered for its type and version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadViolation {
    /// Which event of the append, from 0.
    pub event: u32,
    /// Where in its payload: a JSON Pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// A sentence for a person.
    pub message: String,
}

impl PayloadViolation {
    /// Something wrong at this place of this event.
    #[must_use]
    pub fn new(event: u32, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { event, pointer: pointer.into(), message: message.into() }
    }
}

/// The first few of them, and how many more there are.
fn listed(violations: &[PayloadViolation]) -> String {
    const FEW: usize = 3;
    let mut text = String::new();
    for PayloadViolation { event, pointer, message } in violations.iter().take(FEW) {
        let separator = if text.is_empty() { "" } else { "; " };
        let at = if pointer.is_empty() { "" } else { " at " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}event {event}{at}{pointer}: {message}");
    }
    if let Some(more) = violations.len().checked_sub(FEW).filter(|more| *more > 0) {
        let _ = write!(text, "; and {more} more");
    }
    text
}

/// Why an append was not acknowledged. Except after [`Unknown`](Self::Unknown), nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A stream is not as expected. Read it again and decide anew.
    #[error("{stream} is not as expected ({expected:?}): its last revision is {actual:?}; read it and decide again")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What was expected of it.
        expected: Expected,
        /// Its last revision; `None` when it is missing.
        actual: Option<Revision>,
    },
    /// An event that the guard forbids stands after the guard's position. Read up to it and decide anew.
    #[error("the guard failed: an event at position {position} matches it; read on from the guard and decide again")]
    GuardFailed {
        /// The position of one such event.
        position: Position,
    },
    /// The checkpoint stands elsewhere, or belongs to a holder with a larger token. Read it again; whoever has
    /// been superseded stops.
    #[error("checkpoint {name} stands at {actual:?} under token {}; read it again, or stop if superseded", token.0)]
    CheckpointMoved {
        /// Whose checkpoint.
        name: Name,
        /// Where it stands.
        actual: Option<Position>,
        /// The largest token seen.
        token: Token,
    },
    /// The checkpoint is of another store, or of this one before it was restored. Start anew on this store.
    #[error("the checkpoint is of store {named}, and this is store {actual}; positions do not carry over")]
    WrongStore {
        /// The store that the append named.
        named: StoreId,
        /// The store that it reached.
        actual: StoreId,
    },
    /// The key is taken by something else. Choose another key, or ask for the same thing again.
    #[error("key {id} in {scope} was used for something else; use a new key")]
    KeyReused {
        /// The key's scope.
        scope: Name,
        /// The key's id.
        id: Name,
    },
    /// A projection that runs inside of appends refuses it. Decide anew, or mend the projection.
    #[error("the inline projection {projection} refuses the append: {reason}")]
    InlineRefused {
        /// The projection.
        projection: Name,
        /// Why, in a sentence.
        reason: String,
    },
    /// The append is larger than the store takes. Split it.
    #[error("{what}: {size} is more than this store takes, which is {limit}")]
    TooLarge {
        /// What is too large.
        what: Cow<'static, str>,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The append contradicts itself or the log. It is a mistake of the caller.
    #[error("the append is invalid: {0}")]
    Invalid(String),
    /// Payloads are not as the schemas of their types say, finds a judge between the caller and the port; each violation is
    /// listed, in the order of the events. It is a mistake of the caller. A store itself knows no schemas, and never says so.
    #[error("events are not as their schemas say: {}", listed(.0))]
    Nonconforming(Vec<PayloadViolation>),
    /// The store lacks the capability. Use another store.
    #[error("this store does not support {0}")]
    Unsupported(Capability),
    /// This caller may not, says a policy between the caller and the port. Asking again changes nothing until the policy
    /// does. Nothing was written. A store itself has no callers, and never says so.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The store has no room for it now. Safe to retry, with a pause.
    #[error("the store is busy; nothing was written, try again")]
    Busy(#[source] Source),
    /// It may have been written, and may yet be. Settle it by repeating it under the same key, or by `recall`.
    #[error("the outcome of the append is unknown: {0}; settle it by the same key")]
    Unknown(#[source] Source),
    /// The store met damaged data. An operator has to look.
    #[error("the store is damaged at {place}")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// The store cannot write: full, read-only, closed, forbidden. An operator has to look.
    #[error("the store cannot write: {0}")]
    Other(#[source] Source),
}

/// Why a read was not answered.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The read has more terms than the store takes. Split it.
    #[error("{what}: {size} is more than this store takes, which is {limit}")]
    TooLarge {
        /// What is too large.
        what: Cow<'static, str>,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The read contradicts itself. It is a mistake of the caller.
    #[error("the read is invalid: {0}")]
    Invalid(String),
    /// The store lacks the capability. Use another store.
    #[error("this store does not support {0}")]
    Unsupported(Capability),
    /// This caller may not, says a policy between the caller and the port. Asking again changes nothing until the policy
    /// does. A store itself has no callers, and never says so.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The store cannot answer now. Try again, with a pause.
    #[error("the store is busy; try again")]
    Busy(#[source] Source),
    /// The store met damaged data. An operator has to look.
    #[error("the store is damaged at {place}")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// Anything else.
    #[error("the store cannot read: {0}")]
    Other(#[source] Source),
}

/// The log of an application: append and read events, and what must be atomic with them.
///
/// One log is one store. All methods may be called from many tasks and threads at once.
///
/// # Laws
///
/// Revisions and positions
///
/// - **ES-01** Revisions in a stream are dense from 0. One append is contiguous in each of its streams.
///   Revisions and positions are never used again, also after a restart.
/// - **ES-02** Positions rise strictly over the whole store; density is not promised. Appends are not
///   interleaved.
/// - **ES-03** Frontier: once a log read has returned position p, or a frontier at or above p, no later read
///   shows an unseen event at or below p: whatever other writers do, commit late, roll back or die.
///   A log read sees everything acknowledged before it began, so its frontier is at or above that, up to
///   `until`. A read of a stream is a gapless prefix with everything acknowledged before the read began.
/// - **ES-04** The frontier tells only of what is visible; an empty store has none. It never lies inside an
///   append.
///
/// Append
///
/// - **ES-05** Expectations: at most one a stream, also of streams that are not written; all or nothing.
/// - **ES-06** A refused append leaves nothing behind, and its error names something that truly failed, with
///   the actual revision. Order of judgment: limits, key, expectations, guard, checkpoint.
/// - **ES-07** Of N racing appends with the same expectation exactly one wins; the others get
///   [`AppendError::Conflict`]. Appends to disjoint streams never conflict.
/// - **ES-08** A guard fails if an event that matches its query exists after its position. Of two racers with
///   one guard, each writing what it forbids, one wins. A guard position past the frontier is
///   [`AppendError::Invalid`].
/// - **ES-09** Keys: a repetition within the stated retention returns the original outcome and note, marked
///   `repeated`, whatever the conditions would now say, also after a restart, and writes nothing. Another
///   digest under the key is [`AppendError::KeyReused`]. A refused append does not take its key. An expired
///   key counts as absent, cleaned up or not; expiry is by the store's [`Clock`](super::Clock): a key
///   recorded at `t` is expired from `t + retention` on. Event ids are data: kept, not required to be unique.
/// - **ES-10** An append without events checks its conditions, commits its key and checkpoint, and hands out
///   no position.
/// - **ES-11** A caller can tell `Conflict` (decide again), `Busy` (nothing written, retry) and `Unknown`
///   (settle it by the key) apart. A bounded queue that is full answers `Busy`.
/// - **ES-12** Dropping the append's future leaves all of it or none, and harms no other append. A dropped read
///   or hint holds nothing back.
/// - **ES-13** A checkpoint moves by compare-and-set under a fencing token. It is refused as
///   [`AppendError::CheckpointMoved`] if the stored position differs from `from` or the store has ever seen a
///   larger token under the name. `Claim` raises the token and moves nothing. `At` goes forward or stays: below
///   `from` it is `Invalid`. Only `Reset` goes back. `At` and `Reset` past the frontier are `Invalid`. It
///   moves only if its append happens, and its append happens only if it moves.
/// - **ES-14** Payload, metadata, id, tags, type, version and format come back as they were given, byte for
///   byte: empty, large, not UTF-8, long names, every Unicode normal form kept apart. Past a stated limit:
///   `TooLarge` with the limit, nothing written.
///
/// Read
///
/// - **ES-15** By stream and by query, each with direction, exclusive start, limit and `until`, in every
///   combination. Backward is forward reversed. Past the end is empty. A missing stream is an empty page.
/// - **ES-16** `limit` bounds one page, after filtering; 0 is [`ReadError::Invalid`]. A page may hold fewer,
///   even none. `next` is the complete continuing read with its frontier fixed; only `next = None` means the
///   end was reached. Every chain of pages ends, and all its pages see one frontier.
/// - **ES-17** A reader never sees part of an append, except by its own limit, `until` or query.
/// - **ES-18** A stream larger than any backend page (over 1 MiB, over 1,000 events) reads whole.
///
/// Hint (19 to 22 are the laws of [subscriptions](crate::drivers), built on this port)
///
/// - **ES-23** `changed` returns within the stated latency once something matching may be visible after the
///   position, also from another process; it may return early; dropping it loses nothing; correctness never
///   needs it.
///
/// Durability
///
/// - **ES-24** What was acknowledged is there after reopening, also after SIGKILL at any moment; no part of an
///   append is. A sync precedes each acknowledgement.
/// - **ES-25** Two handles and two processes on one store keep all laws.
/// - **ES-26** A torn or damaged record, a flipped payload byte included, is an error that names the place;
///   never a silent end, never damaged data served as good.
/// - **ES-27** The store has an identity of its own, made with it and kept with it. A checkpoint that names
///   another is refused as [`AppendError::WrongStore`].
///
/// # Writing one
///
/// Start from `examples/custom-backend`, run the suite, and read the failure it prints. What a store cannot do it
/// declares in [`Capabilities`] and refuses with `Unsupported`. [`Capabilities::check`] and
/// [`Query::matches`] are the shared definitions of an acceptable append and of a match.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Writes all of the append, or nothing. Acknowledged is durable, on a store that is.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; except after `Unknown`, nothing was written.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not take the append back: it happens wholly or not at all (ES-12).
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// One page. Reads never wait for writers.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; a read can always be repeated.
    async fn read(&self, read: Read) -> Result<Page, ReadError>;

    /// What was recorded under a key, unless it has expired.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError>;

    /// Where a checkpoint stands. One that nobody has moved or claimed stands at `None` under token 0.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError>;

    /// Returns once something that matches may be visible after the position. A hint: it may return early,
    /// for nothing, or at once.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    ///
    /// # Cancellation
    ///
    /// Safe: whatever it would have told, the next call tells.
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError>;

    /// What this store is and can do. Constant for one handle.
    fn capabilities(&self) -> Capabilities;
}

/// A shared store is a store. It hands on the store's own futures, at no cost.
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    fn append<'s, 'f>(&'s self, append: Append) -> BoxFuture<'f, Result<Appended, AppendError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).append(append)
    }
    fn read<'s, 'f>(&'s self, read: Read) -> BoxFuture<'f, Result<Page, ReadError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).read(read)
    }
    fn recall<'s, 'f>(&'s self, scope: Name, id: Name) -> BoxFuture<'f, Result<Option<Recalled>, ReadError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).recall(scope, id)
    }
    fn checkpoint<'s, 'f>(&'s self, name: Name) -> BoxFuture<'f, Result<CheckpointState, ReadError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).checkpoint(name)
    }
    fn changed<'s, 'f>(&'s self, query: Query, after: Option<Position>) -> BoxFuture<'f, Result<(), ReadError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).changed(query, after)
    }
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn a_long_list_of_violations_is_a_short_sentence() {
        let wrong = |n| PayloadViolation::new(n, if n == 0 { "" } else { "/a" }, "it is odd");
        let said = |n| AppendError::Nonconforming((0..n).map(wrong).collect()).to_string();
        assert_eq!(said(1), "events are not as their schemas say: event 0: it is odd");
        assert!(said(3).ends_with("event 1 at /a: it is odd; event 2 at /a: it is odd"), "{}", said(3));
        assert!(said(20).ends_with("event 2 at /a: it is odd; and 17 more"), "{}", said(20));
    }
}
