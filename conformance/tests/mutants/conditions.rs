//! Wrong in what an append is judged by: expectations, guards, keys, checkpoints.

use super::store::{Mutant, State};
use portolan_conformance::Judgment;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{
    Append, Appended, Expected, Guard, Item, Move, Name, Position, Query, Revision, Timestamp, Token,
};
use std::collections::BTreeSet;

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

/// Judges and writes an append whose expectations were changed before, and answers as if they had not been.
fn expecting(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&State, &mut Append)) -> Outcome {
    let mut judged = append.clone();
    change(state, &mut judged);
    match state.judge(&judged, now)? {
        Judgment::Repeat(done) => Ok(done),
        Judgment::Write => Ok(state.model.write(append, now)),
    }
}

/// The same with a changed guard.
fn guarding(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&State, &mut Guard)) -> Outcome {
    expecting(state, append, now, |state, append| {
        if let Some(guard) = &mut append.guard {
            change(state, guard);
        }
    })
}

/// The same with every item of the guard's query changed.
fn items(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut Item)) -> Outcome {
    guarding(state, append, now, |_, guard| guard.none_of.any_of.iter_mut().for_each(&change))
}

/// After an append that was refused, and not for its form.
fn after_refusal(state: &mut State, append: &Append, now: Timestamp, then: impl Fn(&mut State)) -> Outcome {
    let done = state.model.append(append, now);
    use AppendError::{CheckpointMoved, Conflict, GuardFailed};
    if let Err(Conflict { .. } | GuardFailed { .. } | CheckpointMoved { .. }) = done {
        then(state);
    }
    done
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub const MUTANTS: &[Mutant] = &[
    // Expectations.
    wrong("expectations of streams not written are not asked", &["ES-05", "ES-10", "ES-model"]).append(
        |state, append, now| {
            expecting(state, append, now, |_, append| {
                let written: BTreeSet<_> = append.events.iter().map(|event| event.stream.clone()).collect();
                append.expect.retain(|(stream, _)| written.contains(stream));
            })
        },
    ),
    wrong("only the first expectation is asked", &["ES-05", "ES-06", "ES-model"])
        .append(|state, append, now| expecting(state, append, now, |_, append| append.expect.truncate(1))),
    wrong("StreamExists is any", &["ES-04", "ES-05", "ES-06", "ES-10", "ES-model"]).append(|state, append, now| {
        expecting(state, append, now, |_, append| {
            append.expect.retain(|(_, expected)| *expected != Expected::StreamExists)
        })
    }),
    wrong(
        "NoStream is any",
        &[
            "ES-01", "ES-03", "ES-04", "ES-05", "ES-06", "ES-07", "ES-09", "ES-10", "ES-11", "ES-13", "ES-17",
            "ES-model",
        ],
    )
    .append(|state, append, now| {
        expecting(state, append, now, |_, append| append.expect.retain(|(_, expected)| *expected != Expected::NoStream))
    }),
    wrong("Exact(0) is also no stream", &["ES-05", "ES-model"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            for (stream, expected) in &mut append.expect {
                if *expected == Expected::Exact(Revision::FIRST) && state.last(stream).is_none() {
                    *expected = Expected::NoStream;
                }
            }
        })
    }),
    wrong(
        "NoStream is also a stream of one event",
        &["ES-04", "ES-05", "ES-07", "ES-09", "ES-11", "ES-13", "ES-model"],
    )
    .append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            for (stream, expected) in &mut append.expect {
                if *expected == Expected::NoStream && state.last(stream) == Some(Revision::FIRST) {
                    *expected = Expected::StreamExists;
                }
            }
        })
    }),
    wrong("Exact(n) is n or more", &["ES-05", "ES-06", "ES-07"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            for (stream, expected) in &mut append.expect {
                if let Expected::Exact(revision) = *expected
                    && state.last(stream) >= Some(revision)
                {
                    *expected = Expected::StreamExists;
                }
            }
        })
    }),
    wrong("Exact counts events", &["ES-05", "ES-06", "ES-07", "ES-10", "ES-11", "ES-model"]).append(
        |state, append, now| {
            expecting(state, append, now, |_, append| {
                for (_, expected) in &mut append.expect {
                    *expected = match *expected {
                        Expected::Exact(n) if n == Revision::FIRST => Expected::NoStream,
                        Expected::Exact(n) => Expected::Exact(Revision::new(n.get() - 1)),
                        other => other,
                    };
                }
            })
        },
    ),
    wrong("a conflict does not tell the revision", &["ES-05", "ES-06", "ES-07", "ES-model"]).append(
        |state, append, now| {
            state.model.append(append, now).map_err(|error| match error {
                AppendError::Conflict { stream, expected, .. } => {
                    AppendError::Conflict { stream, expected, actual: None }
                }
                error => error,
            })
        },
    ),
    wrong("a conflict names the first stream", &["ES-05", "ES-06", "ES-model"]).append(|state, append, now| {
        let first = append.events.first().map(|event| event.stream.clone());
        state.model.append(append, now).map_err(|error| match error {
            AppendError::Conflict { stream, expected, actual } => {
                AppendError::Conflict { stream: first.clone().unwrap_or(stream), expected, actual }
            }
            error => error,
        })
    }),
    wrong("of two expectations of a stream the last is asked", &["ES-05", "ES-06", "ES-model"]).append(
        |state, append, now| {
            let mut append = append.clone();
            let mut seen = BTreeSet::new();
            append.expect.reverse();
            append.expect.retain(|(stream, _)| seen.insert(stream.clone()));
            append.expect.reverse();
            state.model.append(&append, now)
        },
    ),
    wrong("streams before the one in conflict are written", &["ES-05", "ES-06", "ES-07", "ES-model"]).append(
        |state, append, now| {
            let done = state.model.append(append, now);
            if let Err(AppendError::Conflict { stream, .. }) = &done {
                let mut part = Append::new(append.events.iter().take_while(|event| event.stream != *stream).cloned());
                part.events.retain(|event| event.stream != *stream);
                state.model.write(&part, now);
            }
            done
        },
    ),
    // What a refusal leaves, and the order of judgment.
    wrong("a refused append takes its key", &["ES-06", "ES-09", "ES-model"]).append(|state, append, now| {
        let key = append.key.clone();
        after_refusal(state, append, now, |state| {
            if let Some(key) = &key {
                state.model.write(&Append::default().key(key.clone()), now);
            }
        })
    }),
    wrong("a refused append moves its checkpoint", &["ES-06", "ES-13", "ES-model"]).append(|state, append, now| {
        let checkpoint = append.checkpoint.clone();
        after_refusal(state, append, now, |state| {
            if let Some(checkpoint) = &checkpoint {
                state.model.write(&Append::default().checkpoint(checkpoint.clone()), now);
            }
        })
    }),
    wrong(
        "a refused append leaves its first event",
        &["ES-01", "ES-04", "ES-05", "ES-06", "ES-07", "ES-08", "ES-11", "ES-13", "ES-17", "ES-model"],
    )
    .append(|state, append, now| {
        let first = Append::new(append.events.first().cloned());
        after_refusal(state, append, now, |state| {
            state.model.write(&first, now);
        })
    }),
    wrong("the guard is judged before the expectations", &["ES-06", "ES-model"]).append(|state, append, now| {
        state.capabilities.check(append)?;
        if let (Some(guard), None) = (&append.guard, &append.key) {
            state.judge_guard(guard)?;
        }
        if let (Some(guard), Some(key)) = (&append.guard, &append.key)
            && state.judge_key(key, now)?.is_none()
        {
            state.judge_guard(guard)?;
        }
        state.model.append(append, now)
    }),
    wrong("the key is judged after the expectations", &["ES-06", "ES-09", "ES-10", "ES-model"]).append(
        |state, append, now| {
            state.capabilities.check(append)?;
            state.judge_expectations(append)?;
            state.model.append(append, now)
        },
    ),
    wrong("the key is judged last", &["ES-06", "ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let mut keyless = append.clone();
        keyless.key = None;
        state.judge(&keyless, now)?;
        state.model.append(append, now)
    }),
    wrong("the checkpoint is judged before the expectations", &["ES-06", "ES-model"]).append(|state, append, now| {
        state.capabilities.check(append)?;
        let repeated = append.key.as_ref().map_or(Ok(None), |key| state.judge_key(key, now))?.is_some();
        if let (Some(checkpoint), false) = (&append.checkpoint, repeated) {
            state.judge_checkpoint(checkpoint)?;
        }
        state.model.append(append, now)
    }),
    // Guards.
    wrong("guards are not asked", &["ES-06", "ES-08", "ES-10", "ES-13", "ES-model"])
        .append(|state, append, now| expecting(state, append, now, |_, append| append.guard = None)),
    wrong("a guard includes its position", &["ES-08", "ES-10", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            let before = |position: Position| Position::new(position.get() - 1);
            if guard.after <= state.frontier() {
                guard.after = guard.after.and_then(before);
            }
        })
    }),
    wrong("a guard ignores its position", &["ES-08", "ES-10", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            if guard.after <= state.frontier() {
                guard.after = None;
            }
        })
    }),
    wrong("a guard skips one more", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            if guard.after < state.frontier() {
                guard.after = guard.after.and_then(|after| Position::new(after.get() + 1));
            }
        })
    }),
    wrong("a guard's tags are ORed", &["ES-08"]).append(|state, append, now| {
        guarding(state, append, now, |_, guard| {
            let items = std::mem::take(&mut guard.none_of.any_of);
            for item in items {
                let tags = item.tags.clone();
                if tags.is_empty() {
                    guard.none_of.any_of.push(item.clone());
                }
                for tag in tags {
                    let mut one = item.clone();
                    one.tags = vec![tag];
                    guard.none_of.any_of.push(one);
                }
            }
        })
    }),
    wrong("a guard asks its first tag alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.tags.truncate(1))),
    wrong("a guard asks its first item alone", &["ES-08", "ES-model"])
        .append(|state, append, now| guarding(state, append, now, |_, guard| guard.none_of.any_of.truncate(1))),
    wrong("a guard asks its first stream alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.streams.truncate(1))),
    wrong("a guard asks its first type alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.types.truncate(1))),
    wrong("a guard asks its first category alone", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.categories.truncate(1))),
    wrong("a guard's items are ANDed", &["ES-08", "ES-model"]).append(|state, append, now| {
        if let (Some(guard), Ok(Judgment::Repeat(_))) = (&append.guard, state.judge(append, now)) {
            let _ = guard;
            return state.model.append(append, now);
        }
        let all = |guard: &Guard| {
            let one = |item: &Item| guard_query(item, guard.none_of.system);
            state.events.iter().any(|event| {
                Some(event.position) > guard.after && guard.none_of.any_of.iter().all(|item| one(item).matches(event))
            })
        };
        let passes = append.guard.as_ref().is_some_and(|guard| guard.none_of.any_of.len() > 1 && !all(guard));
        expecting(state, append, now, |_, append| {
            if passes {
                append.guard = None;
            }
        })
    }),
    wrong("a guard's streams are ignored", &["ES-08", "ES-model"])
        .append(|state, append, now| items(state, append, now, |item| item.streams.clear())),
    wrong("a guard's types are ignored", &["ES-08"])
        .append(|state, append, now| items(state, append, now, |item| item.types.clear())),
    wrong("a guard's tags are ignored", &["ES-06", "ES-08", "ES-model"])
        .append(|state, append, now| items(state, append, now, |item| item.tags.clear())),
    wrong("a guard's categories are prefixes", &["ES-08"]).append(|state, append, now| {
        let categories: Vec<String> = state.events.iter().map(|event| event.stream.category().to_string()).collect();
        items(state, append, now, |item| {
            for wanted in item.categories.clone() {
                item.categories
                    .extend(categories.iter().filter(|known| known.starts_with(&*wanted)).map(|known| name(known)));
            }
        })
    }),
    wrong("a guard sees system streams unasked", &["ES-08"])
        .append(|state, append, now| guarding(state, append, now, |_, guard| guard.none_of.system = true)),
    wrong("a guard never sees system streams", &["ES-08"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            let Some(guard) = &append.guard else { return };
            let seen = state.events.iter().any(|event| {
                Some(event.position) > guard.after && !event.stream.is_system() && guard.none_of.matches(event)
            });
            if !seen && guard.after <= state.frontier() {
                append.guard = None;
            }
        })
    }),
    wrong("a guard sees the append's own events", &["ES-08", "ES-09", "ES-model"]).append(|state, append, now| {
        if let (Ok(Judgment::Write), Some(guard)) = (state.judge(append, now), &append.guard)
            && append.events.iter().any(|event| guard.none_of.matches(event))
        {
            return Err(AppendError::GuardFailed { position: Position::new(state.next_position).unwrap() });
        }
        state.model.append(append, now)
    }),
    wrong("a guard past the frontier holds", &["ES-08", "ES-model"]).append(|state, append, now| {
        guarding(state, append, now, |state, guard| guard.after = guard.after.min(state.frontier()))
    }),
    wrong("a failed guard names no such event", &["ES-06", "ES-08", "ES-model"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::GuardFailed { .. } => AppendError::GuardFailed { position: Position::new(0).unwrap() },
            error => error,
        })
    }),
    Mutant {
        reopen: |state| state.count = state.events.len() as u64,
        ..wrong("a guard sees this life alone", &["ES-08", "ES-model"])
    }
    .append(|state, append, now| {
        guarding(state, append, now, |state, guard| {
            let before = (state.count as usize).checked_sub(1).and_then(|last| Some(state.events.get(last)?.position));
            if guard.after <= state.frontier() {
                guard.after = guard.after.max(before);
            }
        })
    }),
    // Keys.
    wrong("keys are not kept", &["ES-06", "ES-09", "ES-10", "ES-12", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        state.keys.clear();
        done
    }),
    wrong("keys have no scope", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key {
            key.scope = name("scope");
        }
        state.model.append(&append, now)
    }),
    wrong("scope and id run into one", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key
            && key.scope != "scope"
            && key.scope.len() + key.id.len() <= 512
        {
            (key.id, key.scope) = (name(&format!("{}{}", key.scope, key.id)), name("scope"));
        }
        state.model.append(&append, now)
    }),
    wrong("the note is lost on repetition", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        Ok(if done.repeated { done.with_note(Default::default()) } else { done })
    }),
    wrong("the note is the repetition's", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        let note = append.key.as_ref().map(|key| key.note.clone()).unwrap_or_default();
        Ok(if done.repeated { done.with_note(note) } else { done })
    }),
    wrong("the digest is not asked", &["ES-06", "ES-09", "ES-model"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key {
            let known = state.recall(&key.scope, &key.id, now);
            key.digest = known.map_or(key.digest, |known| known.digest);
        }
        state.model.append(&append, now)
    }),
    wrong("half of the digest is asked", &["ES-09"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(key) = &mut append.key
            && let Some(known) = state.recall(&key.scope, &key.id, now)
            && known.digest[..16] == key.digest[..16]
        {
            key.digest = known.digest;
        }
        state.model.append(&append, now)
    }),
    wrong("a reused key is a repetition that failed", &["ES-06", "ES-09", "ES-model"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::KeyReused { .. } => AppendError::Invalid("the key is taken".into()),
            error => error,
        })
    }),
    wrong("a repetition does not say so", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let mut done = state.model.append(append, now)?;
        done.repeated = false;
        Ok(done)
    }),
    wrong("a repetition tells the revisions of today", &["ES-09", "ES-10", "ES-model"]).append(|state, append, now| {
        let mut done = state.model.append(append, now)?;
        done.streams.iter_mut().for_each(|(stream, last)| *last = state.last(stream));
        Ok(done)
    }),
    wrong("a repetition writes again", &["ES-09", "ES-12", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if done.repeated {
            state.model.write(&Append::new(append.events.clone()), now);
        }
        Ok(done)
    }),
    wrong("a repetition moves the checkpoint", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let (true, Some(checkpoint)) = (done.repeated, &append.checkpoint) {
            state.model.write(&Append::default().checkpoint(checkpoint.clone()), now);
        }
        Ok(done)
    }),
    wrong("keys expire a moment late", &["ES-09"]).append(|state, append, now| {
        state.model.append(
            append,
            Timestamp::from_micros(now.as_micros() - u64::from(append.key.is_some() && recorded(state, append))),
        )
    }),
    wrong("keys expire a moment early", &["ES-09"]).append(|state, append, now| {
        state.model.append(
            append,
            Timestamp::from_micros(now.as_micros() + u64::from(append.key.is_some() && recorded(state, append))),
        )
    }),
    Mutant {
        recall: |state, scope, id, _| Some(state.keys.get(&(scope.clone(), id.clone()))?.recalled.clone()),
        ..wrong("recall tells of expired keys", &["ES-09"])
    },
    Mutant { recall: |_, _, _, _| None, ..wrong("recall tells nothing", &["ES-09", "ES-10", "ES-model"]) },
    Mutant {
        recall: |state, scope, id, now| {
            let mut recalled = state.recall(scope, id, now)?;
            recalled.appended.repeated = false;
            Some(recalled)
        },
        ..wrong("recall does not say repeated", &["ES-09", "ES-10", "ES-model"])
    },
    Mutant {
        recall: |state, _, id, now| {
            let scope = state.keys.keys().find(|(_, known)| known == id)?.0.clone();
            state.recall(&scope, id, now)
        },
        ..wrong("recall asks no scope", &["ES-09"])
    },
    wrong("a repetition renews its key", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let (true, Some(key)) = (done.repeated, &append.key) {
            state.keys.get_mut(&(key.scope.clone(), key.id.clone())).unwrap().at = now;
        }
        Ok(done)
    }),
    Mutant { reopen: |state| state.keys.clear(), ..wrong("keys are forgotten with the life", &["ES-09", "ES-model"]) },
    // Checkpoints.
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
    wrong("checkpoint names are in lower case", &["ES-13", "ES-model"]).append(|state, append, now| {
        let done = state.model.append(append, now)?;
        if let Some(checkpoint) = &append.checkpoint {
            let stands = state.checkpoints[&checkpoint.name];
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
];

fn guard_query(item: &Item, system: bool) -> Query {
    let query = Query::of(item.clone());
    if system { query.with_system() } else { query }
}

/// Whether the append's key is known, expired or not.
fn recorded(state: &State, append: &Append) -> bool {
    append.key.as_ref().is_some_and(|key| state.keys.contains_key(&(key.scope.clone(), key.id.clone())))
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
