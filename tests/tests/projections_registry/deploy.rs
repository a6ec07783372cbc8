//! Two processes over one store, with the same code and with different versions of it.

use super::support::*;
use super::working::Lenient;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::ports::ProjectionAction::*;
use portolan::ports::{ProjectionError, ProjectionRegistry, ReadModelStore as _, RowsQuestion};
use portolan::sqlite::SqliteStore;
use portolan::values::{Cell, Collection, ColumnType, Edition};
use std::sync::Arc;
use std::time::Duration;

fn of_ann() -> RowsQuestion {
    RowsQuestion::keys(balances(), vec![key("ann")])
}

async fn balance(registry: &Arc<dyn ProjectionRegistry>, question: RowsQuestion) -> (u16, i64) {
    let answer = registry.rows(question).await.unwrap();
    let Cell::Integer(balance) = answer.rows[0].cells[0] else { panic!("{answer:?}") };
    (answer.edition().version, balance)
}

async fn editions(registry: &Arc<dyn ProjectionRegistry>) -> Vec<Edition> {
    registry.status(balances()).await.unwrap().editions.into_iter().map(|of| of.edition).collect()
}

#[tokio::test]
async fn a_rolling_deploy_serves_both_and_then_the_new_one() {
    let world = World::new();
    // Whoever holds a lease renews it, which is how others see that he lives.
    let options = options().with_lease(Duration::from_millis(300));
    let old = world.process().projection::<Balances<1>>().projection_options(options).build().await.unwrap();
    let of_old = old.ports().projections;
    let first = world.deposit("ann", 5).await;
    of_old.wait_for(balances(), first).await.unwrap();

    let new = world.process().projection::<Balances<2>>().projection_options(options).build().await.unwrap();
    let of_new = new.ports().projections;
    status_when(&*of_new, |status| status.edition == Some(Edition::first(2))).await;
    for n in 2..=20 {
        let last = world.deposit("ann", 5).await;
        // Whoever reads what is active, and says from where on, sees his own write at either.
        assert_eq!(balance(&of_old, of_ann().at_least(Some(last))).await, (2, 50 * n));
        // Each waits for the rows that its own code reads, and everybody else sees the new ones.
        of_old.wait_for(balances(), last).await.unwrap();
        assert_eq!(balance(&of_old, of_ann().prefer(1)).await, (1, 5 * n));
        of_new.wait_for(balances(), last).await.unwrap();
        assert_eq!(balance(&of_new, of_ann().prefer(2)).await, (2, 50 * n));
        assert_eq!(balance(&of_old, of_ann()).await, (2, 50 * n));
    }
    let refused = of_new.act(balances(), Remove(Edition::first(1))).await;
    assert!(matches!(refused, Err(ProjectionError::Invalid(_))), "the old process works on it: {refused:?}");

    old.shutdown().await;
    let last = world.deposit("ann", 5).await;
    of_new.wait_for(balances(), last).await.unwrap();
    assert_eq!(editions(&of_new).await, [Edition::first(1), Edition::first(2)], "it stays for a rollback");
    of_new.act(balances(), Activate(Some(1))).await.unwrap();
    assert_eq!(balance(&of_new, of_ann()).await, (1, 100));
    assert_eq!(balance(&of_new, of_ann().prefer(2)).await, (2, 1_050));
    of_new.act(balances(), Activate(None)).await.unwrap();
    of_new.act(balances(), Remove(Edition::first(1))).await.unwrap();
    assert_eq!(editions(&of_new).await, [Edition::first(2)]);

    // The old code comes back, and makes its rows from the first event on.
    let old = world.process().projection::<Balances<1>>().projection_options(options).build().await.unwrap();
    let of_old = old.ports().projections;
    status_when(&*of_old, |status| status.edition == Some(Edition::first(1))).await;
    assert_eq!(balance(&of_old, of_ann().prefer(1)).await, (1, 105));
    assert_eq!(balance(&of_old, of_ann()).await, (2, 1_050), "and is no newer");
}

#[tokio::test]
async fn what_is_done_in_one_process_is_done_in_the_other() {
    let world = World::new();
    // Either may be the first to work on the rebuild; the other soon sees that it is free.
    let options = options().with_lease(Duration::from_millis(300));
    let process = || world.process().projection::<Balances>().projection_options(options).build();
    let (one, two) = (process().await.unwrap(), process().await.unwrap());
    let (of_one, of_two) = (one.ports().projections, two.ports().projections);
    let last = world.deposit("ann", 5).await;
    of_one.wait_for(balances(), last).await.unwrap();
    of_two.act(balances(), Rebuild).await.unwrap();
    let rebuilt = Edition { version: 1, rebuild: 1 };
    status_when(&*of_one, |status| status.edition == Some(rebuilt)).await;
    of_one.act(balances(), Remove(Edition::first(1))).await.unwrap();
    assert_eq!(editions(&of_two).await, [rebuilt]);
    one.shutdown().await;
    let last = world.deposit("ann", 6).await;
    of_two.wait_for(balances(), last).await.unwrap();
    assert_eq!(balance(&of_two, of_ann()).await, (1, 11));
}

/// What workers say, as programs define it that count no skipped events. `Hand` says it in this form.
fn editions_of_old() -> Collection {
    use ColumnType::{Bool, Integer, Text};
    let columns = [
        ("ready", Bool),
        ("state", Text),
        ("reason", Text),
        ("stopped_at", Integer),
        ("holder", Text),
        ("said_at", Integer),
        ("moved_at", Integer),
        ("events_per_second", Integer),
        ("failed_at", Integer),
        ("failed_position", Integer),
        ("failure", Text),
        ("parked", Integer),
        ("requests_done", Integer),
        ("replayed_to", Integer),
    ];
    columns
        .into_iter()
        .fold(Collection::new(name("$editions"), 1), |all, (column, kind)| all.column(name(column), kind))
}

#[tokio::test]
async fn programs_that_count_no_skipped_events_work_beside_those_that_do() {
    let world = World::new();
    world.store.define(editions_of_old()).await.unwrap();
    let mut old = Hand::on(&world, 1, 0).await;
    old.begin().await;
    let first = world.deposit("ann", 5).await;
    old.reach(first, &[("ann", 5)]).await;
    old.is_ready(true).await;

    let new = world.process().projection::<Lenient>().build().await.unwrap();
    let registry = new.ports().projections;
    let status = status_when(&*registry, |status| status.edition == Some(Edition::first(1))).await;
    assert_eq!((status.position, status.skipped, status.last_error), (Some(first), 0, None));
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
    old.leave().await;
    let unknown = || world.append("account-ann", "account.frozen", "{}");
    registry.wait_for(balances(), unknown().await).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().skipped, 1);

    // The old program begins again on what the new one has made, and works on.
    world.store.define(editions_of_old()).await.unwrap();
    new.shutdown().await;
    let mut old = Hand::on(&world, 1, 0).await;
    let second = world.deposit("ann", 6).await;
    old.reach(second, &[("ann", 11)]).await;
    old.is_ready(false).await;
    old.leave().await;

    let new = world.process().projection::<Lenient>().build().await.unwrap();
    let registry = new.ports().projections;
    registry.wait_for(balances(), unknown().await).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().skipped, 2, "what was counted before counts on");
    assert_eq!(read(&*registry).await, [("ann".into(), 11)]);
}

/// A process over a file.
async fn over<P: portolan::domain::Projection>(file: &std::path::Path) -> (Application, Storage) {
    let storage: Storage = SqliteStore::open(file).await.unwrap().into();
    let builder = Application::builder(storage.clone(), Runtime::tokio()).projection_options(options());
    (builder.projection::<P>().build().await.unwrap(), storage)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_handles_on_one_file_share_the_work() {
    use portolan::values::{Append, EventType, NewEvent, StreamId};
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bank.db");
    let (old, storage) = over::<Balances<1>>(&file).await;
    let (new, _) = over::<Balances<2>>(&file).await;
    let deposited = EventType::new("account.deposited").unwrap();
    let event = || NewEvent::new(StreamId::new("account-ann").unwrap(), deposited.clone(), r#"{"amount":1}"#);
    for n in 1..=20 {
        let last = storage.events.append(Append::new([event()])).await.unwrap().last.unwrap();
        let (of_old, of_new) = (old.ports().projections, new.ports().projections);
        of_old.wait_for(balances(), last).await.unwrap();
        of_new.wait_for(balances(), last).await.unwrap();
        let seen = balance(&of_new, of_ann().prefer(2).at_least(Some(last))).await;
        assert!(seen == (2, 10 * n) || seen == (1, n), "{seen:?}");
        assert_eq!(balance(&of_old, of_ann().prefer(1)).await.1 % n, 0);
    }
    status_when(&*new.ports().projections, |status| status.edition == Some(Edition::first(2))).await;
    assert_eq!(balance(&new.ports().projections, of_ann()).await, (2, 200));
    old.shutdown().await;
    new.shutdown().await;
}
