//! Workers of a process: begun, steered, stopped, and begun again.

use super::support::*;
use portolan::application::Storage;
use portolan::domain::{
    Aggregate, Command, Context, Decide, Decision, FailurePolicy, OnFailure, Projection, RecordedAs, Rejection,
    StreamCommand, Unknown,
};
use portolan::drivers::{ApplyError, CommandBusExt as _, ProjectionRegistryExt as _, View, ViewProjection, Viewed};
use portolan::ports::ProjectionAction::*;
use portolan::ports::{
    CommandError, LeaseError, LeaseStore, ProjectionRegistry, ProjectionState, ReadModelStore, RowsQuestion, WaitError,
};
use portolan::values::{By, Edition, InvalidName, StreamId};
use portolan_testing::{Fault, Faulty};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Deposit {
    account: String,
    amount: i64,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

impl StreamCommand for Deposit {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account))
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Never {}
impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Never;
    type Commands = (Deposit,);
    fn evolve(&mut self, _: &AccountEvent) {}
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        Ok(vec![AccountEvent::Deposited { amount: command.amount }])
    }
}

#[tokio::test]
async fn a_command_sees_what_it_waited_for() {
    let world = World::new();
    let process = world.process().aggregate::<Account>().projection::<Balances>().build().await.unwrap();
    let ports = process.ports();
    for n in 1..=20 {
        ports.commands.send(Deposit { account: "ann".into(), amount: 1 }).wait_for("balances").await.unwrap();
        assert_eq!(read(&*ports.projections).await, [("ann".into(), n)]);
    }
    let refused = ports.commands.send(Deposit { account: "ann".into(), amount: 1 }).wait_for("balance").await;
    assert!(matches!(refused, Err(CommandError::Invalid(_))));
}

#[tokio::test]
async fn a_projection_that_is_registered_late_catches_up() {
    let world = World::new();
    let mut last = None;
    for n in 0..100 {
        last = Some(world.deposit(&format!("{:02}", n % 10), n).await);
    }
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last.unwrap()).await.unwrap();
    let expected: Vec<_> = (0..10).map(|n| (format!("{n:02}"), (0..10).map(|m| n + 10 * m).sum())).collect();
    assert_eq!(read(&*registry).await, expected);
}

#[tokio::test]
async fn pause_holds_it_and_resume_lets_it_go() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let first = world.deposit("ann", 5).await;
    registry.wait_for(balances(), first).await.unwrap();
    registry.act(balances(), Pause).await.unwrap();
    status_when(&*registry, |status| status.editions[0].state == ProjectionState::Paused).await;
    // Whoever works has seen it once it says so.
    for _ in 0..50 {
        pause().await;
    }
    let second = world.deposit("ann", 6).await;
    for _ in 0..20 {
        pause().await;
    }
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
    registry.act(balances(), Resume).await.unwrap();
    registry.wait_for(balances(), second).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 11)]);
}

#[tokio::test]
async fn a_poison_event_stops_it_until_it_is_dropped() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    world.deposit("ann", 5).await;
    let poison = world.append("account-ann", "account.closed", "{}").await;
    let told = registry.wait_for(balances(), poison).await.unwrap_err();
    assert!(matches!(told, WaitError::Stopped { .. }), "{told}");
    let status = registry.status(balances()).await.unwrap();
    assert!(matches!(status.state, ProjectionState::Stopped { .. }));
    assert_eq!(status.last_error.unwrap().position, Some(poison));
    registry.act(balances(), Drop(poison)).await.unwrap();
    registry.wait_for(balances(), poison).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
}

#[tokio::test]
async fn a_poison_event_is_parked_with_its_sequence_and_dropped() {
    let world = World::new();
    let process = world.process().projection::<Balances<1, false, true>>().build().await.unwrap();
    let registry = process.ports().projections;
    world.deposit("ann", 5).await;
    let poison = world.append("account-ann", "account.closed", "{}").await;
    let after = world.deposit("ann", 6).await;
    let other = world.deposit("bob", 7).await;
    registry.wait_for(balances(), other).await.unwrap();
    let told = registry.wait_for(balances(), after).await.unwrap_err();
    assert!(matches!(told, WaitError::Parked { position, .. } if position == after), "{told}");
    assert_eq!(read(&*registry).await, [("ann".into(), 5), ("bob".into(), 7)]);
    let parked = registry.parked(balances(), None, 10).await.unwrap().events;
    assert_eq!(parked.iter().map(|event| event.position).collect::<Vec<_>>(), [poison, after]);
    registry.act(balances(), Drop(poison)).await.unwrap();
    status_when(&*registry, |status| status.parked == 0).await;
    assert_eq!(read(&*registry).await, [("ann".into(), 11), ("bob".into(), 7)]);
}

/// Passes over what it does not know, and skips what it cannot apply.
pub(crate) struct Lenient;

impl Projection for Lenient {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;

    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }

    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        Balances::<1>::apply(row, event);
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Skip)
    }

    fn on_unknown() -> Unknown {
        Unknown::Skip
    }
}

#[tokio::test]
async fn what_is_left_out_of_rows_is_counted_for_each_edition() {
    let world = World::new();
    let process = world.process().projection::<Lenient>().build().await.unwrap();
    let registry = process.ports().projections;
    let skipped = async || registry.status(balances()).await.unwrap().skipped;
    world.deposit("ann", 1).await;
    world.append("account-ann", "account.frozen", "{}").await;
    world.append("account-bob", "account.deposited", "{}").await;
    let last = world.deposit("bob", 2).await;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(skipped().await, 2, "one that is unknown, and one that failed");
    // The clock stands still, so that nothing is said because it is time.
    let last = world.append("account-ann", "account.frozen", "{}").await;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(skipped().await, 3);
    registry.act(balances(), Rebuild).await.unwrap();
    let rebuilt = Some(Edition { version: 1, rebuild: 1 });
    let status = status_when(&*registry, |status| status.edition == rebuilt).await;
    assert_eq!(status.skipped, 3, "the rows are made anew, and so is the count");
    registry.act(balances(), Remove(Edition::first(1))).await.unwrap();
    let counts = world.store.find(portolan::values::Find::all(name("$skipped")).version(1)).await.unwrap().rows;
    assert_eq!(counts.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["balances@1.1"]);
}

#[tokio::test]
async fn a_reset_makes_the_rows_anew_and_removes_the_old_ones() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 5).await;
    registry.wait_for(balances(), last).await.unwrap();
    registry.act(balances(), Reset).await.unwrap();
    let status = status_when(&*registry, |status| {
        status.editions.len() == 1 && status.editions[0].edition == Edition { version: 1, rebuild: 1 }
    });
    assert!(status.await.editions[0].is_active);
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
}

#[tokio::test]
async fn a_rebuild_is_cancelled_while_it_is_paused() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = world.deposit("ann", 5).await;
    registry.wait_for(balances(), last).await.unwrap();
    registry.act(balances(), Pause).await.unwrap();
    registry.act(balances(), Rebuild).await.unwrap();
    status_when(&*registry, |status| status.editions.len() == 2 && status.editions[1].holder.is_some()).await;
    registry.act(balances(), CancelRebuild).await.unwrap();
    status_when(&*registry, |status| status.editions.len() == 1).await;
    registry.act(balances(), Resume).await.unwrap();
    let last = world.deposit("ann", 6).await;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 11)]);
}

/// Every account of a listing, page after page, with the edition that answered.
async fn list(registry: &dyn ProjectionRegistry) -> (Edition, BTreeMap<String, i64>) {
    'anew: loop {
        let (mut listed, mut editions, mut after) = (BTreeMap::new(), Vec::new(), None);
        loop {
            let all = By::Key(Bound::Unbounded, Bound::Unbounded);
            let question = RowsQuestion::page(balances(), all).limit(7).after(after);
            let Ok(answer) = registry.rows(question).await else { continue 'anew };
            editions.push(answer.edition());
            for row in answer.rows {
                let portolan::values::Cell::Integer(balance) = row.cells[0] else { panic!("{row:?}") };
                assert_eq!(listed.insert(row.key.to_string(), balance), None, "it is listed twice");
            }
            after = answer.next;
            if after.is_none() {
                editions.dedup();
                assert_eq!(editions.len(), 1, "a listing mixes {editions:?}");
                return (editions[0], listed);
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_rebuild_goes_on_beside_reads_that_never_mix() {
    let world = World::new();
    let small = options().with_page_events(10);
    let process = world.process().projection::<Balances>().projection_options(small).build().await.unwrap();
    let registry = process.ports().projections;
    let mut last = None;
    for n in 0..200 {
        last = Some(world.deposit(&format!("{:02}", n % 40), 1).await);
    }
    registry.wait_for(balances(), last.unwrap()).await.unwrap();
    registry.act(balances(), Rebuild).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|edition: &Edition| edition.rebuild == 0) {
        let (edition, listed) = list(&*registry).await;
        assert!(listed.len() == 40 && listed.values().all(|balance| *balance == 5), "{edition}: {listed:?}");
        seen.push(edition);
    }
    assert!(seen.is_sorted());
    let status = registry.status(balances()).await.unwrap();
    assert_eq!(status.editions.len(), 2);
    // Its worker goes at the next look, and then it can be removed.
    registry.act(balances(), Remove(Edition::first(1))).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().editions.len(), 1);
    assert_eq!(list(&*registry).await.1.len(), 40);
}

/// Whether the lease on an edition can be had.
async fn is_free(world: &World, edition: Edition) -> bool {
    let name_of_lease = edition.checkpoint(&balances()).unwrap();
    match world.store.grant(name_of_lease, name("test"), Duration::from_secs(1)).await {
        Ok(lease) => {
            world.store.release(lease).await.unwrap();
            true
        }
        Err(LeaseError::Held(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_held_and_nothing_moves() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let first = world.deposit("ann", 5).await;
    registry.wait_for(balances(), first).await.unwrap();
    assert!(!is_free(&world, Edition::first(1)).await);
    process.shutdown().await;
    assert!(is_free(&world, Edition::first(1)).await);
    world.deposit("ann", 6).await;
    for _ in 0..20 {
        pause().await;
    }
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
    process.shutdown().await;
}

#[tokio::test]
async fn whoever_is_dropped_without_a_shutdown_stops_too() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let first = world.deposit("ann", 5).await;
    process.ports().projections.wait_for(balances(), first).await.unwrap();
    drop(process);
    for _ in 0..1_000 {
        if is_free(&world, Edition::first(1)).await {
            return;
        }
        pause().await;
    }
    panic!("its worker goes on");
}

#[tokio::test]
async fn a_store_that_is_busy_at_start_up_delays_it_only() {
    let world = World::new();
    let first = world.deposit("ann", 5).await;
    let store = Arc::new(world.store.clone());
    let rows: Arc<dyn ReadModelStore> = Arc::new(Faulty::new(store.clone()).first_writes(5, Fault::Busy));
    let storage = Storage::new(store.clone(), store.clone()).with_leases(store).with_read_models(rows);
    let process = world.process_over(storage).projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let status = status_when(&*registry, |status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap().reason.contains("busy"));
    registry.wait_for(balances(), first).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
}

/// The second form.
struct Totals;

impl ViewProjection for Totals {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    async fn apply(view: &mut View<'_, Balance>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let AccountEvent::Deposited { amount } = event.event;
        let account = event.stream().id();
        let balance = view.get(account).await?.map_or(0, |row| row.balance) + amount;
        view.put(account, &Balance { balance })
    }
}

#[tokio::test]
async fn the_second_form_is_registered_alike() {
    let world = World::new();
    let process = world.process().view_projection::<Totals>().build().await.unwrap();
    let registry = process.ports().projections;
    world.deposit("ann", 5).await;
    let last = world.deposit("ann", 6).await;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 11)]);
    // Both forms are in scope, and neither name is another's.
    assert_eq!((Totals::NAME, Totals::VERSION), (<Balances>::NAME, <Balances>::VERSION));
    assert_eq!(registry.get::<Viewed<Totals>>().get("ann").await.unwrap(), Some(Balance { balance: 11 }));
    assert_eq!(registry.get::<Balances>().get("ann").await.unwrap(), Some(Balance { balance: 11 }));
}

#[tokio::test]
async fn rows_of_another_log_are_told_and_a_reset_mends_that() {
    let (world, other) = (World::new(), World::new());
    let process = world.process().projection::<Balances>().build().await.unwrap();
    for n in 1..=3 {
        let last = world.deposit("ann", n).await;
        process.ports().projections.wait_for(balances(), last).await.unwrap();
    }
    process.shutdown().await;

    // The log is swapped under the rows.
    let (log, rows) = (Arc::new(other.store.clone()), Arc::new(world.store.clone()));
    let storage = Storage::new(log.clone(), log).with_read_models(rows.clone()).with_leases(rows);
    let process = world.process_over(storage).projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let last = other.deposit("ann", 50).await;
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(&told, WaitError::Stopped { reason, .. } if reason.contains("reset it")), "{told}");
    let status = registry.status(balances()).await.unwrap();
    assert!(matches!(&status.state, ProjectionState::Stopped { reason } if reason.contains("reset it")), "{status:?}");
    assert_eq!((status.position, status.lag.events > 0), (None, true));
    registry.act(balances(), Reset).await.unwrap();
    status_when(&*registry, |status| status.editions.len() == 1 && status.editions[0].edition.rebuild == 1).await;
    registry.wait_for(balances(), last).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 50)]);
}
