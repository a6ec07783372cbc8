//! What a user writes: a process manager, which reacts to events.

use super::{FailureClass, Intents};
use crate::domain::{Codec as _, Command, EventSet, Json, RecordedAs, Unknown};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A process manager: a saga whose plan grows. It reacts to events, to its own timers and to commands that failed, and what
/// it wants then is done: commands are sent, timers set, and in the end it ends.
///
/// The value is the handler, with what the reactions need. What a process knows is its [`State`](Self::State).
///
/// ```
/// use core::time::Duration;
/// use portolan_kernel::domain::saga::{Intents, Process, SagaHandler};
/// use portolan_kernel::domain::{Command, RecordedAs};
/// # use portolan_kernel::domain::{CodecError, Event, EventError, variant};
/// # use portolan_kernel::ports::RawEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum OrderEvent {
///     #[serde(rename = "order.placed")] Placed { order: String },
///     #[serde(rename = "order.paid")] Paid { order: String },
/// }
/// # impl Event for OrderEvent {
/// #     const CATEGORY: &'static str = "order";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<portolan_kernel::Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// #[derive(Serialize, Deserialize)]
/// struct CancelOrder { order: String }
/// impl Command for CancelOrder { const NAME: &'static str = "cancel-order"; }
///
/// /// Cancels an order that is not paid within 30 minutes.
/// struct Payments;
///
/// #[derive(Serialize, Deserialize, Default)]
/// struct Awaited { order: String }
///
/// impl Process for Payments {
///     const NAME: &'static str = "order-payment";
///     type Event = OrderEvent;
///     type State = Awaited;
///
///     fn correlate(event: &RecordedAs<OrderEvent>) -> Option<String> {
///         match &event.event {
///             OrderEvent::Placed { order } | OrderEvent::Paid { order } => Some(order.clone()),
///         }
///     }
///
///     fn starts(event: &RecordedAs<OrderEvent>) -> bool {
///         matches!(event.event, OrderEvent::Placed { .. })
///     }
///
///     fn on(&self, state: &mut Awaited, event: &RecordedAs<OrderEvent>, intents: &mut Intents) {
///         match &event.event {
///             OrderEvent::Placed { order } => {
///                 state.order = order.clone();
///                 intents.set_timer("payment", Duration::from_secs(30 * 60));
///             }
///             OrderEvent::Paid { .. } => intents.end(),
///         }
///     }
///
///     fn on_timer(&self, state: &mut Awaited, _: &str, intents: &mut Intents) {
///         intents.send(CancelOrder { order: state.order.clone() });
///         intents.end();
///     }
/// }
/// # assert!(SagaHandler::process(Payments).unwrap().is_process());
/// ```
///
/// # Reactions
///
/// [`on`](Self::on), [`on_timer`](Self::on_timer) and [`on_failed`](Self::on_failed) are pure: what they do follows from state
/// and event alone, they look at no clock and have no effect of their own. What they have done is recorded, with the event
/// or the timer, in one append: so an event is received once, and a changed handler changes no past.
///
/// # The order of things
///
/// Events, timers and answers of commands are facts in one stream, and what is recorded first happened first. Commands are
/// sent one at a time, in the order in which they were asked for, each a step of its own that is tried as it was said. None
/// of them holds up events and timers, not even one that needs an operator: these go on, and what they want sent waits for
/// its turn.
///
/// An event is received by the process that its key names, if it is running, or is started by it. It is received once: one at
/// or before the last received position is passed over. Events of a process that has not been started are passed over; so
/// are those of one that has ended or has decided to end. **A process that has ended stays ended**, also when an event comes
/// that would start it: a key is for one process, so let it name what happens once, such as an order.
///
/// A timer fires when it is due, once, and never early; one that was overdue when somebody looked fires then, before any
/// command that has not been begun. An event that is received before that is before it, though the timer was due: what it does
/// may cancel the timer, or set it anew. Several that are due fire in the order of their times, then of their names.
///
/// # The end
///
/// [`Intents::end`] is final: timers are gone, and no event is received any more. Commands that were asked for before, or in
/// the same reaction, or by `on_failed` since, are sent; then the process has ended as completed.
///
/// There are no snapshots: its whole stream is read with each event, timer and command, so that a long life is a costly one
/// ([limits](super#limits)). Let it be of something that comes to an end, within some thousands of facts.
///
/// # Operators
///
/// They retry or skip a command that failed, or abort the process. It cannot be compensated: there is no way back; a process
/// undoes by sending commands.
///
/// # Changing a handler
///
/// Raise [`VERSION`](Self::VERSION) when processes that run cannot go on with the new code, because their state has
/// another meaning or they are correlated otherwise, and keep the older handler registered as long as processes of its version
/// run: they receive by it. A state of another form that the new code can read needs no new version.
///
/// Raise it too when the new code wants events that the older passes over: of another type, correlated where they were not, or
/// starting a process. What has been passed over under a version is not received under it again. The code of each newest
/// version follows the log by itself and begins where those before it stand, so that in a rolling deploy it receives from its
/// deployment on what it wants, whatever the older receives beside it. As long as both run, an event starts a process of the one
/// or of the other version, whoever is first; the older leaves events of the newer's processes to it. Going back to the older is
/// safe as well: processes of the newer version wait until it is back.
pub trait Process: Send + Sync + Sized + 'static {
    /// The name: lower-case letters, digits, `-`, `_` and `.`. It is no name of a saga too.
    const NAME: &'static str;

    /// The version, from 1.
    const VERSION: u32 = 1;

    /// What it does, for a person.
    const DESCRIPTION: &'static str = "";

    /// The longest time that one command of it may take, with all its attempts and pauses; a command that is to be tried for
    /// longer is refused when it is asked for. Keys are kept for longer (SG-1): that is checked at start-up by this.
    const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Whether it receives what is in the log already when it is deployed for the first time: every process that there would
    /// have been is started, and does now what it would have done then. Without it, it begins with what is recorded once the
    /// first application with it has been [built](crate::application::ApplicationBuilder::build).
    const RECEIVES_HISTORY: bool = false;

    /// The events that it reacts to.
    type Event: EventSet;

    /// What it knows. It is recorded with each reaction, and is small.
    type State: Serialize + DeserializeOwned + Default;

    /// Which process the event is for; `None`: for none. Pure. Where there are tenants whose keys may be equal, the tenant
    /// belongs into it.
    ///
    /// A key is the id of a saga ([`SagaId::new`](super::SagaId::new)): not empty, neither `.` nor `..`, without control
    /// characters, and of at most 505 bytes less those of [`NAME`](Self::NAME). An event with any other key is for no process.
    /// It is passed over for good, so that whoever can have one recorded does not keep all others from being received; that
    /// is told in [`SagaInfo::trouble`](crate::ports::SagaInfo::trouble) and to
    /// [`on_skipped`](crate::application::ApplicationBuilder::on_skipped). Where keys come from callers, let the command refuse
    /// those that are none.
    fn correlate(event: &RecordedAs<Self::Event>) -> Option<String>;

    /// Whether the event starts the process that it is for, if that has not been started. Pure.
    fn starts(event: &RecordedAs<Self::Event>) -> bool;

    /// What to do with an event that this code does not know (UP-04). Unless it says otherwise, nothing more is received until
    /// other code runs ([`SagaInfo::trouble`](crate::ports::SagaInfo::trouble)).
    #[must_use]
    fn on_unknown() -> Unknown {
        Unknown::Fail
    }

    /// What an event does.
    fn on(&self, state: &mut Self::State, event: &RecordedAs<Self::Event>, intents: &mut Intents);

    /// What it does when this timer fires.
    fn on_timer(&self, state: &mut Self::State, timer: &str, intents: &mut Intents) {
        let _ = (state, timer, intents);
    }

    /// What it does about a command that was refused, or whose attempts have ended: also because its key may be forgotten
    /// ([`SagaState::keeping_keys_for`](super::SagaState::keeping_keys_for)).
    ///
    /// Unless it [goes on](AfterFailure::GoOn), state and intents are dropped and the process needs an operator.
    fn on_failed(&self, state: &mut Self::State, failed: &FailedIntent, intents: &mut Intents) -> AfterFailure {
        let _ = (state, failed, intents);
        AfterFailure::NeedsOperator
    }
}

/// What becomes of a process after a command has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AfterFailure {
    /// It cannot go on by itself.
    #[default]
    NeedsOperator,
    /// The command is passed over, and the process goes on: with what it has asked for before, then with what it asks for
    /// now.
    GoOn,
}

/// A command of a process that was refused, or whose attempts have ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FailedIntent {
    /// Its step.
    pub step: String,
    /// The command's name.
    pub command: String,
    /// The command as JSON.
    pub body: Arc<Value>,
    /// How the last attempt failed.
    pub class: FailureClass,
    /// The code of a refusal.
    pub code: Option<String>,
    /// What happened, for a person.
    pub reason: String,
    /// Whether it may have taken effect all the same, or may yet: an attempt of it ended without an answer. Go on only where
    /// that does no harm.
    pub in_doubt: bool,
    /// How many attempts there have been.
    pub attempts: u32,
}

impl FailedIntent {
    /// The command, if it is one of these.
    #[must_use]
    pub fn command<C: Command>(&self) -> Option<C> {
        let decoded = (self.command == C::NAME).then(|| Json::decode(format!("{}", self.body).as_bytes()));
        decoded.and_then(Result::ok)
    }
}
