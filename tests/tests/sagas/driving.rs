//! What a driver does where nothing crashes.

use crate::bank::{Bank, Trouble, saga, start};
use crate::crashes::{facts, facts_of};
use portolan::MemoryStore;
use portolan::application::Storage;
use portolan::domain::saga::{End, SagaEvent};
use portolan::drivers::{SagaDriver, SagaHandlers, SagaLacking, SagaNudge, SagaRest};
use portolan::ports::{ActOnSaga, EventStore, SagaAction, SagaError, SagaPhase, StartSaga};
use portolan::values::{Metadata, Query, Read, SagaId};
use portolan_testing::crash::streams;
use portolan_testing::{Fault, Faulty, TestRuntime};
use rstest::rstest;
use std::sync::Arc;

/// Sleepers wake when nothing else can go on.
pub(crate) async fn settled<T>(runtime: &TestRuntime, work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    loop {
        if let std::task::Poll::Ready(done) = futures::poll!(&mut work) {
            return done;
        }
        let tasks = runtime.spawn.take();
        futures::future::join_all(tasks).await;
        if let Some(pause) = runtime.sleep.next() {
            runtime.advance(pause);
        }
    }
}

pub(crate) struct World {
    pub(crate) storage: Storage,
    pub(crate) runtime: TestRuntime,
    pub(crate) bank: Bank,
}

pub(crate) async fn world() -> World {
    faulty_world(|store| store).await
}

async fn faulty_world(faults: impl FnOnce(Faulty<dyn EventStore>) -> Faulty<dyn EventStore>) -> World {
    let runtime = TestRuntime::held();
    let mut storage: Storage = MemoryStore::builder().clock(runtime.clock.clone()).build().into();
    storage.events = Arc::new(faults(Faulty::new(storage.events.clone())));
    let bank = Bank::new(storage.clone(), runtime.runtime(), None).await;
    settled(&runtime, bank.open()).await;
    World { storage, runtime, bank }
}

/// The facts, by a letter each kind and the step.
pub(crate) async fn trace(storage: &Storage) -> String {
    trace_of(storage, &saga("t-1")).await
}

pub(crate) async fn trace_of(storage: &Storage, saga: &SagaId) -> String {
    let facts = facts_of(storage, saga).await;
    let word = |fact: &SagaEvent| match fact {
        SagaEvent::Started { .. } => "started".into(),
        SagaEvent::Begun { step, way, attempt, .. } => format!("{step} {way} {attempt}"),
        SagaEvent::Succeeded { .. } => "+".into(),
        SagaEvent::Failed { class, .. } => format!("-{class:?}").to_lowercase(),
        SagaEvent::KeyClosed { .. } => "closed".into(),
        SagaEvent::TurnedBack { .. } => "BACK".into(),
        SagaEvent::NeedsOperator { .. } => "STOP".into(),
        SagaEvent::Ended { end, .. } => end.to_string(),
        other => format!("{other:?}"),
    };
    facts.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[rstest]
#[case(
    Trouble::None,
    30,
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, +, audit forward 1, +, completed"
)]
#[case(Trouble::None, 130, "started, debit forward 1, -refused, BACK, compensated")]
#[case(
    Trouble::Frozen,
    30,
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, -refused, BACK, letter back 1, +, debit back 1, +, \
     compensated"
)]
#[case(
    Trouble::NoRefund,
    30,
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, -refused, BACK, letter back 1, +, debit back 1, \
     -refused, debit back 2, -refused, STOP"
)]
#[case(
    Trouble::SilentCredit,
    30,
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, -unknown, credit forward 2, -unknown, \
     credit settle 1, +, audit forward 1, +, completed"
)]
#[case(
    Trouble::LostCredit,
    30,
    "started, debit forward 1, +, letter forward 1, +, credit forward 1, -unknown, credit forward 2, -unknown, \
     credit settle 1, closed, -refused, BACK, letter back 1, +, debit back 1, +, compensated"
)]
#[case(
    Trouble::Panic,
    30,
    "started, debit forward 1, -unknown, debit forward 2, +, letter forward 1, +, credit forward 1, +, audit forward 1, +, \
     completed"
)]
#[tokio::test]
async fn transfers(#[case] trouble: Trouble, #[case] amount: i64, #[case] expected: &str) {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(trouble, amount)).await.unwrap();
    settled(&runtime, bank.drive()).await;
    assert_eq!(trace(&storage).await, expected);
}

/// It may be anything, and the facts of a saga are for many.
#[tokio::test]
async fn what_a_panic_says_is_not_recorded() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::Panic, 30)).await.unwrap();
    settled(&runtime, bank.drive()).await;
    let facts = facts(&storage).await;
    let reasons: Vec<_> = facts
        .iter()
        .filter_map(|fact| if let SagaEvent::Failed { reason, .. } = fact { Some(&**reason) } else { None })
        .collect();
    assert_eq!(reasons, ["the step panicked; the log of the process says at what"]);
}

#[tokio::test]
async fn what_a_key_closed_never_happens() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::LostCredit, 30)).await.unwrap();
    settled(&runtime, bank.drive()).await;
    let before = streams(&storage).await;
    // The command that was on its way all the time.
    let id = saga("t-1").step_key("credit", portolan::domain::saga::Way::Forward);
    let late = portolan::drivers::CommandBusExt::send(
        &*bank.commands,
        crate::bank::Deposit { account: "bob".into(), amount: 30 },
    );
    assert!(late.id(&*id).await.is_err());
    assert_eq!(streams(&storage).await, before);
}

#[tokio::test]
async fn a_saga_starts_once() {
    let World { storage, bank, .. } = world().await;
    let first = bank.driver.start(start(Trouble::None, 30)).await.unwrap();
    assert!(!first.repeated && first.position.is_some());
    assert!(bank.driver.start(start(Trouble::None, 30)).await.unwrap().repeated);
    let other = bank.driver.start(start(Trouble::None, 31)).await;
    assert!(matches!(other, Err(SagaError::StartedOtherwise(_))), "{other:?}");
    let wrong = bank.driver.start(StartSaga::new(saga("t-2"), serde_json::json!({"amount": "much"}))).await;
    let Err(SagaError::Invalid(violations)) = wrong else { panic!("{wrong:?}") };
    let [violation] = &violations[..] else { panic!("{violations:?}") };
    // Nobody has sent the text that was read, so no line of it is told.
    let expected = ("amount", r#"invalid type: string "much", expected i64"#);
    assert_eq!((&*violation.path, &*violation.message), expected);
    assert_eq!(trace(&storage).await, "started");
}

#[tokio::test]
async fn operators_are_recorded_with_their_notes() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::NoAuditor, 30)).await.unwrap();
    let act = |action| {
        let metadata = Metadata { actor: Some("olga".into()), ..Metadata::default() };
        ActOnSaga::new(saga("t-1"), action).with_note("seen to").with_metadata(metadata)
    };
    let early = bank.driver.act(act(SagaAction::Skip)).await;
    assert!(matches!(early, Err(SagaError::NotNow { .. })), "{early:?}");
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::NeedsOperator);
    let stands = bank.driver.status(saga("t-1")).await.unwrap();
    assert_eq!((stands.status.phase, stands.status.step.as_deref()), (SagaPhase::NeedsOperator, Some("audit")));
    let past = bank.driver.act(act(SagaAction::Compensate)).await;
    assert!(matches!(past, Err(SagaError::NotNow { .. })), "{past:?}");
    let too_much = bank.driver.act(act(SagaAction::Skip).with_note("x".repeat(64 << 20))).await;
    let Err(SagaError::Invalid(violations)) = too_much else { panic!("{too_much:?}") };
    assert_eq!((violations.len(), &*violations[0].path, &*violations[0].code), (1, "note", "too-large"));
    let then = bank.driver.act(act(SagaAction::Skip)).await.unwrap();
    assert_eq!(then.status.phase, SagaPhase::Completed);
    let acted = facts(&storage).await.into_iter().find_map(|fact| match fact {
        SagaEvent::Acted { actor, note, .. } => Some((actor, note)),
        _ => None,
    });
    assert_eq!(acted, Some((Some("olga".into()), "seen to".into())));
    let timeline = bank.driver.timeline(saga("t-1"), None, 3).await.unwrap();
    assert_eq!((timeline.facts.len(), &*timeline.facts[0].event_type), (3, "$saga.started"));
    let rest = bank.driver.timeline(saga("t-1"), timeline.next, 100).await.unwrap();
    assert_eq!((&*rest.facts.last().unwrap().event_type, rest.next), ("$saga.ended", None));
}

/// An operator ends it while a step is at work: the step is dropped, and its answer with it.
#[tokio::test]
async fn an_operator_ends_what_is_at_work() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::SilentCredit, 30)).await.unwrap();
    let (nudge, id) = (SagaNudge::new(), saga("t-1"));
    let mut drive = Box::pin(bank.driver.drive(&id, &nudge));
    assert!(futures::poll!(&mut drive).is_pending());
    bank.driver.act(ActOnSaga::new(saga("t-1"), SagaAction::Abort)).await.unwrap();
    assert!(futures::poll!(&mut drive).is_pending(), "nobody has told it");
    nudge.look();
    assert_eq!(settled(&runtime, drive).await.unwrap(), SagaRest::Ended(End::Aborted));
    assert!(trace(&storage).await.ends_with("aborted"));
}

/// Whoever stops finishes what has begun, and records no further intent.
#[tokio::test]
async fn a_driver_that_stops_begins_nothing() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::None, 30)).await.unwrap();
    let nudge = SagaNudge::new();
    nudge.stop();
    assert_eq!(bank.driver.drive(&saga("t-1"), &nudge).await.unwrap(), SagaRest::Stopped);
    assert_eq!(trace(&storage).await, "started");
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::Ended(End::Completed));
}

/// Two drivers of one saga: one goes on, the other reads what it has missed, and nothing happens twice (SG-07).
#[rstest]
#[case(Trouble::None)]
#[case(Trouble::Frozen)]
#[case(Trouble::SilentCredit)]
#[case(Trouble::LostCredit)]
#[tokio::test]
async fn two_drivers_are_one(#[case] trouble: Trouble) {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(trouble, 30)).await.unwrap();
    let other = Bank::new(storage.clone(), runtime.runtime(), None).await;
    let (one, two) = settled(&runtime, futures::future::join(bank.drive(), other.drive())).await;
    assert_eq!(one, two);
    let alone = world().await;
    alone.bank.driver.start(start(trouble, 30)).await.unwrap();
    assert_eq!(settled(&alone.runtime, alone.bank.drive()).await, one);
    assert_eq!(streams(&storage).await, streams(&alone.storage).await);
}

#[tokio::test]
async fn a_process_without_the_code_says_so() {
    let World { storage, bank, .. } = world().await;
    bank.driver.start(start(Trouble::None, 30)).await.unwrap();
    let without = SagaDriver::new(bank.ports.clone(), Arc::new(SagaHandlers::new()));
    let rest = without.drive(&saga("t-1"), &SagaNudge::new()).await.unwrap();
    assert!(matches!(rest, SagaRest::Lacks { why: SagaLacking::Handler { .. }, until: None }), "{rest:?}");
    let stands = without.status(saga("t-1")).await.unwrap();
    assert!(stands.lacks.unwrap().contains("no handler of transfer-money version 1"));
    assert!(without.start(start(Trouble::None, 30)).await.unwrap().repeated, "it has been started");
    let start = without.start(StartSaga::new(saga("t-2"), serde_json::json!({}))).await;
    assert!(matches!(start, Err(SagaError::UnknownDefinition(_))), "{start:?}");
    let skipped = without.act(ActOnSaga::new(saga("t-1"), SagaAction::Skip)).await.unwrap_err();
    let SagaError::NotNow { reason, .. } = &skipped else { panic!("{skipped}") };
    assert!(reason.contains("no handler of transfer-money version 1 here; register it"), "{reason}");
    // It can be ended there all the same.
    let ended = without.act(ActOnSaga::new(saga("t-1"), SagaAction::Abort)).await.unwrap();
    assert_eq!((ended.status.phase, ended.lacks), (SagaPhase::Aborted, None));
    let all = storage.events.read(Read::log(Query::all())).await.unwrap();
    assert_eq!(all.events.len(), 1, "facts of sagas are the system's");
}

/// All that steps write belongs together.
#[tokio::test]
async fn what_steps_send_is_correlated_by_the_saga() {
    let World { storage, runtime, bank } = world().await;
    let metadata = Metadata { actor: Some("ann".into()), tenant: Some("north".into()), ..Metadata::default() };
    bank.driver.start(start(Trouble::None, 30).with_metadata(metadata)).await.unwrap();
    settled(&runtime, bank.drive()).await;
    let all = storage.events.read(Read::log(Query::all())).await.unwrap();
    for event in &all.events[1..] {
        let metadata = Metadata::decode(&event.metadata);
        assert_eq!(metadata.correlation.as_deref(), Some("transfer-money/t-1"));
        assert_eq!((metadata.actor.as_deref(), metadata.tenant.as_deref()), (Some("ann"), Some("north")));
    }
    assert_eq!(all.events.len(), 3);
}

/// Whatever becomes of an append, the saga is recorded once, and starting and acting tell the truth.
#[rstest]
#[case(Fault::Busy)]
#[case(Fault::LostOnTheWay)]
#[case(Fault::LostAnswer)]
#[tokio::test]
async fn appends_that_fail_are_made_good(
    #[case] fault: Fault,
    #[values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] nth: u64,
) {
    let World { storage, runtime, bank } = faulty_world(|store| store.nth_write(nth + 1, fault)).await;
    let started = settled(&runtime, bank.driver.start(start(Trouble::NoAuditor, 30))).await.unwrap();
    assert!(!started.repeated);
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::NeedsOperator);
    let skip = ActOnSaga::new(saga("t-1"), SagaAction::Skip);
    assert_eq!(settled(&runtime, bank.driver.act(skip)).await.unwrap().status.phase, SagaPhase::Completed);
    let recorded = trace(&storage).await;
    assert_eq!((recorded.matches("Acted").count(), recorded.matches("forward 1").count()), (1, 4), "{recorded}");
    assert_eq!(streams(&storage).await.values().map(Vec::len).sum::<usize>(), 3);
}

/// A driver that has been overtaken closes no key: what it would find out is decided.
#[tokio::test]
async fn who_was_overtaken_closes_no_key() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::SlowSettling, 30)).await.unwrap();
    let drive = bank.drive();
    let abort = async {
        while !trace(&storage).await.ends_with("credit settle 1") {
            runtime.runtime().sleep.sleep(std::time::Duration::from_millis(50)).await;
        }
        bank.driver.act(ActOnSaga::new(saga("t-1"), SagaAction::Abort)).await.unwrap();
    };
    let (rest, ()) = settled(&runtime, futures::future::join(drive, abort)).await;
    assert_eq!(rest, SagaRest::Ended(End::Aborted));
    let recorded = trace(&storage).await;
    assert!(!recorded.contains("closed") && recorded.ends_with("aborted"), "{recorded}");
}

/// A command without a key cannot be settled, whatever the step makes of the refusal.
#[tokio::test]
async fn what_has_no_key_needs_an_operator() {
    let World { storage, runtime, bank } = world().await;
    bank.driver.start(start(Trouble::NoKey, 30)).await.unwrap();
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::NeedsOperator);
    let recorded = trace(&storage).await;
    assert!(recorded.ends_with("credit settle 10, -unknown, STOP"), "{recorded}");
}
