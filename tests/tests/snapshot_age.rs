//! Snapshots by age: when one is due, and that no command waits for it (SN-5).

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

use core::time::Duration;
use portolan::MemoryStore;
use portolan::application::{Application, Ports};
use portolan::domain::{
    Aggregate, Command, Context, Decide, Decision, Event, Rejection, SnapshotPolicy, StreamCommand,
};
use portolan::drivers::CommandBusExt as _;
use portolan::ports::{EventStore, SnapshotStore};
use portolan::values::{InvalidName, Name, StreamId};
use portolan_testing::TestRuntime;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "counter")]
enum Counted {
    Counted,
}

/// Counts; without an event when `nothing` is set.
#[derive(Serialize, Deserialize)]
struct Count {
    nothing: bool,
}

impl Command for Count {
    const NAME: &'static str = "count";
}

impl StreamCommand for Count {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new("counter-1")
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Never {}
impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Counter(u64);

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Event = Counted;
    type Rejection = Never;
    type Commands = (Count,);
    fn evolve(&mut self, _: &Counted) {
        self.0 += 1;
    }
    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::never().or_after(Duration::from_hours(24))
    }
}

impl Decide<Count> for Counter {
    fn decide(&self, command: &Count, _: &Context) -> Decision<Self> {
        Ok(if command.nothing { vec![] } else { vec![Counted::Counted] })
    }
}

/// A log, its clock, and the revision that is kept.
struct World {
    store: MemoryStore,
    runtime: TestRuntime,
    ports: Ports,
}

impl World {
    async fn new() -> Self {
        let runtime = TestRuntime::held();
        runtime.advance(Duration::from_hours(1_000));
        let store = MemoryStore::builder().clock(runtime.clock.clone()).build();
        let application = Application::builder(store.clone(), runtime.runtime()).aggregate::<Counter>();
        let ports = application.build().await.unwrap().ports();
        Self { store, runtime, ports }
    }

    /// How many tasks the command has left behind.
    async fn count(&self, nothing: bool) -> usize {
        let before = self.runtime.spawn.len();
        self.ports.commands.send(Count { nothing }).await.unwrap();
        self.runtime.spawn.len() - before
    }

    async fn kept(&self) -> Option<(u64, String)> {
        let kind = Name::new(format!("state@{}", self.store.capabilities().identity)).unwrap();
        let snapshot = self.store.load(StreamId::new("counter-1").unwrap(), kind, None).await.unwrap()?;
        Some((snapshot.revision.get(), String::from_utf8(snapshot.state.to_vec()).unwrap()))
    }
}

#[tokio::test]
async fn one_is_due_once_the_events_since_the_last_span_the_age() {
    let world = World::new().await;
    assert_eq!(world.count(false).await, 0, "one event spans nothing");
    world.runtime.advance(Duration::from_hours(23));
    assert_eq!(world.count(false).await, 0);
    world.runtime.advance(Duration::from_hours(1));
    assert_eq!(world.count(true).await, 0, "what is no event does not grow old");
    assert_eq!(world.count(false).await, 1);
    assert_eq!(world.kept().await, None, "the command did not wait for it");
    world.runtime.spawn.run().await;
    assert_eq!(world.kept().await, Some((2, "3".into())));

    // Age counts from the first event that is in none.
    world.runtime.advance(Duration::from_hours(100));
    assert_eq!(world.count(false).await, 0);
    world.runtime.advance(Duration::from_hours(24));
    assert_eq!(world.count(false).await, 1);
    world.runtime.spawn.run().await;
    assert_eq!(world.kept().await, Some((4, "5".into())));
}
