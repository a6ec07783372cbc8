//! Projections that a store makes inside of its appends, as an application sees them.

use super::support::*;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::{Projection, RecordedAs, inline};
use portolan::drivers::ProjectionRegistryExt as _;
use portolan::ports::Lifecycle;
use portolan::sqlite::SqliteStore;
use portolan::values::{Append, Edition};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The balances, inside of appends.
struct Inside;

impl Projection for Inside {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Balances::<1>::key(event)
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        Balances::<1>::apply(row, event);
    }
    fn lifecycle() -> Lifecycle {
        Lifecycle::Inline
    }
}

/// Each append moves the checkpoint under the worker that hands the rows over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_made_in_appends_are_ready_while_many_append() {
    let place = tempfile::tempdir().unwrap();
    let inside = inline::<Inside>().unwrap();
    let store = SqliteStore::builder(place.path().join("bank.db")).inline(inside).open().await.unwrap();
    let storage = Storage::from(store);
    fill(&*storage.events, 2_000, 10).await;
    let stop = Arc::new(AtomicBool::new(false));
    let write = |n: usize| {
        let (events, stop) = (storage.events.clone(), stop.clone());
        tokio::spawn(async move {
            for written in 1.. {
                events.append(Append::new([cent(&format!("of-{n}"))])).await.unwrap();
                if stop.load(Ordering::Relaxed) {
                    return written;
                }
            }
            unreachable!("it is told to stop")
        })
    };
    let writers: Vec<_> = (0..64).map(write).collect();
    let builder = Application::builder(storage.clone(), Runtime::tokio()).projection_options(options());
    let process = builder.projection::<Inside>().build().await.unwrap();
    let registry = process.ports().projections;
    status_when(&*registry, |status| status.edition == Some(Edition::first(1))).await;
    stop.store(true, Ordering::Relaxed);
    for (n, writer) in writers.into_iter().enumerate() {
        let written: i64 = writer.await.unwrap();
        let row = registry.get::<Inside>().get(format!("of-{n}")).await.unwrap();
        assert_eq!(row, Some(Balance { balance: written }), "of {n}, at once");
    }
    process.shutdown().await;
}
