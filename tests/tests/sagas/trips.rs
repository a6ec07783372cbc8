//! Trips, which are booked, paid and told of, and an index of them.

use portolan::application::{Application, Runtime, Storage};
use portolan::domain::Event as _;
use portolan::domain::saga::{Definition, Retry, Saga, SagaEvent, SagaHandler, Step, StepContext, StepError};
use portolan::drivers::{
    ProjectionOptions, SAGA_INDEX, SagaDriver, SagaHandlers, SagaIndex, SagaNudge, SagaPorts, SagaRest,
};
use portolan::ports::{ListSagas, ProjectionRegistry, SagaSummary, StartSaga};
use portolan::sqlite::{Durability, SqliteStore};
use portolan::tokio::{Tasks, UuidV7};
use portolan::values::{Append, EventType, Name, NewEvent, Position, Query, Read, SagaId, StreamId};
use portolan::{Bytes, MemoryStore};
use portolan_testing::TestClock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How a trip goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) enum Goes {
    Well,
    /// There is no room today.
    Later,
    /// Nobody pays.
    Unpaid,
    /// The same, and it cannot be cancelled today.
    Stuck,
    /// Nobody can be told.
    Untold,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Trip {
    goes: Goes,
}

/// Trips by this name, of this version.
pub(crate) struct Trips<const OTHER: bool, const VERSION: u32>;

impl<const OTHER: bool, const VERSION: u32> Saga for Trips<OTHER, VERSION> {
    // The one is the beginning of the other.
    const NAME: &'static str = if OTHER { "trip-2" } else { "trip" };
    const VERSION: u32 = VERSION;
    type Input = Trip;

    fn definition() -> Definition<Self> {
        let hour = Duration::from_secs(3_600);
        let retry = Retry::attempts(3).first(hour).longest(hour);
        let book = Step::new("book", Self::book).compensate(Self::cancel);
        Definition::new()
            .timeout(hour * 2)
            .step(book.retry(retry.clone()).compensation_retry(retry))
            .step(Step::new("pay", Self::pay).retry(Retry::never()))
            .step(Step::new("tell", Self::tell).harmless().retry(Retry::never()))
    }
}

impl<const OTHER: bool, const VERSION: u32> Trips<OTHER, VERSION> {
    async fn book(&self, trip: &Trip, _: &StepContext) -> Result<(), StepError> {
        if trip.goes == Goes::Later { Err(StepError::retry("no room today")) } else { Ok(()) }
    }

    async fn cancel(&self, trip: &Trip, _: &StepContext) -> Result<(), StepError> {
        if trip.goes == Goes::Stuck { Err(StepError::retry("nobody there")) } else { Ok(()) }
    }

    async fn pay(&self, trip: &Trip, _: &StepContext) -> Result<(), StepError> {
        if matches!(trip.goes, Goes::Unpaid | Goes::Stuck) { Err(StepError::refused("no", "no money")) } else { Ok(()) }
    }

    async fn tell(&self, trip: &Trip, _: &StepContext) -> Result<(), StepError> {
        if trip.goes == Goes::Untold { Err(StepError::refused("no", "nobody home")) } else { Ok(()) }
    }
}

pub(crate) fn trip(id: &str) -> SagaId {
    SagaId::new("trip", id).unwrap()
}

pub(crate) fn trip_2(id: &str) -> SagaId {
    SagaId::new("trip-2", id).unwrap()
}

/// The name of the sagas that are looked for.
pub(crate) fn named() -> Name {
    Name::new("trip").unwrap()
}

pub(crate) fn sagas() -> Name {
    Name::new(SAGA_INDEX).unwrap()
}

/// Which store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
}

pub(crate) struct World {
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) application: Application,
    pub(crate) driver: SagaDriver,
    pub(crate) index: SagaIndex,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::over(kind, |storage| storage).await
    }

    /// Over what is made of the storage.
    pub(crate) async fn over(kind: Kind, change: impl FnOnce(Storage) -> Storage) -> Self {
        let clock = Arc::new(TestClock::default());
        clock.advance(Duration::from_secs(1_700_000_000));
        let (storage, folder): (Storage, _) = match kind {
            Kind::Memory => (MemoryStore::builder().clock(clock.clone()).build().into(), None),
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let builder = SqliteStore::builder(folder.path().join("trips.db")).clock(clock.clone());
                let store = builder.durability(Durability::SurvivesProcessCrashOnly).open().await.unwrap();
                (store.into(), Some(folder))
            }
        };
        let storage = change(storage);
        let tasks = Arc::new(Tasks::current());
        let runtime = Runtime::new(clock.clone(), Arc::new(UuidV7::new()), tasks.clone(), tasks);
        let options = ProjectionOptions::default().with_look(Duration::from_millis(5));
        let builder = Application::builder(storage.clone(), runtime.clone()).saga_index().projection_options(options);
        let application = builder.build().await.unwrap();
        let mut handlers = SagaHandlers::new();
        assert!(handlers.add(SagaHandler::new(Trips::<false, 1>).unwrap()));
        assert!(handlers.add(SagaHandler::new(Trips::<true, 1>).unwrap()));
        let handlers = Arc::new(handlers);
        let ports = application.ports();
        let index = SagaIndex::new(ports.projections, clock.clone(), handlers.clone());
        let Runtime { ids, sleep, spawn, .. } = runtime;
        let (commands, queries) = (ports.commands, ports.queries);
        let events = storage.events.clone();
        let ports = SagaPorts { events, commands, queries, clock: clock.clone(), ids, sleep, spawn };
        let driver = SagaDriver::new(ports, handlers);
        Self { storage, clock, application, driver, index, _folder: folder }
    }

    pub(crate) fn projections(&self) -> Arc<dyn ProjectionRegistry> {
        self.application.ports().projections
    }

    /// Starts a trip, and tells the position of its start.
    pub(crate) async fn start(&self, saga: &SagaId, goes: Goes) -> Option<Position> {
        let start = StartSaga::new(saga.clone(), serde_json::to_value(Trip { goes }).unwrap());
        self.driver.start(start).await.unwrap().position
    }

    pub(crate) async fn drive(&self, saga: &SagaId) -> SagaRest {
        self.driver.drive(saga, &SagaNudge::new()).await.unwrap()
    }

    pub(crate) async fn goes(&self, saga: &SagaId, goes: Goes) {
        self.start(saga, goes).await;
        self.drive(saga).await;
    }

    /// Somebody else writes this.
    pub(crate) async fn write(&self, stream: &StreamId, event_type: &str, version: u32, payload: &str) -> Position {
        let event_type = EventType::new(event_type).unwrap();
        let mut event = NewEvent::new(stream.clone(), event_type, Bytes::copy_from_slice(payload.as_bytes()));
        event.version = version;
        self.storage.events.append(Append::new([event])).await.unwrap().last.unwrap()
    }

    /// Where the log ends.
    pub(crate) async fn end(&self) -> Option<Position> {
        let read = Read::log(Query::all().with_system()).backward().limit(1);
        self.storage.events.read(read).await.unwrap().frontier
    }

    /// The index has seen everything.
    pub(crate) async fn caught_up(&self) {
        let end = self.end().await.unwrap();
        self.projections().wait_for(sagas(), end).await.unwrap();
    }

    pub(crate) async fn page(&self, list: ListSagas) -> (Vec<SagaSummary>, Option<String>) {
        let page = self.index.list(list).await.unwrap();
        (page.sagas, page.next)
    }

    /// The ids of all that are listed, from page to page.
    pub(crate) async fn ids(&self, list: ListSagas) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), list.after.clone());
        loop {
            let (sagas, next) = self.page(list.clone().after(after)).await;
            assert!(sagas.len() <= list.limit as usize);
            ids.extend(sagas.iter().map(|summary| summary.saga.to_string()));
            after = next;
            if after.is_none() {
                return ids;
            }
        }
    }

    /// How this one is listed.
    pub(crate) async fn listed(&self, saga: &SagaId) -> SagaSummary {
        let (sagas, _) = self.page(ListSagas::all()).await;
        sagas.into_iter().find(|summary| summary.saga == *saga).unwrap()
    }
}

/// A fact, as it is stored.
pub(crate) fn stored(saga: &SagaId, fact: &SagaEvent) -> NewEvent {
    NewEvent::new(saga.stream(), EventType::new(fact.event_type()).unwrap(), fact.encode().unwrap())
}
