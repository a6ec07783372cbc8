//! Given, when, then: decisions of aggregates.

use crate::outcome::Outcome;
use portolan_kernel::domain::{Aggregate, Context, Decide, StreamCommand};
use portolan_kernel::values::Timestamp;

/// An aggregate with this past.
///
/// Pure: nothing is stored, encoded or waited for. The context is that of
/// [`Context::for_test`](portolan_kernel::domain::Context::for_test) until it is given another time or actor.
pub fn given<A: Aggregate>(past: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given { state: A::replay(past), context: Context::for_test() }
}

/// An aggregate with a past, about to be asked for something.
#[derive(Debug)]
#[must_use = "nothing is decided before `when`"]
pub struct Given<A> {
    state: A,
    context: Context,
}

impl<A: Aggregate> Given<A> {
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
    pub fn when<C: StreamCommand>(self, command: C) -> Outcome<A::Event, A::Rejection>
    where
        A: Decide<C>,
    {
        let violations = command.validate();
        if violations.is_empty() {
            Outcome::decided(C::NAME, self.state.decide(&command, &self.context))
        } else {
            Outcome::invalid(C::NAME, violations)
        }
    }
}
