//! Wrong in checkpoints.

use super::store::{Mutant, State};
use portolan_conformance::Judgment;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Append, Appended, Move, Name, Position, Timestamp, Token};

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Judges and writes an append whose checkpoint was changed before, given where the checkpoint stands.
fn moving(
    state: &mut State,
    append: &Append,
    now: Timestamp,
    change: impl Fn((Option<Position>, Token), &mut portolan_kernel::values::Checkpoint),
) -> Outcome {
    let mut append = append.clone();
    if let Some(checkpoint) = &mut append.checkpoint {
        change(state.checkpoints.get(&checkpoint.name).copied().unwrap_or_default(), checkpoint);
    }
    state.model.append(&append, now)
}

pub const MUTANTS: &[Mutant] = &[
    wrong("tokens are not asked", &["ES-13", "ES-model"]).append(|state, append, now| {
        moving(state, append, now, |(_, token), checkpoint| checkpoint.token = checkpoint.token.max(token))
    }),
    wrong("a claim asks no token", &["ES-13"]).append(|state, append, now| {
        moving(state, append, now, |(_, token), checkpoint| {
            if checkpoint.to == Move::Claim {
                checkpoint.token = checkpoint.token.max(token);
            }
        })
    }),
    wrong("a reset asks no token", &["ES-13", "ES-model"]).append(|state, append, now| {
        moving(state, append, now, |(_, token), checkpoint| {
            if let Move::Reset(_) = checkpoint.to {
                checkpoint.token = checkpoint.token.max(token);
            }
        })
    }),
    wrong("an equal token is superseded", &["ES-13", "ES-model"]).append(|state, append, now| {
        moving(state, append, now, |(_, token), checkpoint| {
            if checkpoint.token == token && token > Token(0) {
                checkpoint.token = Token(0);
            }
        })
    }),
    wrong("from is not asked", &["ES-06", "ES-13", "ES-model"])
        .append(|state, append, now| moving(state, append, now, |(stands, _), checkpoint| checkpoint.from = stands)),
    wrong("a claim asks no from", &["ES-13", "ES-model"]).append(|state, append, now| {
        moving(state, append, now, |(stands, _), checkpoint| {
            if checkpoint.to == Move::Claim {
                checkpoint.from = stands;
            }
        })
    }),
    wrong("a claim moves to the frontier", &["ES-13", "ES-model"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(checkpoint) = &mut append.checkpoint
            && checkpoint.to == Move::Claim
        {
            checkpoint.to = Move::Reset(state.frontier());
        }
        state.model.append(&append, now)
    }),
    wrong("At goes back", &["ES-13"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(checkpoint) = &mut append.checkpoint
            && let Move::At(to) = checkpoint.to
        {
            checkpoint.to = Move::Reset(Some(to));
        }
        state.model.append(&append, now)
    }),
    wrong("At does not stay", &["ES-13"]).append(|state, append, now| {
        if let Some(checkpoint) = &append.checkpoint
            && checkpoint.from.is_some_and(|from| checkpoint.to == Move::At(from))
        {
            return Err(AppendError::Invalid("it stands there".into()));
        }
        state.model.append(append, now)
    }),
    wrong("checkpoints go past the frontier", &["ES-13"]).append(|state, append, now| {
        let mut judged = append.clone();
        if let Some(checkpoint) = &mut judged.checkpoint {
            let frontier = state.frontier();
            checkpoint.to = match checkpoint.to {
                Move::At(to) if Some(to) > frontier => Move::Claim,
                Move::Reset(to) if to > frontier => Move::Reset(frontier),
                to => to,
            };
        }
        match state.judge(&judged, now)? {
            Judgment::Repeat(done) => Ok(done),
            Judgment::Write => Ok(state.model.write(append, now)),
        }
    }),
    wrong("a reset to nothing keeps the position", &["ES-13"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(checkpoint) = &mut append.checkpoint
            && checkpoint.to == Move::Reset(None)
        {
            checkpoint.to = Move::Claim;
        }
        state.model.append(&append, now)
    }),
    wrong("a reset forgets the token", &["ES-10", "ES-13", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let (false, Some(checkpoint)) = (done.repeated, &append.checkpoint)
            && let Move::Reset(_) = checkpoint.to
        {
            state.checkpoints.get_mut(&checkpoint.name).unwrap().1 = Token(0);
        }
        Ok(done)
    }),
    wrong("only a claim raises the token", &["ES-09", "ES-10", "ES-13", "ES-model"]).append(|state, append, now| {
        let before = append.checkpoint.as_ref().map(|checkpoint| state.model.checkpoint(&checkpoint.name).token);
        let done = state.model.append(append, now)?;
        if let (false, Some(checkpoint), Some(token)) = (done.repeated, &append.checkpoint, before)
            && checkpoint.to != Move::Claim
        {
            state.checkpoints.get_mut(&checkpoint.name).unwrap().1 = token;
        }
        Ok(done)
    }),
    wrong("events are written though the checkpoint is refused", &["ES-06", "ES-13", "ES-model"]).append(
        |state, append, now| {
            let done = state.model.append(append, now);
            if let Err(AppendError::CheckpointMoved { .. }) = done {
                state.model.write(&Append::new(append.events.clone()), now);
            }
            done
        },
    ),
    wrong("a refused checkpoint is left out and the events written", &["ES-06", "ES-13", "ES-model"]).append(
        |state, append, now| match state.model.append(append, now) {
            Err(AppendError::CheckpointMoved { .. }) => Ok(state.model.write(&Append::new(append.events.clone()), now)),
            done => done,
        },
    ),
    wrong("checkpoint names are in lower case", &["ES-13"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let Some(checkpoint) = &append.checkpoint
            && let Some(stands) = state.checkpoints.get(&checkpoint.name).copied()
        {
            state.checkpoints.insert(name(&checkpoint.name.to_lowercase()), stands);
        }
        Ok(done)
    }),
    Mutant {
        reopen: |state| state.checkpoints.clear(),
        ..wrong("checkpoints are forgotten with the life", &["ES-13", "ES-model"])
    },
    Mutant {
        reopen: |state| state.model.checkpoints.values_mut().for_each(|stands| stands.1 = Token(0)),
        ..wrong("tokens are forgotten with the life", &["ES-13", "ES-model"])
    },
    wrong("only 50 checkpoints are kept", &["ES-13"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        let moved = append.checkpoint.as_ref().map(|checkpoint| &checkpoint.name);
        let first = state.checkpoints.keys().find(|name| Some(*name) != moved).cloned();
        if state.checkpoints.len() > 50 {
            first.and_then(|first| state.checkpoints.remove(&first));
        }
        done
    }),
];
