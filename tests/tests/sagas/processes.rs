//! Processes driven over a store: fed, crashed, fed twice, and what they cannot receive.

use crate::driving::settled;
use crate::orders::{Course, Payments, Shop, saga};
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::domain::saga::{End, ReactionError, SagaHandler, SagaState};
use portolan::drivers::{
    ReceiveReason, Received, ReceivedAs, SagaDriver, SagaHandlers, SagaLacking, SagaNudge, SagaPorts, SagaRest,
};
use portolan::ports::{ActOnSaga, SagaAction, SagaError, SagaPhase, StartSaga};
use portolan::sqlite::{Durability, SqliteStore};
use portolan::values::{EventType, Metadata, Read, SagaId};
use portolan_testing::crash::{CrashReport, Process as Life, Trial, streams};
use portolan_testing::{Fault, Faulty, ReadFault, TestRuntime, crash_points};
use rstest::rstest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The facts of the process.
pub(crate) async fn trace(storage: &Storage) -> String {
    let page = storage.events.read(Read::stream(saga().stream())).await.unwrap();
    let word = |kind: &str| kind.trim_start_matches("$saga.").to_owned();
    page.events.iter().map(|event| word(&event.event_type)).collect::<Vec<_>>().join(" ")
}

/// How it stands, what it knows, and what has become of the order. Times and numbers of attempts differ rightly.
async fn end(storage: &Storage) -> (String, String, BTreeMap<String, Vec<String>>) {
    let state = SagaState::fold(saga(), &crate::crashes::facts_of(storage, &saga()).await).unwrap();
    let status = state.status(state.started_at().unwrap());
    let knows = state.process_state().unwrap().to_string();
    (format!("{} {}", status.phase, status.step.unwrap_or_default()), knows, streams(storage).await)
}

async fn ordered(life: &Life, course: Course) {
    let shop = Shop::new(life.storage(), life.runtime()).await;
    shop.order(course).await;
    shop.run().await;
}

fn crashed(course: Course, twice: usize) -> CrashReport {
    crash_points(async |trial| MemoryStore::builder().clock(trial.clock).build())
        .run(async move |life: &Life| ordered(life, course).await)
        .observe(end)
        .twice(twice)
        .check()
}

/// Wherever it dies, each event is received once, each timer fires once, each command takes effect once (SG-02, SG-06).
#[rstest]
#[case::paid(Course::Pays)]
#[case::forgotten(Course::Forgets)]
#[case::paid_late(Course::PaysLate)]
#[case::sold_out(Course::SoldOut)]
fn it_ends_in_the_same_way_wherever_it_dies(#[case] course: Course) {
    let report = crashed(course, 60);
    assert_eq!(report.tried.len(), 2 * report.boundaries.len() + 60);
}

#[rstest]
#[case::paid(Course::Pays)]
#[case::forgotten(Course::Forgets)]
fn the_same_on_sqlite(#[case] course: Course) {
    let folder = tempfile::tempdir().unwrap();
    let open = async |trial: Trial| {
        let builder = SqliteStore::builder(folder.path().join(format!("{}.db", trial.number))).clock(trial.clock);
        builder.durability(Durability::SurvivesProcessCrashOnly).open().await.unwrap()
    };
    let report = crash_points(open).run(async move |life: &Life| ordered(life, course).await).observe(end).check();
    assert_eq!(report.boundaries, crashed(course, 0).boundaries);
}

pub(crate) struct World {
    pub(crate) storage: Storage,
    pub(crate) runtime: TestRuntime,
    pub(crate) shop: Shop,
}

pub(crate) async fn world(course: Course) -> World {
    let world = faulty_world(None).await;
    settled(&world.runtime, world.shop.order(course)).await;
    world
}

async fn faulty_world(fault: Option<(u64, Fault)>) -> World {
    let runtime = TestRuntime::held();
    let mut storage: Storage = MemoryStore::builder().clock(runtime.clock.clone()).build().into();
    let faulty = Faulty::new(storage.events.clone());
    storage.events = Arc::new(match fault {
        Some((nth, fault)) => faulty.nth_write(nth, fault),
        None => faulty,
    });
    let shop = Shop::new(storage.clone(), runtime.runtime()).await;
    World { storage, runtime, shop }
}

fn outcomes(received: &[Received]) -> Vec<ReceivedAs> {
    received.iter().map(|received| received.outcome).collect()
}

#[rstest]
#[case(Course::Pays, "started received received begun succeeded ended")]
#[case(Course::Forgets, "started received begun succeeded fired begun succeeded begun succeeded ended")]
#[case(Course::PaysLate, "started received begun succeeded fired begun failed handled begun succeeded ended")]
#[case(Course::SoldOut, "started received begun failed needs-operator fired")]
#[tokio::test]
async fn orders(#[case] course: Course, #[case] expected: &str) {
    let World { storage, runtime, shop } = world(course).await;
    settled(&runtime, shop.run()).await;
    assert_eq!(trace(&storage).await, expected);
}

/// Started, fed and drained; and what comes of each event is told.
#[tokio::test]
async fn what_has_become_of_an_event_is_told() {
    let World { storage, runtime, shop } = world(Course::Pays).await;
    let log = shop.log().await;
    let early = shop.driver.receive(&shop.handler, &log[1]).await.unwrap();
    assert_eq!(outcomes(&early), [ReceivedAs::BeforeTheStart]);
    assert_eq!(trace(&storage).await, "");
    let all = shop.feed().await;
    assert_eq!((outcomes(&all), all[0].is_new()), (vec![ReceivedAs::Start, ReceivedAs::Next], true));
    assert_eq!(all[0].saga, saga());
    assert_eq!(outcomes(&shop.feed().await), [ReceivedAs::Repetition, ReceivedAs::Repetition]);
    assert_eq!(settled(&runtime, shop.run()).await, SagaRest::Ended(End::Completed));
    // It stays ended, also when an event comes that would start it.
    let mut later = (*log[0]).clone();
    later.position = portolan::values::Position::new(1_000).unwrap();
    let before = trace(&storage).await;
    let again = shop.driver.receive(&shop.handler, &Arc::new(later)).await.unwrap();
    assert_eq!((outcomes(&again), again[0].is_new()), (vec![ReceivedAs::AfterTheEnd], false));
    assert_eq!(trace(&storage).await, before);
}

/// One append starts it and receives; the first command is begun by whoever drives.
#[tokio::test]
async fn a_reception_is_one_append() {
    let World { storage, shop, .. } = world(Course::Forgets).await;
    shop.feed().await;
    assert_eq!(trace(&storage).await, "started received");
    let page = storage.events.read(Read::stream(saga().stream())).await.unwrap();
    let order = &shop.log().await[0];
    for event in &page.events {
        let metadata = Metadata::decode(&event.metadata);
        assert_eq!(metadata.causation, Some(order.id.to_string()));
        assert_eq!(metadata.correlation, Metadata::decode(&order.metadata).correlation);
        assert_eq!((metadata.actor.as_deref(), metadata.tenant.as_deref()), (Some("ann"), Some("north")));
        assert_eq!(metadata.command, None);
    }
}

/// A process waits without anybody at work, and says until when; its timer fires once, also when it is overdue.
#[tokio::test]
async fn timers_outlive_who_drives() {
    let World { storage, runtime, shop } = world(Course::Forgets).await;
    shop.feed().await;
    let rest = settled(&runtime, shop.driver.drive(&saga(), &SagaNudge::new())).await.unwrap();
    let SagaRest::Until(due) = rest else { panic!("{rest:?}") };
    let stands = shop.driver.status(saga()).await.unwrap();
    assert_eq!((stands.status.phase, stands.status.due), (SagaPhase::Waiting, Some(due)));
    runtime.advance(std::time::Duration::from_secs(3_000));
    let other = Shop::new(storage.clone(), runtime.runtime()).await;
    let (one, two) = settled(&runtime, futures::future::join(shop.run(), other.run())).await;
    assert_eq!((&one, &two), (&SagaRest::Ended(End::Completed), &one));
    assert_eq!(trace(&storage).await.matches("fired").count(), 1);
}

/// Two that feed and drive are as one.
#[rstest]
#[case(Course::Pays)]
#[case(Course::Forgets)]
#[case(Course::PaysLate)]
#[case(Course::SoldOut)]
#[tokio::test]
async fn two_feeders_are_one(#[case] course: Course) {
    let World { storage, runtime, shop } = world(course).await;
    let other = Shop::new(storage.clone(), runtime.runtime()).await;
    let (one, two) = settled(&runtime, futures::future::join(shop.run(), other.run())).await;
    assert_eq!(one, two);
    let alone = world(course).await;
    assert_eq!(settled(&alone.runtime, alone.shop.run()).await, one);
    assert_eq!(streams(&storage).await, streams(&alone.storage).await);
    let counted = |trace: String, kind: &str| trace.split(' ').filter(|fact| *fact == kind).count();
    for kind in ["started", "received", "fired", "handled", "succeeded", "ended"] {
        let (both, one) = (trace(&storage).await, trace(&alone.storage).await);
        assert_eq!(counted(both, kind), counted(one, kind), "{kind}");
    }
}

/// An event that comes while a command is at work is received, and counts.
#[tokio::test]
async fn events_are_received_while_a_driver_waits() {
    let World { storage, runtime, shop } = world(Course::Forgets).await;
    shop.feed().await;
    let nudge = SagaNudge::new();
    let rest = settled(&runtime, shop.driver.drive(&saga(), &nudge)).await.unwrap();
    assert!(matches!(rest, SagaRest::Until(_)), "{rest:?}");
    shop.pay().await.unwrap();
    assert_eq!(outcomes(&shop.feed().await), [ReceivedAs::Repetition, ReceivedAs::Next]);
    assert_eq!(trace(&storage).await, "started received begun succeeded received ended");
    let rest = shop.driver.drive(&saga(), &nudge).await.unwrap();
    assert_eq!(rest, SagaRest::Ended(End::Completed));
}

/// Whatever becomes of an append, each event is received once.
#[rstest]
#[tokio::test]
async fn appends_that_fail_are_made_good(
    #[values(Fault::Busy, Fault::LostOnTheWay, Fault::LostAnswer)] fault: Fault,
    #[values(1, 2, 3, 4, 5, 6, 7, 8)] nth: u64,
) {
    let World { storage, runtime, shop } = faulty_world(Some((nth, fault))).await;
    settled(&runtime, shop.order(Course::Forgets)).await;
    assert_eq!(settled(&runtime, shop.run()).await, SagaRest::Ended(End::Completed));
    let whole = trace(&storage).await;
    assert_eq!((whole.matches("received").count(), whole.matches("fired").count()), (1, 1), "{whole}");
    assert_eq!(
        streams(&storage).await.values().map(Vec::len).sum::<usize>(),
        4,
        "placed, cancelled, reserved, released"
    );
}

#[tokio::test]
async fn operators_go_on_with_a_process() {
    let World { storage, runtime, shop } = world(Course::SoldOut).await;
    shop.feed().await;
    let rest = settled(&runtime, shop.driver.drive(&saga(), &SagaNudge::new())).await.unwrap();
    assert!(matches!(rest, SagaRest::Until(_)), "its timer is due while an operator is needed: {rest:?}");
    let stands = shop.driver.status(saga()).await.unwrap().status;
    assert_eq!((stands.phase, stands.step.as_deref()), (SagaPhase::NeedsOperator, Some("1-reserve")));
    assert_eq!(stands.reason.as_deref(), Some("1-reserve failed: it is sold out (SoldOut)"));
    let act = |action| shop.driver.act(ActOnSaga::new(saga(), action));
    let back = act(SagaAction::Compensate).await;
    assert!(matches!(&back, Err(SagaError::NotNow { reason, .. }) if reason.contains("no way back")), "{back:?}");
    assert_eq!(act(SagaAction::Skip).await.unwrap().status.phase, SagaPhase::Waiting);
    assert_eq!(settled(&runtime, shop.run()).await, SagaRest::Ended(End::Completed));
    assert!(trace(&storage).await.ends_with("acted fired begun succeeded begun succeeded ended"));
}

/// What is recorded of an event that cannot be received is nothing, and the error tells which it is and whether it lasts.
#[tokio::test]
async fn what_cannot_be_received_is_told() {
    for (course, says) in [(Course::Panics, "panicked: "), (Course::NoKey, "it is correlated by \"\"")] {
        let World { storage, shop, .. } = world(course).await;
        let event = &shop.log().await[0];
        let error = shop.driver.receive(&shop.handler, event).await.unwrap_err();
        assert!(error.to_string().contains(says) && error.is_lasting(), "{error}");
        assert_eq!(error.is_for_none(), course == Course::NoKey);
        assert_eq!((error.event, error.position, error.process.as_str()), (event.id, event.position, "order-payment"));
        assert_eq!(
            matches!(error.reason, ReceiveReason::Reaction { source: ReactionError::Panicked(_), .. }),
            course == Course::Panics
        );
        assert_eq!(trace(&storage).await, "");
    }
    let World { shop, runtime, .. } = world(Course::Forgets).await;
    let mut unknown = (*shop.log().await[0]).clone();
    unknown.event.event_type = EventType::new("order.lost").unwrap();
    let error = shop.driver.receive(&shop.handler, &Arc::new(unknown)).await.unwrap_err();
    assert!(matches!(error.reason, ReceiveReason::Decode(_)) && error.is_lasting(), "{error}");
    let busy = Faulty::new(shop.ports.events.clone()).first_reads(100, ReadFault::Busy);
    let ports = SagaPorts { events: Arc::new(busy), ..shop.ports.clone() };
    let busy = SagaDriver::new(ports, Arc::new(SagaHandlers::new()));
    let error = settled(&runtime, busy.receive(&shop.handler, &shop.log().await[0])).await.unwrap_err();
    assert!(matches!(error.reason, ReceiveReason::Saga(SagaError::Busy(_))) && !error.is_lasting(), "{error}");
}

/// Processes of several versions: each receives by its own, new ones by the latest, and one without code waits (SG-08).
#[tokio::test]
async fn versions() {
    let World { storage, runtime, shop } = world(Course::Pays).await;
    let log = shop.log().await;
    shop.driver.receive(&shop.handler, &log[0]).await.unwrap();
    let newer = SagaHandler::process(Payments::<2>).unwrap();
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(newer.clone()));
    let without = SagaDriver::new(shop.ports.clone(), Arc::new(handlers));
    let error = without.receive(&newer, &log[1]).await.unwrap_err();
    let lacks = matches!(error.reason, ReceiveReason::Lacks { source: SagaLacking::Handler { version: 1, .. }, .. });
    assert!(lacks && !error.is_lasting(), "{error}");
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(newer.clone()) && handlers.add(shop.handler.clone()));
    assert_eq!(handlers.processes().map(SagaHandler::version).collect::<Vec<_>>(), [1, 2]);
    let both = SagaDriver::new(shop.ports.clone(), Arc::new(handlers));
    let other = both.receive(&newer, &log[1]).await.unwrap();
    assert_eq!(outcomes(&other), [ReceivedAs::OtherVersion]);
    assert_eq!(outcomes(&both.receive(&shop.handler, &log[1]).await.unwrap()), [ReceivedAs::Next]);
    assert_eq!(
        settled(&runtime, both.drive(&saga(), &SagaNudge::new())).await.unwrap(),
        SagaRest::Ended(End::Completed)
    );
    assert_eq!(trace(&storage).await, "started received received begun succeeded ended");
    // A new one follows the latest.
    let fresh = world(Course::Pays).await;
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(newer.clone()) && handlers.add(shop.handler.clone()));
    let both = SagaDriver::new(fresh.shop.ports.clone(), Arc::new(handlers));
    let first = &fresh.shop.log().await[0];
    assert_eq!(outcomes(&both.receive(&shop.handler, first).await.unwrap()), [ReceivedAs::OtherVersion]);
    assert_eq!(outcomes(&both.receive(&newer, first).await.unwrap()), [ReceivedAs::Start]);
    assert_eq!(both.status(saga()).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_process_is_described_and_not_started_by_hand() {
    let World { shop, .. } = world(Course::Pays).await;
    let described = shop.driver.describe();
    assert_eq!(
        (described[0].name.as_str(), &*described[0].description),
        ("order-payment", "Cancels an order that is not paid in time.")
    );
    assert_eq!(described[0].plan["process"]["longest_ms"], 3_600_000);
    let by_hand = shop.driver.start(StartSaga::new(saga(), serde_json::json!({}))).await;
    let Err(SagaError::Invalid(violations)) = by_hand else { panic!("{by_hand:?}") };
    assert_eq!(violations[0].code, "starts-by-events");
    let none = shop.driver.status(SagaId::new("order-payment", "o-1").unwrap()).await;
    assert!(matches!(none, Err(SagaError::NotFound(_))));
}
