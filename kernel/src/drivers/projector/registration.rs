//! Projections as they are registered: judged, and not begun.

use super::engine::Engine;
use super::env::{Env, Model};
use super::folded::Folded;
use super::live::{Live, LiveRows};
use super::model::{ModelError, model_of};
use super::options::ProjectionOptions;
use super::registry::{Registered, Stored};
use super::view::ViewProjection;
use super::viewed::ViewEngine;
use crate::domain::{Projection, Upcasters};
use crate::ports::{
    Clock, EventStore, IdSource, Inline, LeaseStore, Lifecycle, ReadModelStore, RowError, RowLimits, Sleep, Spawn,
};
use crate::values::{Collection, Edition, Name};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::type_name;
use event_listener::Event;

/// A projection as it is registered.
pub(crate) struct ProjectionForm {
    /// Its type.
    pub(crate) projection: &'static str,
    model: Model,
    make: Make,
}

enum Make {
    Stored(Arc<dyn Engine>),
    Live(MakeLive),
}

type MakeLive = fn(Model, Arc<dyn EventStore>, Arc<Upcasters>, Arc<dyn Spawn>) -> Box<dyn LiveRows>;

impl ProjectionForm {
    /// The pure form.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(crate) fn of<P: Projection>() -> Result<Self, ModelError> {
        let projection = type_name::<P>();
        P::check().map_err(|source| ModelError::Mapping { projection: P::NAME, source })?;
        if P::lifecycle() == Lifecycle::Live {
            let model = model_of::<P, P::Event>(P::on_failure(), P::lifecycle())?;
            let make: MakeLive =
                |model, events, upcasters, spawn| Box::new(Live::<P>::new(model, events, upcasters, spawn));
            let make = Make::Live(make);
            return Ok(Self { projection, model, make });
        }
        let engine = Folded::<P>::new()?;
        Ok(Self { projection, model: engine.model().clone(), make: Make::Stored(Arc::new(engine)) })
    }

    /// A projection of the system's own, in the pure form: its name begins with `$`, and its rows are stored.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(crate) fn of_system<P: Projection>() -> Result<Self, ModelError> {
        let engine = Folded::<P>::of_system()?;
        Ok(Self { projection: type_name::<P>(), model: engine.model().clone(), make: Make::Stored(Arc::new(engine)) })
    }

    /// The second form.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub(crate) fn of_view<P: ViewProjection>() -> Result<Self, ModelError> {
        let engine = ViewEngine::<P>::new()?;
        Ok(Self { projection: type_name::<P>(), model: engine.model().clone(), make: Make::Stored(Arc::new(engine)) })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.model.name
    }

    pub(crate) fn version(&self) -> u16 {
        self.model.version
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        self.model.lifecycle
    }

    /// Whether this is its collection, in its first edition.
    pub(crate) fn is_made_in(&self, collection: &Collection) -> bool {
        collection.name == self.model.name && collection.version == Edition::first(self.model.version).to_stored()
    }

    /// Whether its rows are in a store.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.make, Make::Stored(_))
    }

    /// Judges its columns and indexes by what a store takes.
    ///
    /// # Errors
    ///
    /// [`RowError::TooLarge`].
    pub(crate) fn check_rows(&self, limits: &RowLimits) -> Result<(), RowError> {
        self.model.check(limits)
    }

    /// The projection over these ports; `workers` when its rows are stored.
    pub(crate) fn over(
        self,
        events: &Arc<dyn EventStore>,
        upcasters: &Arc<Upcasters>,
        spawn: &Arc<dyn Spawn>,
        workers: Option<&Workers>,
    ) -> Option<Registered> {
        match (self.make, workers) {
            (Make::Live(make), _) => {
                Some(Registered::Live(make(self.model, events.clone(), upcasters.clone(), spawn.clone())))
            }
            (Make::Stored(engine), Some(Workers(env))) => {
                Some(Registered::Stored(Arc::new(Stored::new(env.clone(), engine))))
            }
            (Make::Stored(_), None) => None,
        }
    }
}

/// What all workers of an application stand on.
pub(crate) struct Workers(Arc<Env>);

/// The ports that workers stand on.
pub(crate) struct WorkerPorts {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) rows: Arc<dyn ReadModelStore>,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) sleep: Arc<dyn Sleep>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) upcasters: Arc<Upcasters>,
    /// What the store runs inside of its appends.
    pub(crate) inline: Vec<Arc<dyn Inline>>,
}

impl Workers {
    /// Workers over these ports, under a name of their own.
    pub(crate) fn new(ports: WorkerPorts, options: ProjectionOptions) -> Self {
        let options = options.floored();
        let WorkerPorts { events, rows, leases, clock, ids, sleep, spawn, upcasters, inline } = ports;
        let inline = inline.iter().map(|inline| inline.collection()).map(|of| (of.name, of.version)).collect();
        let holder = Name::new(ids.new_id().to_string()).expect("digits and dashes are a name");
        let (wished, moved) = (Event::new(), Event::new());
        let env =
            Env { events, rows, leases, clock, ids, sleep, spawn, upcasters, inline, options, holder, wished, moved };
        Self(Arc::new(env))
    }
}
