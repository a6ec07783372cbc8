//! Wrong in one corner alone: beside another condition, past a number, in the long and the large.

use super::expectations::expecting;
use super::store::{Inner, Mutant, State};
use portolan_kernel::ports::{AppendError, ReadError};
use portolan_kernel::values::{
    Append, Appended, Direction, Expected, Item, Name, Page, Position, Read, Recorded, Revision, Start, Timestamp,
    Token,
};
use std::sync::Arc;
use std::time::Duration;

type Outcome = Result<Appended, AppendError>;

const fn wrong(name: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant::new(name, breaks)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The same without its guard where something else is asked too.
fn unguarded_beside(state: &mut State, append: &Append, now: Timestamp, beside: fn(&Append) -> bool) -> Outcome {
    expecting(state, append, now, |state, append| {
        let past = append.guard.as_ref().is_some_and(|guard| guard.after > state.frontier());
        if beside(append) && !past {
            append.guard = None;
        }
    })
}

/// Appends under limits of which one is not kept.
fn without_limit(state: &mut State, append: &Append, now: Timestamp, lift: fn(&mut State)) -> Outcome {
    let stated = state.capabilities.limits;
    lift(state);
    let done = state.model.append(append, now);
    state.capabilities.limits = stated;
    done
}

/// Appends rightly, then changes what was recorded.
fn recorded_otherwise(state: &mut State, append: &Append, now: Timestamp, change: impl Fn(&mut Recorded)) -> Outcome {
    let before = state.events.len();
    let done = state.model.append(append, now);
    state.events[before..].iter_mut().for_each(|event| change(Arc::make_mut(event)));
    done
}

/// Reads by a query whose items were changed, and goes on by the one that was asked.
fn asked_otherwise(state: &State, read: &Read, change: impl Fn(&mut Item)) -> Result<Page, ReadError> {
    let mut changed = read.clone();
    if let Start::Log(query, _) = &mut changed.from {
        query.any_of.iter_mut().for_each(change);
    }
    let mut page = state.model.read(&changed)?;
    if let Some(next) = &mut page.next
        && let (Start::Log(next, _), Start::Log(query, _)) = (&mut next.from, &read.from)
    {
        *next = query.clone();
    }
    Ok(page)
}

/// Large appends are written in two halves, and others come between.
async fn in_halves(inner: Arc<Inner>, append: Append) -> Outcome {
    let now = inner.clock.now();
    let (rest, done) = {
        let mut state = inner.state();
        if append.events.len() < 50 || state.judge(&append, now).is_err() || append.key.is_some() {
            return state.model.append(&append, now);
        }
        let rest = Append::new(append.events[40..].to_vec());
        let mut first = append.clone();
        first.events.truncate(40);
        let done = state.model.clone().write(&append, now);
        state.model.write(&first, now);
        (rest, done)
    };
    tokio::time::sleep(Duration::from_micros(500)).await;
    inner.state().model.write(&rest, now);
    Ok(done)
}

pub const MUTANTS: &[Mutant] = &[
    wrong("beside another expectation, one of a stream not written is not asked", &["ES-05", "ES-14", "ES-model"])
        .append(|state, append, now| {
            expecting(state, append, now, |_, append| {
                if append.expect.len() > 1 {
                    let events = append.events.clone();
                    append.expect.retain(|(stream, _)| events.iter().any(|event| event.stream == *stream));
                }
            })
        }),
    wrong("eight expectations are asked", &["ES-05", "ES-14"])
        .append(|state, append, now| expecting(state, append, now, |_, append| append.expect.truncate(8))),
    wrong("Exact is compared by 32 bits", &["ES-05"]).append(|state, append, now| {
        expecting(state, append, now, |_, append| {
            for (_, expected) in &mut append.expect {
                if let Expected::Exact(revision) = expected {
                    *revision = Revision::new(revision.get() & 0xffff_ffff);
                }
            }
        })
    }),
    wrong("nothing is expected of system streams", &["ES-05", "ES-model"]).append(|state, append, now| {
        expecting(state, append, now, |_, append| append.expect.retain(|(stream, _)| !stream.is_system()))
    }),
    wrong("a reused key is renewed", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        if let (Err(AppendError::KeyReused { .. }), Some(key)) = (&done, &append.key) {
            state.keys.get_mut(&(key.scope.clone(), key.id.clone())).unwrap().at = now;
        }
        done
    }),
    wrong("keys are kept by the second", &["ES-09"]).append(|state, append, now| {
        let done = state.model.append(append, now);
        if let (Ok(Appended { repeated: false, .. }), Some(key)) = (&done, &append.key) {
            let second = Timestamp::from_micros(now.as_micros() / 1_000_000 * 1_000_000);
            state.keys.get_mut(&(key.scope.clone(), key.id.clone())).unwrap().at = second;
        }
        done
    }),
    wrong("a guard is not asked beside an expectation", &["ES-08", "ES-model"])
        .append(|state, append, now| unguarded_beside(state, append, now, |append| !append.expect.is_empty())),
    wrong("a guard is not asked beside a key", &["ES-06", "ES-08", "ES-model"])
        .append(|state, append, now| unguarded_beside(state, append, now, |append| append.key.is_some())),
    wrong("a guard is not asked beside a checkpoint", &["ES-06", "ES-08", "ES-13", "ES-model"])
        .append(|state, append, now| unguarded_beside(state, append, now, |append| append.checkpoint.is_some())),
    wrong("a guard is not asked of an append of several streams", &["ES-06", "ES-08", "ES-model"]).append(
        |state, append, now| {
            unguarded_beside(state, append, now, |append| {
                append.events.iter().any(|event| event.stream != append.events[0].stream)
            })
        },
    ),
    wrong("a guard is not asked of a large append", &["ES-08"])
        .append(|state, append, now| unguarded_beside(state, append, now, |append| append.events.len() > 20)),
    wrong("a guard against all is any", &["ES-08", "ES-model"]).append(|state, append, now| {
        unguarded_beside(state, append, now, |append| {
            append.guard.as_ref().is_some_and(|guard| guard.none_of.any_of.is_empty() && guard.none_of.system)
        })
    }),
    wrong("a checkpoint is not asked beside a guard", &["ES-13"]).append(|state, append, now| {
        let mut append = append.clone();
        let identity = state.capabilities.identity;
        if let (Some(checkpoint), true) = (&mut append.checkpoint, append.guard.is_some())
            && checkpoint.store == identity
        {
            let (position, token) = state.checkpoints.get(&checkpoint.name).copied().unwrap_or_default();
            (checkpoint.from, checkpoint.token) = (position, checkpoint.token.max(token));
        }
        state.model.append(&append, now)
    }),
    wrong("tokens have 32 bits", &["ES-13"]).append(|state, append, now| {
        let mut append = append.clone();
        if let Some(checkpoint) = &mut append.checkpoint {
            checkpoint.token = Token(checkpoint.token.0 & 0xffff_ffff);
        }
        state.model.append(&append, now)
    }),
    wrong("tokens have a sign", &["ES-13"]).append(|state, append, now| {
        if let Some(checkpoint) = &append.checkpoint
            && checkpoint.token.0 > i64::MAX as u64
        {
            let (actual, token) = state.checkpoints.get(&checkpoint.name).copied().unwrap_or_default();
            return Err(AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token });
        }
        state.model.append(append, now)
    }),
    wrong("long checkpoint names are cut", &["ES-13"]).append(|state, append, now| {
        let mut cut = append.clone();
        let Some(checkpoint) = &mut cut.checkpoint else { return state.model.append(append, now) };
        let asked = checkpoint.name.clone();
        checkpoint.name = name(&asked.chars().take(200).collect::<String>());
        let short = checkpoint.name.clone();
        let done = state.model.append(&cut, now);
        if let Some(stands) = state.checkpoints.get(&short).copied() {
            state.checkpoints.insert(asked, stands);
        }
        done
    }),
    wrong("half of a store's identity is asked", &["ES-27"]).append(|state, append, now| {
        let mut append = append.clone();
        let identity = state.capabilities.identity;
        if let Some(checkpoint) = &mut append.checkpoint
            && checkpoint.store.as_bytes()[..8] == identity.as_bytes()[..8]
        {
            checkpoint.store = identity;
        }
        state.model.append(&append, now)
    }),
    wrong("zeros at the end of a payload are lost", &["ES-14"]).append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| {
            let zeros = event.event.payload.iter().rev().take_while(|byte| **byte == 0).count();
            let length = event.event.payload.len();
            if zeros < length {
                event.event.payload.truncate(length - zeros);
            }
        })
    }),
    wrong("large events lose their metadata", &["ES-14"]).append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| {
            if event.event.payload.len() > 60_000 {
                event.event.metadata.clear();
            }
        })
    }),
    wrong("metadata is cut at 4 KiB", &["ES-14"]).append(|state, append, now| {
        recorded_otherwise(state, append, now, |event| event.event.metadata.truncate(4096))
    }),
    wrong("events past the hundredth of an append lose their tags", &["ES-14"]).append(|state, append, now| {
        let before = state.events.len();
        let done = state.model.append(append, now);
        state.events.iter_mut().skip(before + 100).for_each(|event| Arc::make_mut(event).event.tags = [].into());
        done
    }),
    Mutant {
        slow_append: Some(|inner, append| Box::pin(in_halves(inner, append))),
        ..wrong("large appends are written in two halves", &["ES-17"])
    },
    // Limits, each alone.
    wrong("the limit of an append's bytes is not kept", &["ES-14"]).append(|state, append, now| {
        without_limit(state, append, now, |state| state.capabilities.limits.append_bytes = u64::MAX)
    }),
    wrong("the limit of an event's bytes is not kept", &["ES-14"]).append(|state, append, now| {
        without_limit(state, append, now, |state| state.capabilities.limits.event_bytes = u64::MAX)
    }),
    wrong("the limit of an append's streams is not kept", &["ES-14"]).append(|state, append, now| {
        without_limit(state, append, now, |state| state.capabilities.limits.append_streams = u32::MAX)
    }),
    wrong("streams that are only expected do not count", &["ES-14"]).append(|state, append, now| {
        let mut counted = append.clone();
        counted.expect.clear();
        state.capabilities.check(&counted)?;
        without_limit(state, append, now, |state| state.capabilities.limits.append_streams = u32::MAX)
    }),
    wrong("the limit of a note is not kept", &["ES-14"]).append(|state, append, now| {
        without_limit(state, append, now, |state| state.capabilities.limits.note_bytes = u64::MAX)
    }),
    wrong("the limit of a guard's terms is not kept", &["ES-14"]).append(|state, append, now| {
        without_limit(state, append, now, |state| state.capabilities.limits.query_terms = u32::MAX)
    }),
    wrong("metadata does not count", &["ES-14"]).append(|state, append, now| {
        let mut counted = append.clone();
        counted.events.iter_mut().for_each(|event| event.metadata.clear());
        state.capabilities.check(&counted)?;
        without_limit(state, append, now, |state| {
            (state.capabilities.limits.event_bytes, state.capabilities.limits.append_bytes) = (u64::MAX, u64::MAX);
        })
    }),
    Mutant {
        reopen: |state| state.capabilities.limits.page_events += 1,
        ..wrong("limits grow with each life", &["capabilities"])
    },
    Mutant {
        capabilities: |state| {
            let mut stated = state.model.capabilities.clone();
            if state.events.len() > 100 {
                stated.limits.event_tags = 50;
            }
            stated
        },
        ..wrong("capabilities change once the log is long", &["capabilities"])
    },
    // Reads.
    wrong("categories are prefixes", &["ES-15", "ES-18"]).read(|state, read| {
        asked_otherwise(state, read, |item| {
            for wanted in item.categories.clone() {
                let known = state.events.iter().map(|event| event.stream.category());
                item.categories.extend(known.filter(|known| known.starts_with(&*wanted)).map(name));
            }
        })
    }),
    wrong("a category ends at the last dash", &["ES-15", "ES-18"]).read(|state, read| {
        asked_otherwise(state, read, |item| {
            for wanted in std::mem::take(&mut item.categories) {
                let before =
                    |stream: &str| stream.rsplit_once('-').map_or(stream.to_string(), |(it, _)| it.to_string());
                let streams = state.events.iter().map(|event| event.stream.clone());
                item.streams.extend(streams.filter(|stream| before(stream) == *wanted));
                item.streams.push("nobody-has-this".try_into().unwrap());
            }
        })
    }),
    wrong("backward from past the end of a stream is empty", &["ES-15"]).read(|state, read| {
        let mut read = read.clone();
        if let (Start::Stream(_, start), Direction::Backward) = (&mut read.from, read.direction)
            && start.is_some_and(|start| start.get() > i64::MAX as u64)
        {
            *start = Some(Revision::FIRST);
        }
        state.model.read(&read)
    }),
    wrong("backward from past the end of the log is empty", &["ES-15"]).read(|state, read| {
        let mut read = read.clone();
        if let (Start::Log(_, start), Direction::Backward) = (&mut read.from, read.direction)
            && *start > state.frontier()
        {
            *start = Position::new(0);
        }
        state.model.read(&read)
    }),
    wrong("a stream's start is compared by 32 bits", &["ES-15"]).read(|state, read| {
        let mut read = read.clone();
        if let Start::Stream(_, Some(start)) = &mut read.from {
            *start = Revision::new(start.get() & 0xffff_ffff);
        }
        state.model.read(&read)
    }),
    wrong("a stream named twice is shown twice", &["ES-15"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        if let Start::Log(query, _) = &read.from {
            let times = |event: &Recorded| {
                let named = |item: &Item| item.streams.iter().filter(|stream| **stream == event.stream).count();
                query.any_of.iter().map(named).max().unwrap_or(1).max(1)
            };
            page.events = page.events.iter().flat_map(|event| vec![event.clone(); times(event)]).collect();
        }
        Ok(page)
    }),
    wrong("next forgets the limit", &["ES-16"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        if let Some(next) = &mut page.next {
            next.limit = Read::DEFAULT_LIMIT;
        }
        Ok(page)
    }),
    wrong("next forgets that system streams were asked for", &["ES-15"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        if let Some(Start::Log(query, _)) = page.next.as_mut().map(|next| &mut next.from) {
            query.system = false;
        }
        Ok(page)
    }),
    wrong("until lets a stream's revision through", &["ES-15", "ES-16"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        if let (Start::Stream(stream, _), Direction::Backward) = (&read.from, read.direction) {
            page.revision = state.last(stream);
        }
        Ok(page)
    }),
    wrong("a page past the first has no revision", &["ES-15", "ES-model"]).read(|state, read| {
        let mut page = state.model.read(read)?;
        if let Start::Stream(_, Some(_)) = &read.from
            && page.events.is_empty()
        {
            page.revision = None;
        }
        Ok(page)
    }),
    wrong("a query that names the system's shows it all", &["ES-15"]).read(|state, read| {
        let mut read = read.clone();
        if let Start::Log(query, _) = &mut read.from {
            let named = |item: &Item| item.streams.iter().any(|stream| stream.is_system());
            query.system |= query.any_of.len() > 1 && query.any_of.iter().any(named);
        }
        state.model.read(&read)
    }),
    wrong("a query of several items and the system's forgets the system's", &["ES-15"]).read(|state, read| {
        let mut asked = read.clone();
        if let Start::Log(query, _) = &mut asked.from
            && query.any_of.len() > 2
        {
            query.system = false;
        }
        state.model.read(&asked)
    }),
];
