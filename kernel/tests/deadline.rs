//! Deadlines, and waiting for projections.

extern crate alloc;

mod support;

use alloc::sync::Arc;
use async_trait::async_trait;
use core::time::Duration;
use futures::FutureExt;
use portolan_kernel::drivers::*;
use portolan_kernel::ports::*;
use portolan_kernel::values::*;
use rstest::rstest;
use std::sync::Mutex;
use support::bank::*;
use support::store::{Fault, Stall, TestStore};
use support::{TestRuntime, bank_on, builder_in_time, now, settle};
use tokio::task::JoinHandle;

const FIVE: Duration = Duration::from_secs(5);

type Outcome = JoinHandle<Result<Receipt, CommandError>>;

async fn bank_in_time(store: &Arc<TestStore>) -> (Arc<dyn CommandBus>, Arc<TestRuntime>) {
    let (app, time) = builder_in_time(store);
    let bus = app.aggregate::<Account>().build().await.expect("the bank is in order").ports().commands;
    (bus, time)
}

/// Sends it with five seconds of time, and lets it come as far as it can.
async fn send_within_five(bus: &Arc<dyn CommandBus>, amount: u64, id: Option<&'static str>) -> Outcome {
    let bus = bus.clone();
    let sent = tokio::spawn(async move {
        let sending = bus.send(deposit("ann", amount)).deadline(FIVE);
        match id {
            Some(id) => sending.id(id).await,
            None => sending.await,
        }
    });
    settle().await;
    sent
}

#[rstest]
#[case::nothing_read(Stall::Read, "nothing", 0)]
#[case::append_on_its_way(Stall::Append, "unknown", 0)]
#[case::answer_lost(Stall::Answer, "unknown", 1)]
#[tokio::test]
async fn a_deadline_tells_what_has_happened(#[case] stall: Stall, #[case] told: &str, #[case] written: usize) {
    let store = TestStore::new();
    let (bus, time) = bank_in_time(&store).await;
    // By another process, so that this one has to read.
    bank_on(&store).await.ports().commands.send(open("ann")).await.unwrap();
    store.stall(stall);
    let sent = send_within_five(&bus, 1, Some("k-1")).await;
    time.pass(FIVE - Duration::from_millis(1));
    settle().await;
    assert!(!sent.is_finished(), "there was time left");
    time.pass(Duration::from_millis(1));
    match (now(sent).await.unwrap_err(), told) {
        (CommandError::DeadlinePassed, "nothing") => {}
        (CommandError::Unknown(source), "unknown") => assert!(source.to_string().contains("the same id"), "{source}"),
        (error, _) => panic!("{error}"),
    }
    assert_eq!(store.events().len(), 1 + written);
    // The same id settles it.
    store.stall(None);
    let settled = bus.send(deposit("ann", 1)).id("k-1").await.unwrap();
    assert_eq!((settled.repeated, store.events().len()), (written == 1, 2));
}

#[tokio::test]
async fn no_time_is_no_attempt() {
    let store = TestStore::new();
    let (bus, _) = bank_in_time(&store).await;
    let error = bus.send(open("ann")).deadline(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, CommandError::DeadlinePassed), "{error}");
    assert_eq!((store.appends(), store.reads().len()), (0, 0));
}

#[tokio::test]
async fn an_append_that_was_refused_is_no_effect() {
    let store = TestStore::new();
    let (bus, time) = bank_in_time(&store).await;
    bus.send(open("ann")).await.unwrap();
    // The append conflicts, and the read that follows does not come to its end.
    store.before_append(|store| {
        store.write_event("account-ann", "account.deposited", r#"{"amount":1}"#);
        store.stall(Stall::Read);
    });
    let sent = send_within_five(&bus, 5, None).await;
    while store.appends() < 2 {
        tokio::task::yield_now().await;
    }
    // The pause between attempts is a real one.
    tokio::time::sleep(Duration::from_millis(20)).await;
    time.pass(FIVE);
    assert!(matches!(now(sent).await, Err(CommandError::DeadlinePassed)));
}

#[tokio::test]
async fn what_was_unknown_stays_so() {
    let store = TestStore::new();
    let (bus, time) = bank_in_time(&store).await;
    bus.send(open("ann")).await.unwrap();
    store.fail_with([Fault::LostRequest]);
    store.before_append(|_| {});
    store.before_append(|store| store.stall(Stall::Append));
    let sent = send_within_five(&bus, 5, Some("k-1")).await;
    while store.appends() < 3 {
        tokio::task::yield_now().await;
    }
    time.pass(FIVE);
    assert!(matches!(now(sent).await, Err(CommandError::Unknown(_))));
}

#[tokio::test]
async fn a_deadline_takes_a_command_out_of_the_queue() {
    let store = TestStore::new();
    let (app, time) = builder_in_time(&store);
    let options = BusOptions::default().with_waiting_per_stream(2);
    let app = app.aggregate::<Account>().options(options).build().await.unwrap();
    let bus = app.ports().commands;
    bus.send(open("ann")).await.unwrap();
    store.stall(Stall::Append);
    let first = {
        let bus = bus.clone();
        tokio::spawn(async move { bus.send(deposit("ann", 1)).await })
    };
    settle().await;
    let waiting = [send_within_five(&bus, 10, None).await, send_within_five(&bus, 20, None).await];
    let full = bus.send(deposit("ann", 40)).await.unwrap_err();
    assert!(matches!(&full, CommandError::Busy(source) if source.to_string().contains("account-ann")), "{full}");
    // Another stream has a queue of its own.
    let other = send_within_five(&bus, 0, None).await;
    other.abort();
    time.pass(FIVE);
    for sent in waiting {
        assert!(matches!(now(sent).await, Err(CommandError::DeadlinePassed)));
    }
    let next = send_within_five(&bus, 80, None).await;
    assert!(!next.is_finished(), "there is room again");
    first.abort();
    store.stall(None);
    next.await.unwrap().unwrap();
    app.shutdown().await;
    assert_eq!(store.events().len(), 2, "what waited in vain has no effect");
}

#[tokio::test]
async fn only_so_many_wait_on_all_streams_together() {
    let store = TestStore::new();
    let options = BusOptions::default().with_waiting(2);
    let app = builder_in_time(&store).0.aggregate::<Account>().options(options).build().await.unwrap();
    let bus = app.ports().commands;
    store.stall(Stall::Append);
    let mut held = Vec::new();
    for account in ["ann", "bob", "cyd"] {
        let bus = bus.clone();
        held.push(tokio::spawn(async move { bus.send(open(account)).await }));
        settle().await;
    }
    for account in ["ann", "bob"] {
        let bus = bus.clone();
        held.push(tokio::spawn(async move { bus.send(deposit(account, 1)).await }));
        settle().await;
    }
    let full = bus.send(deposit("cyd", 1)).into_future().now_or_never().expect("it is not let wait").unwrap_err();
    assert!(matches!(full, CommandError::Busy(_)), "{full}");
    held.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_middleware_can_shorten_the_time_and_not_lengthen_it() {
    let store = TestStore::new();
    let (app, time) = builder_in_time(&store);
    let app = app.aggregate::<Account>().middleware(Deadline::of(FIVE * 2).at_most(FIVE)).build().await.unwrap();
    let bus = app.ports().commands;
    store.stall(Stall::Read);
    for asked in [None, Some(FIVE * 3), Some(FIVE)] {
        let bus = bus.clone();
        let sent = tokio::spawn(async move {
            let mut command =
                CommandEnvelope::new(Name::new("open-account").unwrap(), Body::Typed(Arc::new(open("a"))));
            command.within = asked;
            bus.dispatch(command).await
        });
        settle().await;
        time.pass(FIVE - Duration::from_millis(1));
        settle().await;
        assert!(!sent.is_finished(), "{asked:?}");
        time.pass(Duration::from_millis(1));
        assert!(matches!(now(sent).await, Err(CommandError::DeadlinePassed)), "{asked:?}");
    }
}

/// Gives every command this much time, whatever it asks for.
struct Gives(Option<Duration>);

#[async_trait]
impl Middleware for Gives {
    async fn handle(&self, mut command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        command.within = self.0;
        next.run(command).await
    }
}

#[rstest]
#[case::more(Some(FIVE * 2))]
#[case::no_end(None)]
#[tokio::test]
async fn what_a_caller_asked_for_is_kept(#[case] given: Option<Duration>) {
    let store = TestStore::new();
    let (app, time) = builder_in_time(&store);
    let bus = app.aggregate::<Account>().middleware(Gives(given)).build().await.unwrap().ports().commands;
    store.stall(Stall::Read);
    let sent = send_within_five(&bus, 1, None).await;
    time.pass(FIVE);
    settle().await;
    assert!(sent.is_finished(), "it was given more time than its caller has");
    assert!(matches!(sent.await.unwrap(), Err(CommandError::DeadlinePassed)));
}

/// Sends again what failed, and remembers nothing.
struct SendsAgain;

#[async_trait]
impl Middleware for SendsAgain {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        match next.clone().run(command.clone()).await {
            Err(_) => next.run(command).await,
            done => done,
        }
    }
}

/// An attempt of unknown outcome is not forgotten over a later one that does not come to its append.
#[tokio::test]
async fn what_was_unknown_before_a_retry_stays_so() {
    let store = TestStore::new();
    let (app, time) = builder_in_time(&store);
    let bus = app.aggregate::<Account>().middleware(SendsAgain).build().await.unwrap().ports().commands;
    bus.send(open("ann")).await.unwrap();
    // Execution repeats an append of unknown outcome six times; then the middleware sends the command again.
    store.fail_with([Fault::LostRequest; 7]);
    (0..6).for_each(|_| store.before_append(|_| {}));
    store.before_append(|store| store.stall(Stall::Read));
    let sent = send_within_five(&bus, 1, Some("k-1")).await;
    store.reads();
    while store.appends() < 8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    settle().await;
    time.pass(FIVE);
    assert!(matches!(now(sent).await, Err(CommandError::Unknown(_))));
}

/// Gives the first attempt up while it is at the store, and sends the command again.
struct GivesUp;

#[async_trait]
impl Middleware for GivesUp {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let mut first = Box::pin(next.clone().run(command.clone()));
        for _ in 0..20 {
            assert!((&mut first).now_or_never().is_none(), "its append is held");
            tokio::task::yield_now().await;
        }
        drop(first);
        next.run(command).await
    }
}

/// An attempt that was given up on while its append was at the store may still be written.
#[tokio::test]
async fn what_was_on_its_way_before_a_retry_stays_so() {
    let store = TestStore::new();
    let (bus, _) = bank_in_time(&store).await;
    bus.send(open("ann")).await.unwrap();
    let (app, time) = builder_in_time(&store);
    let bus = app.aggregate::<Account>().middleware(GivesUp).build().await.unwrap().ports().commands;
    store.stall(Stall::Append);
    // Of the second attempt it is known that nothing is written: the store is busy.
    store.before_append(|_| {});
    store.before_append(|store| {
        store.stall(None);
        store.fail_with([Fault::Busy; 5]);
    });
    let sent = send_within_five(&bus, 1, Some("k-1")).await;
    while store.appends() < 3 {
        tokio::task::yield_now().await;
    }
    time.pass(FIVE);
    let error = now(sent).await.unwrap_err();
    assert!(matches!(error, CommandError::Unknown(_)), "{error}");
}

/// Projections that stand where they are put.
#[derive(Default)]
struct Standing {
    at: Mutex<Vec<(&'static str, Option<Position>)>>,
    asked: Mutex<Vec<Position>>,
    moved: event_listener::Event,
    /// It does not say which it has.
    silent: bool,
    /// How often it answers that it is busy, first.
    busy: Mutex<u32>,
}

/// Where one has stopped for good.
const STOPPED: Option<Position> = None;

impl Standing {
    fn put(&self, name: &'static str, at: Option<u64>) {
        let mut all = self.at.lock().expect("nobody panics while it moves");
        all.retain(|(other, _)| *other != name);
        all.push((name, at.map_or(STOPPED, Position::new)));
        drop(all);
        self.moved.notify(usize::MAX);
    }

    fn position(&self, name: &Name) -> Option<Option<Position>> {
        let all = self.at.lock().expect("nobody panics while it moves");
        all.iter().find(|(other, _)| *name == *other).map(|(_, at)| *at)
    }
}

#[async_trait]
impl ProjectionRegistry for Standing {
    fn knows(&self, projection: &Name) -> Option<bool> {
        (!self.silent).then(|| self.position(projection).is_some())
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        NoProjections.list().await
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        NoProjections.status(projection).await
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        NoProjections.act(projection, action).await
    }

    async fn parked(&self, of: Name, after: Option<Position>, limit: u32) -> Result<ParkedPage, ProjectionError> {
        NoProjections.parked(of, after, limit).await
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        NoProjections.rows(question).await
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        self.asked.lock().expect("nobody panics while it asks").push(position);
        {
            let mut busy = self.busy.lock().expect("nobody panics while it asks");
            if *busy > 0 {
                *busy -= 1;
                return Err(WaitError::Busy(Source::new("a full line")));
            }
        }
        loop {
            let moved = self.moved.listen();
            match self.position(&projection) {
                None => return Err(WaitError::UnknownProjection(projection)),
                Some(None) => return Err(WaitError::Stopped { name: projection, reason: "by hand".into() }),
                Some(Some(at)) if at >= position => return Ok(()),
                Some(Some(_)) => moved.await,
            }
        }
    }
}

async fn bank_with(projections: Standing) -> (Arc<TestStore>, Arc<dyn CommandBus>, Arc<Standing>, Arc<TestRuntime>) {
    let (store, projections) = (TestStore::new(), Arc::new(projections));
    let (app, time) = builder_in_time(&store);
    let app = app.aggregate::<Account>().projections(projections.clone()).build().await.expect("it is in order");
    (store, app.ports().commands, projections, time)
}

async fn opening(bus: &Arc<dyn CommandBus>, wait_for: &[&'static str], within: Option<Duration>) -> Outcome {
    let (bus, wait_for) = (bus.clone(), wait_for.to_vec());
    let sent = tokio::spawn(async move {
        let mut sending = bus.send(open("ann")).id("k-1");
        for projection in wait_for {
            sending = sending.wait_for(projection);
        }
        match within {
            Some(within) => sending.deadline(within).await,
            None => sending.await,
        }
    });
    settle().await;
    sent
}

fn not_caught_up(outcome: Result<Receipt, CommandError>) -> (Receipt, Vec<String>) {
    match outcome {
        Err(CommandError::NotCaughtUp { receipt, waiting }) => {
            (*receipt, waiting.iter().map(|name| name.to_string()).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_receipt_waits_until_all_projections_have_caught_up() {
    let (_, bus, projections, _) = bank_with(Standing::default()).await;
    projections.put("slow", Some(0));
    projections.put("fast", Some(0));
    let sent = opening(&bus, &["slow", "fast", "slow"], None).await;
    projections.put("fast", Some(10));
    settle().await;
    assert!(!sent.is_finished());
    projections.put("slow", Some(10));
    let receipt = sent.await.unwrap().unwrap();
    assert_eq!((receipt.position, projections.asked.lock().unwrap().len()), (Position::new(10), 2));
}

#[rstest]
#[case::by_default(None, Duration::from_secs(10))]
#[case::by_deadline(Some(FIVE), FIVE)]
#[case::by_a_later_deadline(Some(FIVE * 3), FIVE * 3)]
#[tokio::test]
async fn a_wait_ends_and_says_committed(#[case] within: Option<Duration>, #[case] after: Duration) {
    let (store, bus, projections, time) = bank_with(Standing::default()).await;
    projections.put("slow", Some(0));
    projections.put("fast", Some(10));
    let sent = opening(&bus, &["fast", "slow"], within).await;
    time.pass(after - Duration::from_millis(1));
    settle().await;
    assert!(!sent.is_finished());
    time.pass(Duration::from_millis(1));
    let (receipt, waiting) = not_caught_up(now(sent).await);
    assert_eq!((receipt.position, waiting), (Position::new(10), vec!["slow".to_string()]));
    assert_eq!(receipt.events, [store.events()[0].id]);
    // The same again waits for the original position, whatever has been written since.
    bus.send(deposit("ann", 1)).await.unwrap();
    projections.put("slow", Some(10));
    let again = opening(&bus, &["slow"], None).await.await.unwrap().unwrap();
    assert!(again.repeated && again.position == receipt.position);
}

/// A caller with much time, and a projection that does not come, do not hold a shutdown up.
#[tokio::test]
async fn a_shutdown_gives_waits_as_much_time_as_those_without_a_deadline_have() {
    let (projections, store) = (Arc::new(Standing::default()), TestStore::new());
    projections.put("slow", Some(0));
    let (app, time) = builder_in_time(&store);
    let options = BusOptions::default().with_catch_up(FIVE);
    let app = app.aggregate::<Account>().projections(projections).options(options).build().await.unwrap();
    let sent = opening(&app.ports().commands, &["slow"], Some(Duration::from_secs(86_400))).await;
    time.pass(FIVE * 3);
    settle().await;
    assert!(!sent.is_finished(), "its caller has time");
    let shutdown = tokio::spawn(async move { app.shutdown().await });
    settle().await;
    time.pass(FIVE - Duration::from_millis(1));
    settle().await;
    assert!(!sent.is_finished() && !shutdown.is_finished(), "there was time left");
    time.pass(Duration::from_millis(1));
    let (_, waiting) = not_caught_up(now(sent).await);
    assert_eq!(waiting, ["slow"]);
    now(shutdown).await;
}

#[tokio::test]
async fn a_stopped_projection_is_not_waited_for() {
    let (_, bus, projections, _) = bank_with(Standing::default()).await;
    projections.put("stopped", None);
    projections.put("slow", Some(0));
    projections.put("fast", Some(10));
    projections.put("too-fast", Some(10));
    let waits = ["fast", "slow", "stopped", "too-fast"];
    let (_, waiting) = not_caught_up(now(opening(&bus, &waits, None).await).await);
    assert_eq!(waiting, ["slow", "stopped"]);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again() {
    let (_, bus, projections, _) = bank_with(Standing { busy: Mutex::new(20), ..Standing::default() }).await;
    projections.put("fast", Some(10));
    opening(&bus, &["fast"], None).await.await.unwrap().unwrap();
    assert_eq!(projections.asked.lock().unwrap().len(), 21);
}

#[tokio::test]
async fn a_command_without_events_waits_for_nothing() {
    let (store, bus, projections, _) = bank_with(Standing::default()).await;
    projections.put("slow", Some(0));
    bus.send(open("ann")).await.unwrap();
    let touched = bus.send(Touch { account_id: "ann".into() }).id("k-2").wait_for("slow").await.unwrap();
    assert_eq!((touched.position, store.events().len()), (None, 1));
    assert!(projections.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn unknown_projections_are_refused_before_the_command_runs() {
    let (store, bus, projections, _) = bank_with(Standing::default()).await;
    projections.put("fast", Some(10));
    let error = opening(&bus, &["slwo", "fast", "fats"], None).await.await.unwrap().unwrap_err();
    let CommandError::Invalid(violations) = error else { panic!("{error}") };
    let said: Vec<_> = violations.iter().map(|v| (&*v.path, &*v.code, &*v.message)).collect();
    let message = |name| ("wait_for", "unknown-projection", name);
    assert_eq!(said, [message("there is no projection slwo"), message("there is no projection fats")]);
    assert_eq!(store.appends(), 0);

    let (bus, _) = bank_in_time(&store).await;
    let error = bus.send(open("ann")).wait_for("fast").await.unwrap_err();
    assert!(matches!(error, CommandError::Invalid(_)), "there are no projections at all: {error}");
    assert_eq!(store.appends(), 0);

    // A registry that cannot tell before is asked after.
    let (store, bus, _, _) = bank_with(Standing { silent: true, ..Standing::default() }).await;
    let (_, waiting) = not_caught_up(opening(&bus, &["slwo"], None).await.await.unwrap());
    assert_eq!((waiting, store.events().len()), (vec!["slwo".to_string()], 1));
}

#[tokio::test]
async fn shutdown_waits_for_whoever_waits() {
    let (store, projections) = (TestStore::new(), Arc::new(Standing::default()));
    let (app, _) = builder_in_time(&store);
    let app = app.aggregate::<Account>().projections(projections.clone()).build().await.unwrap();
    projections.put("slow", Some(0));
    let sent = opening(&app.ports().commands, &["slow"], None).await;
    let shutdown = tokio::spawn(async move { app.shutdown().await });
    settle().await;
    assert!(!shutdown.is_finished());
    projections.put("slow", Some(10));
    shutdown.await.unwrap();
    sent.await.unwrap().unwrap();
}
