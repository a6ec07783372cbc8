//! Applications that are made of something wrong.

use crate::bus::Mutant;
use async_trait::async_trait;
use core::cell::Cell;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_conformance::Composition;
use portolan_kernel::drivers::{Middleware, Next};
use portolan_kernel::ports::{
    AppendError, Capabilities, Clock, CommandEnvelope, CommandError, EventStore, ParkedPage, ProjectionAction,
    ProjectionError, ProjectionRegistry, ProjectionStatus, ReadError, Receipt, RowsAnswer, RowsQuestion, Sleep,
    WaitError,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, EventId, Metadata, Name, NewEvent, Page, Position, Query, Read, Recalled,
    Timestamp,
};
use std::sync::Arc;

type Appending =
    Box<dyn Fn(Arc<dyn EventStore>, Append) -> BoxFuture<'static, Result<Appended, AppendError>> + Send + Sync>;

/// A store that appends and recalls otherwise.
struct Wrong {
    inner: Arc<dyn EventStore>,
    append: Appending,
    /// Whether it recalls what is in this scope.
    recalls: fn(&Name) -> bool,
}

tokio::task_local! {
    /// Whether the command under way has looked for its id.
    static RECALLED: Cell<bool>;
}

/// Nothing a second time, for a command in this scope.
fn recalls_once(scope: &Name, once: &str) -> bool {
    let is_again = || RECALLED.try_with(|recalled| recalled.replace(true)).unwrap_or(false);
    !scope.starts_with(once) || !is_again()
}

const fn recalling_once(name: &'static str, compose: fn(Composition) -> Composition) -> Mutant {
    Mutant::new(name, &["CB-04"]).compose(compose).dispatch(|inner, command| {
        Box::pin(RECALLED.scope(Cell::new(false), async move { inner.bus.dispatch(command).await }))
    })
}

fn as_it_is(inner: Arc<dyn EventStore>, append: Append) -> BoxFuture<'static, Result<Appended, AppendError>> {
    Box::pin(async move { inner.append(append).await })
}

#[async_trait]
impl EventStore for Wrong {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (self.append)(self.inner.clone(), append).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.inner.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        if (self.recalls)(&scope) { self.inner.recall(scope, id).await } else { Ok(None) }
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

fn stored(mut parts: Composition, append: Appending, recalls: fn(&Name) -> bool) -> Composition {
    parts.storage.events = Arc::new(Wrong { inner: parts.storage.events, append, recalls });
    parts
}

/// Appends something else.
fn appending(parts: Composition, change: fn(&mut Append)) -> Composition {
    let append = move |inner: Arc<dyn EventStore>, mut append: Append| -> BoxFuture<'static, _> {
        change(&mut append);
        Box::pin(async move { inner.append(append).await })
    };
    stored(parts, Box::new(append), |_| true)
}

/// Writes other metadata.
fn noting(append: &mut Append, change: fn(&mut Metadata, usize)) {
    for (n, event) in append.events.iter_mut().enumerate() {
        let mut metadata = Metadata::decode(&event.metadata);
        change(&mut metadata, n);
        event.metadata = metadata.encode();
    }
}

/// Writes one event after another, and then what else there is.
async fn in_pieces(inner: Arc<dyn EventStore>, append: Append) -> Result<Appended, AppendError> {
    if append.events.len() < 2 {
        return inner.append(append).await;
    }
    let (mut first, mut rest) = (append.clone(), append);
    rest.events = first.events.split_off(1);
    first.key = None;
    (rest.expect, rest.guard) = (vec![], None);
    inner.append(first).await?;
    inner.append(rest).await
}

/// Writes the events of one stream after those of another.
async fn by_streams(inner: Arc<dyn EventStore>, append: Append) -> Result<Appended, AppendError> {
    let first = append.events.first().map(|event| event.stream.clone());
    let (mut whole, is_first) = (append, |event: &NewEvent| Some(&event.stream) == first.as_ref());
    if whole.events.iter().all(is_first) {
        return inner.append(whole).await;
    }
    let mut rest = Append::default();
    (whole.events, rest.events) = whole.events.into_iter().partition(is_first);
    rest.key = whole.key.take();
    inner.append(whole).await?;
    Box::pin(by_streams(inner, rest)).await
}

/// Writes the events first, and under which key afterwards.
async fn key_apart(inner: Arc<dyn EventStore>, append: Append) -> Result<Appended, AppendError> {
    let Some(key) = append.key.clone() else { return inner.append(append).await };
    if inner.recall(key.scope.clone(), key.id.clone()).await.is_ok_and(|recalled| recalled.is_some()) {
        return inner.append(append).await;
    }
    let mut events = append;
    events.key = None;
    let appended = inner.append(events).await?;
    inner.append(Append::default().key(key)).await?;
    Ok(appended)
}

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(since.as_micros() as u64)
    }
}

/// Sleeps as long as this says.
struct Sleeper(Arc<dyn Sleep>, fn(Duration) -> Duration);

impl Sleep for Sleeper {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep((self.1)(duration))
    }
}

/// Answers for the projections what this says.
struct Projections(Arc<dyn ProjectionRegistry>, fn(Name, Position) -> Option<(Name, Position)>);

#[async_trait]
impl ProjectionRegistry for Projections {
    fn knows(&self, projection: &Name) -> Option<bool> {
        self.0.knows(projection)
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        self.0.list().await
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        self.0.status(projection).await
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        self.0.act(projection, action).await
    }

    async fn parked(&self, of: Name, after: Option<Position>, limit: u32) -> Result<ParkedPage, ProjectionError> {
        self.0.parked(of, after, limit).await
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        self.0.rows(question).await
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        match (self.1)(projection, position) {
            Some((projection, position)) => self.0.wait_for(projection, position).await,
            None => Ok(()),
        }
    }
}

fn projected(mut parts: Composition, change: fn(Name, Position) -> Option<(Name, Position)>) -> Composition {
    parts.projections = Arc::new(Projections(parts.projections, change));
    parts
}

/// Carries a command out twice, within what is around it.
struct Twice;

#[async_trait]
impl Middleware for Twice {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let _ = next.clone().run(command.clone()).await;
        next.run(command).await
    }
}

pub const MUTANTS: &[Mutant] = &[
    Mutant::new("appends without a key", &["CB-04", "CB-06", "CB-07", "CB-08", "CB-09", "CB-model"])
        .compose(|parts| appending(parts, |append| append.key = None)),
    Mutant::new("puts all keys into one scope", &["CB-04", "CB-07", "CB-08", "CB-11", "CB-model"]).compose(|parts| {
        appending(parts, |append| {
            if let Some(key) = &mut append.key {
                key.scope = Name::new("all").unwrap();
            }
        })
    }),
    Mutant::new("takes any digest for the same", &["CB-03", "CB-04", "CB-06", "CB-07", "CB-08", "CB-09", "CB-model"])
        .compose(|parts| {
            appending(parts, |append| {
                if let Some(key) = &mut append.key {
                    key.digest = [0; 32];
                }
            })
        }),
    Mutant::new("does not recall before it decides", &["CB-04", "CB-07", "CB-08", "CB-model"])
        .compose(|parts| stored(parts, Box::new(as_it_is), |_| false)),
    recalling_once("looks for no duplicate elsewhere before an aggregate's rejection", |parts| {
        stored(parts, Box::new(as_it_is), |scope| recalls_once(scope, "command:add-entries"))
    }),
    recalling_once("looks for no duplicate elsewhere before a model's rejection", |parts| {
        stored(parts, Box::new(as_it_is), |scope| recalls_once(scope, "command:take-seat"))
    }),
    Mutant::new("writes the key apart", &["CB-03", "CB-04", "CB-06", "CB-07", "CB-08", "CB-09", "CB-11", "CB-model"])
        .compose(|parts| stored(parts, Box::new(|inner, append| Box::pin(key_apart(inner, append))), |_| true)),
    Mutant::new("writes in pieces", &["CB-04", "CB-06", "CB-08", "CB-09", "CB-10", "CB-11", "CB-model"])
        .compose(|parts| stored(parts, Box::new(|inner, append| Box::pin(in_pieces(inner, append))), |_| true)),
    Mutant::new("writes one stream after another", &["CB-04", "CB-06", "CB-08", "CB-model"])
        .compose(|parts| stored(parts, Box::new(|inner, append| Box::pin(by_streams(inner, append))), |_| true)),
    Mutant::new("expects nothing", &["CB-03", "CB-04", "CB-05", "CB-08", "CB-10", "CB-11", "CB-model"])
        .compose(|parts| appending(parts, |append| append.expect.clear())),
    Mutant::new("guards nothing", &["CB-05", "CB-10"]).compose(|parts| appending(parts, |append| append.guard = None)),
    Mutant::new("writes events in reverse", &["CB-04", "CB-06", "CB-09", "CB-10", "CB-11", "CB-model"])
        .compose(|parts| appending(parts, |append| append.events.reverse())),
    Mutant::new("makes event ids anew", &["CB-04", "CB-06", "CB-09", "CB-10", "CB-11", "CB-model"]).compose(|parts| {
        appending(parts, |append| {
            for event in &mut append.events {
                event.id = EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)));
            }
        })
    }),
    Mutant::new("notes nothing on the second event", &["CB-07"]).compose(|parts| {
        appending(parts, |append| {
            noting(append, |metadata, n| {
                if n == 1 {
                    *metadata = Metadata::default();
                }
            });
        })
    }),
    Mutant::new("notes no causation", &["CB-07"])
        .compose(|parts| appending(parts, |append| noting(append, |metadata, _| metadata.causation = None))),
    Mutant::new("notes no command", &["CB-07"])
        .compose(|parts| appending(parts, |append| noting(append, |metadata, _| metadata.command = None))),
    Mutant::new("notes no trace", &["CB-07"])
        .compose(|parts| appending(parts, |append| noting(append, |metadata, _| metadata.traceparent = None))),
    Mutant::new("asks the system for the time", &["CB-11"]).compose(|mut parts| {
        parts.runtime.clock = Arc::new(System);
        parts
    }),
    Mutant::new("pauses equally long", &["CB-05"]).compose(|mut parts| {
        let equal =
            |duration: Duration| if duration < Duration::from_millis(90) { Duration::from_millis(1) } else { duration };
        parts.runtime.sleep = Arc::new(Sleeper(parts.runtime.sleep, equal));
        parts
    }),
    Mutant::new("never wakes", &["CB-03", "CB-04", "CB-05", "CB-06", "CB-08", "CB-09", "CB-10", "CB-11"]).compose(
        |mut parts| {
            parts.runtime.sleep = Arc::new(Sleeper(parts.runtime.sleep, |_| Duration::from_secs(86_400)));
            parts
        },
    ),
    Mutant::new("does not decide anew", &["CB-03", "CB-05", "CB-08", "CB-11"]).compose(|mut parts| {
        parts.options = parts.options.with_conflicts(0);
        parts
    }),
    Mutant::new("decides anew without end", &["CB-05"]).compose(|mut parts| {
        parts.options = parts.options.with_conflicts(u32::MAX);
        parts
    }),
    Mutant::new("has room for everybody", &["CB-12"]).compose(|mut parts| {
        parts.options = parts.options.with_waiting_per_stream(usize::MAX);
        parts
    }),
    Mutant::new("has room for everybody on three streams", &["CB-12"]).compose(|mut parts| {
        parts.options = parts.options.with_waiting(usize::MAX);
        parts
    }),
    Mutant::new("has its middleware in reverse", &["CB-03"]).compose(|mut parts| {
        parts.middleware.reverse();
        parts
    }),
    Mutant::new("has no innermost middleware", &["CB-03"]).compose(|mut parts| {
        parts.middleware.pop();
        parts
    }),
    Mutant::new("has a middleware twice", &["CB-03"]).compose(|mut parts| {
        parts.middleware.insert(0, parts.middleware[0].clone());
        parts
    }),
    Mutant::new(
        "carries out twice within its middleware",
        &["CB-04", "CB-05", "CB-06", "CB-07", "CB-08", "CB-09", "CB-10", "CB-11", "CB-12", "CB-model"],
    )
    .compose(|mut parts| {
        parts.middleware.push(Arc::new(Twice));
        parts
    }),
    Mutant::new("takes projections as caught up", &["CB-09"]).compose(|parts| projected(parts, |_, _| None)),
    Mutant::new("waits for the position after", &["CB-09"])
        .compose(|parts| projected(parts, |name, position| Some((name, Position::new(position.get() + 1)?)))),
    Mutant::new("waits for the first position", &["CB-09"])
        .compose(|parts| projected(parts, |name, _| Some((name, Position::new(1)?)))),
];
