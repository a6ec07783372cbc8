//! A read model under test, and short words for what is asked of it.

use super::Network;
use super::log::name;
use aws_sdk_dynamodb::types::AttributeValue;
use portolan_kernel::ports::{ReadModelStore, StoreId};
use portolan_kernel::values::{
    Batch, By, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Find, Index, KeyedRow, Move, Name, Position,
    Token,
};
use std::collections::BTreeSet;
use std::ops::Bound;

/// The log that rows are made of.
pub(crate) const LOG: StoreId = StoreId::from_bytes([1; 16]);

/// The indexes of each version, and how many there are.
pub(crate) const INDEXES: [&str; 3] = ["owner", "balance", "email"];

pub(crate) fn accounts(version: u32) -> Collection {
    named("accounts", version)
}

/// A version with three columns and three indexes, one of which is unique.
pub(crate) fn named(collection: &str, version: u32) -> Collection {
    Collection::new(name(collection), version)
        .column(name("owner"), ColumnType::Text)
        .column(name("balance"), ColumnType::Integer)
        .column(name("email"), ColumnType::Text)
        .index(Index::new(name("owner"), [name("owner")]))
        .index(Index::new(name("balance"), [name("balance"), name("owner")]))
        .index(Index::new(name("email"), [name("email")]).unique())
}

pub(crate) fn account(key: &str, owner: &str, balance: i64) -> KeyedRow {
    let email = Cell::Text(format!("{owner}@example.org"));
    KeyedRow::new(name(key), vec![Cell::Text(owner.into()), Cell::Integer(balance), email])
}

/// Many rows, each of which has another place in every index after another step.
pub(crate) fn many(step: i64) -> Vec<KeyedRow> {
    let row = |n| account(&format!("k-{n:02}"), &format!("o-{:02}", (n + step) % 60), n * step);
    (0..60).map(row).collect()
}

pub(crate) fn at(number: u64) -> Position {
    Position::new(number).expect("a position")
}

/// A batch that moves the checkpoint from where it stands.
pub(crate) async fn moving(store: &dyn ReadModelStore, checkpoint: &str, to: Move) -> Batch {
    let checkpoint: Name = name(checkpoint);
    let state = store.checkpoint(checkpoint.clone()).await.expect("an answer");
    let state = state.unwrap_or(CheckpointState::new(LOG, None, Token(0)));
    Batch::new(Checkpoint::new(checkpoint, state, Token(1), to))
}

/// The rows of all pages.
pub(crate) async fn listed(store: &dyn ReadModelStore, find: Find) -> Vec<KeyedRow> {
    let (mut rows, mut find) = (Vec::new(), find);
    loop {
        let page = store.find(find.clone()).await.expect("a page");
        rows.extend(page.rows);
        match page.next {
            Some(next) => find = find.after(Some(next)),
            None => return rows,
        }
    }
}

/// All rows in the order of an index.
pub(crate) fn by_index(collection: &str, index: &str) -> Find {
    let range = (Bound::Unbounded, Bound::Unbounded);
    Find::by(name(collection), By::Index { name: name(index), equals: Vec::new(), range })
}

/// The rows of a version, which each of its indexes and `get` agree about.
pub(crate) async fn rows(store: &dyn ReadModelStore, version: u32, page: u32, what: &str) -> Vec<KeyedRow> {
    let collection = "accounts";
    let rows = listed(store, Find::all(name(collection)).version(version).limit(page)).await;
    let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
    let got = store.get(name(collection), Some(version), keys).await.expect("rows").rows;
    assert_eq!(got, rows, "{what}: rows by key");
    for index in INDEXES {
        let find = by_index(collection, index).version(version).limit(page);
        for find in [find.clone(), find.backward()] {
            let mut found = listed(store, find).await;
            found.sort_by(|one, other| one.key.cmp(&other.key));
            assert_eq!(found, rows, "{what}: rows by the index {index}");
        }
    }
    rows
}

/// The keys of all items of rows and of entries, past the store: of a table of its own, since all of it is looked at.
pub(crate) async fn stored(network: &Network, log: &str) -> BTreeSet<(String, String)> {
    let mut stored = BTreeSet::new();
    for kind in ["rows", "entries"] {
        let scan = network.client().scan().table_name(network.table()).consistent_read(true);
        let scan = scan.filter_expression("begins_with(pk, :p)").projection_expression("pk, sk");
        let scan = scan.expression_attribute_values(":p", AttributeValue::S(format!("{log}\n{kind}\n")));
        let mut pages = scan.into_paginator().send();
        while let Some(page) = pages.next().await {
            for item in page.expect("a page").items() {
                let text = |name: &str| item[name].as_s().expect("a text").clone();
                stored.insert((text("pk"), text("sk")));
            }
        }
    }
    stored
}
