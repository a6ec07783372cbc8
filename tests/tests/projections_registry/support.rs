//! What the tests run on: accounts, a projection of their balances, a store in memory, and a worker by hand.

use portolan::MemoryStore;
use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::domain::{Event, FailurePolicy, OnFailure, Projection, RecordedAs, Row, collection_of};
use portolan::drivers::ProjectionOptions;
use portolan::ports::{
    Clock, EventStore, Lease, LeaseStore, Lifecycle, ProjectionRegistry, ProjectionStatus, ReadModelStore,
};
use portolan::tokio::{Tasks, UuidV7};
use portolan::values::{
    Append, Batch, Cell, Checkpoint, CheckpointState, Edition, EventType, KeyedRow, Move, Name, NewEvent, Position,
    RowKey, StreamId, Token,
};
use portolan_testing::TestClock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    Deposited { amount: i64 },
}

#[derive(Row, Debug, PartialEq)]
pub(crate) struct Balance {
    #[row(index)]
    pub(crate) balance: i64,
}

/// The balances, by code of this version, when they are made, and what happens to a poison event.
pub(crate) struct Balances<const VERSION: u16 = 1, const LIVE: bool = false, const PARK: bool = false>;

impl<const VERSION: u16, const LIVE: bool, const PARK: bool> Projection for Balances<VERSION, LIVE, PARK> {
    const NAME: &'static str = "balances";
    const VERSION: u16 = VERSION;
    type Event = AccountEvent;
    type Row = Balance;

    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }

    /// Versions differ in their rows: the second counts tenfold.
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        let AccountEvent::Deposited { amount } = event.event;
        row.get_or_insert(Balance { balance: 0 }).balance += amount * 10_i64.pow(u32::from(VERSION) - 1);
    }

    fn on_failure() -> FailurePolicy {
        FailurePolicy::then(if PARK { OnFailure::Park } else { OnFailure::Stop })
    }

    fn lifecycle() -> Lifecycle {
        if LIVE { Lifecycle::Live } else { Lifecycle::Asynchronous }
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn balances() -> Name {
    name("balances")
}

pub(crate) fn key(text: &str) -> RowKey {
    RowKey::new(text).unwrap()
}

/// One store, and a clock for all that run over it.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<TestClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(TestClock::default());
        clock.advance(Duration::from_secs(1_700_000_000));
        Self { store: MemoryStore::builder().clock(clock.clone()).build(), clock }
    }

    /// A process over the store.
    pub(crate) fn process(&self) -> ApplicationBuilder {
        self.process_over(self.store.clone())
    }

    pub(crate) fn process_over(&self, storage: impl Into<Storage>) -> ApplicationBuilder {
        let tasks = Arc::new(Tasks::current());
        let runtime = Runtime::new(self.clock.clone(), Arc::new(UuidV7::new()), tasks.clone(), tasks);
        Application::builder(storage, runtime).projection_options(options())
    }

    pub(crate) async fn deposit(&self, account: &str, amount: i64) -> Position {
        self.append(&format!("account-{account}"), "account.deposited", &format!(r#"{{"amount":{amount}}}"#)).await
    }

    pub(crate) async fn append(&self, stream: &str, event_type: &str, payload: &str) -> Position {
        let event =
            NewEvent::new(StreamId::new(stream).unwrap(), EventType::new(event_type).unwrap(), payload.to_owned());
        self.store.append(Append::new([event])).await.unwrap().last.unwrap()
    }
}

/// A deposit of one cent.
pub(crate) fn cent(account: &str) -> NewEvent {
    let deposited = EventType::new("account.deposited").unwrap();
    NewEvent::new(StreamId::new(format!("account-{account}")).unwrap(), deposited, r#"{"amount":1}"#)
}

/// So many deposits of one cent, over so many accounts in turn.
pub(crate) async fn fill(store: &dyn EventStore, many: usize, accounts: usize) -> Position {
    let mut last = None;
    for first in (0..many).step_by(500) {
        let events = (first..many.min(first + 500)).map(|n| cent(&(n % accounts).to_string()));
        last = store.append(Append::new(events)).await.unwrap().last;
    }
    last.expect("events were appended")
}

/// Quick to look; a lease outlives every test, so that a worker by hand is left alone.
pub(crate) fn options() -> ProjectionOptions {
    ProjectionOptions::default().with_look(Duration::from_millis(5)).with_lease(Duration::from_secs(3_600))
}

/// What a worker says.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) is_ready: bool,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) stopped_at: Option<Position>,
    pub(crate) moved_at: u64,
    pub(crate) parked: i64,
    pub(crate) requests_done: i64,
}

/// Works on an edition by hand, as a worker of another process would.
pub(crate) struct Hand {
    store: MemoryStore,
    clock: Arc<TestClock>,
    edition: Edition,
    lease: Lease,
    pub(crate) said: Said,
}

impl Hand {
    /// Takes the lease of an edition, so that no other works on it.
    pub(crate) async fn on(world: &World, version: u16, rebuild: u16) -> Self {
        let edition = Edition { version, rebuild };
        let name_of_lease = edition.checkpoint(&balances()).unwrap();
        let lease = world.store.grant(name_of_lease, name("by hand"), Duration::from_secs(3_600)).await.unwrap();
        let said = Said {
            is_ready: false,
            state: "catching-up",
            reason: None,
            stopped_at: None,
            moved_at: world.clock.now().as_micros(),
            parked: 0,
            requests_done: 0,
        };
        Self { store: world.store.clone(), clock: world.clock.clone(), edition, lease, said }
    }

    async fn state(&self) -> CheckpointState {
        let state = ReadModelStore::checkpoint(&self.store, self.lease.name.clone()).await.unwrap();
        let log = self.store.capabilities().identity;
        state.unwrap_or(CheckpointState::new(log, None, Token(0)))
    }

    /// Defines its rows. The process over the store defines the rest.
    pub(crate) async fn begin(&self) {
        let rows = collection_of::<Balance>(balances(), self.edition.to_stored()).unwrap();
        self.store.define(rows).await.unwrap();
        self.commit(None, |batch| batch).await;
    }

    /// Moves to this position, with these rows and what it says.
    pub(crate) async fn reach(&mut self, position: Position, rows: &[(&str, i64)]) {
        self.said.moved_at = self.clock.now().as_micros();
        let (collection, version) = (balances(), self.edition.to_stored());
        let put = |batch, (account, balance): &(&str, i64)| {
            Batch::put(batch, collection.clone(), version, KeyedRow::new(key(account), vec![Cell::Integer(*balance)]))
        };
        self.commit(Some(position), |batch| rows.iter().fold(batch, put)).await;
    }

    /// Is to be read from now on.
    pub(crate) async fn is_ready(&mut self, activates: bool) {
        (self.said.is_ready, self.said.state) = (true, "caught-up");
        let (collection, version) = (balances(), self.edition.to_stored());
        self.commit(None, |batch| if activates { batch.activate(collection, version) } else { batch }).await;
    }

    /// Says what is to be said.
    pub(crate) async fn say(&self) {
        self.commit(None, |batch| batch).await;
    }

    pub(crate) async fn park(&mut self, position: Position, account: &str) {
        self.said.parked += 1;
        let place = format!("balances@{}", self.edition);
        let key = key(&format!("{place}/{position:019}"));
        let text = |text: &str| Cell::Text(text.to_owned());
        let cells = vec![
            text(&place),
            text(&format!("key:{account}")),
            Cell::Null,
            Cell::Integer(i64::try_from(position.get()).unwrap()),
            text(&format!("account-{account}")),
            Cell::Bool(false),
            text("it does not add up"),
            Cell::Integer(7),
        ];
        self.commit(Some(position), |batch| batch.put(name("$parked"), 1, KeyedRow::new(key, cells))).await;
    }

    async fn commit(&self, to: Option<Position>, more: impl FnOnce(Batch) -> Batch) {
        let Said { is_ready, state, reason, stopped_at, moved_at, parked, requests_done } = self.said.clone();
        let to = to.map_or(Move::Claim, Move::At);
        let checkpoint = Checkpoint::new(self.lease.name.clone(), self.state().await, self.lease.token, to);
        let micros = |micros: u64| Cell::Integer(i64::try_from(micros).unwrap());
        let cells = vec![
            Cell::Bool(is_ready),
            Cell::Text(state.to_owned()),
            reason.map_or(Cell::Null, |reason| Cell::Text(reason.to_owned())),
            stopped_at.map_or(Cell::Null, |at| micros(at.get())),
            Cell::Text("by hand".to_owned()),
            micros(self.clock.now().as_micros()),
            micros(moved_at),
            Cell::Integer(12),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Integer(parked),
            Cell::Integer(requests_done),
            Cell::Null,
        ];
        let row = KeyedRow::new(key(&format!("balances@{}", self.edition)), cells);
        let batch = more(Batch::new(checkpoint)).put(name("$editions"), 1, row);
        // The process defines the system's collections at its own pace.
        for _ in 0..1_000 {
            match self.store.commit(batch.clone()).await {
                Err(portolan::ports::RowError::UnknownCollection { .. }) => pause().await,
                committed => return committed.unwrap(),
            }
        }
        panic!("nobody defines the system's collections");
    }

    /// Renews the lease again and again, as one who lives does.
    pub(crate) fn renew_often(mut self) -> Renewing {
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                self.lease = self.store.renew(self.lease).await.unwrap();
                pause().await;
            }
            self
        });
        Renewing { stop, task }
    }

    /// Goes, and gives the lease up.
    pub(crate) async fn leave(self) {
        self.store.release(self.lease).await.unwrap();
    }
}

pub(crate) struct Renewing {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Hand>,
}

impl Renewing {
    pub(crate) async fn stop(self) -> Hand {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// The status, once it is as wished.
pub(crate) async fn status_when(
    registry: &dyn ProjectionRegistry,
    is_so: impl Fn(&ProjectionStatus) -> bool,
) -> ProjectionStatus {
    let mut last = None;
    for _ in 0..2_000 {
        let status = registry.status(balances()).await.unwrap();
        if is_so(&status) {
            return status;
        }
        last = Some(status);
        pause().await;
    }
    panic!("it does not come to that: {last:#?}");
}

/// The balances that everybody reads, by account.
pub(crate) async fn read(registry: &dyn ProjectionRegistry) -> Vec<(String, i64)> {
    use portolan::ports::RowsQuestion;
    use portolan::values::By;
    let all = By::Key(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let answer = registry.rows(RowsQuestion::page(balances(), all)).await.unwrap();
    let row = |row: KeyedRow| {
        let Cell::Integer(balance) = row.cells[0] else { panic!("{row:?}") };
        (row.key.to_string(), balance)
    };
    answer.rows.into_iter().map(row).collect()
}
