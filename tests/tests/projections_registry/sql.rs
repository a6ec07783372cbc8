//! A projection that writes tables of its own, in the transaction that moves its checkpoint.

use super::support::*;
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::{FailurePolicy, OnFailure, RecordedAs};
use portolan::drivers::{ApplyError, View, ViewProjection};
use portolan::ports::WaitError;
use portolan::sqlite::{Sql, SqliteStore, rusqlite};
use portolan::values::{Append, Position};
use portolan::{MemoryStore, ports::EventStore};
use std::path::Path;
use std::sync::Arc;

/// Sums by account in a table of their own, which takes no sum above 100.
struct Sums;

impl ViewProjection for Sums {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;

    async fn apply(view: &mut View<'_, Balance>, event: &RecordedAs<AccountEvent>) -> Result<(), ApplyError> {
        let AccountEvent::Deposited { amount } = event.event;
        let (account, table) = (event.stream().id().to_owned(), format!("sums_{}", view.edition().rebuild));
        let before = view.get(&account).await?.map_or(0, |row| row.balance);
        view.put(&account, &Balance { balance: before + amount })?;
        view.beside(Sql::new(move |tables| {
            tables.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS {table} (account TEXT PRIMARY KEY, sum INTEGER CHECK (sum <= 100))"
            ))?;
            let add = format!("INSERT INTO {table} VALUES (?1, ?2) ON CONFLICT DO UPDATE SET sum = sum + excluded.sum");
            tables.execute(&add, (&account, amount)).map(drop)
        }));
        Ok(())
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(OnFailure::Park)
    }
}

async fn deposited(store: &dyn EventStore, account: &str, amount: i64) -> Position {
    let mut event = cent(account);
    event.payload = format!(r#"{{"amount":{amount}}}"#).into();
    store.append(Append::new([event])).await.unwrap().last.unwrap()
}

fn table(file: &Path) -> Vec<(String, i64)> {
    let file = rusqlite::Connection::open(file).unwrap();
    let mut rows = file.prepare("SELECT account, sum FROM sums_0 ORDER BY account").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn started(storage: Storage) -> Application {
    let builder = Application::builder(storage, Runtime::tokio());
    // One that is dropped while it is being granted a lease leaves it to its time to live.
    let builder = builder.projection_options(options().with_lease(core::time::Duration::from_millis(300)));
    builder.view_projection::<Sums>().build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_its_own_move_with_the_rows_and_what_they_refuse_is_parked() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let process = started(store.clone().into()).await;
    let registry = process.ports().projections;
    let mut last = None;
    // The third deposit to ann is more than her sum may be, among others in one batch.
    for (account, amount) in [("ann", 60), ("bob", 1), ("ann", 30), ("ann", 50), ("bob", 2), ("ann", 5)] {
        last = Some(deposited(&store, account, amount).await);
    }
    let last = last.unwrap();
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(told, WaitError::Parked { .. }), "{told}");
    let parked = registry.parked(balances(), None, 10).await.unwrap().events;
    assert_eq!(parked.len(), 2, "{parked:?}");
    assert!(parked[0].reason.contains("CHECK"), "{parked:?}");
    assert_eq!(table(&file), [("ann".to_owned(), 90), ("bob".to_owned(), 3)]);
    assert_eq!(read(&*registry).await, table(&file), "the rows, which move with them");
    process.shutdown().await;
}

/// Whoever is dropped in the midst of it all leaves tables and rows together.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_its_own_are_a_fold_wherever_a_worker_ends() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    let (mut last, mut sums) = (None, [0, 0]);
    for round in 0..30_u64 {
        let lives = started(store.clone().into()).await;
        for n in 0..3 {
            let account = usize::from((round + n) % 3 == 0);
            sums[account] += 1;
            last = Some(deposited(&store, ["ann", "bob"][account], 1).await);
        }
        tokio::time::sleep(core::time::Duration::from_micros(round * 200)).await;
        lives.shutdown().await;
    }
    let process = started(store.clone().into()).await;
    let registry = process.ports().projections;
    registry.wait_for(balances(), last.unwrap()).await.unwrap();
    let wanted = [("ann".to_owned(), sums[0]), ("bob".to_owned(), sums[1])];
    assert_eq!(table(&file), wanted);
    assert_eq!(read(&*registry).await, wanted);
    process.shutdown().await;
}

#[tokio::test]
async fn a_store_without_sql_refuses_it() {
    let store = MemoryStore::new();
    let events: Arc<dyn EventStore> = Arc::new(store.clone());
    let process = started(store.into()).await;
    let registry = process.ports().projections;
    let last = deposited(&*events, "ann", 1).await;
    let told = registry.wait_for(balances(), last).await.unwrap_err();
    assert!(matches!(told, WaitError::Stopped { .. } | WaitError::Parked { .. }), "{told}");
    let status = registry.status(balances()).await.unwrap();
    let reason = status.last_error.map(|error| error.reason).unwrap_or_default();
    assert!(reason.contains("does not know"), "{reason}");
    process.shutdown().await;
}
