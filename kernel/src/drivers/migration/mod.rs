//! Migrations: a copy of a log, through the chain of upcasters, into another store.

mod batch;
mod chain;
mod clock;
mod copying;
mod errors;
mod keys;
mod reader;
mod record;
mod report;
mod standing;

pub use clock::ReplayClock;
pub use errors::{MigrationError, MigrationReason};
pub use report::{MigrationFailure, MigrationOutcome, MigrationReport, MigrationVersion};

use crate::domain::Upcasters;
use crate::ports::EventStore;
use crate::values::{Name, Position};
use alloc::sync::Arc;
use alloc::vec::Vec;
use chain::Chain;
use core::fmt;

/// A copy of a store's log into another store, in which every event has become what it is read as now. For when old
/// events themselves have to go: a type that is retired is gone from the copy, and old versions need no code any more.
///
/// With [`Upcasters::new`], which know nothing, it is a move from one backend to another: every event is copied as it is.
/// Source and target are any two stores that have guards, in any pair.
///
/// ```
/// # use portolan_kernel::{domain::Upcasters, drivers::{Migration, MigrationError}, ports::EventStore};
/// # use std::sync::Arc;
/// # async fn example(old: Arc<dyn EventStore>, new: Arc<dyn EventStore>, upcasters: Arc<Upcasters>) -> Result<(), MigrationError> {
/// let migration = Migration::new(old, new, upcasters);
/// let report = migration.dry_run().await?;
/// assert_eq!(report.failed, 0, "{report}");
/// let copied = migration.run(|progress| { let _ = (progress.read, progress.written); }).await?;
/// assert_eq!(migration.verify().await?.missing, 0);
/// # let _ = copied; Ok(()) }
/// ```
///
/// # Laws
///
/// - **MG-01** Order. What is copied stands in the order of what it comes of, the results of a split in theirs. A
///   retired event leaves no gap in the revisions of its stream, and a stream that loses every event is missing.
/// - **MG-02** Content. An event becomes what the chain makes of it. Its stream, metadata and tags stay, and what no hop
///   changes is kept byte for byte. Every result of a split has the tags and metadata of the event.
/// - **MG-03** Ids. The last result has the event's id; those before it have ids that derive from the event's id, its
///   position and their place among the results, so that they are the same each time.
/// - **MG-04** Exactly once. Wherever a run ends, killed or by an error, also where the outcome of an append is unknown, the
///   next goes on without a loss or a repetition. Results of one split are never in two appends.
/// - **MG-05** Alone. Every append is guarded: it is refused when the target holds an event after what this migration wrote
///   last. A target that is not empty at the start, that began from another source or with other options, or that holds
///   events that do not come of the source, is refused. Under another chain than before, all of the target is compared, and
///   it goes on where this chain would have made the same. Rivals with the same source and rules do no harm: each goes on from
///   what the other has written, and one that is overtaken all the time ends as [`Rivals`](MigrationError::Rivals).
/// - **MG-06** Nothing is left out. An event that a hop fails on, that the chain does not know, or that is too large for the
///   target, stops the run; the error names it, everything before it is copied, and nothing of it, nor of a command that it
///   belongs to and whose key is kept.
/// - **MG-07** A dry run writes nothing, and foretells what a run does.
/// - **MG-08** The source is only read, up to its frontier at the start of the run. The next run copies what has come since.
/// - **MG-09** Times. With [`keep_times`](Self::keep_times) an event has the time of the source; else the time of the copy.
/// - **MG-10** Keys. With [`keep_keys`](Self::keep_keys) a command that is repeated under its id finds its receipt, with the
///   positions and revisions of the target.
/// - **MG-11** Half a copy says so: [`is_unfinished`](Self::is_unfinished) from its first event on until a run has come to its
///   end, and again while a later run writes.
///
/// # What is copied
///
/// The events of all streams; those of system streams, as they are, only [with](Self::with_system_streams) them. The
/// stream `$schemas` tells of the versions in a log: leave it out where a chain makes them current, and take it along to
/// another backend. Snapshots, rows, leases and checkpoints are not copied: positions and revisions change, and all of them are
/// made anew from the log.
///
/// A store tells neither the keys of its appends nor where one append ends. What is known of both is what
/// [`keep_keys`](Self::keep_keys) finds out. Without it, or for keys of raw appends and of commands that made no event,
/// **a repetition after the move is carried out again**: let callers finish before, or keep keys.
///
/// The target keeps a record of the migration in its stream `$migration`: from where, under which rules, how far.
///
/// # Cut-over
///
/// 1. [`dry_run`](Self::dry_run), while the application goes on.
/// 2. [`run`](Self::run), while it goes on; as often as it takes until a run is short.
/// 3. Stop the application on the source, and whoever else writes there.
/// 4. Run once more, then [`verify`](Self::verify): nothing is missing.
/// 5. Start the application on the target, unless the copy [is unfinished](Self::is_unfinished): an application on half a
///    copy answers as if the rest had never happened. From its first event on, a further run is refused.
///
/// Whoever kept positions of the source outside of it, such as subscribers, begins anew.
///
/// So does every projection of the target, from its first event, and there is no edition before it that has had effects:
/// [`View::is_replaying`](crate::drivers::View::is_replaying) is false, and **a view that has effects elsewhere carries them
/// out again for the whole history**. To avoid that, start the target first with the effects left out in the code of such a
/// view; once it has caught up, raise its version and put them in again. The new version then replays what the one before
/// has applied, and its effects begin after that. Or let whoever is called know each effect by the id of its event, which
/// the last result keeps; a position does not stay.
pub struct Migration {
    from: Arc<dyn EventStore>,
    to: Arc<dyn EventStore>,
    chain: Chain,
    batch: u32,
    times: Option<Arc<ReplayClock>>,
    commands: Vec<Name>,
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("from", &self.from.capabilities().identity)
            .field("to", &self.to.capabilities().identity)
            .finish_non_exhaustive()
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// Events of the source so far, those of earlier runs included.
    pub read: u64,
    /// Events in the target so far, likewise.
    pub written: u64,
    /// Up to where the source is copied; `None` at its beginning.
    pub position: Option<Position>,
    /// Up to where this run goes; `None` when the source is empty.
    pub frontier: Option<Position>,
}

/// What a comparison of source and target has found, when they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationVerified {
    /// Events of the target that are what comes of the source.
    pub events: u64,
    /// Events that are yet to be copied.
    pub missing: u64,
}

/// Events of an append unless said otherwise.
const BATCH: u32 = 1_000;

impl Migration {
    /// A migration between these stores, through this chain.
    #[must_use]
    pub fn new(from: Arc<dyn EventStore>, to: Arc<dyn EventStore>, upcasters: Arc<Upcasters>) -> Self {
        Self { from, to, chain: Chain::new(upcasters), batch: BATCH, times: None, commands: Vec::new() }
    }

    /// The same, with the events of system streams, as they are, but for a `$migration` of the source.
    #[must_use]
    pub fn with_system_streams(mut self) -> Self {
        self.chain.system = true;
        self
    }

    /// The same; events of types that the chain does not know, and of versions past the current, are copied as they are.
    #[must_use]
    pub fn keep_unknown(mut self) -> Self {
        self.chain.keep_unknown = true;
        self
    }

    /// The same; events keep the times that the source recorded. The target has to be opened with this very clock, and for
    /// nothing else; before the first append of a run, a record shows whether it is. Each append then holds events of one time alone, so that there are about as many as there were in the
    /// source; a target that syncs each of them is slow, and may be opened with less durability, since what is lost of a copy
    /// is copied by the next run. Such a target is to be closed before it is relied upon.
    #[must_use]
    pub fn keep_times(self, clock: Arc<ReplayClock>) -> Self {
        Self { times: Some(clock), ..self }
    }

    /// The same; the ids of these commands (as [`CommandBus::commands`](crate::ports::CommandBus::commands) lists them) are
    /// taken along, with their events in an append each. A command's name is told by the ids of its events, which derive from
    /// it; keys that have expired in the source are left out. Where events are retired, a receipt tells of as many as are
    /// left.
    #[must_use]
    pub fn keep_keys(self, commands: impl IntoIterator<Item = Name>) -> Self {
        let mut commands: Vec<_> = commands.into_iter().collect();
        commands.sort_unstable();
        commands.dedup();
        Self { commands, ..self }
    }

    /// The same, with at most this many events an append, and no more than the target takes. Unless said otherwise, 1,000.
    #[must_use]
    pub fn batch(self, events: u32) -> Self {
        Self { batch: events.max(1), ..self }
    }
}
