//! Read models and leases: what a restore keeps of them, and damage that `verify` finds.

use crate::{Folder, event, name};
use core::task::{Context, Waker};
use core::time::Duration;
use portolan_kernel::ports::{EventStore, LeaseStore, ReadModelStore, RowError, Snapshot, SnapshotStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;

fn balances(version: u32) -> Collection {
    let index = Index::new(name("by_amount"), [name("amount")]);
    let columns = Collection::new(name("balances"), version).column(name("amount"), ColumnType::Integer);
    columns.column(name("note"), ColumnType::Text).index(index)
}

fn moved(store: StoreId, from: Option<u64>, to: u64) -> Checkpoint {
    let state = CheckpointState::new(store, from.and_then(Position::new), Token(1));
    Checkpoint::new(name("balances"), state, Token(1), Move::At(Position::new(to).unwrap()))
}

pub(crate) fn row(n: i64) -> KeyedRow {
    KeyedRow::new(name(format!("k{n:03}")), vec![Cell::Integer(n), Cell::Text(format!("note {n}"))])
}

/// Two versions of a collection, the first one active, with 100 rows each; a lease and one that was released; closed.
pub(crate) async fn filled() -> Folder {
    let folder = Folder::new();
    let store = folder.store().await;
    store.append(Append::new([event("s-1", "1"), event("s-1", "2")])).await.unwrap();
    let identity = store.capabilities().identity;
    let mut batch = Batch::new(moved(identity, None, 2)).activate(name("balances"), 1);
    for version in [1, 2] {
        store.define(balances(version)).await.unwrap();
        batch = (0..100).fold(batch, |batch, n| batch.put(name("balances"), version, row(n)));
    }
    store.commit(batch).await.unwrap();
    store.grant(name("work"), name("one"), Duration::from_secs(1)).await.unwrap();
    let other = store.grant(name("rest"), name("two"), Duration::from_secs(1)).await.unwrap();
    store.release(other).await.unwrap();
    folder
}

#[tokio::test]
async fn verify_looks_at_read_models_and_leases() {
    assert_eq!(filled().await.store().await.verify().await.unwrap(), [""; 0]);
    let damages = [
        ("UPDATE rm_balances_v1 SET amount = 7 WHERE _key = 'k050'", "table rm_balances_v1, row k050"),
        ("UPDATE rm_balances_v2 SET _checksum = 7 WHERE _key = 'k050'", "table rm_balances_v2, row k050"),
        ("UPDATE rm_balances_v2 SET _key = 'k500' WHERE _key = 'k050'", "table rm_balances_v2, row k500"),
        ("DROP TABLE rm_balances_v2", "rm_balances_v2"),
        ("UPDATE collections SET active = 2", "table collections, name balances"),
        ("UPDATE collections SET name = 'other'", "table collections, name other"),
        ("DELETE FROM collections", "table collection_versions, version 1 of collection 1"),
        ("DELETE FROM collection_versions WHERE version = 1", "active version"),
        ("DELETE FROM collection_versions WHERE version = 2", "table rm_balances_v2"),
        ("UPDATE collection_versions SET definition = 'column\tinteger\tamount'", "table collection_versions"),
        ("UPDATE collection_versions SET version = 3 WHERE version = 2", "table collection_versions, version 3"),
        ("UPDATE read_model_checkpoints SET position = 1", "table read_model_checkpoints, name balances"),
        ("UPDATE read_model_checkpoints SET name = 'x'", "table read_model_checkpoints, name x"),
        ("UPDATE leases SET token = 7 WHERE name = 'work'", "table leases, name work"),
        ("UPDATE leases SET renewals = 7 WHERE name = 'rest'", "table leases, name rest"),
        ("UPDATE leases SET name = 'play' WHERE name = 'work'", "table leases, name play"),
    ];
    for (damage, place) in damages {
        let folder = filled().await;
        assert!(folder.other().execute(damage, []).is_ok(), "{damage}");
        let places = folder.store().await.verify().await.unwrap();
        assert!(places.iter().any(|found| found.contains(place)), "{damage}: {places:?}");
    }
}

#[tokio::test]
async fn verify_finds_an_index_of_rows_that_lost_an_entry() {
    let folder = filled().await;
    let whole = folder.other();
    // SQLite is told that the index is on nothing while a row goes, and puts it back as it was.
    whole
        .execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE kept AS SELECT rootpage, sql FROM sqlite_schema WHERE name = 'rm_balances_v1_by_0';
             UPDATE sqlite_schema SET type = 'table', name = 'aside', tbl_name = 'aside',
                 sql = 'CREATE TABLE aside (amount, _key, PRIMARY KEY (amount, _key)) WITHOUT ROWID'
                 WHERE name = 'rm_balances_v1_by_0';
             PRAGMA writable_schema = RESET;",
        )
        .unwrap();
    drop(whole);
    let whole = folder.other();
    assert_eq!(whole.execute("DELETE FROM aside WHERE amount = 50", []).unwrap(), 1);
    whole
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET type = 'index', name = 'rm_balances_v1_by_0', tbl_name = 'rm_balances_v1',
                 sql = (SELECT sql FROM kept) WHERE name = 'aside';
             PRAGMA writable_schema = RESET;
             DROP TABLE kept;",
        )
        .unwrap();
    drop(whole);
    let store = folder.store().await;
    let find = Find::equal(name("balances"), name("by_amount"), vec![Cell::Integer(50)]);
    assert_eq!(store.find(find).await.unwrap().rows, [], "as the documentation says");
    let places = store.verify().await.unwrap();
    assert!(places.iter().any(|place| place.contains("rm_balances_v1_by_0")), "{places:?}");
}

#[tokio::test]
async fn a_restored_file_keeps_its_own_read_models() {
    let folder = filled().await;
    let before = folder.store().await;
    let (old, foreign) = (before.capabilities().identity, StoreId::from_bytes([9; 16]));
    let other = CheckpointState::new(foreign, None, Token(3));
    let other = Checkpoint::new(name("foreign"), other, Token(3), Move::At(Position::new(9).unwrap()));
    before.commit(Batch::new(other)).await.unwrap();
    let snapshot =
        |kind: String| Snapshot::new(name("s-1"), name(kind), Revision::new(1), 1, "{}", Timestamp::default());
    before.save(snapshot(format!("state@{old}"))).await.unwrap();
    before.save(snapshot("state".into())).await.unwrap();
    drop(before);

    let store = SqliteStore::builder(folder.file()).restored().open().await.unwrap();
    let identity = store.capabilities().identity;
    assert_ne!(identity, old);
    let stands = ReadModelStore::checkpoint(&store, name("balances")).await.unwrap().unwrap();
    assert_eq!(stands, CheckpointState::new(identity, Position::new(2), Token(1)));
    let foreign_stands = ReadModelStore::checkpoint(&store, name("foreign")).await.unwrap().unwrap();
    assert_eq!(foreign_stands, CheckpointState::new(foreign, Position::new(9), Token(3)));
    let refused = store.commit(Batch::new(moved(old, Some(2), 3))).await.unwrap_err();
    assert!(matches!(refused, RowError::WrongStore { .. }), "{refused:?}");
    store.commit(Batch::new(moved(identity, Some(2), 3)).put(name("balances"), 1, row(1000))).await.unwrap();
    let found = store.find(Find::all(name("balances")).limit(1_000)).await.unwrap();
    assert_eq!(found.rows.len(), 101);
    assert_eq!(store.load(name("s-1"), name(format!("state@{old}")), None).await.unwrap(), None);
    assert!(store.load(name("s-1"), name("state"), None).await.unwrap().is_some());
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_lease_with_a_part_of_a_microsecond_is_taken_over_by_what_was_answered() {
    let store = Folder::new();
    let store = store.store().await;
    let lease = store.grant(name("work"), name("one"), Duration::from_secs(10) / 3).await.unwrap();
    let over = store.take_over(lease, name("two"), Duration::from_nanos(1)).await.unwrap();
    store.take_over(over, name("three"), Duration::MAX).await.unwrap();
}

#[tokio::test]
async fn pages_of_rows_are_bounded_in_bytes() {
    const ROWS: usize = 40;
    let folder = Folder::new();
    let store = folder.store().await;
    let limits = ReadModelStore::limits(&store);
    store.define(balances(1)).await.unwrap();
    let identity = store.capabilities().identity;
    let wide = || Cell::Text("x".repeat(1_000_000));
    for n in 0..ROWS {
        let state = (n > 0).then_some(n as u64);
        let row = KeyedRow::new(name(format!("k{n:03}")), vec![Cell::Integer(1), wide()]);
        let batch = Batch::new(moved(identity, state, n as u64 + 1)).put(name("balances"), 1, row);
        store.commit(batch.activate(name("balances"), 1)).await.unwrap();
    }
    for find in [
        Find::all(name("balances")),
        Find::all(name("balances")).backward(),
        Find::equal(name("balances"), name("by_amount"), vec![Cell::Integer(1)]),
    ] {
        let (mut found, mut next) = (0, None);
        loop {
            let page = store.find(find.clone().limit(1_000).after(next)).await.unwrap();
            let but_last: u64 = page.rows.iter().skip(1).map(KeyedRow::bytes).sum();
            assert!(but_last < limits.page_bytes, "{} rows in a page", page.rows.len());
            found += page.rows.len();
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found, ROWS, "{find:?}");
    }
    let keys: Vec<RowKey> = (0..ROWS).map(|n| name(format!("k{n:03}"))).collect();
    let refused = store.get(name("balances"), None, keys.clone()).await.unwrap_err();
    assert!(matches!(refused, RowError::TooLarge { .. }), "{refused:?}");
    assert_eq!(store.get(name("balances"), None, keys[..16].to_vec()).await.unwrap().rows.len(), 16);
}

#[tokio::test]
async fn long_reads_of_rows_leave_the_calling_thread_and_short_ones_do_not() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.define(balances(1)).await.unwrap();
    let key = |n: u32| name(format!("k{n:04}"));
    let row = |n| KeyedRow::new(key(n), vec![Cell::Integer(1), Cell::Text("x".repeat(4_000))]);
    let batch = Batch::new(moved(store.capabilities().identity, None, 1)).activate(name("balances"), 1);
    let batch = (0..1_000).fold(batch, |batch, n| batch.put(name("balances"), 1, row(n)));
    store.commit(batch).await.unwrap();
    let context = || Context::from_waker(Waker::noop());
    for (rows, at_once) in [(10, true), (256, true), (1_000, false)] {
        let find = Find::all(name("balances")).limit(rows);
        assert_eq!(store.find(find).as_mut().poll(&mut context()).is_ready(), at_once, "{rows} rows");
        let keys = (0..rows).map(key).collect();
        let got = store.get(name("balances"), None, keys).as_mut().poll(&mut context()).is_ready();
        assert_eq!(got, at_once, "{rows} keys");
    }
    let all = futures::future::join_all((0..50).map(|_| store.find(Find::all(name("balances")).limit(1_000)))).await;
    assert!(all.into_iter().all(|page| page.unwrap().rows.len() == 1_000));
}
