//! Batches to one version that meet: under several checkpoints at once, and requests of an old one that come late.

use super::requests::at_once;
use super::support::log::{fresh_log, name};
use super::support::rows::{INDEXES, account, accounts, at, by_index, many, moving, rows, stored};
use super::support::{Fault, Network, Rule};
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{Batch, Find, KeyedRow, Move};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A version without rows, in a log and a table of its own.
async fn set_up() -> (String, Network) {
    let log = fresh_log();
    let network = Network::new().with_table(&log);
    let store = network.store(&log).await;
    store.define(accounts(1)).await.unwrap();
    store.commit(moving(&store, "set up", Move::Claim).await.activate(name("accounts"), 1)).await.unwrap();
    (log, network)
}

async fn settled(store: &DynamoStore, batch: Batch) -> Result<(), RowError> {
    loop {
        match store.commit(batch.clone()).await {
            Err(RowError::Busy(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            outcome => return outcome,
        }
    }
}

fn put(batch: Batch, row: KeyedRow) -> Batch {
    batch.put(name("accounts"), 1, row)
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_under_several_checkpoints_come_one_after_another() {
    let (log, network) = set_up().await;
    at_once((0..4).map(|writer| {
        let (log, network) = (log.clone(), network.clone());
        async move {
            let store = network.store(&log).await;
            let checkpoint = format!("p-{writer}");
            for n in 1..=8 {
                let batch = moving(&store, &checkpoint, Move::At(at(n))).await;
                let number = i64::try_from(n).unwrap();
                let shared = account("shared", &format!("{writer} at {n}"), number);
                let own = account(&format!("of {writer}"), &format!("{writer} in {n}"), writer);
                settled(&store, put(put(batch, shared), own)).await.unwrap();
            }
        }
    }))
    .await;
    let found = rows(&network.store(&log).await, 1, 100, "after all").await;
    assert_eq!(found.len(), 5, "{found:?}");
    // What an earlier batch put under an index would be left over, had a later one not known of it.
    let stored = stored(&network, &log).await;
    assert_eq!(stored.len(), 5 * (1 + INDEXES.len()), "{stored:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_batches_one_gets_a_unique_value() {
    let (log, network) = set_up().await;
    for round in 1..=5 {
        let won = Arc::new(AtomicUsize::new(0));
        at_once((0..4).map(|racer| {
            let (log, network, won) = (log.clone(), network.clone(), won.clone());
            async move {
                let store = network.store(&log).await;
                let batch = moving(&store, &format!("p-{racer}"), Move::Claim).await;
                let row = account(&format!("{round} of {racer}"), &format!("wanted in {round}"), 1);
                match settled(&store, put(batch, row)).await {
                    Ok(()) => drop(won.fetch_add(1, Ordering::SeqCst)),
                    Err(RowError::NotUnique { index, .. }) => assert_eq!(index, *"email"),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }))
        .await;
        assert_eq!(won.load(Ordering::SeqCst), 1, "rows that got one value");
    }
}

/// A process falls silent while a transaction of its batch is still on its way. Others carry the batch through and commit
/// the next one; then the transaction arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_comes_late_changes_nothing() {
    let (log, calm) = set_up().await;
    let network = Network::new().with_table(&log);
    let late = Duration::from_millis(700);
    let silent = network.builder(&log).busy_timeout(Duration::from_millis(40)).open().await.unwrap();
    let old = [account("a", "Ann", 1), account("b", "Bob", 1)];
    let batch = moving(&silent, "p", Move::At(at(1))).await;
    network.reset();
    network.inject(Rule::new(Fault::Late(late)).on("TransactWriteItems").nth(2).times(usize::MAX));
    silent.commit(old.into_iter().fold(batch, put)).await.expect("it is committed by its first transaction");
    assert!(network.befallen() > 0);
    let store = calm.store(&log).await;
    let new = [account("a", "Bob", 2), account("c", "Ann", 2)];
    let batch = moving(&store, "p", Move::At(at(2))).await.delete(name("accounts"), 1, name("b"));
    store.commit(new.clone().into_iter().fold(batch, put)).await.unwrap();
    assert_eq!(rows(&store, 1, 100, "before it comes").await, new);
    tokio::time::sleep(late * 2).await;
    assert_eq!(rows(&store, 1, 100, "after it has come").await, new);
    assert_eq!(stored(&calm, &log).await.len(), new.len() * (1 + INDEXES.len()));
}

/// A reader that is slow, overtaken by a batch that is left behind after each of its transactions, or carried through.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_overtaken_shows_one_moment() {
    at_once([1, 2, 3, 4, usize::MAX].into_iter().map(|transactions| async move {
        let (log, calm) = set_up().await;
        let [network, slow] = [(); 2].map(|()| Network::new().with_table(&log));
        let store = network.builder(&log).busy_timeout(Duration::from_millis(40)).open().await.unwrap();
        let reader = slow.store(&log).await;
        let batch = moving(&store, "p", Move::At(at(1))).await;
        calm.store(&log).await.commit(many(1).into_iter().fold(batch, put)).await.unwrap();
        let batch = moving(&store, "p", Move::At(at(2))).await;
        network.inject(
            Rule::new(Fault::NotSent).on("TransactWriteItems").nth(transactions.saturating_add(1)).times(usize::MAX),
        );
        for operation in ["Query", "BatchGetItem"] {
            slow.inject(Rule::new(Fault::Slow(Duration::from_millis(500))).on(operation));
        }
        let overtakes = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            store.commit(many(7).into_iter().fold(batch, put)).await.expect("it is committed by its first transaction");
        };
        let keys = many(1).into_iter().map(|row| row.key).collect();
        let by_owner = by_index("accounts", "owner").version(1);
        let (found, listed, got, ()) = futures::join!(
            reader.find(by_owner),
            reader.find(Find::all(name("accounts")).version(1)),
            reader.get(name("accounts"), Some(1), keys),
            overtakes
        );
        let what = format!("after {transactions} transactions");
        assert!(slow.befallen() == 2, "{what}: nobody was slow");
        let mut found = found.unwrap().rows;
        found.sort_by(|one, other| one.key.cmp(&other.key));
        for (rows, how) in [(found, "an index"), (listed.unwrap().rows, "key"), (got.unwrap().rows, "their keys")] {
            assert!(rows == many(1) || rows == many(7), "{what}, by {how}: rows of no one moment: {rows:#?}");
        }
    }))
    .await;
}
