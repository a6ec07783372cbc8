//! Projections inside of appends, where the file and other writes come between.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::sync::atomic::{AtomicBool, Ordering};
use futures::future::join_all;
use portolan_kernel::ports::{EventStore, Inline, InlineRows, ReadModelStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use std::sync::Arc;

fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: &str) -> T {
    T::try_from(text).unwrap()
}

/// Counts all events in one row.
struct Count;

impl Inline for Count {
    fn collection(&self) -> Collection {
        Collection::new(name("count"), 1).column(name("n"), ColumnType::Integer)
    }
    fn wants(&self) -> Query {
        Query::all()
    }
    fn apply(&self, _: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String> {
        let n = match rows.get(&name("all"))?.as_deref() {
            Some([Cell::Integer(n)]) => *n,
            _ => 0,
        };
        rows.set(name("all"), Some(vec![Cell::Integer(n + 1)]));
        Ok(())
    }
}

fn event(n: usize) -> Append {
    Append::new([NewEvent::new(name(&format!("a-{n}")), name("happened"), "{}")])
}

fn totals(store: &SqliteStore) -> Checkpoint {
    let nowhere = CheckpointState::new(store.capabilities().identity, None, Token(1));
    Checkpoint::new(name("totals"), nowhere, Token(1), Move::At(Position::new(1).unwrap()))
}

/// The row, and where its checkpoint stands.
async fn counted(store: &SqliteStore) -> (i64, u64) {
    let rows = store.get(name("count"), Some(1), vec![name("all")]).await.unwrap().rows;
    let state = ReadModelStore::checkpoint(store, name("projection/count@1")).await.unwrap();
    let Some([Cell::Integer(n)]) = rows.first().map(|row| &*row.cells) else { panic!("{rows:?}") };
    (*n, state.and_then(|state| state.position).map_or(0, Position::get))
}

#[tokio::test]
async fn rows_of_a_transaction_that_was_rolled_back_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::builder(folder.path().join("log.db")).inline(Arc::new(Count)).open().await.unwrap();
    for round in 1..=10_i64 {
        let before = AtomicBool::new(false);
        // Once, as if the file had failed under it: then all that it shares its transaction with is rolled back.
        let fails = move |_: &rusqlite::Connection| {
            if before.swap(true, Ordering::SeqCst) {
                return Err(rusqlite::Error::QueryReturnedNoRows);
            }
            let failed = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            Err(rusqlite::Error::SqliteFailure(failed, None))
        };
        let appends = || join_all((0..10).map(|n| store.append(event(n))));
        let (first, failed, then) = futures::join!(appends(), store.commit_with(totals(&store), fails), appends());
        assert!(failed.is_err());
        assert!(first.iter().chain(&then).all(Result::is_ok), "{first:?} {then:?}");
        assert_eq!(counted(&store).await, (round * 20, round.unsigned_abs() * 20));
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn work_on_own_tables_sees_the_rows_of_the_appends_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::builder(folder.path().join("log.db")).inline(Arc::new(Count)).open().await.unwrap();
    let agree = |tables: &rusqlite::Connection| {
        let seen = |sql: &str| tables.query_row(sql, [], |row| row.get::<_, i64>(0));
        let (rows, log) = (seen("SELECT coalesce(max(n), 0) FROM rm_count_v1")?, seen("SELECT count(*) FROM log")?);
        if rows == log { Ok(()) } else { Err(rusqlite::Error::QueryReturnedMoreThanOneRow) }
    };
    let (first, seen, then) = futures::join!(
        join_all((0..10).map(|n| store.append(event(n)))),
        store.commit_with(totals(&store), agree),
        join_all((0..10).map(|n| store.append(event(n)))),
    );
    seen.unwrap();
    assert!(first.iter().chain(&then).all(Result::is_ok));
    assert_eq!(counted(&store).await, (20, 20));
}
