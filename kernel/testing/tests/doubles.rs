//! Mocks are ports; what is around a port fails and remembers as told; the runtime by hand obeys.

use core::time::Duration;
use futures::FutureExt as _;
use portolan_kernel::application::{Application, Storage};
use portolan_kernel::drivers::Hooked;
use portolan_kernel::ports::{
    ActOnSaga, AppendError, AuthenticationError, Authenticator, Body, Capabilities, Clock as _, CommandEnvelope,
    CommandError, Credentials, EventStore, IdSource as _, Lease, LeaseError, LeaseStore as _, ListSagas, QueryBus as _,
    QueryEnvelope, QueryError, ReadError, ReadModelStore as _, RowError, SagaAction, SagaError, SagaOrchestrator,
    SagaPage, SagaStarted, SagaTimeline, SchemaRegistry, Sleep as _, Snapshot, SnapshotError, SnapshotStore as _,
    Spawn as _, StartSaga, StoreId,
};
use portolan_kernel::values::{
    Append, Appended, Batch, Checkpoint, CheckpointState, Collection, Expected, Format, Guard, Move, Name, NewEvent,
    Page, Position, Query, Read, Recorded, Revision, SagaId, Start, StreamId, Timestamp, Token,
};
use portolan_testing::{
    CountingIds, Fault, Faulty, MockAuthenticator, MockEventStore, MockHooks, MockLeaseStore, MockQueryBus,
    MockReadModelStore, MockSagaOrchestrator, MockSchemaRegistry, MockSnapshotStore, ReadFault, TestRuntime, TestSleep,
    Tracking,
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

/// An append under a guard alone expects nothing of a stream, and fails as a store has it.
#[tokio::test]
async fn a_conflict_under_a_guard_is_a_failed_guard() {
    let guarded = |after| {
        let event = NewEvent::new(stream(), "t".parse().expect("a name"), "{}");
        Append::new([event]).guard(Guard::new(Query::stream(stream()), after))
    };
    let failed_at = |outcome| match outcome {
        Err(AppendError::GuardFailed { position }) => position.get(),
        other => panic!("{other:?}"),
    };
    let mut log = MockEventStore::new();
    let event = NewEvent::new(stream(), "t".parse().expect("a name"), "{}");
    let at = Position::new(40).expect("no zero");
    let recorded = Arc::new(Recorded::new(event, Revision::FIRST, at, Timestamp::default()));
    log.expect_read()
        .withf(|read| matches!(&read.from, Start::Log(_, Some(after)) if after.get() == 7))
        .returning(move |_| Ok(Page::new(vec![recorded.clone()], Some(at), None, None)));
    let log = Faulty::new(Arc::new(log)).first_writes(1, Fault::Conflict);
    assert_eq!(failed_at(log.append(guarded(Position::new(7))).await), 40);
    let empty = Faulty::new(Arc::new(store(0))).first_writes(2, Fault::Conflict);
    assert_eq!(failed_at(empty.append(guarded(Position::new(7))).await), 8);
    assert_eq!(failed_at(empty.append(guarded(None)).await), 1);
}

fn store_with_hints() -> MockEventStore {
    let mut store = store(0);
    store.expect_checkpoint().never();
    store.expect_changed().times(1).returning(|_, _| Ok(()));
    store
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

    let name = || "a".parse().expect("a name");
    let store = Faulty::new(Arc::new(store_with_hints())).nth_read(1, ReadFault::Busy).nth_hint(2, ReadFault::Broken);
    assert!(matches!(store.checkpoint(name()).await, Err(ReadError::Busy(_))));
    assert!(store.changed(Query::all(), None).await.is_ok());
    assert!(matches!(store.changed(Query::all(), None).await, Err(ReadError::Other(_))));

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
async fn recalls_are_remembered() {
    let mut log = store(0);
    log.expect_recall().returning(|_, _| Ok(None));
    let log = Tracking::new(Arc::new(log));
    let (scope, id): (Name, Name) = ("s".parse().expect("a name"), "k-1".parse().expect("a name"));
    log.recall(scope.clone(), id.clone()).await.expect("nothing there");
    assert_eq!(log.recalls()[0].asked, (scope, id));
    assert!(matches!(log.recalls()[0].answered, Some(Ok(None))));
}

#[tokio::test]
async fn snapshots_fail_and_are_remembered() {
    let kind: Name = "k".parse().expect("a name");
    let snapshot = Snapshot::new(stream(), kind.clone(), Revision::FIRST, 1, "{}", Timestamp::default());
    let mut store = MockSnapshotStore::new();
    store.expect_load().times(1).returning(|_, _, _| Ok(None));
    store.expect_save().times(2).returning(|_| Ok(()));
    let store = Faulty::new(Arc::new(store))
        .nth_read(1, ReadFault::Busy)
        .nth_write(1, Fault::Busy)
        .nth_write(2, Fault::LostAnswer)
        .nth_write(4, Fault::Conflict);
    let store = Tracking::new(Arc::new(store));
    assert!(matches!(store.load(stream(), kind.clone(), None).await, Err(SnapshotError::Busy(_))));
    assert!(matches!(store.load(stream(), kind.clone(), None).await, Ok(None)));
    assert!(matches!(store.save(snapshot.clone()).await, Err(SnapshotError::Busy(_))));
    assert!(matches!(store.save(snapshot.clone()).await, Err(SnapshotError::Other(_))));
    store.save(snapshot.clone()).await.expect("saved");
    assert!(matches!(store.delete(stream(), kind, None).await, Err(SnapshotError::Other(_))));
    assert_eq!((store.loads().len(), store.saves().len()), (2, 3));
    assert_eq!(store.saves()[2].asked, snapshot);
}

#[tokio::test]
async fn rows_fail_and_are_remembered() {
    let name = || -> Name { "balances".parse().expect("a name") };
    let state = CheckpointState::new(StoreId::from_bytes([1; 16]), Position::new(9), Token(3));
    let batch = Batch::new(Checkpoint::new(name(), state, Token(3), Move::At(Position::new(10).expect("no zero"))));
    let mut store = MockReadModelStore::new();
    store.expect_checkpoint().returning(move |_| Ok(Some(state)));
    store.expect_commit().times(1).returning(|_| Ok(()));
    let store = Faulty::new(Arc::new(store))
        .nth_write(1, Fault::Conflict)
        .nth_write(2, Fault::LostAnswer)
        .nth_write(3, Fault::Conflict)
        .nth_read(1, ReadFault::Broken);
    let store = Tracking::new(Arc::new(store));
    let moved = store.commit(batch.clone()).await;
    assert!(
        matches!(&moved, Err(RowError::CheckpointMoved { actual, token: Token(3), .. }) if *actual == Position::new(9)),
        "{moved:?}"
    );
    assert!(matches!(store.commit(batch.clone()).await, Err(RowError::Unknown(_))));
    let defined = store.define(Collection::new(name(), 2)).await;
    assert!(matches!(defined, Err(RowError::DefinedOtherwise { version: 2, .. })), "{defined:?}");
    assert!(matches!(store.versions(name()).await, Err(RowError::Other(_))));
    assert_eq!(store.commits().len(), 2);
    assert_eq!(store.commits()[0].asked, batch);
}

#[tokio::test]
async fn leases_fail() {
    let name = |text: &str| -> Name { text.parse().expect("a name") };
    let second = Duration::from_secs(1);
    let mut store = MockLeaseStore::new();
    store.expect_grant().times(1).returning(|name, holder, ttl| Ok(Lease::new(name, holder, Token(1), ttl)));
    store.expect_renew().never();
    store.expect_release().never();
    let store = Faulty::new(Arc::new(store))
        .nth_write(1, Fault::Conflict)
        .nth_write(3, Fault::Conflict)
        .nth_write(4, Fault::Conflict)
        .nth_write(5, Fault::LostOnTheWay);
    let held = store.grant(name("job"), name("me"), second).await;
    assert!(matches!(&held, Err(LeaseError::Held(lease)) if lease.holder == "rival"), "{held:?}");
    let lease = store.grant(name("job"), name("me"), second).await.expect("granted");
    let held = store.take_over(lease.clone(), name("me"), second).await;
    assert!(matches!(&held, Err(LeaseError::Held(rival)) if rival.token > lease.token), "{held:?}");
    let lost = store.renew(lease.clone()).await;
    assert!(matches!(lost, Err(LeaseError::Lost { token: Token(2), .. })), "{lost:?}");
    assert!(matches!(store.release(lease).await, Err(LeaseError::Unknown(_))));
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

#[tokio::test]
async fn who_comes_and_what_is_known_can_be_mocked() {
    let mut schemas = MockSchemaRegistry::new();
    schemas.expect_list().returning(|| Ok(Vec::new()));
    let schemas: Arc<dyn SchemaRegistry> = Arc::new(schemas);
    assert!(schemas.list().await.expect("a list").is_empty());

    let mut sagas = MockSagaOrchestrator::new();
    let saga = SagaId::new("transfer", "1").expect("a saga");
    sagas.expect_start().times(1).returning(|start| Ok(SagaStarted::new(start.saga, 1, None)));
    sagas.expect_list().withf(|list| list.limit == 7).times(1).returning(|_| Ok(SagaPage::default()));
    sagas.expect_status().returning(|saga| Err(SagaError::NotFound(saga)));
    sagas
        .expect_timeline()
        .withf(|_, after, limit| after.is_none() && *limit == 7)
        .returning(|_, _, _| Ok(SagaTimeline::default()));
    sagas.expect_act().returning(|act| Err(SagaError::NotFound(act.saga)));
    sagas.expect_describe().returning(|| Ok(Vec::new()));
    let sagas: Arc<dyn SagaOrchestrator> = Arc::new(sagas);
    assert!(!sagas.start(StartSaga::new(saga.clone(), 1.into())).await.expect("started").repeated);
    assert!(sagas.list(ListSagas::all().limit(7)).await.expect("a page").sagas.is_empty());
    assert!(matches!(sagas.status(saga.clone()).await, Err(SagaError::NotFound(_))));
    assert!(sagas.timeline(saga.clone(), None, 7).await.expect("a page").facts.is_empty());
    assert!(matches!(sagas.act(ActOnSaga::new(saga, SagaAction::Abort)).await, Err(SagaError::NotFound(_))));
    assert!(sagas.describe().await.expect("a list").is_empty());

    let mut authenticator = MockAuthenticator::new();
    authenticator.expect_authenticate().returning(|_| Err(AuthenticationError::Missing));
    let authenticator: Arc<dyn Authenticator> = Arc::new(authenticator);
    let refused = authenticator.authenticate(&Credentials::default()).await;
    assert!(matches!(refused, Err(AuthenticationError::Missing)));
}
