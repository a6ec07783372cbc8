//! Writes: what the writer is asked for, what it answers, and how much each weighs.

use crate::leases::LeaseChange;
use crate::own_tables::Work;
use crate::queue::Queue;
use portolan_kernel::ports::{AppendError, Lease, LeaseError, RowError, RowLimits, Snapshot};
use portolan_kernel::values::{
    Append, Appended, Batch, Cell, Change, Checkpoint, Collection, Item, Name, Query, Revision, StreamId,
};

/// A write.
pub(crate) enum Job {
    Append(Append),
    SaveSnapshot(Snapshot),
    DeleteSnapshots { stream: StreamId, kind: Name, below: Option<Revision> },
    Define(Collection),
    CommitRows(Batch, RowLimits),
    RemoveVersion { collection: Name, version: u32, checkpoint: Checkpoint },
    CommitWith(Checkpoint, Work),
    Lease(LeaseChange),
}

/// A write that the file took. What a port's own judgment was stands within.
pub(crate) enum Done {
    Nothing,
    Appended(Appended),
    Rows(Result<(), RowError>),
    Lease(Result<Lease, LeaseError>),
}

/// A write that the file did not take is refused as an append is.
pub(crate) type Answer = Result<Done, AppendError>;
pub(crate) type Jobs = Queue<Job, Answer>;

/// What a write weighs beside its own bytes, and an event beside its own.
const OVERHEAD_BYTES: u64 = 256;

impl Job {
    /// What counts against the bounds of the queue.
    pub(crate) fn bytes(&self) -> u64 {
        OVERHEAD_BYTES
            + match self {
                Self::Append(append) => {
                    let events = append.events.iter().map(|event| event.bytes() + OVERHEAD_BYTES).sum::<u64>();
                    let expected = append.expect.iter().map(|(stream, _)| stream.len() as u64).sum::<u64>();
                    let guarded = append.guard.as_ref().map_or(0, |guard| names_bytes(&guard.none_of));
                    events + expected + guarded + append.key.as_ref().map_or(0, |key| key.note.len() as u64)
                }
                Self::SaveSnapshot(snapshot) => snapshot.state.len() as u64,
                Self::CommitRows(batch, _) => batch.changes.iter().map(change_bytes).sum(),
                Self::DeleteSnapshots { .. }
                | Self::Define(_)
                | Self::RemoveVersion { .. }
                | Self::CommitWith(..)
                | Self::Lease(_) => 0,
            }
    }
}

fn change_bytes(change: &Change) -> u64 {
    OVERHEAD_BYTES + change.cells.iter().flatten().map(Cell::bytes).sum::<u64>()
}

fn names_bytes(query: &Query) -> u64 {
    let of = |item: &Item| {
        let streams = item.streams.iter().map(|name| name.len()).sum::<usize>();
        let categories = item.categories.iter().map(|name| name.len()).sum::<usize>();
        let types = item.types.iter().map(|name| name.len()).sum::<usize>();
        streams + categories + types + item.tags.iter().map(|name| name.len()).sum::<usize>()
    };
    query.any_of.iter().map(of).sum::<usize>() as u64
}
