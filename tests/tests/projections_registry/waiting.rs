//! Waiting for events to be in the rows that are read (PR-06).

use super::support::*;
use portolan::application::Application;
use portolan::ports::{ProjectionAction, ProjectionRegistry, WaitError};
use portolan::values::Position;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Nobody but the hand works; what does not move for long counts as stalled after `stall`.
async fn process(world: &World, stall: Duration) -> (Application, Arc<dyn ProjectionRegistry>) {
    let options = options().with_stall(stall);
    let process = world.process().projection::<Balances>().projection_options(options).build().await.unwrap();
    let registry = process.ports().projections;
    (process, registry)
}

const NEVER: Duration = Duration::from_secs(3_600);

fn wait(registry: &Arc<dyn ProjectionRegistry>, position: Position) -> JoinHandle<Result<(), WaitError>> {
    let registry = registry.clone();
    tokio::spawn(async move { registry.wait_for(balances(), position).await })
}

async fn still_waits(waiting: &JoinHandle<Result<(), WaitError>>) -> bool {
    for _ in 0..20 {
        pause().await;
    }
    !waiting.is_finished()
}

#[tokio::test]
async fn it_returns_once_the_event_is_in_the_rows() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, NEVER).await;
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    let waiting = wait(&registry, first);
    hand.reach(first, &[("ann", 5)]).await;
    assert!(still_waits(&waiting).await, "the rows are there, and not read yet");
    hand.is_ready(true).await;
    waiting.await.unwrap().unwrap();
    let second = world.deposit("ann", 6).await;
    let waiting = wait(&registry, second);
    assert!(still_waits(&waiting).await);
    hand.reach(second, &[("ann", 11)]).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_match_is_not_waited_for() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, NEVER).await;
    let other = world.append("transfer-1", "transfer.begun", "{}").await;
    registry.wait_for(balances(), other).await.unwrap();
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    hand.reach(first, &[("ann", 5)]).await;
    hand.is_ready(true).await;
    let other = world.append("transfer-1", "transfer.done", "{}").await;
    registry.wait_for(balances(), other).await.unwrap();

    // What is not there yet may match.
    let next = Position::new(other.get() + 1).unwrap();
    let waiting = wait(&registry, next);
    assert!(still_waits(&waiting).await);
    assert_eq!(world.deposit("ann", 6).await, next);
    assert!(still_waits(&waiting).await);
    hand.reach(next, &[("ann", 11)]).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_parked_event_is_told_and_others_are_not_harmed() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, NEVER).await;
    hand.begin().await;
    hand.is_ready(true).await;
    let poison = world.deposit("ann", 5).await;
    hand.park(poison, "ann").await;
    let good = world.deposit("bob", 5).await;
    hand.reach(good, &[("bob", 5)]).await;
    registry.wait_for(balances(), good).await.unwrap();
    let told = registry.wait_for(balances(), poison).await.unwrap_err();
    assert!(matches!(told, WaitError::Parked { position, .. } if position == poison), "{told}");
}

#[tokio::test]
async fn stopped_is_told_with_its_reason_unless_it_is_to_go_on() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, NEVER).await;
    hand.begin().await;
    hand.is_ready(true).await;
    let poison = world.deposit("ann", 5).await;
    let waiting = wait(&registry, poison);
    (hand.said.state, hand.said.reason, hand.said.stopped_at) = ("stopped", Some("it does not add up"), Some(poison));
    hand.say().await;
    let told = waiting.await.unwrap().unwrap_err();
    assert!(matches!(&told, WaitError::Stopped { reason, .. } if reason == "it does not add up"), "{told}");
    registry.act(balances(), ProjectionAction::Drop(poison)).await.unwrap();
    let waiting = wait(&registry, poison);
    assert!(still_waits(&waiting).await, "it is to go on");
    hand.reach(poison, &[]).await;
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn paused_is_told_as_stopped() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, NEVER).await;
    hand.begin().await;
    hand.is_ready(true).await;
    let before = world.deposit("ann", 5).await;
    hand.reach(before, &[("ann", 5)]).await;
    registry.act(balances(), ProjectionAction::Pause).await.unwrap();
    registry.wait_for(balances(), before).await.unwrap();
    let after = world.deposit("ann", 5).await;
    let told = registry.wait_for(balances(), after).await.unwrap_err();
    assert!(matches!(&told, WaitError::Stopped { reason, .. } if reason.contains("paused")), "{told}");
}

#[tokio::test]
async fn what_does_not_move_has_stalled_and_what_moves_is_only_slow() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let (_process, registry) = process(&world, Duration::from_millis(300)).await;
    hand.begin().await;
    hand.is_ready(true).await;
    let mut positions = Vec::new();
    for _ in 0..10 {
        positions.push(world.deposit("ann", 1).await);
    }
    // All of it takes longer than a stall.
    let waiting = wait(&registry, positions[9]);
    for (n, position) in (1..).zip(&positions) {
        tokio::time::sleep(Duration::from_millis(60)).await;
        hand.reach(*position, &[("ann", n)]).await;
    }
    waiting.await.unwrap().unwrap();
    let last = world.deposit("ann", 1).await;
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(told, WaitError::Stalled { .. }), "{told}");
}
