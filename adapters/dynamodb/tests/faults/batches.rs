//! A fault at every request: whatever a single request does, and wherever a process ends, a batch of row changes is all or
//! nothing to every reader, and whoever comes next carries it through.

use super::reads::each_request;
use super::requests::{MOST_REQUESTS, Scene, all_came_true, at_once};
use super::support::log::{fresh_log, name};
use super::support::rows::{INDEXES, LOG, account, accounts, at, by_index, listed, many, moving, rows, stored};
use super::support::{Fault, Network, Rule};
use aws_sdk_dynamodb::types::AttributeValue;
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{Batch, CheckpointState, Find, KeyedRow, Move, Token};
use std::time::Duration;

/// All that a read model holds, as a reader finds it.
#[derive(Debug, PartialEq)]
struct Everything {
    first: Vec<KeyedRow>,
    second: Vec<KeyedRow>,
    active: Option<u32>,
    checkpoint: Option<CheckpointState>,
}

fn state(to: u64) -> Option<CheckpointState> {
    Some(CheckpointState::new(LOG, Some(at(to)), Token(1)))
}

fn before() -> Everything {
    let first = vec![account("a", "Ann", 1), account("b", "Bob", 2), account("c", "Cid", 3), account("z", "Zoe", 9)];
    Everything { first, second: Vec::new(), active: Some(1), checkpoint: state(1) }
}

/// Unique values change hands, a row goes and one comes, one stays; the other version is filled and activated.
fn change(batch: Batch) -> Batch {
    let accounts = || name("accounts");
    batch
        .put(accounts(), 1, account("a", "Bob", 10))
        .put(accounts(), 1, account("b", "Ann", 2))
        .delete(accounts(), 1, name("c"))
        .put(accounts(), 1, account("d", "Cid", 3))
        .put(accounts(), 1, account("z", "Zoe", 9))
        .put(accounts(), 2, account("a", "Ann", 1))
        .activate(accounts(), 2)
}

fn after() -> Everything {
    let first = vec![account("a", "Bob", 10), account("b", "Ann", 2), account("d", "Cid", 3), account("z", "Zoe", 9)];
    Everything { first, second: vec![account("a", "Ann", 1)], active: Some(2), checkpoint: state(2) }
}

async fn everything(store: &DynamoStore, what: &str) -> Everything {
    let (first, second) = (rows(store, 1, 100, what).await, rows(store, 2, 100, what).await);
    let active = store.versions(name("accounts")).await.unwrap().active;
    let by_default = listed(store, Find::all(name("accounts"))).await;
    assert_eq!(&by_default, if active == Some(1) { &first } else { &second }, "{what}: rows of the active version");
    Everything { first, second, active, checkpoint: ReadModelStore::checkpoint(store, name("p")).await.unwrap() }
}

/// A read model with a past, in a log and a table of its own; a network that does no harm, and another.
async fn set_up() -> (String, Network, Network) {
    let log = fresh_log();
    let [calm, network] = [(); 2].map(|()| Network::new().with_table(&log));
    let store = calm.store(&log).await;
    store.define(accounts(1)).await.unwrap();
    store.define(accounts(2)).await.unwrap();
    let batch = moving(&store, "p", Move::At(at(1))).await.activate(name("accounts"), 1);
    let batch = before().first.into_iter().fold(batch, |batch, row| batch.put(name("accounts"), 1, row));
    store.commit(batch).await.unwrap();
    (log, calm, network)
}

/// Nothing is stored but what belongs to these rows, and each of them is under each index.
async fn nothing_is_left_over(network: &Network, log: &str, rows: usize, what: &str) {
    let stored = stored(network, log).await;
    assert_eq!(stored.len(), rows * (1 + INDEXES.len()), "{what}: {stored:#?}");
}

/// Lets requests from the `n`th on meet the fault, judges what comes of the batch, and goes on. Whether there was an
/// `n`th request.
async fn fail(fault: Fault, n: usize, times: usize) -> bool {
    let what = format!("{fault:?} at request {n}, {times} times");
    let (log, calm, network) = set_up().await;
    let patience = Duration::from_millis(if times == 1 { 5_000 } else { 200 });
    let store = network.builder(&log).busy_timeout(patience).open().await.unwrap();
    let batch = change(moving(&calm.store(&log).await, "p", Move::At(at(2))).await);
    network.reset();
    network.inject(Rule::new(fault).nth(n).times(times));
    let outcome = store.commit(batch).await;
    let befallen = network.befallen() > 0;
    network.reset();
    all_came_true(fault).await;

    let reader = calm.store(&log).await;
    let found = everything(&reader, &what).await;
    assert!(found == before() || found == after(), "{what}: neither nothing nor all: {found:#?}");
    match outcome {
        Ok(()) => assert_eq!(found, after(), "{what}: acknowledged"),
        Err(RowError::Busy(_)) => assert_eq!(found, before(), "{what}: Busy, and yet committed"),
        Err(RowError::Unknown(_)) => {}
        Err(other) => panic!("{what}: nothing forbids the batch, and yet: {other:?}"),
    }
    // Whoever comes next, another process or the same, finds the batch to go on from.
    let next = if n.is_multiple_of(2) { &reader } else { &store };
    let batch = change(moving(next, "p", Move::At(at(2))).await);
    for tries in 1.. {
        match next.commit(batch.clone()).await {
            Ok(()) => break,
            // Its patience is short, and the machine may be slow. But each time it gets further.
            Err(RowError::Busy(_)) if tries < 20 => {}
            Err(error) => panic!("{what}: the batch cannot be followed: {error:?}"),
        }
    }
    assert_eq!(everything(&reader, &what).await, after(), "{what}: after all");
    let rows = after().first.len() + after().second.len();
    nothing_is_left_over(&calm, &log, rows, &what).await;
    befallen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing_whatever_request_fails() {
    at_once(Fault::ALL.into_iter().map(|fault| async move {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{fault:?}: no end of requests");
            if !fail(fault, n, 1).await {
                assert!(n > 4, "{fault:?}: only {n} requests");
                return;
            }
        }
    }))
    .await;
}

/// A process that ends, or is cut off, after any of its requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing_wherever_its_process_ends() {
    let ends = [Fault::NotSent, Fault::LostAnswer, Fault::Late(Duration::from_millis(30)), Fault::Throttled];
    at_once(ends.into_iter().map(|fault| async move {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{fault:?}: no end of requests");
            if !fail(fault, n, usize::MAX).await {
                return;
            }
        }
    }))
    .await;
}

/// A batch of more items than a transaction has, left behind after each of its transactions: what is not written yet is
/// shown all the same, page by page, forward and backward.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_left_behind_is_shown_whole() {
    at_once((1..=4).map(|transactions| async move {
        let log = fresh_log();
        let [calm, network] = [(); 2].map(|()| Network::new().with_table(&log));
        let store = network.builder(&log).busy_timeout(Duration::from_millis(40)).open().await.unwrap();
        store.define(accounts(1)).await.unwrap();
        let mut left = None;
        for (to, step) in [(1, 1), (2, 7)] {
            let batch = moving(&store, "p", Move::At(at(to))).await.activate(name("accounts"), 1);
            let batch = many(step).into_iter().fold(batch, |batch, row| batch.put(name("accounts"), 1, row));
            if to == 2 {
                network
                    .inject(Rule::new(Fault::NotSent).on("TransactWriteItems").nth(transactions + 1).times(usize::MAX));
            }
            left = Some(store.commit(batch).await);
        }
        left.unwrap().expect("it is committed, though nobody carried it through");
        let reader = calm.store(&log).await;
        assert_eq!(rows(&reader, 1, 16, "left behind").await, many(7), "after {transactions} transactions");
        let page = reader.find(by_index("accounts", "owner").limit(5)).await.unwrap();
        let owners: Vec<_> = page.rows.iter().map(|row| row.cells[0].clone()).collect();
        assert!(owners.is_sorted() && owners.len() == 5, "{owners:?}");
        reader
            .commit(moving(&reader, "q", Move::At(at(1))).await.put(name("accounts"), 1, account("new", "N", 1)))
            .await
            .unwrap();
        let mut expected = many(7);
        expected.push(account("new", "N", 1));
        assert_eq!(rows(&reader, 1, 16, "carried through").await, expected);
        nothing_is_left_over(&calm, &log, expected.len(), "carried through").await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_or_refused_whatever_request_fails() {
    let mut scene = Scene::new().await;
    (scene.log, scene.calm, scene.network) = set_up().await;
    each_request("get", &scene, async |store| {
        Ok(store.get(name("accounts"), None, vec![name("a"), name("b")]).await?.rows)
    })
    .await;
    for find in [Find::all(name("accounts")).limit(3), by_index("accounts", "balance").backward()] {
        each_request("find", &scene, |store| {
            let find = find.clone();
            async move {
                let page = store.find(find).await?;
                Ok((page.rows, page.next))
            }
        })
        .await;
    }
    each_request("versions", &scene, async |store| Ok(store.versions(name("accounts")).await?)).await;
    each_request("define", &scene, async |store| Ok(store.define(accounts(3)).await?)).await;
    each_request("checkpoint", &scene, async |store| Ok(ReadModelStore::checkpoint(&store, name("p")).await?)).await;
}

/// What a removal leaves behind, whichever request fails, is cleared away by the next definition; and nothing of it is
/// in the version that is defined again.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_all_or_nothing_whatever_request_fails() {
    let faults = [Fault::NotSent, Fault::LostAnswer, Fault::Late(Duration::from_millis(30)), Fault::Conflict];
    at_once(faults.into_iter().map(|fault| async move {
        for n in 1..=MOST_REQUESTS {
            assert!(n < MOST_REQUESTS, "{fault:?}: no end of requests");
            let what = format!("{fault:?} at request {n}");
            let (log, calm, network) = set_up().await;
            let (other, store) = (calm.store(&log).await, network.store(&log).await);
            other.commit(change(moving(&other, "p", Move::At(at(2))).await)).await.unwrap();
            let claim = moving(&other, "p", Move::Claim).await.checkpoint;
            network.reset();
            network.inject(Rule::new(fault).nth(n));
            let outcome = store.remove(name("accounts"), 1, claim).await;
            let befallen = network.befallen() > 0;
            all_came_true(fault).await;
            let defined = other.versions(name("accounts")).await.unwrap().defined;
            match outcome {
                Ok(()) => assert_eq!(defined, [accounts(2)], "{what}: acknowledged"),
                Err(RowError::Busy(_)) => assert_eq!(defined.len(), 2, "{what}: Busy, and yet removed"),
                Err(RowError::Unknown(_)) => {}
                Err(other) => panic!("{what}: {other:?}"),
            }
            if defined.len() == 1 {
                other.define(accounts(1)).await.unwrap();
                assert_eq!(rows(&other, 1, 100, &what).await, [], "{what}: defined again");
                nothing_is_left_over(&calm, &log, after().second.len(), &what).await;
            }
            if !befallen {
                return;
            }
        }
    }))
    .await;
}

/// Flips a bit in each item of this kind, past the store.
async fn flip_each(network: &Network, log: &str, kind: &str) {
    let client = network.client();
    let scan = client.scan().table_name(network.table()).consistent_read(true).filter_expression("begins_with(pk, :p)");
    let scan = scan.expression_attribute_values(":p", AttributeValue::S(format!("{log}\n{kind}\n")));
    let items = scan.send().await.unwrap().items.unwrap();
    assert!(!items.is_empty(), "there is nothing of the kind {kind} to damage");
    for mut item in items {
        let mut bytes = item["b"].as_b().unwrap().clone().into_inner();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        item.insert("b".to_string(), AttributeValue::B(bytes.into()));
        client.put_item().table_name(network.table()).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_noticed() {
    at_once(["rows", "entries", "collection", "progress"].into_iter().map(|kind| async move {
        let (log, calm, _) = set_up().await;
        let store = calm.store(&log).await;
        let batch = moving(&store, "p", Move::At(at(2))).await.put(name("accounts"), 1, account("a", "Ann", 2));
        flip_each(&calm, &log, kind).await;
        let refused = match kind {
            "progress" => ReadModelStore::checkpoint(&store, name("p")).await.map(drop),
            _ => store.find(by_index("accounts", "owner")).await.map(drop),
        };
        assert!(matches!(refused, Err(RowError::Corrupt { .. })), "{kind}: {refused:?}");
        let refused = store.commit(batch).await;
        assert!(matches!(refused, Err(RowError::Corrupt { .. })), "{kind}: {refused:?}");
    }))
    .await;
}
