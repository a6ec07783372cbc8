//! Tables of an application's own: what the work may do, and what is left of it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use core::sync::atomic::{AtomicBool, Ordering};
use futures::future::join_all;
use portolan_kernel::ports::{EventStore, ReadModelStore, RowError};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: &str) -> T {
    T::try_from(text).unwrap()
}

fn event(n: u64) -> NewEvent {
    NewEvent::new(name(&format!("account-{}", n % 7)), name("deposited"), n.to_string())
}

/// A folder with a file of ten events, and a read model with one row.
async fn filled() -> (tempfile::TempDir, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.append(Append::new((0..10).map(event))).await.unwrap();
    store.define(Collection::new(name("rows"), 1).column(name("n"), ColumnType::Integer)).await.unwrap();
    let rows = Batch::new(moved(&store, "rows", None, Move::At(at(10))));
    let row = KeyedRow::new(name("a"), vec![Cell::Integer(1)]);
    store.commit(rows.put(name("rows"), 1, row).activate(name("rows"), 1)).await.unwrap();
    (folder, path, store)
}

fn at(position: u64) -> Position {
    Position::new(position).unwrap()
}

fn moved(store: &SqliteStore, checkpoint: &str, from: Option<u64>, to: Move) -> Checkpoint {
    let state = CheckpointState::new(store.capabilities().identity, from.map(at), Token(1));
    Checkpoint::new(name(checkpoint), state, Token(1), to)
}

async fn stands(store: &SqliteStore, checkpoint: &str) -> Option<u64> {
    let state = ReadModelStore::checkpoint(store, name(checkpoint)).await.unwrap();
    state.and_then(|state| state.position).map(Position::get)
}

/// As a person does it.
fn asked<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> rusqlite::Result<T> {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0))
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS totals (account TEXT PRIMARY KEY, total INTEGER NOT NULL)";
const ADD: &str = "INSERT INTO totals VALUES (?1, ?2) ON CONFLICT DO UPDATE SET total = total + excluded.total";

#[tokio::test]
async fn tables_and_checkpoint_move_together() {
    let (_folder, path, store) = filled().await;
    let put = |amount: i64| {
        move |tables: &Connection| {
            tables.execute_batch(CREATE)?;
            tables.execute(ADD, ("ann", amount)).map(drop)
        }
    };
    store.commit_with(moved(&store, "totals", None, Move::At(at(3))), put(5)).await.unwrap();
    store.commit_with(moved(&store, "totals", Some(3), Move::At(at(7))), put(2)).await.unwrap();
    assert_eq!(asked::<i64>(&path, "SELECT total FROM totals WHERE account = 'ann'"), Ok(7));
    assert_eq!(stands(&store, "totals").await, Some(7));

    // A worker that is late, one that was superseded, and the rows of another log.
    let late = store.commit_with(moved(&store, "totals", Some(3), Move::At(at(8))), put(100)).await;
    assert!(matches!(late, Err(RowError::CheckpointMoved { .. })), "{late:?}");
    let other = CheckpointState::new(StoreId::from_bytes([9; 16]), Some(at(7)), Token(1));
    let other = Checkpoint::new(name("totals"), other, Token(1), Move::At(at(8)));
    let other = store.commit_with(other, put(100)).await;
    assert!(matches!(other, Err(RowError::WrongStore { .. })), "{other:?}");
    assert_eq!(asked::<i64>(&path, "SELECT sum(total) FROM totals"), Ok(7));
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_failing_work_leaves_nothing_and_harms_nobody() {
    let (_folder, path, store) = filled().await;
    let create = |tables: &Connection| tables.execute_batch(CREATE);
    store.commit_with(moved(&store, "totals", None, Move::At(at(1))), create).await.unwrap();
    let fails = |tables: &Connection| {
        tables.execute(ADD, ("ann", 1))?;
        tables.execute("INSERT INTO totals VALUES ('bob', NULL)", []).map(drop)
    };
    let panics = |tables: &Connection| {
        tables.execute(ADD, ("ann", 1))?;
        std::panic::resume_unwind(Box::new("the work panics"))
    };
    for round in 0..10 {
        // At once, so that they share transactions.
        let to = || moved(&store, "totals", Some(1), Move::At(at(2)));
        let (failed, panicked) = (store.commit_with(to(), fails), store.commit_with(to(), panics));
        let appends = join_all((0..5).map(|n| store.append(Append::new([event(n)]))));
        let (failed, panicked, appended) = futures::join!(failed, panicked, appends);
        assert!(matches!(failed, Err(RowError::Other(_))), "{failed:?}");
        assert!(matches!(panicked, Err(RowError::Other(_))), "{panicked:?}");
        assert!(appended.iter().all(Result::is_ok), "round {round}: {appended:?}");
    }
    assert_eq!(asked::<i64>(&path, "SELECT count(*) FROM totals"), Ok(0));
    assert_eq!(stands(&store, "totals").await, Some(1));
    assert_eq!(asked::<i64>(&path, "SELECT count(*) FROM log"), Ok(60));
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_store_is_protected() {
    let (_folder, path, store) = filled().await;
    let create = |tables: &Connection| tables.execute_batch(CREATE);
    store.commit_with(moved(&store, "totals", None, Move::At(at(1))), create).await.unwrap();
    // Every table that there is, under whatever case.
    let file = Connection::open(&path).unwrap();
    let mut names = file.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'totals'").unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
    assert!(names.len() >= 15, "{names:?}");
    let mut forbidden = Vec::new();
    for table in &names {
        for table in [table.clone(), table.to_uppercase()] {
            forbidden.push(format!("DELETE FROM {table}"));
            forbidden.push(format!("DROP TABLE {table}"));
            forbidden.push(format!("ALTER TABLE {table} ADD COLUMN more"));
        }
        forbidden.push(format!("INSERT INTO {table} SELECT * FROM {table}"));
        forbidden.push(format!("CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT 1; END"));
    }
    forbidden.extend(
        [
            "COMMIT",
            "ROLLBACK",
            "END",
            "BEGIN",
            "ROLLBACK TO portolan_work",
            "RELEASE Portolan_Work",
            "UPDATE log SET payload = 'x'",
            "CREATE INDEX i ON log (revision)",
            "DROP INDEX kinds_by_type",
            "DROP VIEW events",
            "DROP VIEW active_rows",
            "CREATE TABLE rm_mine (n)",
            "CREATE TABLE RM_Mine (n)",
            "CREATE VIEW active_mine AS SELECT 1",
            "ALTER TABLE totals RENAME TO rm_mine",
            "ALTER TABLE totals RENAME TO mine",
            "CREATE TABLE t (n UNIQUE); ALTER TABLE t RENAME TO Active_T",
            "CREATE TABLE t (n); ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO \"RM_u\"",
            "CREATE VIRTUAL TABLE rm USING fts5 (text)",
            "CREATE VIRTUAL TABLE words USING fts5 (text); ALTER TABLE words RENAME TO rm",
            "CREATE TRIGGER t AFTER INSERT ON totals BEGIN DELETE FROM leases; END; INSERT INTO totals VALUES ('x', 1)",
            "PRAGMA synchronous = OFF",
            "PRAGMA user_version = 0",
            "ATTACH ':memory:' AS other",
            "CREATE TEMP TABLE t (n)",
            "VACUUM",
        ]
        .map(String::from),
    );
    for sql in forbidden {
        let work = {
            let sql = sql.clone();
            move |tables: &Connection| {
                tables.execute(ADD, ("ann", 1))?;
                tables.execute_batch(&sql)
            }
        };
        let refused = store.commit_with(moved(&store, "totals", Some(1), Move::At(at(2))), work).await;
        // This one SQLite refuses by itself, before it asks.
        let by_sqlite = sql == "VACUUM" && matches!(refused, Err(RowError::Other(_)));
        assert!(matches!(refused, Err(RowError::Invalid(_))) || by_sqlite, "{sql}: {refused:?}");
    }
    // Statements of the store's own, which its connection has prepared before.
    for sql in ["COMMIT", "BEGIN IMMEDIATE", "UPDATE about_store SET last_position = ?1, checksum = ?2"] {
        let work = move |tables: &Connection| {
            let mut statement = tables.prepare_cached(sql)?;
            let params = if statement.parameter_count() == 2 { vec![0, 0] } else { vec![] };
            statement.execute(rusqlite::params_from_iter(params)).map(drop)
        };
        let refused = store.commit_with(moved(&store, "totals", Some(1), Move::At(at(2))), work).await;
        assert!(matches!(refused, Err(RowError::Invalid(_))), "{sql}: {refused:?}");
    }
    assert_eq!(asked::<i64>(&path, "SELECT count(*) FROM totals"), Ok(0));
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
    store.append(Append::new([event(1)])).await.unwrap();

    // What is allowed: whatever is of one's own, and a look at all the rest.
    let work = |tables: &Connection| {
        tables.execute_batch(
            "SAVEPOINT mine; INSERT INTO totals VALUES ('cat', 1); ROLLBACK TO mine; RELEASE mine;
             CREATE TABLE more (n INTEGER PRIMARY KEY AUTOINCREMENT, text); CREATE INDEX more_by_text ON more (text);
             INSERT INTO more (text) SELECT stream FROM events; DROP TABLE more;
             CREATE VIEW large AS SELECT * FROM totals WHERE total > 10;
             INSERT INTO totals SELECT _key, n FROM active_rows",
        )
    };
    store.commit_with(moved(&store, "totals", Some(1), Move::At(at(2))), work).await.unwrap();
    assert_eq!(asked::<i64>(&path, "SELECT sum(total) FROM totals"), Ok(1));
    assert_eq!(asked::<i64>(&path, "SELECT count(*) FROM large"), Ok(0));
}

/// Follows the log as a worker does, in small pages.
async fn follow(store: &SqliteStore, told: impl Fn(u64)) {
    loop {
        let nowhere = CheckpointState::new(store.capabilities().identity, None, Token(1));
        let stands = ReadModelStore::checkpoint(store, name("totals")).await.unwrap().unwrap_or(nowhere);
        let page = store.read(Read::log_after(Query::all(), stands.position).limit(20)).await.unwrap();
        let Some(last) = page.events.last() else { return };
        let to = last.position;
        let checkpoint = Checkpoint::new(name("totals"), stands, Token(1), Move::At(to));
        let work = move |tables: &Connection| {
            tables.execute_batch(CREATE)?;
            let mut add = tables.prepare_cached(ADD)?;
            page.events.iter().try_for_each(|event| {
                let amount: i64 = core::str::from_utf8(&event.payload).unwrap().parse().unwrap();
                add.execute((&*event.stream, amount)).map(drop)
            })
        };
        store.commit_with(checkpoint, work).await.unwrap();
        told(to.get());
    }
}

/// The rows of the table are a fold of the log up to its checkpoint.
async fn is_a_fold(store: &SqliteStore, path: &Path) {
    let position = stands(store, "totals").await.unwrap_or(0);
    if position == 0 {
        return;
    }
    let differ = format!(
        "SELECT count(*) FROM (SELECT stream, sum(CAST(payload AS INTEGER)) AS sum FROM events WHERE position <= {position} \
         GROUP BY stream) FULL JOIN totals ON stream = account WHERE sum IS NOT total"
    );
    assert_eq!(asked::<i64>(path, &differ), Ok(0), "rows that are no fold up to {position}");
}

const CHILD: &str = "PORTOLAN_OWN_TABLES";

#[test]
fn tables_are_a_fold_of_the_log_after_a_kill() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(path) = std::env::var_os(CHILD) {
        // Another process: follows what it appends, until it is killed.
        runtime.block_on(async {
            let store = SqliteStore::open(path).await.unwrap();
            for n in 0.. {
                store.append(Append::new((n * 30..n * 30 + 30).map(event))).await.unwrap();
                follow(&store, |to| {
                    std::io::Write::write_all(&mut std::io::stderr(), format!("to {to}\n").as_bytes()).unwrap()
                })
                .await;
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.db");
    let mut acknowledged = 0;
    for _ in 0..40 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tables_are_a_fold_of_the_log_after_a_kill", "--nocapture"])
            .env(CHILD, &path)
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let heard = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
        let mut heard = heard.filter_map(|line| line.ok()?.strip_prefix("to ")?.parse::<u64>().ok());
        let enough = fastrand::usize(1..10);
        for _ in 0..enough {
            acknowledged = heard.next().unwrap();
        }
        std::thread::sleep(core::time::Duration::from_micros(fastrand::u64(..3_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = heard.last().unwrap_or(acknowledged);
        runtime.block_on(async {
            let store = SqliteStore::open(&path).await.unwrap();
            assert!(stands(&store, "totals").await.unwrap() >= acknowledged);
            is_a_fold(&store, &path).await;
            assert_eq!(store.verify().await.unwrap(), [""; 0]);
        });
    }
}

/// The state that the work is run on again has nothing of it.
#[tokio::test]
async fn work_that_is_run_again_counts_once() {
    let (_folder, path, store) = filled().await;
    let again = Arc::new(AtomicBool::new(false));
    let seen = again.clone();
    let work = move |tables: &Connection| {
        tables.execute_batch(CREATE)?;
        tables.execute(ADD, ("ann", 1))?;
        // Once, as if the file had failed under it: then all of the transaction is rolled back.
        if !seen.swap(true, Ordering::SeqCst) {
            let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            return Err(rusqlite::Error::SqliteFailure(full, None));
        }
        Ok(())
    };
    let checkpoint = moved(&store, "totals", None, Move::At(at(1)));
    let appends = join_all((0..20).map(|n| store.append(Append::new([event(n)]))));
    let (appended, done) = futures::join!(appends, store.commit_with(checkpoint, work));
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    assert!(again.load(Ordering::SeqCst));
    match done {
        // It shared its transaction, and was run again alone.
        Ok(()) => assert_eq!(asked::<i64>(&path, "SELECT sum(total) FROM totals"), Ok(1)),
        // It was alone in the first place.
        Err(RowError::Other(_)) => assert_eq!(stands(&store, "totals").await, None),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}
