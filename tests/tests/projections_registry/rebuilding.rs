//! A rebuild of a long log, while reads and writes go on.

use super::support::*;
use futures::TryStreamExt as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::drivers::ProjectionRegistryExt as _;
use portolan::ports::ProjectionAction::{Rebuild, Remove};
use portolan::ports::ProjectionRegistry;
use portolan::sqlite::SqliteStore;
use portolan::values::{Append, Edition};
use portolan::{MemoryStore, TokioRuntime as _};
use rstest::rstest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const EVENTS: usize = 100_000;
const ACCOUNTS: usize = 500;

/// Lists the rows again and again, page by page, by key and by index: all of them are there with all of their events, and
/// a listing is of one edition. Tells the editions that it saw, each once.
async fn list_on(registry: Arc<dyn ProjectionRegistry>, stop: Arc<AtomicBool>) -> Vec<Edition> {
    let mut seen: Vec<Edition> = Vec::new();
    let rows = registry.get::<Balances>();
    let whole = i64::try_from(EVENTS / ACCOUNTS).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let first = rows.list().prefix("0").limit(1).await.unwrap();
        assert_eq!(first.rows[0].row.balance, whole);
        if seen.last() != Some(&first.edition) {
            seen.push(first.edition);
        }
        let listed: Vec<_> = rows.find("balance", ()).range(whole..=whole).all().try_collect().await.unwrap();
        let listed = listed.iter().filter(|found| found.key != *"own").count();
        assert_eq!(listed, ACCOUNTS, "all accounts, by balance");
        let (mut pages, mut after, mut edition) = (0, None, None);
        loop {
            let page = rows.list().range(..":").after(after).await.unwrap();
            assert_eq!(*edition.get_or_insert(page.edition), page.edition, "a listing stays on its edition");
            assert!(page.rows.iter().all(|row| row.row.balance == whole), "{page:?}");
            (pages, after) = (pages + page.rows.len(), page.next);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, ACCOUNTS, "all accounts, by key");
        // Else a test that has failed would not end.
        tokio::task::yield_now().await;
    }
    seen
}

#[rstest]
#[case::memory(false)]
#[case::sqlite(true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_rebuild_shows_nothing_before_it_is_whole(#[case] is_file: bool) {
    let place = tempfile::tempdir().unwrap();
    let storage: Storage = match is_file {
        true => SqliteStore::open(place.path().join("bank.db")).await.unwrap().into(),
        false => MemoryStore::new().into(),
    };
    let last = fill(&*storage.events, EVENTS, ACCOUNTS).await;
    let builder = Application::builder(storage.clone(), Runtime::tokio()).projection_options(options());
    let process = builder.projection::<Balances>().build().await.unwrap();
    let registry = process.ports().projections;
    registry.wait_for(balances(), last).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(list_on(registry.clone(), stop.clone()));
    // The rebuild does not begin before something has been written beside it. Whoever waits for a lease looks at a third
    // of its life.
    let rebuilt = Edition { version: 1, rebuild: 1 };
    let leases = storage.leases.clone().unwrap();
    let lease = rebuilt.checkpoint(&balances()).unwrap();
    let mut held = Some(leases.grant(lease, name("test"), Duration::from_secs(6)).await.unwrap());
    registry.act(balances(), Rebuild).await.unwrap();
    let (mut written, mut meanwhile) = (0, 0);
    loop {
        let at = storage.events.append(Append::new([cent("own")])).await.unwrap().last.unwrap();
        written += 1;
        registry.wait_for(balances(), at).await.unwrap();
        let own = registry.get::<Balances>().get("own").await.unwrap();
        assert_eq!(own, Some(Balance { balance: written }), "what was written is read");
        let status = registry.status(balances()).await.unwrap();
        if status.edition == Some(rebuilt) {
            break;
        }
        meanwhile += 1;
        if let Some(held) = held.take() {
            leases.release(held).await.unwrap();
        }
    }
    assert!(meanwhile > 0, "writes went on beside it");
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(reader.await.unwrap(), [Edition::first(1), rebuilt], "readers were switched once");
    registry.act(balances(), Remove(Edition::first(1))).await.unwrap();
    process.shutdown().await;
}
