//! The port `SnapshotStore`: folded states, kept to save replays.

use super::Source;
use crate::values::{Format, Name, Revision, StreamId, Timestamp};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

/// The state of an aggregate after one revision of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The stream it was folded from.
    pub stream: StreamId,
    /// What kind of state it is: a stream can have snapshots of several.
    pub kind: Name,
    /// The revision of the last event folded.
    pub revision: Revision,
    /// The version of the state's schema.
    pub version: u32,
    /// What the state's bytes are.
    pub format: Format,
    /// The state.
    pub state: Bytes,
    /// When it was taken.
    pub taken_at: Timestamp,
}

impl Snapshot {
    /// A snapshot with a JSON state.
    #[must_use]
    pub fn new(
        stream: StreamId,
        kind: Name,
        revision: Revision,
        version: u32,
        state: impl Into<Bytes>,
        taken_at: Timestamp,
    ) -> Self {
        Self { stream, kind, revision, version, format: Format::Json, state: state.into(), taken_at }
    }

    /// The same snapshot with a state of this format.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }
}

/// Why a snapshot was not loaded, saved or deleted. None of them endangers an event: a caller may always
/// replay instead.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The snapshot is larger than the store keeps. Do without.
    #[error("the snapshot has {size} bytes, and this store keeps at most {limit}")]
    TooLarge {
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The stored snapshot is damaged. Replay, and save anew.
    #[error("the snapshot at {place} is damaged; replay the stream and save it anew")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// The store is too busy. Try again later, or do without.
    #[error("the snapshot store is busy")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the snapshot store failed: {0}")]
    Other(#[source] Source),
}

/// Keeps snapshots: an optimisation that may lose everything and still be right.
///
/// # Laws
///
/// - **SN-01** `load` gives the latest snapshot, or the latest at or below a revision; `None` when there is
///   none. Streams and kinds are apart.
/// - **SN-02** Saving the same stream, kind and revision again overwrites. Deleting takes away what is
///   below a bound, and nothing else.
/// - **SN-03** State from a snapshot and the rest of the stream equals state from a full replay, for
///   every revision.
/// - **SN-04** A snapshot that cannot be read is [`SnapshotError::Corrupt`], never damaged bytes; bytes,
///   version and format come back as they were saved. (Drivers ignore what they cannot use and replay.)
/// - **SN-06** A saved snapshot is there after reopening, also after SIGKILL at any moment, and a deleted one is
///   not; never half of one; on a store that is durable.
/// - **SN-07** Saves, loads and deletes at the same time each happen wholly: a load gives a snapshot as it was
///   saved, and the latest is never older than one whose saving was done before.
#[async_trait]
pub trait SnapshotStore: Send + Sync {
    /// The snapshot with the largest revision at or below `at_most` (`None`: of all).
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Corrupt`] when it is damaged; `Busy` or `Other` when the store cannot answer.
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError>;

    /// Keeps the snapshot, in place of one of the same stream, kind and revision.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::TooLarge`], `Busy` or `Other`; then nothing was kept.
    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError>;

    /// Deletes the snapshots of the stream and kind with a revision below `below` (`None`: all).
    ///
    /// # Errors
    ///
    /// `Busy` or `Other`; then some may be left.
    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError>;
}

/// A shared store is a store. It hands on the store's own futures, at no cost.
impl<S: SnapshotStore + ?Sized> SnapshotStore for Arc<S> {
    fn load<'s, 'f>(
        &'s self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> BoxFuture<'f, Result<Option<Snapshot>, SnapshotError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).load(stream, kind, at_most)
    }
    fn save<'s, 'f>(&'s self, snapshot: Snapshot) -> BoxFuture<'f, Result<(), SnapshotError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).save(snapshot)
    }
    fn delete<'s, 'f>(
        &'s self,
        stream: StreamId,
        kind: Name,
        below: Option<Revision>,
    ) -> BoxFuture<'f, Result<(), SnapshotError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).delete(stream, kind, below)
    }
}
