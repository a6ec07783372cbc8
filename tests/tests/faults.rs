//! An application over a store that fails by a script, on a runtime by hand: what becomes of a command.

use portolan::application::{Application, Storage};
use portolan::domain::{
    Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, Rejection, StreamCommand, variant,
};
use portolan::drivers::CommandBusExt as _;
use portolan::ports::{AppendError, CommandBus, CommandError, EventStore, RawEvent};
use portolan::values::{InvalidName, Query, Read, StreamId};
use portolan::{Bytes, MemoryStore};
use portolan_testing::{Fault, Faulty, ReadFault, TestRuntime, Tracking};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
enum Counted {
    #[serde(rename = "counter.counted")]
    Counted { to: u64 },
}

impl Event for Counted {
    const CATEGORY: &'static str = "counter";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Serialize, Deserialize)]
struct Count {}

impl Command for Count {
    const NAME: &'static str = "count";
}

impl StreamCommand for Count {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new("counter-1")
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Never {}

impl core::fmt::Display for Never {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}
impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Counter(u64);

impl Aggregate for Counter {
    const CATEGORY: &'static str = "counter";
    type Event = Counted;
    type Rejection = Never;
    type Commands = (Count,);
    fn evolve(&mut self, Counted::Counted { to }: &Counted) {
        self.0 = *to;
    }
}

impl Decide<Count> for Counter {
    fn decide(&self, _: &Count, _: &Context) -> Decision<Self> {
        Ok(vec![Counted::Counted { to: self.0 + 1 }])
    }
}

type Tracked = Arc<Tracking<Faulty<MemoryStore>>>;

/// A counter over a store with this script, and what reaches the store.
async fn counter(script: impl FnOnce(Faulty<MemoryStore>) -> Faulty<MemoryStore>) -> (Arc<dyn CommandBus>, Tracked) {
    let store = MemoryStore::new();
    let faulty: Tracked = Arc::new(Tracking::new(Arc::new(script(Faulty::new(Arc::new(store.clone()))))));
    let storage = Storage::new(faulty.clone(), Arc::new(store));
    let runtime = TestRuntime::at_once().runtime();
    let built = Application::builder(storage, runtime).aggregate::<Counter>().build().await;
    (built.expect("one aggregate, one command").ports().commands, faulty)
}

async fn events(store: &Tracked) -> usize {
    store.read(Read::log(Query::all())).await.expect("the script is over").events.len()
}

#[tokio::test]
async fn conflicts_and_a_busy_store_are_tried_again() {
    for fault in [Fault::Busy, Fault::Conflict] {
        let (commands, store) = counter(|store| store.first_writes(2, fault.clone())).await;
        commands.send(Count {}).await.expect("the third attempt is written");
        assert_eq!((store.appends().len(), events(&store).await), (3, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_lost_under_a_key_is_settled_and_written_once() {
    for fault in [Fault::LostAnswer, Fault::LostOnTheWay] {
        let (commands, store) = counter(|store| store.nth_write(1, fault.clone())).await;
        commands.send(Count {}).id("k-1").await.expect("the same append settles it");
        assert_eq!((store.appends().len(), events(&store).await), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_lost_without_a_key_is_unknown_and_not_tried_again() {
    for (fault, written) in [(Fault::LostAnswer, 1), (Fault::LostOnTheWay, 0)] {
        let (commands, store) = counter(|store| store.nth_write(1, fault.clone())).await;
        let outcome = commands.send(Count {}).await;
        assert!(matches!(outcome, Err(CommandError::Unknown(_))), "{fault:?}: {outcome:?}");
        assert!(matches!(store.appends()[0].answered, Some(Err(AppendError::Unknown(_)))));
        assert_eq!((store.appends().len(), events(&store).await), (1, written), "{fault:?}");
    }
}

#[tokio::test]
async fn a_broken_store_is_left_alone() {
    let (commands, store) = counter(|store| store.nth_write(1, Fault::Broken)).await;
    assert!(matches!(commands.send(Count {}).await, Err(CommandError::Other(_))));
    assert_eq!((store.appends().len(), events(&store).await), (1, 0));
    let (commands, store) = counter(|store| store.nth_read(1, ReadFault::Broken)).await;
    assert!(matches!(commands.send(Count {}).await, Err(CommandError::Other(_))));
    assert_eq!((store.appends().len(), events(&store).await), (0, 0));
}
