//! What the registry tells of a projection, from what its workers say.

use super::support::*;
use portolan::ports::{Clock as _, Lag, ProjectionError, ProjectionRegistry, ProjectionState};
use portolan::values::Edition;
use std::time::Duration;

#[tokio::test]
async fn the_numbers_are_those_of_the_edition_that_is_read() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;

    let status = registry.status(balances()).await.unwrap();
    assert_eq!((status.version, status.edition, status.position), (1, None, None));
    assert_eq!(status.lag, Lag::default());
    assert_eq!(status.editions.len(), 1, "the one to come");

    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    hand.reach(first, &[("ann", 5)]).await;
    let status = registry.status(balances()).await.unwrap();
    assert_eq!((status.edition, status.position), (None, None), "it is not ready");
    assert_eq!(status.editions[0].position, Some(first));

    hand.is_ready(true).await;
    world.append("transfer-1", "transfer.begun", "{}").await;
    let status = registry.status(balances()).await.unwrap();
    assert_eq!((status.edition, status.position), (Some(Edition::first(1)), Some(first)));
    assert_eq!(status.lag, Lag::default(), "what does not match is no lag");
    assert_eq!((status.events_per_second, &status.state), (12, &ProjectionState::CaughtUp));
    assert_eq!(status.editions[0].holder, Some(name("by hand")));

    world.deposit("ann", 6).await;
    world.clock.advance(Duration::from_secs(4));
    let last = world.deposit("ann", 7).await;
    let status = registry.status(balances()).await.unwrap();
    assert!((2..=3).contains(&status.lag.events), "two are left, and one between: {:?}", status.lag);
    assert_eq!((status.lag.time, status.frontier), (Duration::from_secs(4), Some(last)));
    assert_eq!(registry.list().await.unwrap(), [status]);
}

#[tokio::test]
async fn one_that_does_not_move_has_stalled_and_one_that_waits_has_not() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    hand.reach(first, &[("ann", 5)]).await;
    hand.is_ready(true).await;
    let state = async || registry.status(balances()).await.unwrap().state;

    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(state().await, ProjectionState::CaughtUp, "there is nothing to move for");
    let second = world.deposit("ann", 6).await;
    let since = world.clock.now();
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(state().await, ProjectionState::CaughtUp, "it has had no time");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(state().await, ProjectionState::Stalled { since });
    hand.reach(second, &[("ann", 11)]).await;
    assert_eq!(state().await, ProjectionState::CaughtUp);
}

#[tokio::test]
async fn paused_and_stopped_are_told_once_they_are_so() {
    use portolan::ports::ProjectionAction::{Pause, Resume};
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    let first = world.deposit("ann", 5).await;
    let state = async || registry.status(balances()).await.unwrap().state;

    registry.act(balances(), Pause).await.unwrap();
    assert_eq!(state().await, ProjectionState::CatchingUp, "its worker has not seen it yet, and may go on");
    hand.said.state = "paused";
    hand.say().await;
    assert_eq!(state().await, ProjectionState::Paused);
    (hand.said.state, hand.said.reason, hand.said.stopped_at) = ("stopped", Some("it does not add up"), Some(first));
    hand.say().await;
    assert_eq!(state().await, ProjectionState::Stopped { reason: "it does not add up".into() });
    registry.act(balances(), Resume).await.unwrap();
    assert_eq!(state().await, ProjectionState::CatchingUp, "it is to go on");
    hand.said.requests_done = 1;
    hand.say().await;
    assert_eq!(state().await, ProjectionState::Stopped { reason: "it does not add up".into() }, "it met it again");

    (hand.said.state, hand.said.reason, hand.said.stopped_at) = ("caught-up", None, None);
    hand.say().await;
    registry.act(balances(), Pause).await.unwrap();
    assert_eq!(state().await, ProjectionState::CatchingUp);
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(state().await, ProjectionState::Paused, "a worker that sees nothing for so long is not there");
}

#[tokio::test]
async fn unknown_names_are_told() {
    let world = World::new();
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    assert_eq!((registry.knows(&balances()), registry.knows(&name("balance"))), (Some(true), Some(false)));
    let refused = registry.status(name("balance")).await.unwrap_err();
    assert!(matches!(refused, ProjectionError::UnknownProjection(unknown) if unknown == name("balance")));
}

#[tokio::test]
async fn parked_events_are_paged_in_their_order() {
    let world = World::new();
    let mut hand = Hand::on(&world, 1, 0).await;
    let process = world.process().projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    hand.begin().await;
    assert_eq!(registry.parked(balances(), None, 5).await.unwrap().events, []);
    let mut positions = Vec::new();
    for account in ["ann", "bob", "cid"] {
        positions.push(world.deposit(account, 5).await);
        hand.park(*positions.last().unwrap(), account).await;
    }
    hand.is_ready(true).await;
    let page = registry.parked(balances(), None, 2).await.unwrap();
    let found: Vec<_> = page.events.iter().map(|event| (event.position, event.key.clone().unwrap())).collect();
    assert_eq!(found, [(positions[0], key("ann")), (positions[1], key("bob"))]);
    assert_eq!((&*page.events[0].reason, page.next), ("it does not add up", Some(positions[1])));
    let rest = registry.parked(balances(), page.next, 2).await.unwrap();
    assert_eq!((rest.events.len(), rest.events[0].position, rest.next), (1, positions[2], None));
    assert_eq!(registry.status(balances()).await.unwrap().parked, 3);
    assert!(matches!(registry.parked(balances(), None, 0).await, Err(ProjectionError::Invalid(_))));
}
