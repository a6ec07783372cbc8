//! Which edition answers, and that no answer and no listing mixes two.

use super::support::*;
use portolan::ports::{ProjectionAction, ProjectionError, ProjectionRegistry, RowsQuestion, WaitError};
use portolan::values::{By, Cell, Edition};
use std::ops::Bound;

fn by_balance() -> By {
    By::Index { name: name("balance"), equals: vec![], range: (Bound::Unbounded, Bound::Unbounded) }
}

fn keys(keys: &[&str]) -> RowsQuestion {
    RowsQuestion::keys(balances(), keys.iter().map(|text| key(text)).collect())
}

#[tokio::test]
async fn there_is_nothing_to_read_before_the_first_has_caught_up() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    assert!(matches!(registry.rows(keys(&["ann"])).await, Err(ProjectionError::NotReady(_))));
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    hand.reach(first, &[("ann", 5)]).await;
    for question in [keys(&["ann"]), keys(&["ann"]).prefer(1)] {
        assert!(matches!(registry.rows(question).await, Err(ProjectionError::NotReady(_))));
    }
    hand.is_ready(true).await;
    let answer = registry.rows(keys(&["bob", "ann"])).await.unwrap();
    assert_eq!((answer.edition(), answer.rows.len()), (Edition::first(1), 1));
    assert_eq!(answer.rows[0].cells, [Cell::Integer(5)]);
    assert_eq!(answer.collection.position_of("balance"), Some(0));
}

#[tokio::test]
async fn whoever_prefers_a_version_gets_it_once_it_has_caught_up() {
    let world = World::new();
    let (mut old, mut new) = (Hand::on(&world, 1, 0).await, Hand::on(&world, 2, 0).await);
    let process = world.process().projection::<Balances<2>>().build().await.unwrap();
    let registry = process.ports().projections;
    old.begin().await;
    new.begin().await;
    let first = world.deposit("ann", 5).await;
    old.reach(first, &[("ann", 5)]).await;
    old.is_ready(true).await;
    new.reach(first, &[("ann", 50)]).await;
    let edition = async |question| registry.rows(question).await.unwrap().edition();
    assert_eq!(edition(keys(&["ann"]).prefer(2)).await, Edition::first(1), "the new one is not ready");
    new.is_ready(false).await;
    assert_eq!(edition(keys(&["ann"]).prefer(2)).await, Edition::first(2));
    assert_eq!(edition(keys(&["ann"]).prefer(1)).await, Edition::first(1));
    assert_eq!(edition(keys(&["ann"]).prefer(3)).await, edition(keys(&["ann"])).await);
}

#[tokio::test]
async fn the_newest_that_has_caught_up_becomes_active_though_its_worker_did_not_say_so() {
    let world = World::new();
    let (mut old, mut new) = (Hand::on(&world, 1, 0).await, Hand::on(&world, 2, 0).await);
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    old.begin().await;
    old.is_ready(true).await;
    new.begin().await;
    new.is_ready(false).await;
    status_when(&*registry, |status| status.editions.iter().any(|of| of.is_active && of.edition.version == 2)).await;
}

#[tokio::test]
async fn a_listing_stays_on_its_edition_and_ends_with_it() {
    let world = World::new();
    let (mut first, mut second) = (Hand::on(&world, 1, 0).await, Hand::on(&world, 1, 1).await);
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    first.begin().await;
    let position = world.deposit("ann", 5).await;
    first.reach(position, &[("ann", 3), ("bob", 2), ("cid", 1)]).await;
    first.is_ready(true).await;
    let page = registry.rows(RowsQuestion::page(balances(), by_balance()).limit(1)).await.unwrap();
    assert_eq!((page.rows[0].key.clone(), page.next.is_some()), (key("cid"), true));

    registry.act(balances(), ProjectionAction::Rebuild).await.unwrap();
    second.begin().await;
    second.reach(position, &[("ann", 30), ("bob", 20), ("cid", 10)]).await;
    second.is_ready(true).await;
    let of_new = registry.rows(RowsQuestion::page(balances(), by_balance()).backward().limit(1)).await.unwrap();
    assert_eq!((of_new.edition().rebuild, &of_new.rows[0].cells), (1, &vec![Cell::Integer(30)]));
    let next = RowsQuestion::page(balances(), by_balance()).limit(1).after(page.next.clone()).prefer(1);
    let rest = registry.rows(next.clone()).await.unwrap();
    assert_eq!((rest.edition().rebuild, &rest.rows[0].cells), (0, &vec![Cell::Integer(2)]));

    first.leave().await;
    registry.act(balances(), ProjectionAction::Remove(Edition::first(1))).await.unwrap();
    let gone = registry.rows(next).await.unwrap_err();
    assert!(matches!(gone, ProjectionError::Gone { edition, .. } if edition == Edition::first(1)), "{gone}");
}

/// Its worker goes on with the edition before until it has seen the switch.
#[tokio::test]
async fn readers_who_are_switched_never_read_less_than_before() {
    let world = World::new();
    let (mut first, mut second) = (Hand::on(&world, 1, 0).await, Hand::on(&world, 1, 1).await);
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    let read = async || {
        let answer = registry.rows(keys(&["ann"])).await.unwrap();
        (answer.edition().rebuild, answer.rows[0].cells[0].clone())
    };
    first.begin().await;
    let one = world.deposit("ann", 1).await;
    first.reach(one, &[("ann", 1)]).await;
    first.is_ready(true).await;
    registry.act(balances(), ProjectionAction::Rebuild).await.unwrap();
    second.begin().await;
    second.reach(one, &[("ann", 1)]).await;
    let two = world.deposit("ann", 1).await;
    first.reach(two, &[("ann", 2)]).await;
    registry.wait_for(balances(), two).await.unwrap();
    second.is_ready(true).await;
    assert_eq!(read().await, (0, Cell::Integer(2)), "what was waited for is still read");
    second.reach(two, &[("ann", 2)]).await;
    assert_eq!(read().await, (1, Cell::Integer(2)), "the rebuild, once it has come as far");
    let three = world.deposit("ann", 1).await;
    first.reach(three, &[("ann", 3)]).await;
    assert_eq!(read().await, (1, Cell::Integer(2)), "and nobody goes back");
}

#[tokio::test]
async fn at_least_waits_and_tells_why_it_does_not() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    hand.is_ready(true).await;
    let first = world.deposit("ann", 5).await;
    let question = keys(&["ann"]).at_least(Some(first));
    let asking = tokio::spawn({
        let (registry, question) = (registry.clone(), question.clone());
        async move { registry.rows(question).await }
    });
    for _ in 0..10 {
        pause().await;
    }
    assert!(!asking.is_finished());
    hand.reach(first, &[("ann", 5)]).await;
    assert_eq!(asking.await.unwrap().unwrap().rows.len(), 1);

    registry.act(balances(), ProjectionAction::Pause).await.unwrap();
    let second = world.deposit("ann", 5).await;
    let told = registry.rows(question.at_least(Some(second))).await.unwrap_err();
    assert!(matches!(told, ProjectionError::Wait(WaitError::Stopped { .. })), "{told}");
}
