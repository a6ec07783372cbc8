//! Mistakes of an application's own code: a panic is a failure of its event, whatever the form, and harms nothing else.

use super::support::*;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan::application::{Application, Runtime};
use portolan::domain::{FailurePolicy, OnFailure, Projection, RecordedAs, Row};
use portolan::drivers::{ApplyError, View, ViewProjection};
use portolan::ports::{
    Lifecycle, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionState, RowsQuestion, Spawn, WaitError,
};
use portolan::tokio::{Tasks, UuidV7};
use portolan::values::{By, Position};
use std::ops::Bound;
use std::sync::Arc;

/// Deposits of it panic in `apply`, and of the other in `key`.
const IN_APPLY: i64 = 666;
const IN_KEY: i64 = 667;

const STOP: u8 = 0;
const SKIP: u8 = 1;
const PARK: u8 = 2;

const fn policy(then: u8) -> FailurePolicy {
    FailurePolicy::then(match then {
        STOP => OnFailure::Stop,
        SKIP => OnFailure::Skip,
        _ => OnFailure::Park,
    })
}

struct Panics<const THEN: u8, const LIVE: bool = false>;

impl<const THEN: u8, const LIVE: bool> Projection for Panics<THEN, LIVE> {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        let AccountEvent::Deposited { amount } = event.event;
        assert_ne!(amount, IN_KEY, "no key for that");
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        let AccountEvent::Deposited { amount } = event.event;
        let balance = &mut row.get_or_insert(Balance { balance: 0 }).balance;
        // It has begun to change the row by then.
        *balance += amount;
        assert_ne!(amount, IN_APPLY, "that is the devil's");
    }
    fn on_failure() -> FailurePolicy {
        policy(THEN)
    }
    fn lifecycle() -> Lifecycle {
        if LIVE { Lifecycle::Live } else { Lifecycle::Asynchronous }
    }
}

/// Deposits, of which two panic, with good ones before, between and after them; the two, and the last of all.
async fn filled(world: &World) -> ([Position; 2], Position) {
    world.deposit("ann", 1).await;
    world.deposit("bob", 2).await;
    let first = world.deposit("ann", IN_APPLY).await;
    world.deposit("bob", 3).await;
    let second = world.deposit("bob", IN_KEY).await;
    world.deposit("ann", 4).await;
    ([first, second], world.deposit("cid", 5).await)
}

fn rows(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(account, balance)| ((*account).to_owned(), *balance)).collect()
}

#[tokio::test]
async fn it_stops_at_a_panic_with_what_was_said_and_goes_on_when_that_is_dropped() {
    let world = World::new();
    let ([first, second], last) = filled(&world).await;
    let process = world.process().projection::<Panics<STOP>>().build().await.unwrap();
    let registry = process.ports().projections;
    for (poison, said) in [(first, "that is the devil's"), (second, "no key for that")] {
        let status = status_when(&*registry, |status| {
            matches!(status.state, ProjectionState::Stopped { .. })
                && status.last_error.as_ref().is_some_and(|error| error.position == Some(poison))
        });
        let reason = status.await.last_error.unwrap().reason;
        assert!(reason.contains("panicked") && reason.contains(said), "{reason}");
        assert!(matches!(registry.wait_for(balances(), last).await, Err(WaitError::Stopped { .. })));
        registry.act(balances(), ProjectionAction::Drop(poison)).await.unwrap();
    }
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, rows(&[("ann", 5), ("bob", 5), ("cid", 5)]));
}

#[tokio::test]
async fn a_panic_is_skipped_with_nothing_of_it_in_the_rows() {
    let world = World::new();
    let (_, last) = filled(&world).await;
    let process = world.process().projection::<Panics<SKIP>>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, rows(&[("ann", 5), ("bob", 5), ("cid", 5)]));
    assert!(registry.status(balances()).await.unwrap().last_error.unwrap().reason.contains("panicked"));
}

#[tokio::test]
async fn a_panic_is_parked_with_its_sequence_and_retried() {
    let world = World::new();
    let ([first, second], last) = filled(&world).await;
    let process = world.process().projection::<Panics<PARK>>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last).await.unwrap();
    let parked = |parked: portolan::ports::ParkedPage| -> Vec<_> {
        parked.events.into_iter().map(|event| (event.position, event.reason.contains("panicked"))).collect()
    };
    let of_ann = Position::new(last.get() - 1).unwrap();
    let all = [(first, true), (second, true), (of_ann, false)];
    assert_eq!(parked(registry.parked(balances(), None, 10).await.unwrap()), all);
    assert_eq!(read(&*registry).await, rows(&[("ann", 1), ("bob", 5), ("cid", 5)]));

    // It panics again, and others in the same batch are none the worse.
    registry.act(balances(), ProjectionAction::Retry(None)).await.unwrap();
    registry.act(balances(), ProjectionAction::Drop(second)).await.unwrap();
    status_when(&*registry, |status| status.parked == 2).await;
    registry.act(balances(), ProjectionAction::Drop(first)).await.unwrap();
    status_when(&*registry, |status| status.parked == 0).await;
    assert_eq!(read(&*registry).await, rows(&[("ann", 5), ("bob", 5), ("cid", 5)]));
}

#[tokio::test]
async fn a_live_projection_that_panics_answers_an_error() {
    let world = World::new();
    let process = world.process().projection::<Panics<STOP, true>>().build().await.unwrap();
    let registry = process.ports().projections;
    world.deposit("ann", 1).await;
    let all = || RowsQuestion::page(balances(), By::Key(Bound::Unbounded, Bound::Unbounded));
    assert_eq!(registry.rows(all()).await.unwrap().rows.len(), 1);
    for amount in [IN_APPLY, IN_KEY] {
        world.deposit("ann", amount).await;
        let told = registry.rows(all()).await.unwrap_err();
        assert!(matches!(told, ProjectionError::Other(_)) && told.to_string().contains("panicked"), "{told}");
    }
}

#[derive(Row)]
struct Owned {
    #[row(unique)]
    amount: i64,
}

/// Each event is judged by itself: its rows have a unique index.
struct Judged;

impl Projection for Judged {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Owned;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Owned>, event: &RecordedAs<AccountEvent>) {
        let AccountEvent::Deposited { amount } = event.event;
        *row = Some(Owned { amount });
        assert_ne!(amount, IN_APPLY, "that is the devil's");
    }
    fn on_failure() -> FailurePolicy {
        policy(SKIP)
    }
}

#[tokio::test]
async fn a_panic_among_events_that_are_judged_one_by_one_is_skipped_alone() {
    let world = World::new();
    for (account, amount) in [("ann", 1), ("bob", 2), ("ann", IN_APPLY), ("cid", 2), ("dan", 4)] {
        world.deposit(account, amount).await;
    }
    let last = world.deposit("eve", 5).await;
    let process = world.process().projection::<Judged>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, rows(&[("ann", 1), ("bob", 2), ("dan", 4), ("eve", 5)]));
}

/// The second form: how often it has panicked.
struct Shaky;

static SHAKEN: AtomicU32 = AtomicU32::new(0);

impl ViewProjection for Shaky {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    async fn apply(view: &mut View<'_, Balance>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let account = event.stream().id().to_owned();
        let before = view.get(&account).await?.map_or(0, |row| row.balance);
        let AccountEvent::Deposited { amount } = event.event;
        view.put(&account, &Balance { balance: before + amount })?;
        if amount == IN_APPLY {
            SHAKEN.fetch_add(1, Ordering::SeqCst);
            panic!("that is the devil's");
        }
        Ok(())
    }
    fn on_failure() -> FailurePolicy {
        policy(SKIP).retries(2).pauses(Duration::from_millis(1), Duration::from_millis(1))
    }
}

#[tokio::test]
async fn a_view_that_panics_is_tried_again_and_its_changes_are_taken_back() {
    let world = World::new();
    world.deposit("ann", 1).await;
    world.deposit("ann", IN_APPLY).await;
    let last = world.deposit("ann", 2).await;
    let process = world.process().view_projection::<Shaky>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, rows(&[("ann", 3)]));
    assert_eq!(SHAKEN.load(Ordering::SeqCst), 3, "the first time and two again");
    let reason = registry.status(balances()).await.unwrap().last_error.unwrap().reason;
    assert!(reason.contains("panicked") && reason.contains("the devil's"), "{reason}");
}

/// Work that no store in memory knows.
struct Besides;

impl ViewProjection for Besides {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    async fn apply(view: &mut View<'_, Balance>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let AccountEvent::Deposited { amount } = event.event;
        if amount == 2 {
            view.beside("some SQL");
        }
        view.put(event.stream().id(), &Balance { balance: amount })
    }
    fn on_failure() -> FailurePolicy {
        policy(SKIP)
    }
}

#[tokio::test]
async fn work_that_the_store_does_not_know_is_no_events_failure_and_stops_it() {
    let world = World::new();
    world.deposit("ann", 1).await;
    let last = world.deposit("ann", 2).await;
    let process = world.process().view_projection::<Besides>().build().await.unwrap();
    let registry = process.ports().projections;
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(told, WaitError::Stopped { .. }) && told.to_string().contains("beside"), "{told}");
}

/// A runtime that catches no panics.
struct Bare(Tasks);

impl Spawn for Bare {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}

/// Panics once.
struct Once;

static HAS_PANICKED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

impl Projection for Once {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        assert!(HAS_PANICKED.swap(true, Ordering::SeqCst), "once");
        let AccountEvent::Deposited { amount } = event.event;
        row.get_or_insert(Balance { balance: 0 }).balance += amount;
    }
}

#[tokio::test]
async fn a_worker_that_dies_is_told_and_begun_again_at_once_although_its_lease_is_long() {
    let world = World::new();
    let tasks = Tasks::current();
    let spawn = Arc::new(Bare(tasks.clone()));
    let runtime = Runtime::new(world.clock.clone(), Arc::new(UuidV7::new()), Arc::new(tasks), spawn);
    let process = Application::builder(world.store.clone(), runtime).projection_options(options());
    let process = process.projection::<Once>().build().await.unwrap();
    let registry = process.ports().projections;
    let first = world.deposit("ann", 5).await;
    let status = status_when(&*registry, |status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap().reason.contains("ended unexpectedly"));
    let come = registry.wait_for(balances(), first);
    tokio::time::timeout(Duration::from_secs(20), come).await.expect("its lease was given up").unwrap();
    assert_eq!(read(&*registry).await, rows(&[("ann", 5)]));
}
