//! What readers of rows see between any two items of a transaction that become visible one by one, slowly, while several
//! processes commit one batch after another.

use super::support::Network;
use super::support::log::{fresh_log, name};
use super::support::rows::{account, at, by_index, listed, moving, named};
use futures::future::join_all;
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{Batch, Cell, Find, KeyedRow, Move, Position};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long an item may stay invisible: many reads long.
const LONGEST: Duration = Duration::from_millis(200);
const ROWS: i64 = 4;
/// How many batches are committed at least.
const BATCHES: u64 = 8;
/// How often the reader looks at least while they are; they go on for as long as that takes.
const LOOKS: usize = 3;
/// How long a handle may wait for others: far longer than anything here is invisible, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

async fn handle(network: &Network, log: &str) -> DynamoStore {
    network.builder(log).busy_timeout(PATIENCE).open().await.unwrap()
}

/// Batch `n`: all rows carry the number, and each has the owner, and so the unique address, that another had. One row is
/// there every other time.
fn batch(batch: Batch, n: u64) -> Batch {
    let number = i64::try_from(n).unwrap();
    ["left", "right"].into_iter().fold(batch, |batch, collection| {
        let put = |batch: Batch, row: KeyedRow| batch.put(name(collection), 1, row);
        let batch = expected(number).into_iter().filter(|row| row.key != *"now and then").fold(batch, put);
        match number % 2 {
            0 => batch.delete(name(collection), 1, name("now and then")),
            _ => put(batch, account("now and then", "Nobody", number)),
        }
    })
}

fn expected(number: i64) -> Vec<KeyedRow> {
    let row = |n: i64| account(&format!("k-{n}"), &format!("owner {}", (n + number).rem_euclid(ROWS)), number);
    (0..ROWS).map(row).chain((number % 2 == 1).then(|| account("now and then", "Nobody", number))).collect()
}

/// The number of the batch that these rows are of, all of them.
fn number(rows: &[KeyedRow], what: &str) -> u64 {
    let Some(Cell::Integer(number)) = rows.first().map(|row| row.cells[1].clone()) else { return 0 };
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(rows, expected(number), "{what}: rows of one batch");
    u64::try_from(number).unwrap()
}

async fn reached(store: &DynamoStore) -> u64 {
    let state = ReadModelStore::checkpoint(store, name("p")).await.unwrap();
    state.and_then(|state| state.position).map_or(0, Position::get)
}

/// Asks for everything, one after the other: no answer is of an earlier batch than the one before.
async fn looks(store: &DynamoStore, mut least: u64) -> u64 {
    let backward = least.is_multiple_of(2);
    let mut later = |number: u64, what: &str| {
        assert!(number >= least, "{what} is of batch {number}, after an answer of batch {least}");
        least = number;
    };
    later(reached(store).await, "the checkpoint");
    for (collection, index) in [("left", "owner"), ("right", "balance"), ("left", "email")] {
        later(number(&listed(store, Find::all(name(collection))).await, "all rows"), "all rows");
        let find = by_index(collection, index);
        let find = if backward { find.backward() } else { find };
        later(number(&listed(store, find).await, index), index);
        let keys = expected(1).into_iter().map(|row| row.key).collect();
        later(number(&store.get(name(collection), None, keys).await.unwrap().rows, "rows got"), "rows got");
    }
    later(reached(store).await, "the checkpoint");
    least
}

async fn writes(store: DynamoStore, looked: &AtomicUsize) {
    loop {
        let reached = reached(&store).await;
        if reached >= BATCHES && looked.load(Ordering::SeqCst) >= LOOKS {
            return;
        }
        match store.commit(batch(moving(&store, "p", Move::At(at(reached + 1))).await, reached + 1)).await {
            Ok(()) | Err(RowError::CheckpointMoved { .. } | RowError::Busy(_) | RowError::Invalid(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_a_batch_item_by_item() {
    join_all((0..4).map(|seed| async move {
        let (network, log) = (Network::new(), fresh_log());
        let reader = handle(&network, &log).await;
        let first = ["left", "right"].map(|collection| named(collection, 1));
        for collection in first {
            reader.define(collection).await.unwrap();
        }
        let activate = moving(&reader, "set up", Move::Claim).await;
        reader.commit(activate.activate(name("left"), 1).activate(name("right"), 1)).await.unwrap();
        network.reveal_one_by_one(LONGEST, seed);
        let (writing, looked) = (AtomicBool::new(true), AtomicUsize::new(0));
        let writers = async {
            let stores = join_all((0..2).map(|_| handle(&network, &log))).await;
            join_all(stores.into_iter().map(|store| writes(store, &looked))).await;
            writing.store(false, Ordering::SeqCst);
        };
        let observing = async {
            let mut least = 0;
            while writing.load(Ordering::SeqCst) {
                least = looks(&reader, least).await;
                looked.fetch_add(1, Ordering::SeqCst);
            }
            assert_eq!(looks(&reader, least).await, reached(&reader).await);
        };
        futures::join!(writers, observing);
    }))
    .await;
}
