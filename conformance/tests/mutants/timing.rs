//! Wrong only when something else happens at the same time.

use super::store::{Changed, Inner, Mutant, wait};
use futures::future::BoxFuture;
use portolan_conformance::Judgment;
use portolan_kernel::ports::{AppendError, ReadError, Source};
use portolan_kernel::values::{Append, Appended, Expected, Query, Read, StreamId};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;

type Outcome = BoxFuture<'static, Result<Appended, AppendError>>;

const fn slow(
    name: &'static str,
    breaks: &'static [&'static str],
    append: fn(Arc<Inner>, Append) -> Outcome,
) -> Mutant {
    Mutant { slow_append: Some(append), ..Mutant::new(name, breaks) }
}

const fn hint(name: &'static str, breaks: &'static [&'static str], changed: Changed) -> Mutant {
    Mutant { changed, ..Mutant::new(name, breaks) }
}

fn busy() -> AppendError {
    AppendError::Busy(Source::new("the queue is full"))
}

/// Judges a part of the append first, lets others in, then judges and writes the rest.
async fn early(inner: Arc<Inner>, append: Append, part: fn(&mut Append) -> Append) -> Result<Appended, AppendError> {
    let mut rest = append.clone();
    let first = part(&mut rest);
    let now = inner.clock.now();
    if let Judgment::Repeat(done) = inner.state().judge(&append, now)? {
        return Ok(done);
    }
    let judged = inner.state().judge(&first, now);
    yield_now().await;
    tokio::time::sleep(Duration::from_micros(200)).await;
    judged?;
    let mut state = inner.state();
    match state.judge(&rest, now)? {
        Judgment::Repeat(done) => Ok(done),
        Judgment::Write => Ok(state.model.write(&append, now)),
    }
}

pub const MUTANTS: &[Mutant] = &[
    slow("expectations are judged before the lock", &["ES-07"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            let mut first = Append::default();
            first.expect = std::mem::take(&mut rest.expect);
            first
        }))
    }),
    slow("NoStream is judged before the lock", &["ES-07"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            rest.expect.retain(|(_, expected)| *expected != Expected::NoStream);
            Append::default()
        }))
    }),
    slow("streams only expected are judged before the lock", &["ES-07"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            let written = |stream: &StreamId| rest.events.iter().any(|event| event.stream == *stream);
            let (under, before) = rest.expect.iter().cloned().partition(|(stream, _)| written(stream));
            rest.expect = under;
            let mut first = Append::default();
            first.expect = before;
            first
        }))
    }),
    slow("a guard keeps out other guards alone", &["ES-08"], |inner, append| {
        Box::pin(async move {
            let now = inner.clock.now();
            if append.guard.is_none() {
                return inner.state().model.append(&append, now);
            }
            while std::mem::replace(&mut inner.state().count, 1) == 1 {
                yield_now().await;
            }
            let judged = inner.state().judge(&append, now);
            tokio::time::sleep(Duration::from_millis(4)).await;
            let mut state = inner.state();
            state.count = 0;
            let mut rest = append.clone();
            rest.guard = None;
            match (judged?, state.judge(&rest, now)?) {
                (Judgment::Repeat(done), _) | (_, Judgment::Repeat(done)) => Ok(done),
                _ => Ok(state.model.write(&append, now)),
            }
        })
    }),
    slow("guards are judged before the lock", &["ES-08"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            rest.guard = None;
            Append::default()
        }))
    }),
    slow("keys are judged before the lock", &["ES-09"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            rest.key = None;
            Append::default()
        }))
    }),
    slow("checkpoints are judged before the lock", &["ES-13"], |inner, append| {
        Box::pin(early(inner, append, |rest| {
            rest.checkpoint = None;
            Append::default()
        }))
    }),
    slow("an append is written half by half", &["ES-02", "ES-12", "ES-17"], |inner, append| {
        Box::pin(async move {
            let now = inner.clock.now();
            let (rest, done) = {
                let mut state = inner.state();
                if append.events.len() < 3 || state.judge(&append, now).is_err() || append.key.is_some() {
                    return state.model.append(&append, now);
                }
                let middle = append.events.len() / 2;
                let rest = Append::new(append.events[middle..].to_vec());
                let mut first = append.clone();
                first.events.truncate(middle);
                // The outcome of the whole, as it will be if nobody comes between.
                let done = state.model.clone().write(&append, now);
                state.model.write(&first, now);
                (rest, done)
            };
            tokio::time::sleep(Duration::from_micros(500)).await;
            inner.state().model.write(&rest, now);
            Ok(done)
        })
    }),
    slow("a position is taken before the write", &["ES-03", "ES-08", "ES-19", "ES-22"], |inner, append| {
        Box::pin(async move {
            let now = inner.clock.now();
            let taken = {
                let mut state = inner.state();
                let taken = state.next_position;
                state.next_position += append.events.len() as u64;
                taken
            };
            if taken % 2 == 0 {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
            let mut state = inner.state();
            let next = std::mem::replace(&mut state.next_position, taken);
            let before = state.events.len();
            let done = state.model.append(&append, now);
            state.next_position = next;
            let written = state.events.len() - before;
            if written > 0 {
                state.model.events.sort_by_key(|event| event.position);
            }
            done
        })
    }),
    slow("a dropped append leaves the first event", &["ES-12"], |inner, append| {
        Box::pin(async move {
            let now = inner.clock.now();
            if append.events.len() < 4 || append.events[0].stream != "a-1" {
                return inner.state().model.append(&append, now);
            }
            let before = {
                let mut state = inner.state();
                if !matches!(state.judge(&append, now)?, Judgment::Write) {
                    return state.model.append(&append, now);
                }
                let before = state.model.clone();
                state.model.write(&Append::new([append.events[0].clone()]), now);
                before
            };
            yield_now().await;
            let mut state = inner.state();
            let mine = before.events.len();
            state.model.events.remove(mine);
            state.model.append(&append, now)
        })
    }),
    slow("a dropped append blocks the store", &["ES-12"], |inner, append| {
        Box::pin(async move {
            let waited = std::time::Instant::now();
            while inner.state().count == 1 {
                if waited.elapsed() > Duration::from_secs(2) {
                    return Err(AppendError::Other(Source::new("the writer is gone")));
                }
                yield_now().await;
            }
            inner.state().count = 1;
            yield_now().await;
            let now = inner.clock.now();
            let mut state = inner.state();
            state.count = 0;
            state.model.append(&append, now)
        })
    }),
    slow("a burst is answered with an error", &["ES-11"], |inner, append| {
        Box::pin(async move {
            inner.state().count += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut state = inner.state();
            let waiting = std::mem::replace(&mut state.count, 0);
            if waiting > 20 {
                return Err(AppendError::Other(Source::new("too many")));
            }
            let now = inner.clock.now();
            state.model.append(&append, now)
        })
    }),
    slow("busy, and written", &["ES-11"], |inner, append| {
        Box::pin(async move {
            inner.state().count += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = inner.clock.now();
            let mut state = inner.state();
            let waiting = std::mem::replace(&mut state.count, 0);
            let done = state.model.append(&append, now);
            if waiting > 20 { Err(busy()) } else { done }
        })
    }),
    slow("acknowledged, and not written", &["ES-11"], |inner, append| {
        Box::pin(async move {
            inner.state().count += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = inner.clock.now();
            let mut state = inner.state();
            let waiting = std::mem::replace(&mut state.count, 0);
            if waiting > 20 { Ok(state.model.clone().append(&append, now)?) } else { state.model.append(&append, now) }
        })
    }),
    Mutant::new("a conflict is busy", &["ES-11"]).append(|state, append, now| {
        state.model.append(append, now).map_err(|error| match error {
            // Of one stream alone: elsewhere the suite would only wait for it.
            AppendError::Conflict { stream, .. } if stream == "lone-1" => busy(),
            error => error,
        })
    }),
    Mutant::new("any writer conflicts with any", &["ES-07"]).append(|state, append, now| {
        // Compares with the log's end what should be compared with the stream's.
        if let [(stream, Expected::Exact(revision))] = &append.expect[..]
            && append.events.len() == 1
            && state.last(stream) == Some(*revision)
            && state.events.last().is_some_and(|last| last.stream != *stream)
            && stream.starts_with("own")
        {
            return Err(AppendError::Conflict {
                stream: stream.clone(),
                expected: Expected::Exact(*revision),
                actual: Some(*revision),
            });
        }
        state.model.append(append, now)
    }),
    // Hints.
    hint("the hint never comes", &["ES-12", "ES-19", "ES-20", "ES-21", "ES-22", "ES-23"], |_, _, _| {
        Box::pin(std::future::pending())
    }),
    hint("the hint is an error", &["ES-12", "ES-19", "ES-20", "ES-21", "ES-22", "ES-23"], |_, _, _| {
        Box::pin(async { Err(ReadError::Other(Source::new("no hints"))) })
    }),
    hint(
        "the hint comes only for what is there",
        &["ES-19", "ES-20", "ES-21", "ES-22", "ES-23"],
        |inner, query, after| {
            Box::pin(async move {
                let there = !inner.state().read(&Read::log_after(query, after).limit(1))?.events.is_empty();
                if there { Ok(()) } else { std::future::pending().await }
            })
        },
    ),
    hint("the hint comes only for what is written later", &["ES-12", "ES-23"], |inner, _, _| {
        Box::pin(async move {
            inner.written.notified().await;
            Ok(())
        })
    }),
    hint(
        "a write between look and wait is missed",
        &["ES-19", "ES-20", "ES-21", "ES-22", "ES-23"],
        |inner, query, after| {
            Box::pin(async move {
                loop {
                    if !inner.state().read(&Read::log_after(query.clone(), after).limit(1))?.events.is_empty() {
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_micros(200)).await;
                    inner.written.notified().await;
                }
            })
        },
    ),
    hint("the hint knows no system streams", &["ES-19", "ES-22", "ES-23"], |inner, mut query, after| {
        Box::pin(async move {
            query.any_of.retain(|item| !item.streams.iter().any(|stream| stream.is_system()));
            query.any_of.retain(|item| !item.categories.iter().any(|category| category.starts_with('$')));
            query.system = false;
            if query.any_of.is_empty() {
                wait_for_applications(inner, after).await
            } else {
                wait(&inner, &query, after).await
            }
        })
    }),
    hint("the hint asks the first item alone", &["ES-23"], |inner, mut query, after| {
        Box::pin(async move {
            query.any_of.truncate(1);
            wait(&inner, &query, after).await
        })
    }),
    hint("a dropped hint keeps its place", &["ES-12"], |inner, query, after| {
        Box::pin(async move {
            while inner.state().count >= 150 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            inner.state().count += 1;
            yield_now().await;
            let told = wait(&inner, &query, after).await;
            inner.state().count -= 1;
            told
        })
    }),
    hint("one waiter is told", &["ES-23"], |inner, query, after| {
        Box::pin(async move {
            inner.state().count += 1;
            let mine = inner.state().count;
            if mine > 5 && mine < 100 {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let told = wait(&inner, &query, after).await;
            inner.state().count = 0;
            told
        })
    }),
];

async fn wait_for_applications(
    inner: Arc<Inner>,
    after: Option<portolan_kernel::values::Position>,
) -> Result<(), ReadError> {
    wait(&inner, &Query::all(), after).await
}
