//! Where processes begin to receive: recorded before their application is there, so that all that happens after that is
//! received, however long it takes until somebody feeds them.

use super::feeding::place_of;
use super::handlers::SagaHandlers;
use super::steward::end_of;
use crate::drivers::backoff::Backoff;
use crate::ports::{AppendError, EventStore, IdSource, ReadError, Sleep, Source};
use crate::values::{Append, Checkpoint, Move, Name, Token};
use alloc::collections::BTreeMap;

/// How often a busy store is asked again.
const PAUSES: u32 = 40;

/// Records the end of the log as the place where each process begins that has none yet and does not receive history.
/// Whoever comes second finds it recorded.
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
    let mut processes: BTreeMap<&Name, bool> = BTreeMap::new();
    for handler in handlers.processes() {
        *processes.entry(handler.name()).or_default() |= handler.receives_history();
    }
    for (name, _) in processes.into_iter().filter(|(_, receives_history)| !receives_history) {
        let mut pauses = Backoff::new(ids, sleep, PAUSES);
        while let Err(failed) = begin(name, events).await {
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

async fn begin(name: &Name, events: &dyn EventStore) -> Result<(), Failed> {
    let place = place_of(name);
    let state = events.checkpoint(place.clone()).await?;
    if state.token != Token(0) || state.position.is_some() {
        return Ok(());
    }
    // A position is set under no token, so that it is refused once somebody has claimed the beginning of an empty log; and
    // that is refused once a position is set.
    let (token, to) = match end_of(events).await? {
        Some(end) => (Token(0), Move::At(end)),
        None => (Token(1), Move::Claim),
    };
    match events.append(Append::new([]).checkpoint(Checkpoint::new(place, state, token, to))).await {
        Ok(_) | Err(AppendError::CheckpointMoved { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
