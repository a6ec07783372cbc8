//! Decision models: decisions that depend on more than one stream.

use super::{Command, Context, Event, Rejection, Unknown};
use crate::values::{InvalidName, Query, StreamId};
use alloc::vec::Vec;

/// What the decision on one command depends on, wherever in the log it stands: a fold over the events that a query
/// chooses, and the decision.
///
/// The events are appended under a guard with the same query, so that whatever a rival adds to it in between makes
/// the decision anew: an invariant over several streams holds without a lock and without a stream that all
/// writers would meet at. Everything here is pure and synchronous, as in an [`Aggregate`](super::Aggregate).
///
/// # A model or an aggregate?
///
/// Take an aggregate where one thing decides about itself, as an account about its balance: its stream is read from
/// the last snapshot on, and its commands conflict with nothing else. Take a model where a rule spans things, as when
/// a course has so many places and a student so many courses: the query names exactly what the rule depends on, by
/// tags that the events carry. A model has no snapshots, so keep its query narrow: all that it chooses is folded
/// for each command. It needs a store that takes guards.
///
/// Both can write the same category, and then see each other's events. An aggregate's expectation does not look at
/// tags, and a model's guard does: a rule that a model keeps is kept only as long as every event that matters to it
/// is decided by a model with that query, or by an aggregate for which it cannot matter.
///
/// The idea is the dynamic consistency boundary of Sara Pellegrini and Milan Savić (dcb.events).
pub trait DecisionModel: Send + Sync + Sized + 'static {
    /// The command it decides.
    type Command: Command;

    /// The events it depends on, and decides for.
    type Event: Event;

    /// Why it refuses.
    type Rejection: Rejection;

    /// The events that the decision on this command depends on. All of them have to be of `Self::Event`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the fields make no name; the caller is told that the command is invalid.
    fn query(command: &Self::Command) -> Result<Query, InvalidName>;

    /// What is done about an event that this model does not know.
    #[must_use]
    fn on_unknown() -> Unknown {
        Unknown::Fail
    }

    /// The state before any event.
    fn start(command: &Self::Command) -> Self;

    /// Takes in an event that the query chose.
    fn evolve(&mut self, event: &Self::Event);

    /// The decision: events (none: nothing is to change), or a typed rejection. Pure: the same state, command and
    /// context, the same decision.
    ///
    /// # Errors
    ///
    /// The rejection.
    fn decide(&self, command: &Self::Command, context: &Context) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The stream that an event joins. It has to be of the events' category.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the event's fields make no name: check in [`Command::validate`] what comes from
    /// outside.
    fn stream(event: &Self::Event) -> Result<StreamId, InvalidName>;
}
