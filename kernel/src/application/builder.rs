//! Building an application, and shutting it down.

use super::parts::{Ports, Runtime, Storage};
use crate::domain::{Aggregate, Event, SnapshotPolicy, Upcasters};
use crate::drivers::{Execution, Loader, LocalCommandBus, LocalQueryBus, QueryHandler, Question, RegisterError};
use crate::ports::Upcaster;
use crate::values::EventType;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::type_name;
use core::fmt;

/// An application: aggregates and queries over a storage, on a runtime.
#[derive(Debug, Clone)]
pub struct Application {
    ports: Ports,
    commands: Arc<LocalCommandBus>,
}

/// Registers what an application is made of. Nothing is judged before [`build`](Self::build).
#[must_use = "an application is built by `build`"]
pub struct ApplicationBuilder {
    storage: Storage,
    runtime: Runtime,
    aggregates: Vec<Registration>,
    queries: Vec<Box<dyn RegisterQuery>>,
    upcasters: Vec<Arc<dyn Upcaster>>,
}

trait RegisterQuery: FnOnce(&mut LocalQueryBus) -> Result<(), RegisterError> + Send {}
impl<F: FnOnce(&mut LocalQueryBus) -> Result<(), RegisterError> + Send> RegisterQuery for F {}

struct Registration {
    aggregate: &'static str,
    category: &'static str,
    events_category: &'static str,
    snapshots: SnapshotPolicy,
    register: fn(&mut LocalCommandBus) -> Result<(), RegisterError>,
}

impl fmt::Debug for ApplicationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aggregates = self.aggregates.iter().map(|registration| registration.aggregate);
        f.debug_set().entries(aggregates).finish()
    }
}

/// Why an application cannot be built. It is a mistake in its registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two commands have one name, or a command's name is none.
    #[error("commands: {0}")]
    Command(#[source] RegisterError),
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
    /// Two upcasters start from one version of one type.
    #[error("two upcasters start from version {version} of {event_type}; a version has one way on")]
    Upcaster {
        /// The type.
        event_type: EventType,
        /// The version.
        version: u32,
    },
}

impl Application {
    /// An application over this storage, on this runtime.
    pub fn builder(storage: impl Into<Storage>, runtime: Runtime) -> ApplicationBuilder {
        let (aggregates, queries, upcasters) = (Vec::new(), Vec::new(), Vec::new());
        ApplicationBuilder { storage: storage.into(), runtime, aggregates, queries, upcasters }
    }

    /// What the application offers, for a server or a caller in this process.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// Refuses new commands from now on, and waits until all accepted ones are finished. Queries and reads go on.
    ///
    /// # Cancellation
    ///
    /// Safe: the refusal stays, and the next call waits again.
    pub async fn shutdown(&self) {
        self.commands.shut_down().await;
    }
}

impl ApplicationBuilder {
    /// Lets this aggregate decide on its commands.
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.aggregates.push(Registration {
            aggregate: type_name::<A>(),
            category: A::CATEGORY,
            events_category: A::Event::CATEGORY,
            snapshots: A::snapshots(),
            register: LocalCommandBus::register::<A>,
        });
        self
    }

    /// Lets this handler answer such questions: an `async fn(Q, QueryContext) -> Result<Reply<Q::Answer>,
    /// QueryError>`.
    pub fn query<Q: Question, H: QueryHandler<Q>>(mut self, handler: H) -> Self {
        self.queries.push(Box::new(move |bus| bus.register(handler)));
        self
    }

    /// Brings old events of one type and version to the next.
    pub fn upcaster(mut self, upcaster: impl Upcaster + 'static) -> Self {
        self.upcasters.push(Arc::new(upcaster));
        self
    }

    /// The application.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the registrations contradict each other.
    pub async fn build(self) -> Result<Application, BuildError> {
        let mut upcasters = Upcasters::new();
        for upcaster in self.upcasters {
            if let Some(first) = upcasters.insert(upcaster) {
                let (event_type, version) = first.from();
                return Err(BuildError::Upcaster { event_type, version });
            }
        }
        let (storage, runtime) = (self.storage, self.runtime);
        let loader = Loader::new(storage.events.clone(), storage.snapshots, Arc::new(upcasters));
        let execution =
            Execution::new(loader.clone(), runtime.clock, runtime.ids, runtime.sleep, runtime.spawn.clone());

        let mut commands = LocalCommandBus::new(execution);
        for (n, registration) in self.aggregates.iter().enumerate() {
            registration.check(&self.aggregates[..n])?;
            (registration.register)(&mut commands).map_err(BuildError::Command)?;
        }
        let mut queries = LocalQueryBus::new(loader);
        for register in self.queries {
            register(&mut queries).map_err(BuildError::Query)?;
        }
        let commands = Arc::new(commands);
        let ports = Ports::new(commands.clone(), Arc::new(queries), storage.events, runtime.spawn);
        Ok(Application { ports, commands })
    }
}

impl Registration {
    /// What its own types say of each other, and of what was registered before.
    fn check(&self, before: &[Self]) -> Result<(), BuildError> {
        let Self { aggregate, category, events_category: events, .. } = *self;
        if category.is_empty() || category.char_indices().any(|(at, c)| at > 0 && c == '-') {
            return Err(BuildError::Category { category, aggregate });
        }
        if category != events {
            return Err(BuildError::CategoriesDiffer { aggregate, category, events });
        }
        match before.iter().find(|first| self.shares_snapshots_with(first)) {
            Some(first) => Err(BuildError::SnapshotKind {
                category,
                kind: self.snapshots.kind,
                first: first.aggregate,
                second: aggregate,
            }),
            None => Ok(()),
        }
    }

    fn shares_snapshots_with(&self, other: &Self) -> bool {
        self.category == other.category
            && self.snapshots.kind == other.snapshots.kind
            && self.snapshots.every.is_some()
            && other.snapshots.every.is_some()
            && self.aggregate != other.aggregate
    }
}
