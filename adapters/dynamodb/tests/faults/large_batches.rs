//! Batches as large as the limits say: they fit, whatever names and values they are of.

use super::support::Network;
use super::support::log::name;
use super::support::rows::{at, listed, moving};
use portolan_kernel::ports::{ReadModelStore, RowError};
use portolan_kernel::values::{Batch, Cell, Collection, ColumnType, Find, Index, KeyedRow, Move, Name};

/// A name of this many bytes.
fn long(of: &str, number: usize, bytes: usize) -> String {
    let text = format!("{of} {number:03} ");
    format!("{text}{}", "x".repeat(bytes - text.len()))
}

fn longest(of: &str, number: usize) -> Name {
    name(&long(of, number, 512))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_large_as_the_limits_say_is_taken() {
    let network = Network::new();
    let store = network.builder(&long("log", 0, 255)).open().await.unwrap();
    let limits = ReadModelStore::limits(&store);
    let [columns, indexes, of_index] =
        [limits.columns, limits.indexes, limits.index_columns].map(|limit| usize::try_from(limit).unwrap());
    let (versions, changes) = (16, usize::try_from(limits.batch_changes).unwrap() - 16);
    let collection = |n: usize| {
        let all = (0..columns).map(|n| longest("column", n));
        let indexed = || (0..of_index).map(|n| longest("column", n));
        let collection = all.fold(Collection::new(longest("collection", n), u32::MAX), |collection, column| {
            collection.column(column, ColumnType::Text)
        });
        (0..indexes).fold(collection, |collection, n| {
            let index = Index::new(longest("index", n), indexed());
            collection.index(if n == 0 { index.unique() } else { index })
        })
    };
    for n in 0..versions {
        store.define(collection(n)).await.unwrap();
    }
    // Each value in an index is as long as it can be, and the last column takes what is left of the batch.
    let value = usize::try_from(limits.index_bytes).unwrap() / of_index;
    let rest = usize::try_from(limits.batch_bytes).unwrap() / changes - 512 - value * of_index;
    let row = |n: usize, step: usize| {
        let text = |column| match column {
            column if column < of_index => long("v", n + step, value),
            column if column == columns - 1 => "y".repeat(rest),
            _ => String::new(),
        };
        let cells = (0..columns).map(|column| Cell::Text(text(column)));
        KeyedRow::new(name(&long("key", n, 512)), cells.collect())
    };
    let put = |batch: Batch, n: usize, step| batch.put(longest("collection", n % versions), u32::MAX, row(n, step));
    for (to, step) in [(1, 0), (2, 500)] {
        let batch = moving(&store, &long("progress", 0, 512), Move::At(at(to))).await;
        let batch = (0..changes).fold(batch, |batch, n| put(batch, n, step));
        let batch = (0..versions).fold(batch, |batch, n| batch.activate(longest("collection", n), u32::MAX));
        store.commit(batch).await.unwrap();
        let by = |index| super::support::rows::by_index(&longest("collection", 3), &longest("index", index));
        for find in [by(0), by(indexes - 1), Find::all(longest("collection", 3))] {
            let expected: Vec<_> = (0..changes).filter(|n| n % versions == 3).map(|n| row(n, step)).collect();
            assert_eq!(listed(&store, find).await, expected);
        }
    }
    store.define(Collection::new(name("one more"), 1)).await.unwrap();
    let batch = (0..versions).fold(moving(&store, "other", Move::At(at(1))).await, |batch, n| put(batch, n, 0));
    let refused = store.commit(batch.delete(name("one more"), 1, name("k"))).await.unwrap_err();
    assert!(matches!(refused, RowError::TooLarge { size: 17, limit: 16, .. }), "{refused:?}");
}

/// A row of each size, and pages that end for their bytes: by key and by an index, each row once.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_large_rows_end_for_their_bytes() {
    let store = Network::new().store(&super::support::log::fresh_log()).await;
    let limits = ReadModelStore::limits(&store);
    let wide = || name::<Name>("wide");
    let collection =
        Collection::new(wide(), 1).column(name("at"), ColumnType::Integer).column(name("text"), ColumnType::Text);
    store.define(collection.index(Index::new(name("at"), [name("at")]))).await.unwrap();
    let size = usize::try_from(limits.row_bytes).unwrap() - 8 - 4;
    let row = |n: i64| KeyedRow::new(name(&format!("k-{n:02}")), vec![Cell::Integer(-n), Cell::Text("x".repeat(size))]);
    let mut expected: Vec<_> = (0..20).map(row).collect();
    for (to, some) in (1..).zip(expected.chunks(4)) {
        let batch = moving(&store, "p", Move::At(at(to))).await;
        store.commit(some.iter().fold(batch, |batch, row| batch.put(wide(), 1, row.clone()))).await.unwrap();
    }
    for find in [Find::all(wide()), super::support::rows::by_index("wide", "at").backward()] {
        let find = find.version(1).limit(1_000);
        let page = store.find(find.clone()).await.unwrap();
        let bytes: u64 = page.rows.iter().skip(1).map(KeyedRow::bytes).sum();
        assert!(bytes < limits.page_bytes && page.next.is_some(), "{} rows of {bytes} bytes", page.rows.len());
        assert_eq!(listed(&store, find).await, expected);
    }
    let keys: Vec<_> = expected.drain(..).map(|row| row.key).collect();
    let refused = store.get(wide(), Some(1), keys.clone()).await.unwrap_err();
    assert!(matches!(refused, RowError::TooLarge { .. }), "{refused:?}");
    assert_eq!(store.get(wide(), Some(1), keys[..16].to_vec()).await.unwrap().rows.len(), 16);
}
