//! The three bundles of ports: what an application stands on, runs on, and offers.

use crate::domain::{EventForm, Upcasters};
use crate::drivers::{FormedEvents, Subscriptions};
use crate::ports::{
    Clock, CommandBus, EventStore, IdSource, Inline, LeaseStore, NoProjections, NoSagas, NoSchemas, ProjectionRegistry,
    QueryBus, ReadModelStore, SagaOrchestrator, SchemaRegistry, Sleep, SnapshotStore, Spawn,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The storage ports. Every store is `Into<Storage>`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Storage {
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// Folded states.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// Rows of projections; `None` for a store that keeps none.
    pub read_models: Option<Arc<dyn ReadModelStore>>,
    /// Who works on what; `None` for a store that grants no leases.
    pub leases: Option<Arc<dyn LeaseStore>>,
    /// What the store runs inside of its appends.
    pub inline: Vec<Arc<dyn Inline>>,
}

impl Storage {
    /// Storage made of these stores, which may be two faces of one.
    #[must_use]
    pub fn new(events: Arc<dyn EventStore>, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self { events, snapshots, read_models: None, leases: None, inline: Vec::new() }
    }

    /// The same storage, with read models, which may be those of another store.
    #[must_use]
    pub fn with_read_models(self, read_models: Arc<dyn ReadModelStore>) -> Self {
        Self { read_models: Some(read_models), ..self }
    }

    /// The same storage, with leases, which may be those of another store.
    #[must_use]
    pub fn with_leases(self, leases: Arc<dyn LeaseStore>) -> Self {
        Self { leases: Some(leases), ..self }
    }

    /// The same storage, whose log runs these projections inside of its appends.
    #[must_use]
    pub fn with_inline(self, inline: Vec<Arc<dyn Inline>>) -> Self {
        Self { inline, ..self }
    }
}

/// What a runtime provides.
#[derive(Clone)]
#[non_exhaustive]
pub struct Runtime {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Waiting.
    pub sleep: Arc<dyn Sleep>,
    /// Tasks.
    pub spawn: Arc<dyn Spawn>,
}

impl Runtime {
    /// A runtime made of these parts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, sleep: Arc<dyn Sleep>, spawn: Arc<dyn Spawn>) -> Self {
        Self { clock, ids, sleep, spawn }
    }
}

/// What an application offers, in its own process or over a wire: a server is made from `Ports`, and a
/// client gives `Ports`.
#[derive(Clone)]
#[non_exhaustive]
pub struct Ports {
    /// Commands.
    pub commands: Arc<dyn CommandBus>,
    /// Questions.
    pub queries: Arc<dyn QueryBus>,
    /// Projections and their rows.
    pub projections: Arc<dyn ProjectionRegistry>,
    /// The log.
    pub events: Arc<dyn EventStore>,
    /// Live events of that log; one tail reader for all subscribers.
    pub subscriptions: Subscriptions,
    /// Sagas.
    pub sagas: Arc<dyn SagaOrchestrator>,
    /// What its events and commands look like.
    pub schemas: Arc<dyn SchemaRegistry>,
    /// How stored events become those of now; `None` where nobody knows, as at the end of a wire.
    pub upcasters: Option<Arc<Upcasters>>,
}

impl Ports {
    /// Ports made of these parts, without projections, sagas and schemas. Tasks of subscriptions run on `spawn`.
    #[must_use]
    pub fn new(
        commands: Arc<dyn CommandBus>,
        queries: Arc<dyn QueryBus>,
        events: Arc<dyn EventStore>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        let subscriptions = Subscriptions::new(events.clone(), spawn);
        Self {
            commands,
            queries,
            projections: Arc::new(NoProjections),
            events,
            subscriptions,
            sagas: Arc::new(NoSagas),
            schemas: Arc::new(NoSchemas),
            upcasters: None,
        }
    }

    /// The same ports, with these projections.
    #[must_use]
    pub fn with_projections(self, projections: Arc<dyn ProjectionRegistry>) -> Self {
        Self { projections, ..self }
    }

    /// The same ports, with this orchestrator of sagas.
    #[must_use]
    pub fn with_sagas(self, sagas: Arc<dyn SagaOrchestrator>) -> Self {
        Self { sagas, ..self }
    }

    /// The same ports, with this registry of schemas.
    #[must_use]
    pub fn with_schemas(self, schemas: Arc<dyn SchemaRegistry>) -> Self {
        Self { schemas, ..self }
    }

    /// The same ports, for servers that show events as they are now.
    #[must_use]
    pub fn with_upcasters(self, upcasters: Arc<Upcasters>) -> Self {
        Self { upcasters: Some(upcasters), ..self }
    }

    /// The log in this form; `None` for the current form where nobody knows how events become those of now.
    #[must_use]
    pub fn in_form(&self, form: EventForm) -> Option<FormedEvents> {
        let stored = FormedEvents::stored(self.events.clone(), self.subscriptions.clone());
        match form {
            EventForm::Stored => Some(stored),
            EventForm::Current => self.upcasters.clone().map(|upcasters| stored.as_current(upcasters)),
        }
    }
}

macro_rules! opaque {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque!(Storage, Runtime, Ports);
