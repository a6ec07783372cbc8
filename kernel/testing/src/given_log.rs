//! Given, when, then: decisions over the log.

use crate::outcome::Outcome;
use portolan_kernel::Bytes;
use portolan_kernel::domain::{Command, Context, DecisionModel, new_event};
use portolan_kernel::values::{EventId, Timestamp};

/// A log with these events, of which the model sees those that its query chooses.
pub fn given_log<M: DecisionModel>(past: impl IntoIterator<Item = M::Event>) -> GivenLog<M> {
    GivenLog { past: past.into_iter().collect(), context: Context::for_test() }
}

/// A log, of which a decision model is about to be asked for something.
#[must_use = "nothing is decided before `when`"]
pub struct GivenLog<M: DecisionModel> {
    past: Vec<M::Event>,
    context: Context,
}

impl<M: DecisionModel> core::fmt::Debug for GivenLog<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GivenLog").field("events", &self.past.len()).finish_non_exhaustive()
    }
}

impl<M: DecisionModel> GivenLog<M> {
    /// The decision is made at this time.
    pub fn at(self, now: Timestamp) -> Self {
        Self { context: self.context.at(now), ..self }
    }

    /// The decision is made on behalf of this actor.
    pub fn by(self, actor: impl Into<String>) -> Self {
        Self { context: self.context.by(Some(actor.into())), ..self }
    }

    /// The decision is made in this tenant.
    pub fn in_tenant(self, tenant: impl Into<String>) -> Self {
        Self { context: self.context.in_tenant(Some(tenant.into())), ..self }
    }

    /// What comes of the command: its validation, and if nothing is wrong with it, the decision.
    ///
    /// # Panics
    ///
    /// The command's fields make no query, or an event, given or decided, has no stream, type or tags.
    #[track_caller]
    pub fn when(self, command: M::Command) -> Outcome<M::Event, M::Rejection> {
        let name = <M::Command as Command>::NAME;
        let violations = command.validate();
        if !violations.is_empty() {
            return Outcome::invalid(name, violations);
        }
        let query = M::query(&command).unwrap_or_else(|error| panic!("{name} is valid and makes no query: {error}"));
        let mut model = M::start(&command);
        for event in &self.past {
            if query.matches(&stored::<M>(event)) {
                model.evolve(event);
            }
        }
        let decision = model.decide(&command, &self.context);
        for event in decision.iter().flatten() {
            let _ = stored::<M>(event);
        }
        Outcome::decided(name, decision)
    }
}

#[track_caller]
fn stored<M: DecisionModel>(event: &M::Event) -> portolan_kernel::values::NewEvent {
    let stream = M::stream(event).unwrap_or_else(|error| panic!("an event has no stream: {error}"));
    new_event(event, stream, EventId::from_bytes([0; 16]), Bytes::new())
        .unwrap_or_else(|error| panic!("an event cannot be stored: {error}"))
}
