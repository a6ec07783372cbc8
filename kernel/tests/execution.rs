//! Execution under rivals, faults, repetitions and bad snapshots.

extern crate alloc;

mod support;

use alloc::sync::Arc;
use futures::FutureExt;
use portolan_kernel::drivers::{BusOptions, CommandBusExt, QueryBusExt, command_scope};
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use support::bank::*;
use support::store::{Fault, GARBAGE, TestStore};
use support::{bank_on, builder, settle};

async fn balance_of(ports: &portolan_kernel::application::Ports, id: &str) -> u64 {
    ports.queries.query(Balance { account_id: id.into() }).await.expect("the account is there").answer
}

/// Sends the same from 64 tasks at once, by turns through each of the buses.
async fn at_once(buses: &[Arc<dyn CommandBus>], id: Option<&'static str>) -> Vec<Result<Receipt, CommandError>> {
    let sends = (0..64).map(|n| {
        let bus = buses[n % buses.len()].clone();
        tokio::spawn(async move {
            let send = bus.send(deposit("ann", 1));
            match id {
                Some(id) => send.id(id).await,
                None => send.await,
            }
        })
    });
    let mut receipts = Vec::new();
    for send in sends.collect::<Vec<_>>() {
        receipts.push(send.await.expect("sending does not panic"));
    }
    receipts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_one_stream_take_turns() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    let receipts = at_once(core::slice::from_ref(&ports.commands), None).await;
    assert!(receipts.iter().all(Result::is_ok));
    assert_eq!((store.appends(), balance_of(&ports, "ann").await), (65, 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_conflicts_between_processes_loses_no_update() {
    let store = TestStore::new();
    let mut processes = Vec::new();
    for _ in 0..8 {
        processes.push(bank_on(&store).await.ports());
    }
    processes[0].commands.send(open("ann")).await.unwrap();
    let buses: Vec<_> = processes.iter().map(|ports| ports.commands.clone()).collect();
    let done = at_once(&buses, None).await.into_iter().filter(Result::is_ok).count();
    assert!(store.appends() > 65, "nobody was in anybody's way");
    assert_eq!((done, balance_of(&processes[0], "ann").await), (64, 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_duplicates_take_effect_once() {
    let store = TestStore::new();
    let (one, other) = (bank_on(&store).await.ports(), bank_on(&store).await.ports());
    one.commands.send(open("ann")).await.unwrap();
    let receipts = at_once(core::slice::from_ref(&one.commands), Some("k-1")).await;
    assert_eq!(store.appends(), 2, "the decision was made more than once");
    let receipts = receipts.into_iter().chain(at_once(&[one.commands, other.commands], Some("k-1")).await);
    let receipts: Vec<_> = receipts.map(Result::unwrap).collect();
    assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.events == [store.events()[1].id]));
    assert_eq!(store.events().len(), 2);
}

#[tokio::test]
async fn a_conflict_is_decided_anew_on_the_new_state() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    ports.commands.send(deposit("ann", 5)).await.unwrap();
    store.before_append(|store| store.write_event("account-ann", "account.withdrawn", r#"{"amount":3}"#));
    let error = ports.commands.send(withdraw("ann", 5)).await.unwrap_err();
    assert_eq!(error.to_string(), "3 cents short (insufficient-funds)");
}

#[tokio::test]
async fn a_command_after_another_reads_no_events_and_one_that_is_refused_does() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    store.reads();
    for id in ["k-1", "k-2"] {
        ports.commands.send(deposit("ann", 5)).id(id).await.unwrap();
    }
    // Each looks for its id, once.
    assert_eq!((store.reads().len(), store.recalls()), (0, 2));
    // What others have appended meanwhile is found: by the append, and by what would not come to one.
    store.write_event("account-ann", "account.deposited", r#"{"amount":3}"#);
    ports.commands.send(withdraw("ann", 2)).await.unwrap();
    assert_eq!(store.reads().len(), 1);
    store.write_event("account-ann", "account.deposited", r#"{"amount":9}"#);
    ports.commands.send(withdraw("ann", 20)).await.unwrap();
    assert_eq!((store.reads().len(), balance_of(&ports, "ann").await), (1, 0));
    store.reads();
    let error = ports.commands.send(withdraw("ann", 1)).await.unwrap_err();
    assert_eq!((error.to_string(), store.reads().len()), ("1 cents short (insufficient-funds)".into(), 1));
}

#[tokio::test]
async fn a_repetition_after_others_is_answered_by_the_original() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    ports.commands.send(deposit("ann", 5)).await.unwrap();
    let original = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    ports.commands.send(deposit("ann", 1)).await.unwrap();
    // Refused by now.
    let repeated = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    assert_eq!((repeated.repeated, &repeated.events), (true, &original.events));
    ports.commands.send(deposit("ann", 8)).await.unwrap();
    // Granted again, and not done again.
    let repeated = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    assert_eq!((repeated.repeated, repeated.events), (true, original.events));
    let other = ports.commands.send(withdraw("ann", 6)).id("k-1").await.unwrap_err();
    assert!(matches!(other, CommandError::KeyReused), "{other}");
    assert_eq!(balance_of(&ports, "ann").await, 9);
}

#[tokio::test]
async fn a_repetition_is_answered_also_where_the_state_cannot_be_read_any_more() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    ports.commands.send(deposit("ann", 5)).await.unwrap();
    let original = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    ports.commands.send(deposit("ann", 1)).await.unwrap();
    store.write_event("account-ann", "account.deposited", "{");
    let repeated = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    assert_eq!((repeated.repeated, repeated.events), (true, original.events));
    let error = ports.commands.send(withdraw("ann", 5)).id("k-2").await.unwrap_err();
    assert!(matches!(error, CommandError::Other(_)), "{error}");
}

#[tokio::test]
async fn an_invalid_command_leaves_the_state_where_it_is() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    store.reads();
    ports.commands.send(deposit("ann", 0)).await.unwrap_err();
    ports.commands.send(deposit("ann", 1)).await.unwrap();
    assert_eq!(store.reads().len(), 0);
}

#[tokio::test]
async fn no_state_is_kept_where_none_is_to_be() {
    let store = TestStore::new();
    let options = BusOptions::default().with_keep_states(false);
    let bus = builder(&store).options(options).aggregate::<Account>().build().await.unwrap().ports().commands;
    bus.send(open("ann")).await.unwrap();
    store.reads();
    bus.send(deposit("ann", 5)).id("k-1").await.unwrap();
    assert_eq!((store.reads().len(), store.recalls()), (1, 1));
}

#[tokio::test]
async fn conflicts_without_end_are_given_up() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    for _ in 0..1_000 {
        store.before_append(|store| store.write_event("account-ann", "account.deposited", r#"{"amount":1}"#));
    }
    let error = ports.commands.send(deposit("ann", 1)).await.unwrap_err();
    assert!(matches!(error, CommandError::Conflict { actual: Some(_), .. }), "{error}");
    assert!(store.appends() < 100);
}

#[rstest]
#[case::one_busy(&[Fault::Busy], true)]
#[case::one_request_lost(&[Fault::LostRequest], true)]
#[case::one_answer_lost(&[Fault::LostAnswer], true)]
#[case::all_of_them(&[Fault::LostRequest, Fault::Busy, Fault::LostAnswer, Fault::Busy], true)]
#[tokio::test]
async fn faults_are_settled_by_the_key(#[case] faults: &'static [Fault], #[case] done: bool) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    store.fail_with(faults.iter().copied());
    let receipt = ports.commands.send(deposit("ann", 5)).id("k-1").await;
    assert_eq!(receipt.is_ok(), done);
    assert_eq!(receipt.unwrap().events, [store.events()[1].id]);
    assert_eq!(store.events().len(), 2);
    // What is repeated is the same in every part.
    let (append, times) = store.repeated();
    assert_eq!((append.expect.len(), append.key.is_some(), times), (1, true, faults.len() + 1));
}

#[rstest]
#[case::busy(Fault::Busy, 0)]
#[case::request_lost(Fault::LostRequest, 0)]
#[case::answer_lost(Fault::LostAnswer, 1)]
#[tokio::test]
async fn without_a_key_the_unknown_is_told_at_once(#[case] fault: Fault, #[case] written: usize) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    store.fail_with([fault; 100]);
    let error = ports.commands.send(open("ann")).await.unwrap_err();
    match fault {
        Fault::Busy => assert!(matches!(error, CommandError::Busy(_)) && store.appends() < 20),
        _ => assert!(matches!(error, CommandError::Unknown(_)) && store.appends() == 1),
    }
    assert_eq!(store.events().len(), written);
}

#[tokio::test]
async fn once_unknown_stays_unknown_when_the_store_is_then_busy() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    store.fail_with([Fault::LostAnswer]);
    store.fail_with([Fault::Busy; 100]);
    let error = ports.commands.send(open("ann")).id("k-1").await.unwrap_err();
    assert!(matches!(error, CommandError::Unknown(_)), "{error}");
}

#[tokio::test]
async fn a_repetition_returns_the_original_receipt() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).id("k-0").await.unwrap();
    ports.commands.send(deposit("ann", 5)).await.unwrap();
    let first = ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap();
    assert!(!first.repeated);

    // Nothing is left to withdraw, another life of the application, and another form of the body.
    let ports = bank_on(&store).await.ports();
    let body = Body::Encoded(r#"{ "amount": 5, "account_id": "ann" }"#.into(), Format::Json);
    let again = CommandEnvelope::new(Name::new("withdraw").unwrap(), body).with_id(Name::new("k-1").unwrap());
    let again = ports.commands.dispatch(again).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.clone(), {
        let mut first = first;
        first.repeated = true;
        first
    });
    assert_eq!(store.events().len(), 3);

    let reused = ports.commands.send(withdraw("ann", 6)).id("k-1").await.unwrap_err();
    assert!(matches!(reused, CommandError::KeyReused));
    // The scope is tenant and name: elsewhere the id is another.
    let elsewhere = ports.commands.send(deposit("ann", 5)).id("k-1").await.unwrap();
    let tenant = ports.commands.send(deposit("ann", 5)).id("k-1").tenant("acme").await.unwrap();
    assert!(!elsewhere.repeated && !tenant.repeated);
    assert_ne!(elsewhere.events, tenant.events);
}

/// A repetition says what the first one was correlated by, whatever it says of itself.
#[rstest]
#[case::given(Some("c-1"), Some("c-1"))]
#[case::then_not_given(Some("c-1"), None)]
#[case::then_another(Some("c-1"), Some("c-2"))]
#[case::never_given(None, None)]
#[case::given_too_late(None, Some("c-2"))]
#[tokio::test]
async fn every_receipt_is_correlated_as_its_events_are(#[case] first: Option<&str>, #[case] then: Option<&str>) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let send = async |correlation: Option<&str>| {
        let metadata = Metadata { correlation: correlation.map(String::from), ..Metadata::default() };
        ports.commands.send(open("ann")).id("k-1").metadata(metadata).await.unwrap()
    };
    let (one, two) = (send(first).await, send(then).await);
    let of_event = Metadata::decode(&store.events()[0].metadata).correlation;
    assert!(!one.repeated && two.repeated && of_event.is_some());
    assert_eq!((&one.correlation, &two.correlation), (&of_event, &of_event));
    if first.is_some() {
        assert_eq!(of_event.as_deref(), first);
    }
    // One without events has a correlation too, with an id and without.
    let touch = || Touch { account_id: "ann".into() };
    let touched = ports.commands.send(touch()).id("k-2").await.unwrap().correlation;
    assert!(touched.is_some());
    assert_eq!(ports.commands.send(touch()).id("k-2").await.unwrap().correlation, touched);
    assert!(ports.commands.send(touch()).await.unwrap().correlation.is_some());
    assert_eq!(ports.commands.send(touch()).correlation("c-3").await.unwrap().correlation.as_deref(), Some("c-3"));
}

#[rstest]
#[case::as_it_is_encoded(r#"{"account_id":"ann","owner":"Ann"}"#)]
#[case::fields_in_another_order(r#"{"owner":"Ann","account_id":"ann"}"#)]
#[case::white_space("\n{ \"account_id\" :\t\"ann\", \"owner\": \"Ann\" }\r\n")]
#[case::escaped(r#"{"account_id":"\u0061nn","\u006fwner":"\u0041nn"}"#)]
#[tokio::test]
async fn a_command_is_the_same_in_every_form(#[case] json: &'static str) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).id("k-1").await.unwrap();
    let encoded = |json: &'static str| {
        let command =
            CommandEnvelope::new(Name::new("open-account").unwrap(), Body::Encoded(json.into(), Format::Json));
        ports.commands.dispatch(command.with_id(Name::new("k-1").unwrap()))
    };
    assert!(encoded(json).await.unwrap().repeated);
    // Another command it is by one letter's case.
    let other = encoded(r#"{"account_id":"ann","owner":"ann"}"#).await.unwrap_err();
    assert!(matches!(other, CommandError::KeyReused), "{other}");
}

#[tokio::test]
async fn rejections_are_not_recorded() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap_err();
    ports.commands.send(deposit("ann", 5)).await.unwrap();
    assert!(!ports.commands.send(withdraw("ann", 5)).id("k-1").await.unwrap().repeated);
}

#[rstest]
#[case::before_the_state_is_read_which_then_rejects(false)]
#[case::before_the_append(true)]
#[tokio::test]
async fn a_duplicate_that_commits_in_between_answers_for_both(#[case] late: bool) {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    let first = ports.commands.send(open("ann")).id("k-1").await.unwrap();
    // The same again on a copy without events, which gets them only after the first recall.
    let copy = TestStore::new();
    let (scope, id) = (command_scope("open-account", None), Name::new("k-1").unwrap());
    let recalled = store.recall(scope.clone(), id.clone()).await.unwrap().unwrap();
    let key = IdempotencyKey::new(scope, id, recalled.digest).with_note(recalled.appended.note);
    let append = Append::new(store.events().iter().map(|recorded| recorded.event.clone())).key(key);
    let duplicate = move |copy: &TestStore| drop(copy.write(append));
    if late {
        copy.before_append(duplicate);
    } else {
        copy.before_read(duplicate);
    }
    let second = bank_on(&copy).await.ports().commands.send(open("ann")).id("k-1").await.unwrap();
    assert!(second.repeated);
    assert_eq!((second.streams, second.position, second.events), (first.streams, first.position, first.events));
    assert_eq!(copy.events().len(), 1);
}

#[tokio::test]
async fn snapshots_shorten_the_replay_and_change_nothing() {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.unwrap();
    for n in 1..=20 {
        ports.commands.send(deposit("ann", n)).await.unwrap();
        settle().await;
        store.reads();
        assert_eq!(balance_of(&ports, "ann").await, (1..=n).sum::<u64>(), "after {n} deposits");
        let kept = (n + 1) / 5 * 5;
        let from = kept.checked_sub(1).map(Revision::new);
        assert_eq!(store.reads()[0].from, Start::Stream("account-ann".parse().unwrap(), from));
    }
    assert_eq!(store.snapshots().len(), 4);
}

/// A state that nobody has.
const WRONG: &str = r#"{"owner":"Eve","balance":1000000}"#;

#[rstest]
#[case::garbage(|snapshot: &mut Snapshot| snapshot.state = GARBAGE)]
#[case::another_shape(|snapshot: &mut Snapshot| snapshot.state = "[]".into())]
#[case::another_version(|snapshot: &mut Snapshot| { snapshot.version = 1; snapshot.state = WRONG.into() })]
#[case::another_format(|snapshot: &mut Snapshot| { snapshot.format = Format::Binary; snapshot.state = WRONG.into() })]
#[case::ahead(|snapshot: &mut Snapshot| { snapshot.revision = Revision::new(100); snapshot.state = WRONG.into() })]
#[tokio::test]
async fn a_snapshot_that_is_of_no_use_is_passed_over(#[case] change: fn(&mut Snapshot)) {
    let store = bank_of_ten().await;
    assert_eq!(store.snapshots().len(), 2);
    store.change_snapshots(change);
    let ports = bank_on(&store).await.ports();
    assert_eq!(balance_of(&ports, "ann").await, 9);
    ports.commands.send(withdraw("ann", 10)).await.unwrap_err();
    ports.commands.send(withdraw("ann", 9)).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_deleted() {
    let store = bank_of_ten().await;
    store.change_snapshots(|snapshot| snapshot.revision = Revision::new(10));
    let ports = bank_on(&store).await.ports();
    ports.commands.send(withdraw("ann", 9)).await.unwrap();
    assert_eq!(store.snapshots(), []);
}

#[tokio::test]
async fn a_broken_snapshot_store_fails_no_command() {
    let store = bank_of_ten().await;
    store.break_snapshots();
    let ports = bank_on(&store).await.ports();
    for _ in 0..10 {
        ports.commands.send(deposit("ann", 1)).await.unwrap();
    }
    assert_eq!(balance_of(&ports, "ann").await, 19);
}

/// One opening, nine deposits, two snapshots.
async fn bank_of_ten() -> Arc<TestStore> {
    let store = TestStore::new();
    let ports = bank_on(&store).await.ports();
    ports.commands.send(open("ann")).await.expect("the account is new");
    for _ in 0..9 {
        ports.commands.send(deposit("ann", 1)).await.expect("the account is open");
    }
    settle().await;
    store
}

#[tokio::test]
async fn a_shutdown_lets_accepted_commands_finish_and_takes_no_more() {
    let store = TestStore::new();
    let app = bank_on(&store).await;
    let ports = app.ports();
    store.fail_with([Fault::Busy; 2]);
    let accepted = tokio::spawn({
        let commands = ports.commands.clone();
        async move { commands.send(open("ann")).await }
    });
    while store.appends() == 0 {
        tokio::task::yield_now().await;
    }
    app.shutdown().await;
    assert_eq!(store.events().len(), 1, "shutdown did not wait");
    let refused = ports.commands.send(deposit("ann", 1)).await.unwrap_err();
    assert!(matches!(refused, CommandError::ShuttingDown));
    accepted.await.unwrap().unwrap();
    assert_eq!(balance_of(&ports, "ann").await, 0);
    app.shutdown().await;
}

#[tokio::test]
async fn a_dropped_command_holds_up_nobody() {
    let store = TestStore::new();
    let app = bank_on(&store).await;
    let ports = app.ports();
    let mut dropped = ports.commands.send(open("ann")).into_future();
    assert!((&mut dropped).now_or_never().is_none(), "the store answered at once");
    let mut waiting = ports.commands.send(open("ann")).into_future();
    assert!((&mut waiting).now_or_never().is_none(), "it was not its turn");
    drop((waiting, dropped));
    ports.commands.send(open("ann")).await.unwrap();
    app.shutdown().await;
    assert_eq!(store.events().len(), 1);
}
