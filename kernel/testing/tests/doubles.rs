//! Mocks are ports; what is around a port fails and remembers as told; the runtime by hand obeys.

use core::time::Duration;
use futures::FutureExt as _;
use portolan_kernel::application::{Application, Storage};
use portolan_kernel::drivers::Hooked;
use portolan_kernel::ports::{
    AppendError, Body, Capabilities, Clock as _, CommandEnvelope, CommandError, EventStore, IdSource as _,
    QueryBus as _, QueryEnvelope, QueryError, ReadError, Sleep as _, Spawn as _, StoreId,
};
use portolan_kernel::values::{
    Append, Appended, Expected, Format, NewEvent, Page, Position, Query, Read, Revision, StreamId, Timestamp,
};
use portolan_testing::{
    CountingIds, Fault, Faulty, MockEventStore, MockHooks, MockQueryBus, MockSnapshotStore, ReadFault, TestRuntime,
    TestSleep, Tracking,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn stream() -> StreamId {
    "s".parse().expect("a name")
}

fn append() -> Append {
    let event = NewEvent::new(stream(), "t".parse().expect("a name"), "{}");
    Append::new([event]).expect(stream(), Expected::NoStream)
}

/// A store that takes so many appends, and stands at revision 4.
fn store(times: usize) -> MockEventStore {
    let mut store = MockEventStore::new();
    store.expect_append().times(times).returning(|_| Ok(Appended::new(Position::new(1), Position::new(1), vec![])));
    store.expect_read().returning(|_| Ok(Page::new(vec![], None, None, Some(Revision::new(4)))));
    store.expect_capabilities().returning(|| Capabilities::new(StoreId::from_bytes([1; 16])));
    store
}

#[tokio::test]
async fn a_script_of_writes() {
    let sleep = Arc::new(TestSleep::at_once());
    // It sees those that are written: the one whose answer is lost, the slow one, and the last.
    let store = Faulty::new(Arc::new(store(3)))
        .first_writes(1, Fault::Busy)
        .nth_write(2, Fault::Conflict)
        .nth_write(3, Fault::LostOnTheWay)
        .nth_write(4, Fault::LostAnswer)
        .nth_write(5, Fault::Broken)
        .nth_write(6, Fault::Slow(sleep.clone(), Duration::from_secs(9)));
    assert!(matches!(store.append(append()).await, Err(AppendError::Busy(_))));
    let conflict = store.append(append()).await;
    let actual = Some(Revision::new(4));
    assert!(
        matches!(&conflict, Err(AppendError::Conflict { expected: Expected::NoStream, actual: at, .. }) if *at == actual),
        "{conflict:?}"
    );
    assert!(matches!(store.append(append()).await, Err(AppendError::Unknown(_))));
    assert!(matches!(store.append(append()).await, Err(AppendError::Unknown(_))));
    assert!(matches!(store.append(append()).await, Err(AppendError::Other(_))));
    assert_eq!(sleep.recorded(), []);
    store.append(append()).await.expect("slow, and done");
    assert_eq!(sleep.recorded(), [Duration::from_secs(9)]);
    store.append(append()).await.expect("the script is over");
    assert_eq!((store.writes(), store.reads()), (7, 0));
}

#[tokio::test]
async fn a_script_of_reads() {
    let store = Faulty::new(Arc::new(store(0))).first_reads(2, ReadFault::Busy).nth_read(3, ReadFault::Broken);
    let read = || store.read(Read::log(Query::all()));
    assert!(matches!(read().await, Err(ReadError::Busy(_))));
    assert!(matches!(
        store.recall("a".parse().expect("a name"), "b".parse().expect("a name")).await,
        Err(ReadError::Busy(_))
    ));
    assert!(matches!(read().await, Err(ReadError::Other(_))));
    assert_eq!(read().await.expect("a page").revision, Some(Revision::new(4)));

    let mut bus = MockQueryBus::new();
    bus.expect_ask().never();
    let bus = Faulty::new(Arc::new(bus)).nth_read(1, ReadFault::Busy);
    let question = QueryEnvelope::new("q".parse().expect("a name"), "{}");
    assert!(matches!(bus.ask(question).await, Err(QueryError::Busy(_))));
}

#[tokio::test]
async fn calls_are_remembered_whether_answered_or_not() {
    let held = Arc::new(TestSleep::held());
    let slow = Faulty::new(Arc::new(store(1))).nth_write(2, Fault::Slow(held.clone(), Duration::from_secs(1)));
    let store: Arc<dyn EventStore> = Arc::new(slow);
    let store = Tracking::new(store);
    store.append(append()).await.expect("taken");
    let gone = store.append(append()).now_or_never();
    assert!(gone.is_none());
    store.read(Read::stream(stream())).await.expect("a page");
    let appends = store.appends();
    assert!(matches!(appends[0].answered, Some(Ok(_))));
    assert!(appends[1].answered.is_none());
    assert_eq!(appends[1].asked.events[0].stream, stream());
    assert_eq!(store.reads().len(), 1);
}

#[tokio::test]
async fn time_passes_when_it_is_told_to() {
    let test = TestRuntime::held();
    let minute = Duration::from_secs(60);
    let done = Arc::new(AtomicBool::new(false));
    let (sleep, seen) = (test.sleep.clone(), done.clone());
    test.spawn.spawn(Box::pin(async move {
        sleep.sleep(minute).await;
        seen.store(true, Ordering::SeqCst);
    }));
    assert_eq!(test.spawn.len(), 1);
    let mut running = Box::pin(test.spawn.run());
    assert_eq!(running.as_mut().now_or_never(), None);
    assert_eq!(test.sleep.asleep(), 1);
    test.advance(minute - Duration::from_secs(1));
    assert_eq!(running.as_mut().now_or_never(), None);
    assert!(!done.load(Ordering::SeqCst));
    test.advance(Duration::from_secs(1));
    running.await;
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(test.clock.now(), Timestamp::default().plus(minute));
    assert_eq!((test.sleep.recorded(), test.sleep.asleep()), (vec![minute], 0));

    let long = test.sleep.sleep(Duration::MAX);
    test.sleep.wake_all();
    long.await;
    test.clock.set(Timestamp::from_micros(5));
    assert_eq!(test.clock.now().as_micros(), 5);
}

#[test]
fn ids_count() {
    let ids = CountingIds::default();
    assert_eq!([ids.new_id(), ids.new_id()], [CountingIds::nth(1), CountingIds::nth(2)]);
    assert_eq!(CountingIds::nth(2).to_string(), "00000000-0000-0000-0000-000000000002");
    assert_eq!(ids.given(), 2);
}

/// An application on doubles alone: a mock of its store, the runtime by hand, and mocked hooks.
#[tokio::test]
async fn an_application_runs_on_doubles() {
    let mut hooks = MockHooks::new();
    hooks.expect_before().times(1).returning(Ok);
    hooks.expect_failed().times(1).withf(|command, _| command.name == "nothing").returning(|_, _| ());
    let storage = Storage::new(Arc::new(store(0)), Arc::new(MockSnapshotStore::new()));
    let test = TestRuntime::at_once();
    let built = Application::builder(storage, test.runtime()).middleware(Hooked::new(hooks)).build().await;
    let ports = built.expect("it has no parts").ports();
    let command = CommandEnvelope::new("nothing".parse().expect("a name"), Body::Encoded("{}".into(), Format::Json));
    let outcome = ports.commands.dispatch(command).await;
    assert!(matches!(outcome, Err(CommandError::UnknownCommand(_))), "{outcome:?}");
}
