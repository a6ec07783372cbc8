//! Wrong in what an append writes and answers.

use super::store::{Mutant, State};
use bytes::Bytes;
use portolan_conformance::Judgment;
use portolan_kernel::ports::{AppendError, StoreId};
use portolan_kernel::values::{Append, Appended, EventId, Format, NewEvent, Position, Recorded, Revision, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

/// Appends rightly, then changes what was recorded.
fn recorded_otherwise(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut Recorded)) -> Outcome {
    let before = state.events.len();
    let done = state.model.append(append, now);
    state.events[before..].iter_mut().for_each(|event| change(Arc::make_mut(event)));
    done
}

/// Appends events that were changed before.
fn given_otherwise(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut NewEvent)) -> Outcome {
    let mut append = append.clone();
    append.events.iter_mut().for_each(change);
    state.model.append(&append, now)
}

/// Appends rightly, then changes the answer, also as the key remembers it.
fn answered_otherwise(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut Appended)) -> Outcome {
    let mut done = state.model.append(append, now)?;
    change(&mut done);
    if let Some(key) = &append.key
        && let Some(kept) = state.keys.get_mut(&(key.scope.clone(), key.id.clone()))
    {
        change(&mut kept.recalled.appended);
    }
    Ok(done)
}

fn text(bytes: &Bytes, change: impl Fn(&str) -> String) -> Bytes {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.clone(), |text| change(text).into())
}

fn renamed<T: for<'a> TryFrom<&'a str> + AsRef<str> + Clone>(name: &T, change: impl Fn(&str) -> String) -> T {
    T::try_from(change(name.as_ref()).as_str()).unwrap_or_else(|_| name.clone())
}

pub const MUTANTS: &[Mutant] = &[
    wrong(
        "the first revision is 1",
        &[
            "ES-01", "ES-03", "ES-05", "ES-06", "ES-07", "ES-10", "ES-11", "ES-12", "ES-15", "ES-16", "ES-17",
            "ES-model",
        ],
    )
    .append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| event.revision = event.revision.plus(1))
    }),
    wrong("a refusal uses up a revision", &["ES-01", "ES-05", "ES-07", "ES-17", "ES-model"]).append(
        |state, append, now| {
            let gap = state.count;
            let before = state.events.len();
            let done = state.model.append(append, now);
            state.count += u64::from(matches!(done, Err(AppendError::Conflict { .. })));
            if gap > 0 {
                state.count = 0;
                for event in &mut state.events[before..] {
                    Arc::make_mut(event).revision = event.revision.plus(gap);
                }
            }
            done
        },
    ),
    wrong(
        "positions count in each stream",
        &[
            "ES-01", "ES-02", "ES-03", "ES-04", "ES-06", "ES-08", "ES-09", "ES-12", "ES-13", "ES-14", "ES-15", "ES-16",
            "ES-17", "ES-18", "ES-19", "ES-20", "ES-21", "ES-22", "ES-23", "ES-model",
        ],
    )
    .append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| {
            event.position = Position::new(event.revision.get() + 1).unwrap();
        })
    }),
    wrong("an append is sorted by stream", &["ES-01", "ES-02", "ES-15", "ES-model"]).append(|state, append, now| {
        let mut append = append.clone();
        append.events.sort_by(|one, two| one.stream.cmp(&two.stream));
        state.model.append(&append, now)
    }),
    Mutant {
        reopen: |state| {
            for (event, number) in state.model.events.iter_mut().zip(0..) {
                Arc::make_mut(event).position = Position::new(number).unwrap();
            }
            state.next_position = 1;
        },
        ..wrong("positions begin anew in each life", &["ES-01", "ES-02", "ES-08", "ES-15", "ES-model"])
    },
    Mutant {
        reopen: |state| {
            state.model.events.pop();
        },
        ..wrong("the last event is lost with the life", &["ES-01", "ES-08", "ES-09", "ES-14", "ES-15", "ES-model"])
    },
    wrong("the outcome's first is its last", &["ES-02", "ES-08", "ES-model"])
        .append(|state, append, now| answered_otherwise(state, append, now, |done| done.first = done.last)),
    wrong("the outcome's streams are sorted", &["ES-01", "ES-model"])
        .append(|state, append, now| answered_otherwise(state, append, now, |done| done.streams.sort())),
    wrong("the outcome leaves out streams only expected", &["ES-01", "ES-09", "ES-10", "ES-model"]).append(
        |state, append, now| {
            let written: BTreeSet<_> = append.events.iter().map(|event| event.stream.clone()).collect();
            answered_otherwise(state, append, now, |done| done.streams.retain(|(stream, _)| written.contains(stream)))
        },
    ),
    wrong("the outcome tells the first revision", &["ES-01", "ES-05", "ES-06", "ES-10", "ES-14", "ES-model"]).append(
        |state, append, now| {
            answered_otherwise(state, append, now, |done| {
                done.streams.iter_mut().for_each(|(_, last)| *last = last.map(|_| Revision::FIRST));
            })
        },
    ),
    // Without events.
    wrong("an append without events takes a position", &["ES-10", "ES-model"]).append(|state, append, now| {
        let position = Position::new(state.next_position);
        let empty = append.events.is_empty();
        answered_otherwise(state, append, now, |done| {
            if empty {
                (done.first, done.last) = (position, position);
            }
        })
    }),
    wrong("an append without events is not judged", &["ES-05", "ES-08", "ES-10", "ES-13", "ES-model"]).append(
        |state, append, now| {
            if append.events.is_empty() { Ok(state.model.write(append, now)) } else { state.model.append(append, now) }
        },
    ),
    wrong("an append without events does nothing", &["ES-09", "ES-10", "ES-13", "ES-model"]).append(
        |state, append, now| {
            if append.events.is_empty() && matches!(state.judge(append, now), Ok(Judgment::Write)) {
                return Ok(state.model.clone().write(append, now));
            }
            state.model.append(append, now)
        },
    ),
    wrong(
        "an append without events is invalid",
        &["ES-04", "ES-05", "ES-08", "ES-09", "ES-10", "ES-12", "ES-13", "ES-model"],
    )
    .append(|state, append, now| {
        if append.events.is_empty() {
            Err(AppendError::Invalid("no events".into()))
        } else {
            state.model.append(append, now)
        }
    }),
    // What comes back.
    wrong("JSON is written anew", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            if event.format == Format::Json
                && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&event.payload)
            {
                event.payload = value.to_string().into();
            }
        })
    }),
    wrong("white space around JSON is trimmed", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            if event.format == Format::Json {
                event.payload = text(&event.payload, |text| text.trim().to_string());
            }
        })
    }),
    wrong("an empty payload becomes null", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            if event.payload.is_empty() {
                event.payload = Bytes::from_static(b"null");
            }
        })
    }),
    wrong("payloads are made UTF-8", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.payload = String::from_utf8_lossy(&event.payload).into_owned().into();
        })
    }),
    wrong("payloads are cut at 64 KiB", &["ES-14", "ES-18"])
        .append(|state, append, now| given_otherwise(state, append, now, |event| event.payload.truncate(65_535))),
    wrong("a payload ends at a zero byte", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            let end = event.payload.iter().position(|byte| *byte == 0).unwrap_or(event.payload.len());
            event.payload.truncate(end);
        })
    }),
    wrong("metadata is dropped", &["ES-14"])
        .append(|state, append, now| given_otherwise(state, append, now, |event| event.metadata = Bytes::new())),
    wrong("metadata that is no JSON is dropped", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            if serde_json::from_slice::<serde_json::Value>(&event.metadata).is_err() {
                event.metadata = Bytes::new();
            }
        })
    }),
    wrong(
        "an id of zeros is replaced",
        &["ES-01", "ES-02", "ES-09", "ES-11", "ES-14", "ES-15", "ES-18", "ES-19", "ES-model"],
    )
    .append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            if *event.id.as_bytes() == [0; 16] {
                event.id = EventId::from_bytes([1; 16]);
            }
        })
    }),
    wrong("the version is lost", &["ES-14"])
        .append(|state, append, now| given_otherwise(state, append, now, |event| event.version = 1)),
    wrong("the format is lost", &["ES-14", "ES-18"])
        .append(|state, append, now| given_otherwise(state, append, now, |event| event.format = Format::Json)),
    wrong("tags are sorted", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            let mut tags = event.tags.to_vec();
            tags.sort();
            event.tags = tags.into();
        })
    }),
    wrong("tags that repeat are dropped", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            let mut seen = BTreeSet::new();
            event.tags = event.tags.iter().filter(|tag| seen.insert(*tag)).cloned().collect();
        })
    }),
    wrong("tags are in lower case", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.tags = event.tags.iter().map(|tag| renamed(tag, str::to_lowercase)).collect();
        })
    }),
    wrong("tags are trimmed", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.tags = event.tags.iter().map(|tag| renamed(tag, |tag| tag.trim().to_string())).collect();
        })
    }),
    wrong("types are in lower case", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| event.event_type = renamed(&event.event_type, str::to_lowercase))
    }),
    wrong("stream names are trimmed", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.stream = renamed(&event.stream, |text| text.trim_end().to_string())
        })
    }),
    wrong("stream names are normalised", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.stream = renamed(&event.stream, |text| text.replace("e\u{301}", "\u{e9}"));
        })
    }),
    wrong("long names are cut", &["ES-14"]).append(|state, append, now| {
        given_otherwise(state, append, now, |event| {
            event.event_type = renamed(&event.event_type, |text| text.chars().take(255).collect());
        })
    }),
    wrong("time stands still at 0", &["ES-14"]).append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| event.recorded_at = Timestamp::default())
    }),
    // Limits.
    wrong("limits are stated and not kept", &["ES-14"]).append(|state, append, now| {
        let stated = state.capabilities.limits;
        let limits = &mut state.capabilities.limits;
        (limits.event_bytes, limits.append_events, limits.event_tags) = (u64::MAX, u32::MAX, u32::MAX);
        (limits.append_bytes, limits.note_bytes, limits.append_streams) = (u64::MAX, u64::MAX, u32::MAX);
        let done = state.model.append(append, now);
        state.capabilities.limits = stated;
        done
    }),
    wrong("the limit itself is too large", &["ES-14"]).append(|state, append, now| {
        let limit = state.capabilities.limits.event_tags;
        if append.events.iter().any(|event| event.tags.len() as u32 >= limit) {
            return Err(AppendError::TooLarge { what: "tags".into(), size: limit.into(), limit: limit.into() });
        }
        state.model.append(append, now)
    }),
    wrong("what is too large is invalid", &["ES-14"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::TooLarge { what, .. } => AppendError::Invalid(what.into()),
            error => error,
        })
    }),
    wrong("what is too large is written up to the limit", &["ES-14"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        if let Err(AppendError::TooLarge { .. }) = done {
            let mut part = append.clone();
            part.events.truncate(1);
            part.events.iter_mut().for_each(|event| event.payload.truncate(1));
            state.model.write(&part, now);
        }
        done
    }),
    wrong(
        "event ids must be unique",
        &[
            "ES-02", "ES-03", "ES-05", "ES-07", "ES-08", "ES-09", "ES-12", "ES-14", "ES-15", "ES-16", "ES-19", "ES-23",
            "ES-model",
        ],
    )
    .append(|state, append, now| {
        let known =
            |event: &NewEvent| state.events.iter().any(|other| other.id == event.id && other.stream == event.stream);
        if append.events.iter().any(known) {
            return Err(AppendError::Invalid("an event with this id is there".into()));
        }
        state.model.append(append, now)
    }),
    wrong(
        "an event with a known id is left out",
        &["ES-03", "ES-05", "ES-07", "ES-08", "ES-09", "ES-14", "ES-19", "ES-23"],
    )
    .append(|state, append, now| {
        let mut append = append.clone();
        append.events.retain(|event| !state.events.iter().any(|other| other.event == *event));
        state.model.append(&append, now)
    }),
    // What a store says of itself.
    Mutant {
        born: |state| state.capabilities.identity = StoreId::from_bytes([7; 16]),
        ..wrong("every store has the same identity", &["ES-27"])
    },
    Mutant {
        reopen: |state| state.capabilities.identity = StoreId::from_bytes(std::array::from_fn(|_| fastrand::u8(..))),
        ..wrong("a new identity in each life", &["ES-27", "ES-model", "capabilities"])
    },
    Mutant {
        capabilities: |state| {
            state
                .capabilities
                .clone()
                .with_hint_latency(std::time::Duration::from_millis(100 + state.events.len() as u64))
        },
        ..wrong("capabilities change", &["capabilities"])
    },
    Mutant {
        born: |state| state.capabilities.limits.append_events = 119,
        ..wrong("its limits are too narrow for the suite", &["ES-08", "ES-13", "ES-14", "ES-17", "capabilities"])
    },
    Mutant {
        capabilities: |state| state.capabilities.clone().lacking(portolan_conformance::Capability::Guard),
        ..wrong("it says that it lacks what it has", &["ES-model", "capabilities"])
    },
    Mutant { copied_handles: true, ..wrong("a second handle sees a copy", &["ES-23"]) },
    wrong("another store's checkpoint is taken", &["ES-06", "ES-27"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(checkpoint) = &mut append.checkpoint {
            checkpoint.store = state.capabilities.identity;
        }
        state.model.append(&append, now)
    }),
    wrong("another store's checkpoint is invalid", &["ES-06", "ES-27"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            AppendError::WrongStore { .. } => AppendError::Invalid("of another store".into()),
            error => error,
        })
    }),
];
