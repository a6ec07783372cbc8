//! Why a migration stops.

use crate::ports::{AppendError, Capability, ReadError, StoreId, UpcastError};
use crate::values::{EventType, Position, Recorded, Revision, StreamId};
use alloc::string::String;

/// Why a migration stopped. What it had copied is kept, and the next run goes on from there.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// Source and target are one store. Open another target.
    #[error("source and target are the same store, {0}; a copy needs a store of its own")]
    SameStore(StoreId),
    /// The target lacks what this migration stands on. Choose another, or keep no keys where it has none.
    #[error("the target does not support {0}, by which this migration is exact")]
    Unsupported(Capability),
    /// The target had events before the migration. Choose an empty one.
    #[error("the target is not empty: an event stands at position {position}; take an empty store")]
    NotEmpty {
        /// The position of one event in the target.
        position: Position,
    },
    /// The target is the copy of another store. Go on with that one, or take an empty target.
    #[error("the target was begun as a copy of store {began}, and the source is {source_store}; take an empty store")]
    OtherSource {
        /// The source that it was begun with.
        began: StoreId,
        /// The source that it was to go on with.
        source_store: StoreId,
    },
    /// The options are not those that the target was begun with, or what is there is not what the chain makes of the source
    /// now. Run it as it was begun, or anew. A chain that has learnt what it did not know goes on.
    #[error(
        "the target was begun with other options, or holds what this chain would not make; run it as it was begun, or \
         begin with an empty store"
    )]
    OtherRules,
    /// The target does not tell the time of the clock that times are kept by. Nothing has been copied with a wrong time: open
    /// the target with that clock, and run again.
    #[error(
        "the target was not opened with the clock of this migration, so that times would not be kept; open it with the \
         `ReplayClock` that `keep_times` is given, and run again"
    )]
    OtherClock,
    /// The target holds an event that does not come of the source: an application writes there already, or hops do not give
    /// the same each time. Take an empty target.
    #[error(
        "the event at position {position} of the target is not what comes of the source; something else writes there, or a hop \
         is not the same each time; take an empty store"
    )]
    Foreign {
        /// The position in the target.
        position: Position,
    },
    /// Others write the target all the time. Let one of them end, and run again.
    #[error("others write the target at the same time; let one migration run alone")]
    Rivals,
    /// The stream `$migration` of the target holds something else.
    #[error("event {revision} of $migration in the target is no record of a migration: {reason}; take an empty store")]
    NoRecord {
        /// Its place in the stream.
        revision: Revision,
        /// What is wrong with it.
        reason: String,
    },
    /// An event of the source cannot be copied. Everything before it is, but for what belongs to the same command. Where the
    /// hop that failed is mended, or the chain learns what it did not know, the next run goes on from there; where that
    /// changes what has been copied, the next run is [`OtherRules`](Self::OtherRules), and an empty store is needed. A
    /// [dry run](super::Migration::dry_run) tells of all such events beforehand.
    #[error(
        "event {revision} of {stream} ({event_type} version {version}, at position {position}) cannot be copied: {reason}"
    )]
    Event {
        /// Its stream.
        stream: StreamId,
        /// Its place there.
        revision: Revision,
        /// Its place in the source.
        position: Position,
        /// Its stored type.
        event_type: EventType,
        /// Its stored version.
        version: u32,
        /// What is wrong.
        #[source]
        reason: MigrationReason,
    },
    /// The source could not be read. Run again, after a pause when it is busy.
    #[error("the source: {0}")]
    Source(#[source] ReadError),
    /// The target could not be read. Run again, after a pause when it is busy.
    #[error("the target: {0}")]
    Target(#[source] ReadError),
    /// The target could not be written. Run again, after a pause when it is busy: also an unknown outcome is settled then.
    #[error("the target: {0}")]
    Append(#[source] AppendError),
}

impl MigrationError {
    /// Whether a pause and another run may be all it takes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Source(ReadError::Busy(_))
                | Self::Target(ReadError::Busy(_))
                | Self::Append(AppendError::Busy(_) | AppendError::Unknown(_))
                | Self::Rivals
        )
    }

    pub(super) fn event(recorded: &Recorded, reason: MigrationReason) -> Self {
        Self::Event {
            stream: recorded.stream.clone(),
            revision: recorded.revision,
            position: recorded.position,
            event_type: recorded.event_type.clone(),
            version: recorded.version,
            reason,
        }
    }
}

/// Why an event cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationReason {
    /// A hop failed.
    #[error(transparent)]
    Upcast(#[from] UpcastError),
    /// The chain does not know the type.
    #[error("its type is unknown to the chain; give the migration its history, or have unknown events kept")]
    UnknownType,
    /// Its type is known, and its version is neither current nor one that a hop starts from.
    #[error("the chain knows its type up to version {newest}; update the application, or have unknown events kept")]
    UnknownVersion {
        /// The newest version that the chain knows.
        newest: u32,
    },
    /// What comes of it is larger than the target takes.
    #[error("{what}: {size} is more than the target takes, which is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
}
