//! Rows that are folded whenever they are read.

use super::support::*;
use portolan::ports::{ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionState, RowsQuestion};
use portolan::values::{By, Cell, Cursor, Edition, Position};
use std::ops::Bound;
use std::sync::Arc;

async fn live(world: &World) -> Arc<dyn ProjectionRegistry> {
    world.process().projection::<Balances<1, true>>().build().await.unwrap().ports().projections
}

fn by_balance(from: Bound<i64>, to: Bound<i64>) -> RowsQuestion {
    let range = (from.map(Cell::Integer), to.map(Cell::Integer));
    RowsQuestion::page(balances(), By::Index { name: name("balance"), equals: vec![], range })
}

async fn page(registry: &dyn ProjectionRegistry, question: RowsQuestion) -> (String, Option<Cursor>) {
    let answer = registry.rows(question).await.unwrap();
    let keys: Vec<_> = answer.rows.iter().map(|row| row.key.as_str()).collect();
    (keys.join(" "), answer.next)
}

#[tokio::test]
async fn what_was_appended_is_in_them() {
    let world = World::new();
    let registry = live(&world).await;
    let ann = || RowsQuestion::keys(balances(), vec![key("bob"), key("ann")]);
    assert_eq!(registry.rows(ann()).await.unwrap().rows, []);
    for n in 1..=3 {
        let position = world.deposit("ann", n).await;
        registry.wait_for(balances(), position).await.unwrap();
        let answer = registry.rows(ann().at_least(Some(position))).await.unwrap();
        assert_eq!(answer.rows.len(), 1);
        assert_eq!(answer.rows[0].cells, [Cell::Integer((1..=n).sum())]);
        let status = registry.status(balances()).await.unwrap();
        assert_eq!((status.state, status.position), (ProjectionState::CaughtUp, Some(position)));
    }
    assert!(matches!(registry.act(balances(), ProjectionAction::Rebuild).await, Err(ProjectionError::Invalid(_))));
}

#[tokio::test]
async fn they_are_listed_by_key_and_by_index_page_after_page() {
    let world = World::new();
    let registry = &*live(&world).await;
    for (account, amount) in [("ann", 3), ("bob", 1), ("cid", 3), ("dan", 2), ("eve", 9)] {
        world.deposit(account, amount).await;
    }
    let all = || by_balance(Bound::Unbounded, Bound::Unbounded);
    assert_eq!(page(registry, all()).await, ("bob dan ann cid eve".into(), None));
    assert_eq!(page(registry, all().backward()).await.0, "eve cid ann dan bob");
    for (limit, question, expected) in [
        (2, all(), vec!["bob dan", "ann cid", "eve"]),
        (3, all().backward(), vec!["eve cid ann", "dan bob"]),
        (1, by_balance(Bound::Excluded(1), Bound::Included(3)), vec!["dan", "ann", "cid"]),
        (9, by_balance(Bound::Included(2), Bound::Excluded(9)), vec!["dan ann cid"]),
    ] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (keys, next) = page(registry, question.clone().limit(limit).after(after)).await;
            pages.push(keys);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, expected);
    }
    let keys = By::Key(Bound::Excluded(key("ann")), Bound::Included(key("dan")));
    assert_eq!(page(registry, RowsQuestion::page(balances(), keys)).await.0, "bob cid dan");
    let equals = By::Index {
        name: name("balance"),
        equals: vec![Cell::Integer(3)],
        range: (Bound::Unbounded, Bound::Unbounded),
    };
    assert_eq!(page(registry, RowsQuestion::page(balances(), equals)).await.0, "ann cid");
}

#[tokio::test]
async fn a_cursor_of_another_version_is_gone_and_nonsense_is_refused() {
    let world = World::new();
    let registry = live(&world).await;
    let all = || by_balance(Bound::Unbounded, Bound::Unbounded);
    let cursor = Cursor::new(2, vec![Cell::Integer(1)], key("ann"));
    let gone = registry.rows(all().after(Some(cursor))).await.unwrap_err();
    assert!(matches!(gone, ProjectionError::Gone { edition, .. } if edition == Edition::first(2)), "{gone}");
    assert!(matches!(registry.rows(all().limit(0)).await, Err(ProjectionError::Invalid(_))));
}

#[tokio::test]
async fn what_cannot_be_folded_fails_or_parks_its_stream() {
    let world = World::new();
    let stops = live(&world).await;
    let parks = world.process().projection::<Balances<1, true, true>>().build().await.unwrap().ports().projections;
    world.deposit("ann", 1).await;
    world.append("account-ann", "account.closed", "{}").await;
    world.deposit("ann", 2).await;
    world.deposit("bob", 5).await;
    let all = || by_balance(Bound::Unbounded, Bound::Unbounded);
    assert!(matches!(stops.rows(all()).await, Err(ProjectionError::Other(_))));
    let answer = parks.rows(all()).await.unwrap();
    let cells: Vec<_> = answer.rows.iter().map(|row| row.cells[0].clone()).collect();
    assert_eq!(cells, [Cell::Integer(1), Cell::Integer(5)]);
}

#[tokio::test]
async fn what_is_not_in_the_log_yet_is_waited_for() {
    let world = World::new();
    let registry = live(&world).await;
    let first = world.deposit("ann", 1).await;
    registry.wait_for(balances(), first).await.unwrap();
    let next = Position::new(first.get() + 1).unwrap();
    let soon = std::time::Duration::from_millis(30);
    assert!(tokio::time::timeout(soon, registry.wait_for(balances(), next)).await.is_err(), "it is to come");
    let all = || by_balance(Bound::Unbounded, Bound::Unbounded).at_least(Some(next));
    assert!(tokio::time::timeout(soon, registry.rows(all())).await.is_err(), "it is to come");
    let (waited, answer, _) =
        futures::join!(registry.wait_for(balances(), next), registry.rows(all()), world.deposit("ann", 2));
    waited.unwrap();
    assert_eq!(answer.unwrap().rows[0].cells, [Cell::Integer(3)]);
}
