//! Where processes begin to receive: recorded before their application is there, so that all that happens after that is
//! received, however long it takes until somebody feeds them.

use super::handlers::SagaHandlers;
use super::places::{deployed, furthest, is_set, place};
use super::steward::end_of;
use crate::drivers::backoff::Backoff;
use crate::ports::{AppendError, EventStore, IdSource, ReadError, Sleep, Source};
use crate::values::{Append, Checkpoint, Move, Name, Token};
use alloc::collections::BTreeMap;

/// How often a busy store is asked again.
const PAUSES: u32 = 40;

/// Records where the processes begin that have no place yet, for the newest version of each: where those of other versions
/// are, so that nothing falls between one deployment and the next; where there are none, at the end of the log, or at its
/// beginning if they receive history. Whoever comes second finds it recorded.
///
/// # Errors
///
/// Of which process it cannot be recorded, and why. Those before it may have been.
pub(crate) async fn record_beginnings(
    handlers: &SagaHandlers,
    events: &dyn EventStore,
    ids: &dyn IdSource,
    sleep: &dyn Sleep,
) -> Result<(), (Name, Source)> {
    let mut processes: BTreeMap<&Name, (u32, bool)> = BTreeMap::new();
    for handler in handlers.processes() {
        let (version, receives_history) = processes.entry(handler.name()).or_default();
        *version = handler.version().max(*version);
        *receives_history |= handler.receives_history();
    }
    for (name, (version, receives_history)) in processes {
        let mut pauses = Backoff::new(ids, sleep, PAUSES);
        while let Err(failed) = begin(name, version, receives_history, events, ids).await {
            if !failed.may_pass || !pauses.pause().await {
                return Err((name.clone(), failed.why));
            }
        }
    }
    Ok(())
}

struct Failed {
    may_pass: bool,
    why: Source,
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self { may_pass: matches!(error, ReadError::Busy(_)), why: Source::new(error) }
    }
}

impl From<AppendError> for Failed {
    fn from(error: AppendError) -> Self {
        // Whether an unknown one was written shows in the checkpoint.
        Self { may_pass: matches!(error, AppendError::Busy(_) | AppendError::Unknown(_)), why: Source::new(error) }
    }
}

async fn begin(
    name: &Name,
    version: u32,
    receives_history: bool,
    events: &dyn EventStore,
    ids: &dyn IdSource,
) -> Result<(), Failed> {
    let place = place(name, version);
    let state = events.checkpoint(place.clone()).await?;
    if is_set(&state) {
        return Ok(());
    }
    let from = match furthest(events, name).await? {
        Some(of_others) => of_others,
        None if receives_history => None,
        None => end_of(events).await?,
    };
    // A position is set under no token, so that it is refused once somebody has claimed the beginning of an empty log; and
    // that is refused once a position is set.
    let (token, to) = match from {
        Some(from) => (Token(0), Move::At(from)),
        None => (Token(1), Move::Claim),
    };
    let append = Append::new([deployed(ids, name, version)]);
    match events.append(append.checkpoint(Checkpoint::new(place, state, token, to))).await {
        Ok(_) | Err(AppendError::CheckpointMoved { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
