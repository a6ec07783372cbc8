//! Decisions by models: under rivals, repetitions and mistakes.

extern crate alloc;

mod support;

use alloc::sync::Arc;
use portolan_kernel::application::{Application, BuildError, Storage};
use portolan_kernel::domain::{
    Aggregate, Command, Context, Decide, Decision, DecisionModel, Event, Rejection, StreamCommand,
};
use portolan_kernel::drivers::*;
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use support::seats::*;
use support::store::{Fault, TestStore};
use support::{builder, runtime};

async fn seats(store: &Arc<TestStore>) -> Arc<dyn CommandBus> {
    builder(store).decision::<Seats>().build().await.expect("it is in order").ports().commands
}

fn rival(room: &str, person: &str) -> Append {
    let taken = SeatEvent::Taken { room: room.into(), person: person.into() };
    let stream = StreamId::new(format!("seat-{room}")).expect("a stream");
    let event =
        NewEvent::new(stream, EventType::new("seat.taken").expect("a type"), taken.encode().expect("it has a form"));
    Append::new([event.with_tags(taken.tags().expect("they are tags"))])
}

fn no_seat(error: &CommandError) -> NoSeat {
    NoSeat::of(error).unwrap_or_else(|| panic!("{error}"))
}

#[tokio::test]
async fn a_decision_depends_on_several_streams() {
    let store = TestStore::with_pages_of(1);
    let bus = seats(&store).await;
    let receipt = bus.send(take_seat("a", "ann")).await.unwrap();
    let expected = Receipt::new(
        vec![(StreamId::new("seat-a").unwrap(), Some(Revision::FIRST))],
        Position::new(10),
        vec![store.events()[0].id],
        false,
    );
    assert_eq!(receipt.clone().with_correlation(None).with_command(None), expected);
    assert!(receipt.correlation.is_some());
    bus.send(take_seat("a", "bob")).await.unwrap();
    assert_eq!(no_seat(&bus.send(take_seat("a", "eve")).await.unwrap_err()), NoSeat::Full { taken: 2 });
    assert_eq!(no_seat(&bus.send(take_seat("b", "ann")).await.unwrap_err()), NoSeat::Sits);
    bus.send(take_seat("b", "eve")).await.unwrap();
    // Nothing is to change, and nobody is in the way.
    assert_eq!(bus.send(take_seat("b", "nobody")).await.unwrap().position, None);
    assert_eq!(store.events().len(), 3);
    let wrong = bus.send(take_seat("", "")).await.unwrap_err();
    assert!(matches!(&wrong, CommandError::Invalid(violations) if violations.len() == 2), "{wrong}");
    let wrong = bus.send(take_seat("a\n", "b")).await.unwrap_err();
    assert!(matches!(&wrong, CommandError::Invalid(violations) if violations[0].code == "invalid-name"), "{wrong}");
}

#[rstest]
#[case::in_the_way("a", "bob", "a", "eve", Err(NoSeat::Full { taken: 2 }))]
#[case::in_the_way_elsewhere("b", "ann", "b", "bob", Err(NoSeat::Sits))]
#[case::not_in_the_way("b", "bob", "b", "eve", Ok(()))]
#[tokio::test]
async fn what_comes_in_between_is_read_and_decided_upon(
    #[case] room: &str,
    #[case] person: &str,
    #[case] other_room: &str,
    #[case] other_person: &str,
    #[case] outcome: Result<(), NoSeat>,
) {
    let store = TestStore::new();
    store.write(rival("z", "zoe"));
    let bus = seats(&store).await;
    let rivals = [rival(room, person), rival(other_room, other_person)];
    store.before_append(move |store| rivals.into_iter().for_each(|rival| drop(store.write(rival))));
    store.reads();
    let sent = bus.send(take_seat("a", "ann")).id("k").await;
    assert_eq!(sent.as_ref().map(|_| ()).map_err(no_seat), outcome);
    // Only what was added is read again.
    let starts: Vec<_> = store
        .reads()
        .into_iter()
        .map(|read| match read.from {
            Start::Log(_, after) => after,
            Start::Stream(..) => panic!("a model reads the log"),
        })
        .collect();
    let expected = if outcome.is_ok() { vec![None] } else { vec![None, Position::new(10)] };
    assert_eq!(starts, expected);
}

#[tokio::test]
async fn what_came_in_between_is_counted_once() {
    let store = TestStore::new();
    let bus = seats(&store).await;
    store.write(rival("z", "zoe"));
    store.before_append(|store| drop(store.write(rival("a", "bob"))));
    bus.send(take_seat("a", "ann")).await.unwrap();
    assert_eq!((store.appends(), store.events().len()), (2, 3));
}

#[tokio::test]
async fn a_guard_that_keeps_failing_is_given_up() {
    let store = TestStore::new();
    for _ in 0..1_000 {
        store.before_append(|store| drop(store.write(rival("b", "bob"))));
    }
    let bus = builder(&store).decision::<Auditing>().build().await.unwrap().ports().commands;
    let error = bus.send(Audit {}).await.unwrap_err();
    let CommandError::Conflict { stream, actual } = error else { panic!("{error}") };
    assert_eq!((&*stream, actual), ("seat-b", store.events().last().map(|event| event.revision)));
    assert!(store.appends() < 100);
}

/// Depends on everything.
#[derive(Serialize, Deserialize)]
struct Audit {}

impl Command for Audit {
    const NAME: &'static str = "audit";
}

#[derive(Default)]
struct Auditing(u64);

impl DecisionModel for Auditing {
    type Command = Audit;
    type Event = SeatEvent;
    type Rejection = NoSeat;
    fn query(_: &Audit) -> Result<Query, InvalidName> {
        Ok(Query::all())
    }
    fn start(_: &Audit) -> Self {
        Self(0)
    }
    fn evolve(&mut self, _: &SeatEvent) {
        self.0 += 1;
    }
    fn decide(&self, _: &Audit, _: &Context) -> Result<Vec<SeatEvent>, NoSeat> {
        Ok(vec![SeatEvent::Taken { room: "audit".into(), person: self.0.to_string() }])
    }
    fn stream(_: &SeatEvent) -> Result<StreamId, InvalidName> {
        StreamId::new("seat-audit")
    }
}

#[tokio::test]
async fn a_model_of_everything_sees_everything() {
    let store = TestStore::new();
    store.write(rival("a", "ann"));
    let bus = builder(&store).decision::<Auditing>().build().await.unwrap().ports().commands;
    for n in 1..4 {
        bus.send(Audit {}).await.unwrap();
        assert!(store.events()[n].tags.contains(&Tag::new(format!("person:{n}")).unwrap()));
    }
}

#[tokio::test]
async fn a_repetition_returns_the_original_receipt() {
    let store = TestStore::new();
    let bus = seats(&store).await;
    let first = bus.send(take_seat("a", "ann")).id("k-1").correlation("c-1").await.unwrap();
    bus.send(take_seat("a", "bob")).await.unwrap();
    let again = seats(&store).await.send(take_seat("a", "ann")).id("k-1").await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.streams, again.events, again.correlation), (first.streams, first.events, Some("c-1".into())));
    let reused = bus.send(take_seat("a", "eve")).id("k-1").await.unwrap_err();
    assert!(matches!(reused, CommandError::KeyReused));
    let metadata = Metadata::decode(&store.events()[0].metadata);
    assert_eq!((metadata.command.as_deref(), metadata.correlation.as_deref()), (Some("k-1"), Some("c-1")));
    // One that made no events is remembered too.
    assert!(!bus.send(take_seat("b", "nobody")).id("k-2").await.unwrap().repeated);
    assert!(bus.send(take_seat("b", "nobody")).id("k-2").await.unwrap().repeated);
    assert_eq!(store.events().len(), 2);
}

#[tokio::test]
async fn faults_are_settled_by_the_key() {
    let store = TestStore::new();
    let bus = seats(&store).await;
    store.fail_with([Fault::LostAnswer, Fault::Busy]);
    bus.send(take_seat("a", "ann")).id("k-1").await.unwrap();
    // What a lost answer has written is no rival of its own repetition.
    assert_eq!(store.events().len(), 1);
    store.fail_with([Fault::LostRequest]);
    let unknown = bus.send(take_seat("a", "bob")).await.unwrap_err();
    assert!(matches!(unknown, CommandError::Unknown(_)));
}

#[rstest]
#[case::one_process(1)]
#[case::several_processes(4)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_decisions_break_no_limit(#[case] processes: usize) {
    let store = TestStore::new();
    let mut buses = Vec::new();
    for _ in 0..processes {
        buses.push(seats(&store).await);
    }
    // 8 persons, each for 8 rooms at once.
    let sends = (0..64_usize).map(|n| {
        let bus = buses[n % processes].clone();
        let command = take_seat(&format!("r{}", n / 8), &format!("p{}", n % 8));
        tokio::spawn(async move { bus.send(command).await })
    });
    let mut seated = 0;
    for sent in sends.collect::<Vec<_>>() {
        match sent.await.unwrap() {
            Ok(_) => seated += 1,
            Err(error) => drop(no_seat(&error)),
        }
    }
    let tags = |prefix: &str| {
        let mut counts = std::collections::BTreeMap::new();
        for event in store.events() {
            let tag = event.tags.iter().find(|tag| tag.starts_with(prefix)).cloned();
            *counts.entry(tag).or_insert(0) += 1;
        }
        counts
    };
    assert_eq!((store.events().len(), seated), (8, 8), "every person has a seat");
    assert!(tags("room:").values().all(|taken| *taken <= 2));
    assert!(tags("person:").values().all(|taken| *taken <= 1));
    if processes == 1 {
        assert_eq!(store.appends(), 8, "turns spare futile appends");
    }
}

#[tokio::test]
async fn registration_is_judged() {
    let (store, seats) = (TestStore::new(), builder(&TestStore::new()).decision::<Seats>());
    let missing = builder(&store).expects::<TakeSeat>().build().await.unwrap_err();
    assert!(matches!(missing, BuildError::NoHandler { name: "take-seat", .. }), "{missing}");
    assert!(missing.to_string().contains("TakeSeat"), "{missing}");
    seats.expects::<TakeSeat>().build().await.expect("the model decides on it");
    let store = TestStore::new();
    let twice = builder(&store).decision::<Seats>().decision::<Seats>().build().await.unwrap_err();
    assert!(
        matches!(&twice, BuildError::Command(RegisterError::Twice { name, .. }) if *name == "take-seat"),
        "{twice}"
    );
    let taken = builder(&store).decision::<Seats>().decision::<Seats<true>>().build().await.unwrap_err();
    assert!(matches!(&taken, BuildError::Command(RegisterError::NameTaken { .. })), "{taken}");
    let both = builder(&store).decision::<Seats>().aggregate::<Room>().build().await.unwrap_err();
    assert!(matches!(&both, BuildError::Command(RegisterError::NameTaken { .. })), "{both}");
    let astray = builder(&store).decision::<Seats<true>>().build().await.unwrap().ports().commands;
    let error = astray.send(take_seat("a", "ann")).await.unwrap_err().to_string();
    assert!(error.contains("puts seat.taken into the stream account-a of category account"), "{error}");
    assert_eq!(store.appends(), 0);
    let storage = Storage::new(Arc::new(WithoutGuard(store.clone())), store);
    let lacking = Application::builder(storage, runtime()).decision::<Seats>().build().await.unwrap_err();
    assert!(matches!(lacking, BuildError::NoGuard { .. }), "{lacking}");
}

/// An aggregate that decides on the model's command.
#[derive(Serialize, Deserialize, Clone, Default)]
struct Room {}

impl Aggregate for Room {
    const CATEGORY: &'static str = "seat";
    type Event = SeatEvent;
    type Rejection = NoSeat;
    type Commands = (TakeSeat,);
    fn evolve(&mut self, _: &SeatEvent) {}
}

impl Decide<TakeSeat> for Room {
    fn decide(&self, _: &TakeSeat, _: &Context) -> Decision<Self> {
        Ok(vec![])
    }
}

impl StreamCommand for TakeSeat {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new("seat-a")
    }
}

struct WithoutGuard(Arc<TestStore>);

#[async_trait::async_trait]
impl EventStore for WithoutGuard {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.0.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.0.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.0.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.0.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().lacking(Capability::Guard)
    }
}
