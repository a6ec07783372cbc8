//! Logs of old events, and what is to become of them: told by hand, not by the chain.

use super::between::{Between, Side, Wrong};
use crate::events::{OLD, UserEvent};
use futures::TryStreamExt;
use portolan::MemoryStore;
use portolan::domain::Upcasters;
use portolan::drivers::{EventStoreExt, Migration, ReplayClock};
use portolan::ports::{Clock, EventStore, Limits};
use portolan::values::{
    Append, EventId, EventType, NewEvent, Position, Query, Read, Recorded, StreamId, Tag, Timestamp,
};
use portolan_testing::TestClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What becomes of each of [`OLD`], in version 3.
pub(crate) const BECOMES: [&[(&str, &str)]; 9] = [
    &[("user.created", r#"{"email":"a@b","name":"Unknown"}"#)],
    &[("user.email-updated", r#"{"email":"c@d"}"#)],
    &[],
    &[("user.address-set", r#"{"street":"Way 1","city":"Ulm"}"#)],
    &[("user.address-set", r#"{"street":"Lane 2","city":"Bonn"}"#), ("user.email-updated", r#"{"email":"e@f"}"#)],
    &[("user.created", r#"{"email":"g@h","name":"Ann"}"#)],
    &[],
    &[("user.email-updated", r#"{"email":"i@j"}"#)],
    &[("user.created", r#"{"email":"k@l","name":"Bob"}"#)],
];

/// One old event: which of [`OLD`], and in which stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Old {
    pub(crate) kind: usize,
    pub(crate) stream: u8,
    /// Whether it goes with the one before, in one append.
    pub(crate) together: bool,
}

pub(crate) fn old(kind: usize) -> Old {
    Old { kind, stream: 1, together: false }
}

fn stored(old: Old, n: usize) -> NewEvent {
    let (event_type, version, payload) = OLD[old.kind];
    let mut id = [0; 16];
    // Some have none.
    if n % 3 != 2 {
        id[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
    }
    NewEvent::new(
        StreamId::new(format!("user-{}", old.stream)).unwrap(),
        EventType::new(event_type).unwrap(),
        payload.to_owned(),
    )
    .with_version(version)
    .with_id(EventId::from_bytes(id))
    .with_metadata(vec![0xff, u8::try_from(n % 251).unwrap()])
    .with_tags([Tag::new(format!("n:{}", n % 7)).unwrap(), Tag::new("same").unwrap()])
}

/// Source and target, and a migration between them, which may be a wrong one.
pub(crate) struct World {
    pub(crate) source: Arc<dyn EventStore>,
    pub(crate) target: Arc<dyn EventStore>,
    pub(crate) source_time: Arc<TestClock>,
    pub(crate) target_time: Arc<ReplayClock>,
    pub(crate) wrong: Wrong,
    written: AtomicUsize,
}

pub(crate) fn small_limits() -> Limits {
    let mut limits = Limits::default();
    (limits.append_events, limits.append_streams, limits.append_bytes) = (5, 2, 700);
    limits
}

impl World {
    pub(crate) fn new(wrong: Wrong) -> Self {
        Self::with_limits(wrong, Limits::default())
    }

    pub(crate) fn with_limits(wrong: Wrong, limits: Limits) -> Self {
        let (source_time, target_time) =
            (Arc::new(TestClock::at(Timestamp::from_micros(1 << 40))), Arc::new(ReplayClock::new()));
        let clock: Arc<dyn Clock> =
            if wrong == Wrong::OwnTime { Arc::new(ReplayClock::new()) } else { target_time.clone() };
        Self {
            source: Arc::new(MemoryStore::builder().clock(source_time.clone()).build()),
            target: Arc::new(MemoryStore::builder().clock(clock).limits(limits).build()),
            source_time,
            target_time,
            wrong,
            written: AtomicUsize::new(0),
        }
    }

    pub(crate) async fn write(&self, events: &[Old]) {
        let mut appends: Vec<Vec<NewEvent>> = Vec::new();
        for event in events {
            let new = stored(*event, self.written.fetch_add(1, Ordering::SeqCst));
            match appends.last_mut() {
                Some(append) if event.together => append.push(new),
                _ => appends.push(vec![new]),
            }
        }
        for append in appends {
            self.source_time.advance(std::time::Duration::from_micros(7));
            self.source.append(Append::new(append)).await.unwrap();
        }
    }

    pub(crate) fn between(&self, store: &Arc<dyn EventStore>, side: Side) -> Arc<dyn EventStore> {
        Arc::new(Between { store: store.clone(), wrong: self.wrong, side })
    }

    /// The migration of these events, from and to whatever stores.
    pub(crate) fn migration_of(&self, from: &Arc<dyn EventStore>, to: &Arc<dyn EventStore>) -> Migration {
        let upcasters = Arc::new(Upcasters::of::<UserEvent>().unwrap());
        Migration::new(self.between(from, Side::Source), self.between(to, Side::Target), upcasters)
    }

    pub(crate) fn migration(&self) -> Migration {
        self.migration_of(&self.source, &self.target)
    }

    pub(crate) async fn run(&self) -> Result<(), String> {
        self.migration().run(|_| {}).await.map(drop).map_err(|error| error.to_string())
    }
}

/// All events of a store but its record of a migration, and what wrong ones leave where nobody looks.
pub(crate) async fn log(store: &dyn EventStore) -> Vec<Arc<Recorded>> {
    let all: Vec<_> = store.read_all(Read::log(Query::all().with_system())).try_collect().await.unwrap();
    all.into_iter().filter(|event| !["$migration", "$stray"].contains(&&*event.stream)).collect()
}

pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

/// Type, version, payload and stream of what has to come of the source, in order.
pub(crate) fn model(source: &[Arc<Recorded>]) -> Vec<(Arc<Recorded>, usize, NewEvent)> {
    let mut all = Vec::new();
    for event in source {
        let is_of = |(event_type, version, payload): &(&str, u32, &str)| {
            event.event_type == *event_type && event.version == *version && event.payload == payload.as_bytes()
        };
        let Some(kind) = OLD.iter().position(is_of) else {
            all.push((event.clone(), 0, event.event.clone()));
            continue;
        };
        let last = BECOMES[kind].len().saturating_sub(1);
        for (n, (event_type, payload)) in BECOMES[kind].iter().enumerate() {
            let mut new = event.event.clone();
            (new.event_type, new.version) = (EventType::new(*event_type).unwrap(), 3);
            new.payload = payload.to_string().into();
            all.push((event.clone(), last - n, new));
        }
    }
    all
}

/// The target is what the model says. Ids of results that are not the last are told apart, and no more.
pub(crate) async fn is_as_the_model(source: &dyn EventStore, target: &dyn EventStore) -> Result<(), String> {
    let (source, target) = (log(source).await, log(target).await);
    let model = model(&source);
    let what =
        |event: &NewEvent| format!("{} {} {:?} in {}", event.event_type, event.version, event.payload, event.stream);
    let found: Vec<_> = target.iter().map(|event| what(event)).collect();
    let expected: Vec<_> = model.iter().map(|(_, _, event)| what(event)).collect();
    equal("order", &found, &expected)?;
    let mut revisions = std::collections::BTreeMap::<StreamId, u64>::new();
    for (found, (old, from_last, expected)) in target.iter().zip(model) {
        let next = revisions.entry(found.stream.clone()).or_default();
        equal("revision", &found.revision.get(), next)?;
        *next += 1;
        let mut as_it_was = found.event.clone();
        as_it_was.id = expected.id;
        equal("content", &as_it_was, &expected)?;
        match from_last {
            0 => equal("id", &found.id, &old.id)?,
            _ => {
                let alike = target.iter().filter(|other| other.id == found.id).count();
                equal("events with a derived id", &alike, &1)?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn frontier(store: &dyn EventStore) -> Option<Position> {
    store.read(Read::log(Query::all().with_system()).backward().limit(1)).await.unwrap().frontier
}
