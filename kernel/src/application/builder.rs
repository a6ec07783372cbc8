//! Building an application, and shutting it down.

use super::parts::{Ports, Runtime, Storage};
use super::projections::{self, ProjectionRegistration};
use super::registration::{AggregateRegistration, ModelRegistration};
use super::sagas;
use crate::domain::history::{AnyHop, Histories, History, HistoryError};
use crate::domain::mapping::MappingError;
use crate::domain::saga::{PlanError, Process, Saga, SagaHandler};
use crate::domain::{Aggregate, Command, DecisionModel, EventSet, Projection, Upcasters};
use crate::drivers::{
    BusOptions, CommandHandlers, Execution, Hooked, Hooks, Loader, LocalCommandBus, LocalProjections, LocalQueryBus,
    LocalSagas, Middleware, ProjectionOptions, QueryHandler, Question, RegisterError, SagaOptions, SagaPorts,
    SchemaCatalogue, SchemaOptions, SchemaRefusal, TypedEvents, ViewProjection, record_beginnings, register_schemas,
};
use crate::ports::{Capability, ProjectionRegistry, SchemaRegistry, Source};
use crate::values::{Name, Recorded};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::type_name;
use core::fmt;
use core::time::Duration;

/// An application: aggregates and queries over a storage, on a runtime.
#[derive(Debug, Clone)]
pub struct Application {
    ports: Ports,
    commands: Arc<LocalCommandBus>,
    /// Those that work in this process.
    projections: Arc<LocalProjections>,
    sagas: Arc<LocalSagas>,
    upcasters: Arc<Upcasters>,
}

/// Registers what an application is made of. Nothing is judged before [`build`](Self::build).
#[must_use = "an application is built by `build`"]
pub struct ApplicationBuilder {
    storage: Storage,
    runtime: Runtime,
    options: BusOptions,
    aggregates: Vec<AggregateRegistration>,
    models: Vec<ModelRegistration>,
    middleware: Vec<Arc<dyn Middleware>>,
    /// Those of somebody else.
    registry: Option<Arc<dyn ProjectionRegistry>>,
    projections: Vec<ProjectionRegistration>,
    projection_options: ProjectionOptions,
    queries: Vec<Box<dyn RegisterQuery>>,
    histories: Histories,
    on_skipped: Option<OnSkipped>,
    /// Whether schemas are registered in the store.
    schemas: Option<SchemaOptions>,
    sagas: Vec<(&'static str, Result<SagaHandler, PlanError>)>,
    saga_options: SagaOptions,
    /// Whether there is an index of sagas, even without their code.
    saga_index: bool,
    /// Names and types of commands.
    expected: Vec<(&'static str, &'static str)>,
}

/// What is told of events that were skipped.
type OnSkipped = Box<dyn Fn(&Recorded) + Send + Sync>;

trait RegisterQuery: FnOnce(&mut LocalQueryBus) -> Result<(), RegisterError> + Send {}
impl<F: FnOnce(&mut LocalQueryBus) -> Result<(), RegisterError> + Send> RegisterQuery for F {}

impl fmt::Debug for ApplicationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aggregates = self.aggregates.iter().map(|registration| registration.aggregate);
        f.debug_set().entries(aggregates).entries(self.models.iter().map(|registration| registration.model)).finish()
    }
}

/// Why an application cannot be built. It is a mistake in its registration, or does not go with what is registered in the
/// store, or cannot be recorded there.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two commands have one name, a command's name is none, or its streams are of another category than what
    /// decides on it.
    #[error("commands: {0}")]
    Command(#[source] RegisterError),
    /// An expected command is decided by nothing that is registered.
    #[error("nothing decides on the command {name} ({command}); register the aggregate or the model that does")]
    NoHandler {
        /// Its wire name.
        name: &'static str,
        /// Its type.
        command: &'static str,
    },
    /// Two queries have one name, or a query's name is none.
    #[error("queries: {0}")]
    Query(#[source] RegisterError),
    /// A category is none: empty, or with a `-` after its first character.
    #[error(
        "{category:?}, the category of {aggregate}, is none: a category ends before the first `-` of a stream's name"
    )]
    Category {
        /// The category.
        category: &'static str,
        /// Whose it is.
        aggregate: &'static str,
    },
    /// An aggregate and its events are of different categories.
    #[error("{aggregate} is of category {category}, and its events are of {events}; they have to be of one")]
    CategoriesDiffer {
        /// The aggregate.
        aggregate: &'static str,
        /// Its category.
        category: &'static str,
        /// The category of its events.
        events: &'static str,
    },
    /// Two states folded from the same streams would take each other's snapshots for their own.
    #[error(
        "{first} and {second} both keep snapshots of category {category} as {kind:?}; give one of them another kind"
    )]
    SnapshotKind {
        /// The category of both.
        category: &'static str,
        /// The kind of both.
        kind: &'static str,
        /// What was registered first.
        first: &'static str,
        /// What was registered second.
        second: &'static str,
    },
    /// A decision model needs guards, and the store does not take them.
    #[error("{model} decides under a guard, and this store does not support that; take another store, or an aggregate")]
    NoGuard {
        /// The model.
        model: &'static str,
    },
    /// Stored events of an old version do not become those of the current one (UP-02).
    #[error("history: {0}")]
    History(#[from] HistoryError),
    /// What events and commands look like has changed in a way that is not allowed (UP-06).
    #[error("schemas: {0}")]
    Schema(#[from] SchemaRefusal),
    /// A projection's name, version, columns or indexes are none, or more than the storage takes.
    #[error("projections: {reason}")]
    Projection {
        /// What is wrong with it, and how to mend it.
        reason: String,
    },
    /// A derived projection does not fit its events ([`Projection::check`]).
    #[error("projection {projection}: {source}")]
    Mapping {
        /// Its name.
        projection: &'static str,
        /// What does not fit, and how to mend it.
        source: MappingError,
    },
    /// Two projections have one name, and would write into each other's rows.
    #[error("{first} and {second} are both the projection {name}; give one of them another name")]
    SameProjection {
        /// The name.
        name: String,
        /// The type that was registered first.
        first: &'static str,
        /// The type that was registered second.
        second: &'static str,
    },
    /// A projection keeps rows, and the storage has no place for them, or cannot tell who works on them.
    #[error("projection {name} needs {lacks}, which the storage lacks; take another one, or fold it live")]
    NoReadModels {
        /// The projection.
        name: String,
        /// What is missing.
        lacks: &'static str,
    },
    /// A projection is to be inline, and the store was not given it.
    #[error(
        "projection {name} is inline, and the store does not run version {version} of it; \
         give it to the store when that is opened, or make it `InlineIfPossible`"
    )]
    NotInline {
        /// The projection.
        name: String,
        /// The version of its code.
        version: u16,
    },
    /// The definition of a saga cannot be followed.
    #[error("saga {saga}: {source}")]
    Saga {
        /// The name of the definition.
        saga: &'static str,
        /// What is wrong with it.
        source: PlanError,
    },
    /// Two definitions of sagas have one name and one version.
    #[error("there are two handlers of saga {saga} version {version}; raise the version of the newer one")]
    SameSaga {
        /// The name of the definition.
        saga: Name,
        /// The version of both.
        version: u32,
    },
    /// The store forgets the keys of commands before a saga is over, so that a step could take effect twice (SG-01).
    #[error(
        "saga {saga} version {version} may take {takes:?}, and this store keeps keys for {kept:?}, of which an eighth, at most \
         an hour, is not counted on; have it keep them for longer, or give the saga fewer attempts, shorter pauses and time-outs"
    )]
    KeysTooShort {
        /// The name of the definition.
        saga: Name,
        /// Its version.
        version: u32,
        /// The longest that it may take without an operator.
        takes: Duration,
        /// How long keys are kept.
        kept: Duration,
    },
    /// Where a process begins to receive events cannot be recorded, so that it might miss some.
    #[error("from where on process {process} receives events cannot be recorded: {source}")]
    ProcessBeginning {
        /// The name of the definition.
        process: Name,
        /// Why not.
        source: Source,
    },
    /// Projections were registered, and a registry of others was given.
    #[error("projections are registered, and another registry is given by `projections`; leave one of the two out")]
    TwoRegistries,
}

impl Application {
    /// An application over this storage, on this runtime.
    pub fn builder(storage: impl Into<Storage>, runtime: Runtime) -> ApplicationBuilder {
        ApplicationBuilder {
            storage: storage.into(),
            runtime,
            options: BusOptions::default(),
            aggregates: Vec::new(),
            models: Vec::new(),
            middleware: Vec::new(),
            registry: None,
            projections: Vec::new(),
            projection_options: ProjectionOptions::default(),
            queries: Vec::new(),
            histories: Histories::new(),
            on_skipped: None,
            schemas: None,
            sagas: Vec::new(),
            saga_options: SagaOptions::default(),
            saga_index: false,
            expected: Vec::new(),
        }
    }

    /// What the application offers, for a server or a caller in this process.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// What its events are read with: the histories of all that is registered. For a reader of its log beside it.
    #[must_use]
    pub fn upcasters(&self) -> &Arc<Upcasters> {
        &self.upcasters
    }

    /// Its log as typed events: to read, and to subscribe to.
    #[must_use]
    pub fn typed_events(&self) -> TypedEvents {
        TypedEvents::new(self.ports.events.clone(), self.ports.subscriptions.clone(), self.upcasters.clone())
    }

    /// How long the id of a command makes its repetition harmless (CB-04), as the store keeps its keys; `None`: as long
    /// as the store.
    #[must_use]
    pub fn key_retention(&self) -> Option<Duration> {
        self.ports.events.capabilities().key_retention
    }

    /// Has sagas rest ([`LocalSagas::shut_down`]), refuses new commands from then on, and waits until all accepted ones are finished, their
    /// middleware and their waits for projections included (CB-12). These go on for [`BusOptions::catch_up`] at most,
    /// whatever the deadline of their command. Then it stops the workers of projections, and waits until they have given
    /// up what they held, so that another process goes on at once. Queries and reads go on.
    ///
    /// # Cancellation
    ///
    /// Safe: the refusal stays, and the next call waits again.
    pub async fn shutdown(&self) {
        self.sagas.shut_down().await;
        self.commands.shut_down().await;
        self.projections.shut_down().await;
    }
}

impl ApplicationBuilder {
    /// Lets this aggregate decide on its commands.
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.aggregates.push(AggregateRegistration::of::<A>());
        self.events::<A::Event>()
    }

    /// Lets this model decide on its command. When to take a model and when an aggregate stands at
    /// [`DecisionModel`].
    pub fn decision<M: DecisionModel>(mut self) -> Self {
        self.models.push(ModelRegistration::of::<M>());
        self.events::<M::Event>()
    }

    /// Has [`build`](Self::build) refuse an application in which nothing decides on this command. An aggregate that lists
    /// a command and does not decide on it does not compile; that the aggregate or the model is registered at all shows at
    /// the first sending else. For whoever sends a command that others decide.
    ///
    /// ```
    /// # use portolan_kernel::application::{Application, ApplicationBuilder, BuildError};
    /// # use portolan_kernel::domain::Command;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Deposit {}
    /// # impl Command for Deposit { const NAME: &'static str = "deposit"; }
    /// async fn without_accounts(application: ApplicationBuilder) {
    ///     let error = application.expects::<Deposit>().build().await.unwrap_err();
    ///     assert!(matches!(error, BuildError::NoHandler { name: "deposit", .. }));
    /// }
    /// ```
    pub fn expects<C: Command>(mut self) -> Self {
        self.expected.push((C::NAME, type_name::<C>()));
        self
    }

    /// Has every command go through this middleware, inside of those registered before (CB-03).
    pub fn middleware(mut self, middleware: impl Middleware + 'static) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// Has these hooks look on at every command, inside of what was registered before (CB-03).
    pub fn hooks(self, hooks: impl Hooks + 'static) -> Self {
        self.middleware(Hooked::new(hooks))
    }

    /// Has workers of this process make the rows of this projection, and shows it in [`Ports::projections`].
    ///
    /// [`build`](Self::build) judges it, and does not touch the storage for it: collections are defined by the workers, which
    /// try again for as long as the storage is busy. Until the first edition has caught up its rows are
    /// [`NotReady`](crate::ports::ProjectionError::NotReady).
    pub fn projection<P: Projection>(mut self) -> Self {
        self.projections.push(ProjectionRegistration::of::<P>());
        self.events::<P::Event>()
    }

    /// The same for a projection of the second form, which waits, changes several rows, or has effects elsewhere.
    pub fn view_projection<P: ViewProjection>(mut self) -> Self {
        self.projections.push(ProjectionRegistration::of_view::<P>());
        self.events::<P::Event>()
    }

    /// Lets sagas of this definition be started, and has this process drive them ([`LocalSagas`]). Sagas end by the version that
    /// they were started with: handlers of older versions are registered beside the newest, as long as sagas of theirs run.
    ///
    /// The storage has to have read models, for their index, and leases.
    pub fn saga<S: Saga>(mut self, saga: S) -> Self {
        self.sagas.push((S::NAME, SagaHandler::new(saga)));
        self
    }

    /// Has processes of this definition started and told of events, and has this process of the system drive them. As
    /// [`saga`](Self::saga) it needs read models and leases.
    ///
    /// When a version of it is deployed for the first time, [`build`](Self::build) records in the store where it begins: where
    /// those of other versions are; without any, at the end of the log, or at its beginning if it
    /// [receives history](Process::RECEIVES_HISTORY). A store that is busy is asked again for a while. What is recorded once
    /// `build` has returned is received, whoever runs then.
    pub fn process<P: Process>(mut self, process: P) -> Self {
        self.sagas.push((P::NAME, SagaHandler::process(process)));
        self.events::<P::Event>()
    }

    /// Has sagas listed by a process that has no code for them, such as an operator's. Whoever has handlers of sagas has the
    /// index of them without this. The storage has to have read models.
    pub fn saga_index(self) -> Self {
        Self { saga_index: true, ..self }
    }

    /// How sagas are driven, in place of the usual.
    pub fn saga_options(self, saga_options: SagaOptions) -> Self {
        Self { saga_options, ..self }
    }

    /// How workers of projections work, in place of the usual.
    pub fn projection_options(self, projection_options: ProjectionOptions) -> Self {
        Self { projection_options, ..self }
    }

    /// The projections of somebody else that commands can wait for (CB-09), such as a test's, in place of those that are
    /// registered by [`projection`](Self::projection).
    pub fn projections(self, projections: Arc<dyn ProjectionRegistry>) -> Self {
        Self { registry: Some(projections), ..self }
    }

    /// The limits of the command bus, in place of the usual ones.
    pub fn options(self, options: BusOptions) -> Self {
        Self { options, ..self }
    }

    /// Lets this handler answer such questions: an `async fn(Q, QueryContext) -> Result<Reply<Q::Answer>,
    /// QueryError>`.
    pub fn query<Q: Question, H: QueryHandler<Q>>(mut self, handler: H) -> Self {
        self.queries.push(Box::new(move |bus| bus.register(handler)));
        self
    }

    /// Has the history of these events judged, and known from the start. For events that are read by queries and
    /// subscriptions alone: those of aggregates, models and projections are known by themselves.
    pub fn events<E: EventSet>(mut self) -> Self {
        E::histories(&mut self.histories);
        self
    }

    /// Adds a hop to the histories of the events: a [`Hop`](crate::domain::history::Hop), or an
    /// [`Upcaster`](crate::ports::Upcaster) by hand. What belongs to an event type stands better in
    /// [`Event::history`](crate::domain::Event::history), where every reader of the type has it, also a store that runs a
    /// projection inside of its appends.
    pub fn upcaster(mut self, hop: impl Into<AnyHop>) -> Self {
        self.histories.add("what the application adds by `upcaster`", History::new().hop(hop));
        self
    }

    /// Tells this of each event that [`Unknown::Skip`](crate::domain::Unknown::Skip) passes over, each time that it is, and of
    /// each whose key [names no process](Process::correlate). It has to be quick. The last one that is given counts.
    pub fn on_skipped(self, hook: impl Fn(&Recorded) + Send + Sync + 'static) -> Self {
        Self { on_skipped: Some(Box::new(hook)), ..self }
    }

    /// Has [`build`](Self::build) register what events and commands look like in the store, in the stream `$schemas`, and judge
    /// it by what is registered there (UP-06): a version whose schema has changed is refused, and so is a new one that is not
    /// as the options ask. [`Ports::schemas`] tells then of all that is registered, also by other processes. How it goes about
    /// that stands at [`register_schemas`](crate::drivers::register_schemas).
    ///
    /// Without it `build` writes nothing of schemas, and [`Ports::schemas`] tells of this application alone. Events have
    /// schemas when they derive `JsonSchema`, or tell them in [`Event::schemas`](crate::domain::Event::schemas); commands that
    /// are derived always have.
    pub fn register_schemas(self, options: SchemaOptions) -> Self {
        Self { schemas: Some(options), ..self }
    }

    /// The application.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the registrations contradict each other, or lack what is expected of them, or their schemas are
    /// refused, or where a new process begins cannot be recorded.
    pub async fn build(self) -> Result<Application, BuildError> {
        let histories = self.histories;
        let upcasters = histories.judge()?;
        let upcasters = match self.on_skipped {
            Some(hook) => upcasters.on_skipped(hook),
            None => upcasters,
        };
        let (storage, runtime) = (self.storage, self.runtime);
        let upcasters = Arc::new(upcasters);
        let loader = Loader::new(storage.events.clone(), storage.snapshots.clone(), upcasters.clone());
        let has_guards = storage.events.capabilities().has(Capability::Guard);
        let execution = Execution::new(
            loader.clone(),
            runtime.clock.clone(),
            runtime.ids.clone(),
            runtime.sleep.clone(),
            runtime.spawn.clone(),
            self.options,
        );

        let mut handlers = CommandHandlers::new();
        for (n, registration) in self.aggregates.iter().enumerate() {
            registration.check(&self.aggregates[..n])?;
            (registration.register)(&mut handlers).map_err(BuildError::Command)?;
        }
        for registration in &self.models {
            registration.check(has_guards)?;
            (registration.register)(&mut handlers).map_err(BuildError::Command)?;
        }
        if let Some(&(name, command)) = self.expected.iter().find(|(name, _)| !handlers.has(name)) {
            return Err(BuildError::NoHandler { name, command });
        }
        let mut queries = LocalQueryBus::new(loader, runtime.sleep.clone(), &self.options);
        for register in self.queries {
            register(&mut queries).map_err(BuildError::Query)?;
        }
        if self.registry.is_some() && !self.projections.is_empty() {
            return Err(BuildError::TwoRegistries);
        }
        let sagas = Arc::new(sagas::judge(self.sagas, &storage, &upcasters)?);
        let mut registrations = self.projections;
        if self.saga_index || !sagas.is_empty() {
            registrations.push(ProjectionRegistration::of_sagas());
        }
        let forms = projections::judge(&registrations, &storage)?;
        let catalogue = SchemaCatalogue::of_application(&histories, &upcasters, &handlers)?;
        // Last come those that can fail and stay in the store.
        let schemas: Arc<dyn SchemaRegistry> = match &self.schemas {
            None => Arc::new(catalogue),
            Some(options) => {
                let events = storage.events.clone();
                Arc::new(register_schemas(catalogue, options, events, &*runtime.ids, &*runtime.sleep).await?)
            }
        };
        let began = record_beginnings(&sagas, &*storage.events, &*runtime.ids, &*runtime.sleep).await;
        began.map_err(|(process, source)| BuildError::ProcessBeginning { process, source })?;
        // Workers begin here.
        let options = (self.projection_options, &self.saga_options);
        let own = projections::start(forms, &storage, &runtime, &upcasters, options);
        let own = Arc::new(own);
        let registry = self.registry.unwrap_or_else(|| own.clone());
        let commands = LocalCommandBus::new(execution, handlers, self.middleware, registry.clone());
        let commands = Arc::new(commands);
        let queries = Arc::new(queries);
        let ports = Ports::new(commands.clone(), queries.clone(), storage.events.clone(), runtime.spawn.clone());
        let Runtime { clock, ids, sleep, spawn } = runtime;
        let over = SagaPorts { events: storage.events, commands: commands.clone(), queries, clock, ids, sleep, spawn };
        let (subscriptions, options) = (ports.subscriptions.clone(), self.saga_options);
        let sagas = LocalSagas::start(over, sagas, own.clone(), storage.leases, subscriptions, options);
        let sagas = Arc::new(sagas);
        let ports = ports.with_projections(registry).with_upcasters(upcasters.clone()).with_schemas(schemas);
        let ports = ports.with_sagas(sagas.clone());
        Ok(Application { ports, commands, projections: own, sagas, upcasters })
    }
}
