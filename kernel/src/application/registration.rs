//! What is registered, and what its own types say of each other.

use super::builder::BuildError;
use crate::domain::{Aggregate, DecisionModel, Event, SnapshotPolicy};
use crate::drivers::{CommandHandlers, RegisterError};
use core::any::type_name;

pub(super) struct AggregateRegistration {
    pub(super) aggregate: &'static str,
    category: &'static str,
    events_category: &'static str,
    snapshots: SnapshotPolicy,
    pub(super) register: fn(&mut CommandHandlers) -> Result<(), RegisterError>,
}

impl AggregateRegistration {
    pub(super) fn of<A: Aggregate>() -> Self {
        Self {
            aggregate: type_name::<A>(),
            category: A::CATEGORY,
            events_category: A::Event::CATEGORY,
            snapshots: A::snapshots(),
            register: CommandHandlers::register::<A>,
        }
    }

    /// What its own types say of each other, and of what was registered before.
    pub(super) fn check(&self, before: &[Self]) -> Result<(), BuildError> {
        let Self { aggregate, category, events_category: events, .. } = *self;
        check_category(category, aggregate)?;
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
            && self.snapshots.keeps()
            && other.snapshots.keeps()
            && self.aggregate != other.aggregate
    }
}

pub(super) struct ModelRegistration {
    pub(super) model: &'static str,
    events_category: &'static str,
    pub(super) register: fn(&mut CommandHandlers) -> Result<(), RegisterError>,
}

impl ModelRegistration {
    pub(super) fn of<M: DecisionModel>() -> Self {
        Self {
            model: type_name::<M>(),
            events_category: M::Event::CATEGORY,
            register: CommandHandlers::register_model::<M>,
        }
    }

    pub(super) fn check(&self, has_guards: bool) -> Result<(), BuildError> {
        check_category(self.events_category, self.model)?;
        if has_guards { Ok(()) } else { Err(BuildError::NoGuard { model: self.model }) }
    }
}

fn check_category(category: &'static str, aggregate: &'static str) -> Result<(), BuildError> {
    if category.is_empty() || category.char_indices().any(|(at, c)| at > 0 && c == '-') {
        return Err(BuildError::Category { category, aggregate });
    }
    Ok(())
}
