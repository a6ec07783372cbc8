//! Projections that the store runs: caught up by a worker, handed over, and ready while many append.

use super::support::*;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::{FailurePolicy, OnFailure, Projection, RecordedAs, inline};
use portolan::drivers::ProjectionRegistryExt as _;
use portolan::ports::ProjectionAction::{Drop, Rebuild};
use portolan::ports::{EventStore, Lifecycle, WaitError};
use portolan::values::{Append, Edition, EventType, NewEvent, Position, StreamId};
use portolan::{MemoryStore, SqliteStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Inside;

impl Projection for Inside {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        let AccountEvent::Deposited { amount } = event.event;
        row.get_or_insert(Balance { balance: 0 }).balance += amount;
    }
    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Park)
    }
    fn lifecycle() -> Lifecycle {
        Lifecycle::Inline
    }
}

async fn append(events: &Arc<dyn EventStore>, payload: &str) -> Position {
    let (stream, kind) = (StreamId::new("account-ann").unwrap(), EventType::new("account.deposited").unwrap());
    events.append(Append::new([NewEvent::new(stream, kind, payload.to_owned())])).await.unwrap().last.unwrap()
}

async fn deposit(events: &Arc<dyn EventStore>) -> Position {
    append(events, r#"{"amount":1}"#).await
}

/// Appends without a pause, until the store runs the edition: its checkpoint is where the append is, again and again.
async fn is_handed_over(storage: &Storage, edition: Edition) -> Position {
    let rows = storage.read_models.as_ref().unwrap();
    let mut in_a_row = 0;
    for _ in 0..50_000 {
        let last = deposit(&storage.events).await;
        let stands = rows.checkpoint(edition.checkpoint(&balances()).unwrap()).await.unwrap();
        in_a_row = if stands.and_then(|stands| stands.position) == Some(last) { in_a_row + 1 } else { 0 };
        if in_a_row == 100 {
            return last;
        }
        tokio::task::yield_now().await;
    }
    panic!("the store has not taken it over");
}

/// Caught up from the first event on, and rebuilt, while events come; afterwards nobody but the store works.
async fn catches_up_and_is_handed_over(storage: Storage, is_late: bool) {
    let world = World::new();
    let process = world.process_over(storage.clone()).projection::<Inside>().build().await.unwrap();
    let registry = process.ports().projections;
    if is_late {
        is_handed_over(&storage, Edition::first(1)).await;
    }
    let last = deposit(&storage.events).await;
    registry.wait_for(balances(), last).await.unwrap();
    registry.act(balances(), Rebuild).await.unwrap();
    let rebuild = Edition { version: 1, rebuild: 1 };
    is_handed_over(&storage, rebuild).await;
    status_when(&*registry, |status| status.edition == Some(rebuild)).await;
    process.shutdown().await;
    let last = deposit(&storage.events).await;
    let deposits = i64::try_from(last.get()).unwrap();
    assert_eq!(read(&*registry).await, [("ann".into(), deposits)]);
}

#[tokio::test]
async fn a_store_in_memory_takes_over_while_events_come() {
    let store = MemoryStore::builder().inline(inline::<Inside>().unwrap()).build();
    catches_up_and_is_handed_over(store.into(), false).await;
}

async fn late(file: &std::path::Path) -> Storage {
    SqliteStore::builder(file).inline(inline::<Inside>().unwrap()).open().await.unwrap().into()
}

#[tokio::test]
async fn one_that_is_registered_late_is_taken_over_while_events_come() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("late.db");
    let before: Storage = SqliteStore::open(&file).await.unwrap().into();
    for _ in 0..700 {
        deposit(&before.events).await;
    }
    drop(before);
    catches_up_and_is_handed_over(late(&file).await, true).await;
}

#[tokio::test]
async fn its_worker_parks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("poison.db");
    let before: Storage = SqliteStore::open(&file).await.unwrap().into();
    for _ in 0..300 {
        deposit(&before.events).await;
    }
    let poison = append(&before.events, r#"{"amount":"many"}"#).await;
    for _ in 0..300 {
        deposit(&before.events).await;
    }
    drop(before);
    let (world, storage) = (World::new(), late(&file).await);
    let process = world.process_over(storage.clone()).projection::<Inside>().build().await.unwrap();
    let registry = process.ports().projections;
    let told = registry.wait_for(balances(), poison).await.unwrap_err();
    assert!(matches!(told, WaitError::Stopped { .. }), "{told}");
    assert!(registry.parked(balances(), None, 10).await.unwrap().events.is_empty());
    registry.act(balances(), Drop(poison)).await.unwrap();
    let last = is_handed_over(&storage, Edition::first(1)).await;
    let deposits = i64::try_from(last.get()).unwrap() - 1;
    assert_eq!(read(&*registry).await, [("ann".into(), deposits)]);
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
