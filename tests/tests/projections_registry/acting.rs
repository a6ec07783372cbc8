//! What operators do.

use super::support::*;
use portolan::application::{Application, Storage};
use portolan::ports::ProjectionAction::*;
use portolan::ports::{ProjectionAction, ProjectionError, ProjectionRegistry, ReadModelStore};
use portolan::values::{Cell, Edition, Position};
use portolan_testing::{Fault, Faulty};
use std::sync::Arc;

/// Version 1 is ready, with one event in it.
async fn begun() -> (World, Application, Arc<dyn ProjectionRegistry>, Hand, Position) {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    hand.reach(first, &[("ann", 5)]).await;
    hand.is_ready(true).await;
    (world, process, registry, hand, first)
}

const fn rebuilt(rebuild: u16) -> Edition {
    Edition { version: 1, rebuild }
}

/// The row of wishes, as a person reads it.
async fn wishes(world: &World) -> Vec<Cell> {
    world.store.get(name("$projections"), Some(1), vec![key("balances")]).await.unwrap().rows.remove(0).cells
}

fn json(cell: &Cell) -> serde_json::Value {
    let Cell::Text(text) = cell else { panic!("{cell:?}") };
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn pause_and_resume_are_kept_and_repeated_without_harm() {
    let (world, _process, registry, ..) = begun().await;
    for action in [Pause, Pause, Resume] {
        registry.act(balances(), action).await.unwrap();
    }
    let cells = wishes(&world).await;
    assert_eq!((&cells[0], &cells[4]), (&Cell::Null, &Cell::Integer(1)));
    assert_eq!(json(&cells[3]), serde_json::json!([{"number": 1, "what": "Resume"}]));
}

#[tokio::test]
async fn requests_that_all_have_carried_out_are_forgotten() {
    let (world, _process, registry, mut hand, _) = begun().await;
    registry.act(balances(), Resume).await.unwrap();
    registry.act(balances(), Retry(None)).await.unwrap();
    assert_eq!(json(&wishes(&world).await[3]).as_array().unwrap().len(), 2);
    hand.said.requests_done = 2;
    hand.say().await;
    registry.act(balances(), Retry(None)).await.unwrap();
    assert_eq!(json(&wishes(&world).await[3]), serde_json::json!([{"number": 3, "what": {"Retry": null}}]));
}

#[tokio::test]
async fn a_rebuild_is_one_until_it_is_done_and_numbers_are_never_used_again() {
    let (world, _process, registry, first, position) = begun().await;
    let mut second = Hand::on(&world, 1, 1).await;
    let mut third = Hand::on(&world, 1, 2).await;
    registry.act(balances(), Rebuild).await.unwrap();
    registry.act(balances(), Rebuild).await.unwrap();
    let wanted = async || json(&wishes(&world).await[2])["1"].clone();
    assert_eq!(wanted().await, serde_json::json!({"rebuild": 1, "highest": 1, "at_once": false}));
    second.begin().await;
    second.reach(position, &[("ann", 4)]).await;
    assert_eq!(registry.status(balances()).await.unwrap().editions.len(), 2);
    assert_eq!(read(&*registry).await, [("ann".into(), 5)], "the rebuild is not read");

    registry.act(balances(), CancelRebuild).await.unwrap();
    assert_eq!(wanted().await, serde_json::json!({"rebuild": 0, "highest": 1, "at_once": false}));
    // Its worker sees that and goes.
    second.leave().await;
    status_when(&*registry, |status| status.editions.len() == 1).await;
    assert_eq!(
        ReadModelStore::checkpoint(&world.store, name("projection/balances@1.1")).await.unwrap().unwrap().position,
        None
    );
    registry.act(balances(), CancelRebuild).await.unwrap();

    registry.act(balances(), Rebuild).await.unwrap();
    assert_eq!(wanted().await, serde_json::json!({"rebuild": 2, "highest": 2, "at_once": false}));
    third.begin().await;
    third.reach(position, &[("ann", 6)]).await;
    third.is_ready(true).await;
    assert_eq!(read(&*registry).await, [("ann".into(), 6)]);
    let status = registry.status(balances()).await.unwrap();
    assert_eq!(status.edition, Some(rebuilt(2)));
    assert_eq!(status.editions.len(), 2, "the one before stays");
    registry.act(balances(), CancelRebuild).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().edition, Some(rebuilt(2)), "it is done");
    drop(first);
}

#[tokio::test]
async fn a_cancelled_rebuild_that_was_done_meanwhile_is_not_read() {
    let (world, _process, registry, _first, position) = begun().await;
    let mut second = Hand::on(&world, 1, 1).await;
    registry.act(balances(), Rebuild).await.unwrap();
    second.begin().await;
    second.reach(position, &[("ann", 4)]).await;
    registry.act(balances(), CancelRebuild).await.unwrap();
    // Its worker has not seen that yet.
    second.is_ready(true).await;
    second.leave().await;
    let status = status_when(&*registry, |status| status.editions.len() == 1).await;
    assert_eq!(status.edition, Some(rebuilt(0)));
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
}

#[tokio::test]
async fn the_first_of_a_version_is_not_cancelled() {
    let world = World::new();
    let hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    assert!(matches!(registry.act(balances(), CancelRebuild).await, Err(ProjectionError::Invalid(_))));
    registry.act(balances(), Rebuild).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().editions.len(), 1, "it is being made");
}

#[tokio::test]
async fn after_a_reset_the_rows_come_anew_and_the_old_ones_go() {
    let (world, _process, registry, first, position) = begun().await;
    let mut second = Hand::on(&world, 1, 1).await;
    registry.act(balances(), Reset).await.unwrap();
    registry.act(balances(), Reset).await.unwrap();
    assert_eq!(json(&wishes(&world).await[2])["1"], serde_json::json!({"rebuild": 1, "highest": 1, "at_once": true}));
    second.begin().await;
    second.is_ready(true).await;
    assert_eq!(read(&*registry).await, [], "they are emptied at once");
    first.leave().await;
    status_when(&*registry, |status| status.editions.len() == 1).await;
    second.reach(position, &[("ann", 5)]).await;
    assert_eq!(read(&*registry).await, [("ann".into(), 5)]);
}

#[tokio::test]
async fn a_rollback_is_named_and_stays() {
    let world = World::new();
    let (mut old, mut new) = (Hand::on(&world, 1, 0).await, Hand::on(&world, 2, 0).await);
    let process = world.process().projection::<Balances<2>>().build().await.unwrap();
    let registry = process.ports().projections;
    old.begin().await;
    let position = world.deposit("ann", 5).await;
    old.reach(position, &[("ann", 5)]).await;
    old.is_ready(true).await;
    new.begin().await;
    new.reach(position, &[("ann", 50)]).await;
    new.is_ready(true).await;
    let refused = registry.act(balances(), Activate(Some(3))).await.unwrap_err();
    assert!(matches!(refused, ProjectionError::NotFound { .. }), "{refused}");
    registry.act(balances(), Activate(Some(1))).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 5)], "it is done at once, whoever works on it");
    // A worker that has not seen it yet does its part.
    new.is_ready(true).await;
    status_when(&*registry, |status| status.editions.iter().any(|of| of.is_active && of.edition.version == 1)).await;
    registry.act(balances(), Activate(None)).await.unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), 50)]);
}

#[tokio::test]
async fn what_is_read_or_made_or_worked_on_is_not_removed() {
    let (world, _process, registry, first, position) = begun().await;
    let mut second = Hand::on(&world, 1, 1).await;
    let refuses = async |edition| match registry.act(balances(), Remove(edition)).await {
        Err(ProjectionError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refuses(rebuilt(0)).await.contains("is read"));
    let missing = registry.act(balances(), Remove(rebuilt(7))).await.unwrap_err();
    assert!(matches!(missing, ProjectionError::NotFound { .. }));
    registry.act(balances(), Rebuild).await.unwrap();
    second.begin().await;
    assert!(refuses(rebuilt(1)).await.contains("is being made"));
    second.reach(position, &[("ann", 6)]).await;
    second.is_ready(true).await;

    let renewing = first.renew_often();
    assert!(refuses(rebuilt(0)).await.contains("by hand works on edition 1"));
    renewing.stop().await.leave().await;
    registry.act(balances(), Remove(rebuilt(0))).await.unwrap();
    assert_eq!(registry.status(balances()).await.unwrap().editions.len(), 1);
}

#[tokio::test]
async fn removed_is_all_that_there_was_of_it() {
    let (world, _process, registry, mut first, _) = begun().await;
    for account in ["bob", "cid", "dan"] {
        let position = world.deposit(account, 5).await;
        first.park(position, account).await;
    }
    let mut second = Hand::on(&world, 1, 1).await;
    registry.act(balances(), Rebuild).await.unwrap();
    second.begin().await;
    second.is_ready(true).await;
    first.leave().await;
    registry.act(balances(), Remove(rebuilt(0))).await.unwrap();
    let all = |of| portolan::values::Find::all(name(of)).version(1);
    assert_eq!(world.store.find(all("$parked")).await.unwrap().rows, []);
    let said = world.store.find(all("$editions")).await.unwrap().rows;
    assert_eq!(said.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["balances@1.1"]);
    let state = ReadModelStore::checkpoint(&world.store, name("projection/balances@1")).await.unwrap().unwrap();
    assert_eq!(state.position, None, "another of its number begins anew");
    assert!(state.token.0 >= 2, "its last worker is shut out");
}

#[tokio::test]
async fn only_what_is_parked_is_retried_or_dropped() {
    let (world, _process, registry, mut hand, first) = begun().await;
    let refused = async |action: ProjectionAction| {
        matches!(registry.act(balances(), action).await, Err(ProjectionError::NotFound { .. }))
    };
    assert!(refused(Retry(Some(first))).await && refused(Drop(first)).await);
    let poison = world.deposit("bob", 5).await;
    hand.park(poison, "bob").await;
    registry.act(balances(), Retry(Some(poison))).await.unwrap();
    registry.act(balances(), Drop(poison)).await.unwrap();
    let requests = json(&wishes(&world).await[3]);
    assert_eq!(requests[0]["what"], serde_json::json!({"Retry": poison.get()}));
    assert_eq!(requests[1], serde_json::json!({"number": 2, "what": {"Drop": poison.get()}}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_all_kept() {
    let (world, process, registry, ..) = begun().await;
    let other = world.process().projection::<Balances>().build().await.unwrap().ports().projections;
    let retry = async |registry: Arc<dyn ProjectionRegistry>| registry.act(balances(), Retry(None)).await;
    let acts = (0..64).map(|n| tokio::spawn(retry(if n % 2 == 0 { registry.clone() } else { other.clone() })));
    for act in acts.collect::<Vec<_>>() {
        act.await.unwrap().unwrap();
    }
    assert_eq!(wishes(&world).await[4], Cell::Integer(64));
    drop(process);
}

#[rstest::rstest]
#[case::a_rival_was_faster(Fault::Conflict, true)]
#[case::the_answer_was_lost(Fault::LostAnswer, true)]
#[case::it_was_lost_on_the_way(Fault::LostOnTheWay, false)]
#[tokio::test]
async fn what_goes_wrong_in_between_is_settled_or_told(#[case] fault: Fault, #[case] is_done: bool) {
    let world = World::new();
    let _hand = Hand::on(&world, 1, 0).await;
    let store = Arc::new(world.store.clone());
    // Four definitions come first, and nobody else writes.
    let rows: Arc<dyn ReadModelStore> = Arc::new(Faulty::new(store.clone()).nth_write(5, fault));
    let storage = Storage::new(store.clone(), store.clone()).with_leases(store.clone()).with_read_models(rows);
    let process = world.process_over(storage).projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    while store.versions(name("$parked")).await.unwrap().defined.is_empty() {
        pause().await;
    }
    let outcome = registry.act(balances(), Pause).await;
    assert_eq!(outcome.is_ok(), is_done, "{outcome:?}");
    assert!(is_done || matches!(outcome, Err(ProjectionError::Unknown(_))));
    let kept = store.get(name("$projections"), Some(1), vec![key("balances")]).await.unwrap().rows;
    assert_eq!(kept.first().is_some_and(|row| row.cells[0] != Cell::Null), is_done);
}
