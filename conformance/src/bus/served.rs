//! The suite's application, as it is served to what is on trial.

use super::ask::App;
use super::crossing::Crossing;
use super::domain::{Rival, Tally};
use super::layers::Layers;
use super::projections::StandIn;
use super::runtime::{Tasks, WorldClock, runtime};
use super::seats::Seat;
use super::store::FaultyStore;
use super::watch::Watch;
use crate::ask::{Ask, name};
use crate::{Broken, Trial, Verdict};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use portolan_kernel::application::{Application, ApplicationBuilder, BuildError, Ports, Runtime, Storage};
use portolan_kernel::drivers::{BusOptions, Middleware};
use portolan_kernel::ports::{CommandBus, EventStore, ProjectionRegistry};
use portolan_kernel::values::{Read, Recorded, StreamId};
use std::cell::RefCell;
use std::panic::Location;
use std::sync::Arc;

/// The ports of an application of the suite's own, for a fixture to serve and to come back to with a bus.
///
/// The bus of an application in its own process is `served.ports().commands`; that of a transport is a client,
/// connected to a server of `served.ports()`.
pub struct Served {
    ports: Ports,
    composition: Composition,
    /// Takes the place of an application's bus.
    commands: Option<Arc<dyn CommandBus>>,
    applications: RefCell<Vec<Application>>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    /// What the application offers in its own process.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// The ports of another application like it that is composed otherwise: to prove the laws by wrong ones. It is
    /// shut down with the first.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub async fn composed(&self, change: impl FnOnce(Composition) -> Composition) -> Result<Ports, BuildError> {
        let application = change(self.composition.clone()).builder().build().await?;
        let mut ports = application.ports();
        if let Some(commands) = &self.commands {
            ports.commands = commands.clone();
        }
        self.applications.borrow_mut().push(application);
        Ok(ports)
    }

    /// Shuts all of it down.
    pub(super) async fn shut_down(&self) {
        let applications = self.applications.borrow().clone();
        futures::future::join_all(applications.iter().map(Application::shutdown)).await;
    }
}

/// What the suite's application is made of, its domain aside.
#[derive(Clone)]
#[non_exhaustive]
pub struct Composition {
    /// The store, which all applications of one trial share.
    pub storage: Storage,
    /// The suite's own runtime.
    pub runtime: Runtime,
    /// The stand-in for projections.
    pub projections: Arc<dyn ProjectionRegistry>,
    /// What looks on at commands, the first outermost.
    pub middleware: Vec<Arc<dyn Middleware>>,
    /// The limits of the bus.
    pub options: BusOptions,
}

impl fmt::Debug for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composition").finish_non_exhaustive()
    }
}

impl Composition {
    fn builder(self) -> ApplicationBuilder {
        let builder = Application::builder(self.storage, self.runtime).aggregate::<Tally>().decision::<Seat>();
        let builder = builder.projections(self.projections).options(self.options);
        self.middleware.into_iter().fold(builder, ApplicationBuilder::middleware)
    }
}

/// How many worlds there have been.
static WORLDS: AtomicU64 = AtomicU64::new(0);

/// One store, and the applications that a check starts over it, one after another or side by side.
pub(crate) struct World<'a> {
    trial: &'a Trial<dyn CommandBus>,
    name: String,
    options: BusOptions,
    tasks: Arc<Tasks>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) clock: Arc<WorldClock>,
    pub(crate) projections: Arc<StandIn>,
    pub(crate) watch: Arc<Watch>,
}

impl<'a> World<'a> {
    pub(crate) fn new(trial: &'a Trial<dyn CommandBus>) -> Self {
        Self::with(trial, |options| options)
    }

    /// One whose applications have other limits than usual.
    pub(crate) fn with(trial: &'a Trial<dyn CommandBus>, change: fn(BusOptions) -> BusOptions) -> Self {
        let clock = Arc::new(WorldClock::new());
        // A trial may have several worlds.
        let name = format!("{}-{}", trial.place().name(), WORLDS.fetch_add(1, Ordering::Relaxed));
        Self {
            trial,
            options: change(BusOptions::default().with_conflicts(8)),
            tasks: Arc::default(),
            layers: Arc::default(),
            store: Arc::new(FaultyStore::new(clock.clone())),
            clock,
            projections: Arc::new(StandIn::new()),
            watch: Watch::of_world(&name),
            name,
        }
    }

    fn composition(&self) -> Composition {
        Composition {
            storage: Storage::new(self.store.clone(), self.store.inner()),
            runtime: runtime(self.clock.clone(), self.tasks.clone()),
            projections: self.projections.clone(),
            middleware: Layers::middleware(&self.layers),
            options: self.options,
        }
    }

    /// An application over the store, and the bus on trial to it. Another one is another process, or the next life.
    #[track_caller]
    pub(crate) fn start(&self) -> impl Future<Output = Verdict<App>> {
        let at = Location::caller();
        async move { self.open(build(self.composition().builder(), at).await?, None, at).await }
    }

    /// The bus on trial to this bus, instead of an application's.
    #[track_caller]
    pub(crate) fn start_over(&self, commands: Arc<dyn CommandBus>) -> impl Future<Output = Verdict<App>> {
        let at = Location::caller();
        async move { self.open(build(self.composition().builder(), at).await?, Some(commands), at).await }
    }

    async fn open(
        &self,
        application: Application,
        commands: Option<Arc<dyn CommandBus>>,
        at: &'static Location<'static>,
    ) -> Verdict<App> {
        let mut ports = application.ports();
        if let Some(commands) = &commands {
            ports.commands = commands.clone();
        }
        let applications = RefCell::new(vec![application]);
        let served = Served { ports, composition: self.composition(), commands, applications };
        let bus = self.trial.open_site(&served, at).await?;
        Ok(App::new(bus, served, self.trial.has(Crossing::TypedBodies), self.trial.patience()))
    }

    /// Why applications in which two handlers have one name cannot be built.
    pub(crate) async fn build_twice(&self) -> [Result<Application, BuildError>; 3] {
        let builder = || self.composition().builder();
        [
            builder().aggregate::<Rival>().build().await,
            builder().aggregate::<Tally>().build().await,
            builder().decision::<Seat>().build().await,
        ]
    }

    /// The name of something of this world: of a tally, a room, a guest.
    pub(crate) fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// For how long somebody slept, in order.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.tasks.slept()
    }

    /// The stream of a tally.
    pub(crate) fn stream(tally: &str) -> StreamId {
        name(&format!("tally-{tally}"))
    }

    /// The events of a tally, as they were recorded.
    pub(crate) async fn events(&self, tally: &str) -> Verdict<Vec<Arc<Recorded>>> {
        let store: Arc<dyn EventStore> = self.store.inner();
        store.all(Read::stream(Self::stream(tally))).await
    }

    /// The events of the tally or the room of this name.
    pub(crate) async fn events_about(&self, subject: &str) -> Verdict<Vec<Arc<Recorded>>> {
        let (stream, room) = (Self::stream(subject), format!("room:{subject}"));
        let mut log = self.log().await?;
        log.retain(|event| event.stream == stream || event.tags.iter().any(|tag| tag.as_str() == room));
        Ok(log)
    }

    /// All events of the store.
    pub(crate) async fn log(&self) -> Verdict<Vec<Arc<Recorded>>> {
        let store: Arc<dyn EventStore> = self.store.inner();
        store.log().await
    }
}

async fn build(builder: ApplicationBuilder, at: &'static Location<'static>) -> Verdict<Application> {
    let built = builder.build().await;
    built.map_err(|error| Broken::new("building the suite's application", "it is built", error.to_string()).at(at))
}
