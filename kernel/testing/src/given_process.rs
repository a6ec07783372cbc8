//! Given, when, then: processes.

use crate::difference::right;
use crate::process_outcome::ProcessOutcome;
use crate::saga_machine::SagaMachine;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use portolan_kernel::Bytes;
use portolan_kernel::domain::saga::{
    Action, Arrival, Intent, OpenSaga, Process, Reaction, Reception, SagaHandler, SagaId, SagaState, StepError, Way,
};
use portolan_kernel::domain::{Command, Event, new_event};
use portolan_kernel::values::{EventId, NewEvent, Position, Recorded, Revision, StreamId};
use serde_json::Value;
use std::sync::Arc;

/// The process with this id, which nothing has started yet.
///
/// Pure: no command is sent, nothing is stored or waited for. The test says which events come, what becomes of commands and how
/// time passes; the reactions are the real ones, and so are correlation, what starts a process, and how events are read. The
/// clock stands at the epoch at first.
///
/// ```
/// # use core::time::Duration;
/// # use portolan_kernel::domain::saga::{End, Intents, Process};
/// # use portolan_kernel::domain::{CodecError, Command, Event, EventError, RecordedAs, variant};
/// # use portolan_kernel::ports::RawEvent;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # enum OrderEvent {
/// #     #[serde(rename = "order.placed")] Placed { order: String },
/// #     #[serde(rename = "order.paid")] Paid { order: String },
/// # }
/// # use OrderEvent::{Paid, Placed};
/// # impl Event for OrderEvent {
/// #     const CATEGORY: &'static str = "order";
/// #     fn event_type(&self) -> &'static str { variant::name(self) }
/// #     fn encode(&self) -> Result<portolan_kernel::Bytes, CodecError> { variant::encode(self) }
/// #     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// # }
/// # #[derive(Serialize, Deserialize)] struct CancelOrder { order: String }
/// # impl Command for CancelOrder { const NAME: &'static str = "cancel-order"; }
/// # struct Payments;
/// # impl Process for Payments {
/// #     const NAME: &'static str = "order-payment";
/// #     type Event = OrderEvent;
/// #     type State = String;
/// #     fn correlate(event: &RecordedAs<OrderEvent>) -> Option<String> {
/// #         match &event.event { Placed { order } | Paid { order } => Some(order.clone()) }
/// #     }
/// #     fn starts(event: &RecordedAs<OrderEvent>) -> bool { matches!(event.event, Placed { .. }) }
/// #     fn on(&self, state: &mut String, event: &RecordedAs<OrderEvent>, intents: &mut Intents) {
/// #         match &event.event {
/// #             Placed { order } => {
/// #                 order.clone_into(state);
/// #                 intents.set_timer("payment", Duration::from_secs(30 * 60));
/// #             }
/// #             Paid { .. } => intents.end(),
/// #         }
/// #     }
/// #     fn on_timer(&self, state: &mut String, _: &str, intents: &mut Intents) {
/// #         intents.send(CancelOrder { order: state.clone() });
/// #         intents.end();
/// #     }
/// # }
/// use portolan_testing::{Sent, given_process};
///
/// let placed = || Placed { order: "o-1".into() };
/// given_process(Payments, "o-1")
///     .received(placed())
///     .when_time_passes(Duration::from_secs(30 * 60))
///     .then_fires("payment")
///     .then_sends([Sent::of(CancelOrder { order: "o-1".into() })])
///     .and()
///     .when_accepted::<CancelOrder>()
///     .then_ends(End::Completed);
///
/// given_process(Payments, "o-1")
///     .received(placed())
///     .when_receives(Paid { order: "o-1".into() })
///     .then_sends([])
///     .then_ends(End::Completed);
/// ```
///
/// # Panics
///
/// There is no such process: its name, its version, its events or the id are wrong.
#[track_caller]
pub fn given_process<P: Process>(process: P, id: &str) -> GivenProcess<P> {
    let name = P::NAME;
    let id = right(SagaId::new(name, id), format_args!("there is no such process {name}"));
    let handler = right(SagaHandler::process(process), format_args!("{name} cannot be followed"));
    let open = handler.open(handler.plan(), &Value::Null);
    let open = right(open, format_args!("{name} cannot be followed"));
    GivenProcess { machine: SagaMachine::new(id, open), handler, of: PhantomData }
}

/// A process with a past, to which something is about to happen.
///
/// What happens is one word in the past (`received`), and one that is judged (`when_receives`). Each panics when it cannot
/// happen now, with the timeline.
///
/// A command that the process wants sent is being sent until the test says what has become of it; of several one is sent after the
/// other. An attempt that nobody answers times out as time passes, and is tried again, as it would be.
#[must_use = "nothing is judged before one of the `when`s"]
pub struct GivenProcess<P: Process> {
    pub(crate) machine: SagaMachine<OpenSaga>,
    pub(crate) handler: SagaHandler,
    pub(crate) of: PhantomData<fn() -> P>,
}

/// The past.
impl<P: Process> GivenProcess<P> {
    /// This event has come, and the process has received it.
    ///
    /// # Panics
    ///
    /// It was passed over, or as [`when_receives`](Self::when_receives).
    #[track_caller]
    pub fn received<E: Event>(self, event: E) -> Self {
        self.when_receives(event).accepted().and()
    }

    /// It has been started, has nothing to do, and knows this now: a short way to where some events would have led.
    ///
    /// # Panics
    ///
    /// It has ended, or has decided to; or the state has no JSON.
    #[track_caller]
    pub fn knew(self, state: P::State) -> Self {
        let state = right(serde_json::to_value(state), format_args!("the state of {} has no JSON", P::NAME));
        self.reacted(state, Vec::new())
    }

    /// It has set this timer, which fires after so much time from now.
    ///
    /// # Panics
    ///
    /// It has ended, or has decided to.
    #[track_caller]
    pub fn waited_for(self, timer: &str, after: Duration) -> Self {
        let state = self.machine.state.process_state().map(|state| (**state).clone());
        let state = state.map_or_else(|| serde_json::to_value(P::State::default()), Ok);
        let state = right(state, format_args!("the state of {} has no JSON", P::NAME));
        let mut intents = self.machine.state.intents(self.machine.now);
        intents.set_timer(timer, after);
        let intents = right(intents.finish(), "no timer is too much");
        self.reacted(state, intents)
    }

    /// This command has taken effect.
    ///
    /// # Panics
    ///
    /// As [`when_accepted`](Self::when_accepted).
    #[track_caller]
    pub fn accepted<C: Command>(self) -> Self {
        self.when_accepted::<C>().and()
    }

    /// The attempt to send this command failed so.
    ///
    /// # Panics
    ///
    /// As [`when_fails`](Self::when_fails).
    #[track_caller]
    pub fn failed<C: Command>(self, error: StepError) -> Self {
        self.when_fails::<C>(error).and()
    }

    /// So much time passed.
    ///
    /// # Panics
    ///
    /// As [`when_time_passes`](Self::when_time_passes).
    #[track_caller]
    pub fn time_passed(self, time: Duration) -> Self {
        self.when_time_passes(time).and()
    }

    /// An operator did this.
    ///
    /// # Panics
    ///
    /// It was refused.
    #[track_caller]
    pub fn acted(self, action: Action) -> Self {
        self.when_operator(action).accepted().and()
    }
}

/// What happens.
impl<P: Process> GivenProcess<P> {
    /// This event comes. It is stored and read as it would be, without metadata, in the stream that the process is called by, if
    /// that is one of the event's category, and else in `{category}-{id}`. Where that matters, take
    /// [`when_recorded`](Self::when_recorded).
    ///
    /// # Panics
    ///
    /// It cannot be stored or read, or the process cannot react to it.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_receives<E: Event>(self, event: E) -> ProcessOutcome<P> {
        let id = &**self.machine.state.id().id();
        let own = StreamId::new(id).ok().filter(|stream| stream.category() == E::CATEGORY);
        let stream = own.map_or_else(|| StreamId::new(format!("{}-{id}", E::CATEGORY)), Ok);
        let stream = right(stream, "an event has no stream");
        let event = new_event(&event, stream, EventId::from_bytes([0; 16]), Bytes::new());
        self.when_recorded(right(event, "an event cannot be stored"))
    }

    /// An event comes that is stored like this: of an older form, of another stream, with tags or metadata. Its id is replaced.
    ///
    /// # Panics
    ///
    /// It cannot be read, or the process cannot react to it.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_recorded(mut self, event: NewEvent) -> ProcessOutcome<P> {
        let (what, from) = (event.event_type.to_string(), self.machine.facts.len());
        let position = self.next_position(&what);
        let event = event.with_id(id_at(position));
        let recorded = Recorded::new(event, Revision::new(position.get() - 1), position, self.machine.now);
        let passed = match self.arrival(&Arc::new(recorded)) {
            Ok(arrival) => {
                self.start();
                let (state, now) = (&self.machine.state, self.machine.now);
                let fact = match arrival.react(state, now) {
                    Ok(fact) => fact,
                    Err(error) => self.cannot(&what, &error),
                };
                self.machine.record(fact);
                self.machine.go_on();
                None
            }
            Err(why) => Some(why),
        };
        ProcessOutcome::since(self, what, from).passed(passed)
    }

    /// This command, which is being sent, takes effect.
    ///
    /// # Panics
    ///
    /// It is not being sent.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_accepted<C: Command>(self) -> ProcessOutcome<P> {
        self.answered::<C>("success", Ok(Value::Null))
    }

    /// The attempt to send this command, which is being sent, fails so.
    ///
    /// # Panics
    ///
    /// It is not being sent, or the process cannot react to it.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_fails<C: Command>(self, error: StepError) -> ProcessOutcome<P> {
        self.answered::<C>("failure", Err(error))
    }

    /// So much time passes. What is due within it is done when it is due: timers fire, attempts time out, and failed commands
    /// are tried again.
    ///
    /// # Panics
    ///
    /// The process cannot react to what is due.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_time_passes(mut self, time: Duration) -> ProcessOutcome<P> {
        let from = self.machine.facts.len();
        self.machine.pass(time);
        ProcessOutcome::since(self, format!("{time:?}"), from)
    }

    /// An operator does this.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_operator(mut self, action: Action) -> ProcessOutcome<P> {
        let from = self.machine.facts.len();
        let refused = self.machine.act(action).err();
        ProcessOutcome::since(self, format!("the operator's {action}"), from).refused(refused)
    }
}

/// As whoever feeds and drives a process does it.
impl<P: Process> GivenProcess<P> {
    fn next_position(&mut self, event: &str) -> Position {
        self.machine.events.push(event.to_owned());
        let position = self.machine.events.len().try_into().ok().and_then(Position::new);
        position.expect("fewer events than there are positions")
    }

    /// The event as it arrives at this process, or why it does not.
    #[track_caller]
    fn arrival(&self, recorded: &Arc<Recorded>) -> Result<Arrival, String> {
        let id = self.machine.state.id();
        if !self.handler.events().is_some_and(|events| events.matches(recorded)) {
            return Err(format!("{} receives no such events", P::NAME));
        }
        let arrivals = match self.handler.arrivals(recorded) {
            Ok(arrivals) => arrivals,
            Err(error) => self.cannot(&recorded.event_type, &error),
        };
        let others: Vec<_> = arrivals.iter().map(|arrival| format!("{}/{}", P::NAME, arrival.key())).collect();
        let Some(arrival) = arrivals.into_iter().find(|arrival| arrival.key() == &**id.id()) else {
            let no = others.is_empty().then(|| "it is for no process".to_owned());
            return Err(no.unwrap_or_else(|| format!("it is for {}", others.join(" and "))));
        };
        match self.machine.state.reception(recorded.position) {
            Reception::NotStarted if !arrival.starts() => Err(format!("nothing has started {id}, nor does this")),
            Reception::Ended if self.machine.state.end().is_some() => Err("it has ended".into()),
            Reception::Ended => Err("it has decided to end".into()),
            _ => Ok(arrival),
        }
    }

    fn start(&mut self) {
        if self.machine.state.started_at().is_none() {
            let (id, plan) = (self.machine.state.id().clone(), self.handler.plan().clone());
            let started = SagaState::started(&id, P::VERSION, plan, Arc::default(), self.machine.now);
            self.machine.record(started);
        }
    }

    /// An event came of which the test says what it has led to.
    #[track_caller]
    fn reacted(mut self, state: Value, intents: Vec<Intent>) -> Self {
        let position = self.next_position("what the test says");
        if self.machine.state.reception(position) == Reception::Ended {
            panic!("{} has ended, or will; so far:\n{}", self.machine.state.id(), self.timeline());
        }
        self.start();
        let reaction = Reaction::new(state, intents);
        self.machine.record(SagaState::received(id_at(position), position, reaction, self.machine.now));
        self.machine.go_on();
        self
    }

    #[track_caller]
    fn answered<C: Command>(mut self, how: &str, result: Result<Value, StepError>) -> ProcessOutcome<P> {
        let from = self.machine.facts.len();
        let step = match self.machine.sending() {
            Some((step, command)) if command == C::NAME => step.to_owned(),
            other => {
                let told = other.map_or_else(|| "nothing is".into(), |(_, other)| format!("{other} is"));
                panic!("{} is not being sent, and {told}; so far:\n{}", C::NAME, self.timeline());
            }
        };
        self.machine.answer(&step, &[Way::Forward], result);
        ProcessOutcome::since(self, format!("the {how} of {}", C::NAME), from)
    }

    fn timeline(&self) -> String {
        self.machine.timeline(self.machine.facts.len())
    }

    #[track_caller]
    fn cannot(&self, event: &str, error: &dyn fmt::Display) -> ! {
        panic!("{} cannot receive {event}: {error}; so far:\n{}", self.machine.state.id(), self.timeline());
    }
}

fn id_at(position: Position) -> EventId {
    EventId::from_bytes(u128::from(position.get()).to_be_bytes())
}

impl<P: Process> fmt::Debug for GivenProcess<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenProcess").field("facts", &self.machine.facts).finish_non_exhaustive()
    }
}
