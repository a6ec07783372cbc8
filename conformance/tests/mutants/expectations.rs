//! Wrong in what is expected of streams, in what a refusal leaves, and in the order of judgment.

use super::store::{Mutant, State};
use portolan_conformance::Judgment;
use portolan_kernel::ports::AppendError;
use portolan_kernel::values::{Append, Appended, Expected, Revision, Timestamp};
use std::collections::BTreeSet;

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

/// Judges and writes an append whose expectations were changed before, and answers as if they had not been.
pub fn expecting(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&State, &mut Append)) -> Outcome {
    let mut judged = append.clone();
    change(state, &mut judged);
    match state.judge(&judged, now)? {
        Judgment::Repeat(done) => Ok(done),
        Judgment::Write => Ok(state.model.write(append, now)),
    }
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

pub const MUTANTS: &[Mutant] = &[
    wrong("expectations of streams not written are not asked", &["ES-05", "ES-07", "ES-10", "ES-14", "ES-model"])
        .append(|state, append, now| {
            expecting(state, append, now, |_, append| {
                let written: BTreeSet<_> = append.events.iter().map(|event| event.stream.clone()).collect();
                append.expect.retain(|(stream, _)| written.contains(stream));
            })
        }),
    wrong("only the first expectation is asked", &["ES-05", "ES-06", "ES-14", "ES-model"])
        .append(|state, append, now| expecting(state, append, now, |_, append| append.expect.truncate(1))),
    wrong("StreamExists is any", &["ES-04", "ES-05", "ES-06", "ES-10", "ES-model"]).append(|state, append, now| {
        expecting(state, append, now, |_, append| {
            append.expect.retain(|(_, expected)| *expected != Expected::StreamExists)
        })
    }),
    wrong(
        "NoStream is any",
        &[
            "ES-01", "ES-03", "ES-04", "ES-05", "ES-06", "ES-07", "ES-09", "ES-10", "ES-11", "ES-13", "ES-14", "ES-17",
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
    wrong("a refused append takes its key", &["ES-06", "ES-08", "ES-09", "ES-13", "ES-model"]).append(
        |state, append, now| {
            let key = append.key.clone();
            after_refusal(state, append, now, |state| {
                if let Some(key) = &key {
                    state.model.write(&Append::default().key(key.clone()), now);
                }
            })
        },
    ),
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
    wrong("a stream is missing once 200 others were written", &["ES-05", "ES-14"]).append(|state, append, now| {
        expecting(state, append, now, |state, append| {
            append.expect.retain(|(stream, expected)| {
                let since: BTreeSet<_> =
                    state.events.iter().rev().map(|event| &event.stream).take_while(|other| *other != stream).collect();
                since.len() < 200 || !expected.holds(None)
            });
        })
    }),
];
