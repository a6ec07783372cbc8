//! What all workers of an application stand on.

use super::super::lease::Leasing;
use super::options::ProjectionOptions;
use crate::domain::{FailurePolicy, OnFailure, Upcasters};
use crate::ports::{
    Clock, EventStore, IdSource, LeaseStore, Lifecycle, ReadModelStore, RowError, RowLimits, Sleep, Spawn,
};
use crate::values::{Collection, Edition, Name, Query};
use alloc::sync::Arc;
use alloc::vec::Vec;
use event_listener::Event;

/// What all workers of an application stand on.
pub(super) struct Env {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) rows: Arc<dyn ReadModelStore>,
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) sleep: Arc<dyn Sleep>,
    pub(super) spawn: Arc<dyn Spawn>,
    pub(super) upcasters: Arc<Upcasters>,
    /// The first editions of what the store runs inside of its appends.
    pub(super) inline: Vec<(Name, u32)>,
    pub(super) options: ProjectionOptions,
    /// Who this process is among those that hold leases.
    pub(super) holder: Name,
    /// Told when an operator has wished something in this process, so that workers look at once.
    pub(super) wished: Event,
    /// Told when a worker of this process has moved a checkpoint or said something.
    pub(super) moved: Event,
}

/// What is registered of a projection, whichever way it makes its rows.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) name: Name,
    pub(super) version: u16,
    pub(super) lifecycle: Lifecycle,
    pub(super) policy: FailurePolicy,
    /// The events it follows.
    pub(super) query: Query,
    /// The rows of its first edition.
    pub(super) collection: Collection,
}

impl Env {
    /// As whom, and for how long, it asks for leases.
    pub(super) fn leasing(&self) -> Leasing {
        let Self { leases, ids, sleep, spawn, holder, options, .. } = self;
        let (leases, ids, sleep, spawn) = (leases.clone(), ids.clone(), sleep.clone(), spawn.clone());
        Leasing { leases, ids, sleep, spawn, holder: holder.clone(), time_to_live: options.lease }
    }

    /// Whether the store runs it inside of appends.
    pub(super) fn is_inline(&self, model: &Model) -> bool {
        let is_asked_for = matches!(model.lifecycle, Lifecycle::Inline | Lifecycle::InlineIfPossible);
        let is_of = |(name, version): &(Name, u32)| (name, *version) == (&model.name, model.collection.version);
        is_asked_for && self.inline.iter().any(is_of)
    }

    /// What is done about a failure. Nothing of what a store runs is parked: it knows of no parked events, and would apply
    /// those that wait for one.
    pub(super) fn policy(&self, model: &Model) -> FailurePolicy {
        match model.policy.then {
            OnFailure::Park if self.is_inline(model) => FailurePolicy { then: OnFailure::Stop, ..model.policy },
            _ => model.policy,
        }
    }
}

impl Model {
    /// The rows of this edition.
    pub(super) fn collection_of(&self, edition: Edition) -> Collection {
        Collection { version: edition.to_stored(), ..self.collection.clone() }
    }

    /// Judges its rows by what the store takes.
    ///
    /// # Errors
    ///
    /// [`RowError::TooLarge`].
    pub(super) fn check(&self, limits: &RowLimits) -> Result<(), RowError> {
        limits.check_collection(&self.collection)
    }
}
