//! Files: a log that is swapped under rows in a file beside it, and a projection that comes late.

use super::support::*;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::ports::ProjectionAction::Reset;
use portolan::ports::{ProjectionState, RowsQuestion, WaitError};
use portolan::sqlite::SqliteStore;
use portolan::values::{By, Position};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A process whose log and rows are in files of their own.
async fn apart(log: &Path, rows: &Path) -> (Application, SqliteStore) {
    let (log, rows) = (SqliteStore::open(log).await.unwrap(), Arc::new(SqliteStore::open(rows).await.unwrap()));
    let events = Arc::new(log.clone());
    let storage = Storage::new(events.clone(), events).with_read_models(rows.clone()).with_leases(rows);
    let builder = Application::builder(storage, Runtime::tokio()).projection_options(options());
    (builder.projection::<Balances>().build().await.unwrap(), log)
}

/// Moves a file that nobody has open any more.
async fn swap(from: &Path, to: &Path) {
    for end in ["-wal", "-shm"] {
        let beside = |path: &Path| path.with_file_name(format!("{}{end}", path.file_name().unwrap().display()));
        for _ in 0..1_000 {
            if !beside(from).exists() && !beside(to).exists() {
                break;
            }
            pause().await;
        }
        assert!(!beside(from).exists() && !beside(to).exists(), "a file is still open");
    }
    std::fs::rename(from, to).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_swapped_under_its_rows_is_told_and_not_folded_on() {
    let place = tempfile::tempdir().unwrap();
    let [log, other, rows] = ["bank.db", "other.db", "rows.db"].map(|file| place.path().join(file));
    let (process, store) = apart(&log, &rows).await;
    let last = fill(&store, 3, 1).await;
    process.ports().projections.wait_for(balances(), last).await.unwrap();
    process.shutdown().await;
    drop((process, store));

    // The other log goes on past the position that the rows stand at.
    let store = SqliteStore::open(&other).await.unwrap();
    let last = fill(&store, 50, 1).await;
    drop(store);
    swap(&other, &log).await;
    let (process, store) = apart(&log, &rows).await;
    let registry = process.ports().projections;
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(&told, WaitError::Stopped { reason, .. } if reason.contains("reset it")), "{told}");
    fill(&store, 10, 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let status = registry.status(balances()).await.unwrap();
    assert!(matches!(&status.state, ProjectionState::Stopped { reason } if reason.contains("reset it")), "{status:?}");
    assert_eq!(read(&*registry).await, [("0".into(), 3)], "nothing is folded on");

    registry.act(balances(), Reset).await.unwrap();
    status_when(&*registry, |status| status.editions.len() == 1 && status.editions[0].edition.rebuild == 1).await;
    registry.wait_for(balances(), Position::new(last.get() + 10).unwrap()).await.unwrap();
    assert_eq!(read(&*registry).await, [("0".into(), 60)]);
    process.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_comes_late_has_the_whole_log() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bank.db");
    let open = async || {
        let store = SqliteStore::open(&file).await.unwrap();
        (Application::builder(store.clone(), Runtime::tokio()).projection_options(options()), store)
    };
    let (builder, store) = open().await;
    let early = builder.build().await.unwrap();
    assert!(early.ports().projections.list().await.unwrap().is_empty());
    fill(&store, 6_000, 60).await;

    let (builder, _) = open().await;
    let late = builder.projection::<Balances>().build().await.unwrap();
    let registry = late.ports().projections;
    let last = fill(&store, 600, 60).await;
    let all = RowsQuestion::page(balances(), By::key()).limit(100).at_least(Some(last));
    let balances_of = registry.rows(all).await.unwrap().rows;
    assert_eq!(balances_of.len(), 60);
    assert!(balances_of.iter().all(|row| row.cells == [portolan::values::Cell::Integer(110)]), "{balances_of:?}");
    late.shutdown().await;
}
