//! What has happened to a process, and what was expected of it.

use crate::difference::{difference, right};
use crate::given_process::GivenProcess;
use crate::ran_step::{Seen, Sent};
use crate::saga_judged::Judged;
use core::fmt;
use core::marker::PhantomData;
use core::ops::RangeBounds;
use core::time::Duration;
use portolan_kernel::domain::Command;
use portolan_kernel::domain::saga::{
    ActError, End, Intent, OpenSaga, Phase, Process, SagaEvent, SagaHandler, SagaState, SentCommand, Way,
};
use portolan_kernel::values::Timestamp;

/// What something that happened to a process has led to.
///
/// Each `then…` looks at what was recorded since, or at how the process stands now, and can be followed by others;
/// [`and`](Self::and) goes on to what happens next. Each panics with a sentence and the timeline, at the line that called it; in
/// the timeline, what came of it has a `+`. After an event that was passed over, or an operator who was refused, each but
/// [`then_passes_over`](Self::then_passes_over) and [`then_refused`](Self::then_refused) does.
pub struct ProcessOutcome<P: Process> {
    judged: Judged<OpenSaga>,
    handler: SagaHandler,
    of: PhantomData<fn() -> P>,
}

impl<P: Process> ProcessOutcome<P> {
    pub(crate) fn since(given: GivenProcess<P>, what: String, from: usize) -> Self {
        let GivenProcess { machine, handler, of } = given;
        Self { judged: Judged::since(machine, what, from), handler, of }
    }

    pub(crate) fn refused(self, refused: Option<ActError>) -> Self {
        Self { judged: self.judged.refused(refused), ..self }
    }

    pub(crate) fn passed(self, passed: Option<String>) -> Self {
        Self { judged: self.judged.passed(passed), ..self }
    }

    /// No event was passed over, and no operator refused.
    #[track_caller]
    pub(crate) fn accepted(self) -> Self {
        Self { judged: self.judged.accepted(), ..self }
    }

    /// How the process stands, for what no `then` asks.
    #[must_use]
    pub fn state(&self) -> &SagaState {
        &self.judged.machine.state
    }

    /// The process, to which something else happens.
    pub fn and(self) -> GivenProcess<P> {
        let Self { judged, handler, of } = self;
        GivenProcess { machine: judged.machine, handler, of }
    }

    /// What is wanted since, with when that was.
    fn intents(&self) -> impl Iterator<Item = (Timestamp, &Intent)> {
        self.judged.new_facts().iter().flat_map(|fact| {
            let intents = match fact {
                SagaEvent::Received { intents, .. }
                | SagaEvent::Fired { intents, .. }
                | SagaEvent::Handled { intents, .. } => &**intents,
                _ => &[],
            };
            intents.iter().map(|intent| (fact.at(), intent))
        })
    }

    fn seen(&self, step: &str, command: &SentCommand) -> Seen {
        let key = self.state().id().step_key(step, Way::Forward);
        Seen { name: command.name.clone(), id: Some(key.to_string()), body: (*command.body).clone() }
    }
}

/// What it wants.
impl<P: Process> ProcessOutcome<P> {
    /// It wants exactly these commands sent since, in this order. They are sent one after the other, and what comes of them is for
    /// the test to say.
    ///
    /// # Panics
    ///
    /// It wants others, or others under these keys.
    #[track_caller]
    pub fn then_sends(self, expected: impl IntoIterator<Item = Sent>) -> Self {
        let sends = self.intents().filter_map(|(_, intent)| match intent {
            Intent::Send { step, command, .. } => Some((&**step, self.seen(step, command))),
            _ => None,
        });
        let (steps, sends): (Vec<_>, Vec<_>) = sends.unzip();
        let keyed = |(n, sent): (usize, Sent)| {
            let step = steps.get(n).copied().unwrap_or(sent.name);
            sent.seen_by(self.state().id(), step, Way::Forward)
        };
        let expected: Vec<_> = expected.into_iter().enumerate().map(keyed).collect();
        self.judged.is(sends == expected, || {
            let difference = difference(&expected, &sends);
            format!("it was to want other commands sent; expected (-) and wanted (+):\n{difference}")
        });
        self
    }

    /// It sets this timer, which fires after so much time from then.
    ///
    /// # Panics
    ///
    /// It does not set the timer, or to another time.
    #[track_caller]
    pub fn then_sets_timer(self, timer: &str, after: Duration) -> Self {
        let times = self.intents().filter_map(|(at, intent)| match intent {
            Intent::SetTimer { timer: of, due } if of == timer => {
                Some(Duration::from_micros(due.as_micros().saturating_sub(at.as_micros())))
            }
            _ => None,
        });
        let times: Vec<_> = times.collect();
        self.judged.is(times.contains(&after), || {
            let found = if times.is_empty() { "it is not set".into() } else { format!("it is set to {times:?}") };
            format!("the timer {timer} was to be set to {after:?}, and {found}")
        });
        self
    }

    /// It cancels this timer.
    ///
    /// # Panics
    ///
    /// It does not.
    #[track_caller]
    pub fn then_cancels_timer(self, timer: &str) -> Self {
        let is_it =
            |(_, intent): (Timestamp, &Intent)| matches!(intent, Intent::CancelTimer { timer: of } if of == timer);
        let cancels = self.intents().any(is_it);
        self.judged.is(cancels, || format!("the timer {timer} was to be cancelled"));
        self
    }
}

/// What has happened since.
impl<P: Process> ProcessOutcome<P> {
    /// This timer fired.
    ///
    /// # Panics
    ///
    /// It did not.
    #[track_caller]
    pub fn then_fires(self, timer: &str) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Fired { timer: of, .. } if of == timer => Some(()),
            _ => None,
        };
        self.judged.find(is_it, format_args!("the timer {timer} was to fire"));
        self
    }

    /// It goes on without this command, which has failed ([`AfterFailure::GoOn`]).
    ///
    /// # Panics
    ///
    /// It does not.
    ///
    /// [`AfterFailure::GoOn`]: portolan_kernel::domain::saga::AfterFailure::GoOn
    #[track_caller]
    pub fn then_goes_on_without<C: Command>(self) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Handled { step, .. } if self.judged.machine.command_of(step) == Some(C::NAME) => Some(()),
            _ => None,
        };
        self.judged.find(is_it, format_args!("it was to go on without {}", C::NAME));
        self
    }

    /// An attempt to send this command has failed and another is due, after a pause like this. A pause has jitter, unless the
    /// process says otherwise: `50..=100` of milliseconds, then.
    ///
    /// # Panics
    ///
    /// No other is due, or after another pause.
    #[track_caller]
    pub fn then_tries_again<C: Command>(self, pause: impl RangeBounds<Duration>) -> Self {
        let is_it = |step: &str| self.judged.machine.command_of(step) == Some(C::NAME);
        self.judged.tries_again(C::NAME, is_it, pause);
        self
    }

    /// It cannot go on without an operator, for a reason with these words in it.
    ///
    /// # Panics
    ///
    /// It can, or for another reason.
    #[track_caller]
    pub fn then_needs_operator(self, because: &str) -> Self {
        self.judged.needs_operator(because);
        self
    }

    /// It ends so.
    ///
    /// # Panics
    ///
    /// It does not end, or otherwise.
    #[track_caller]
    pub fn then_ends(self, expected: End) -> Self {
        self.judged.ends(expected);
        self
    }

    /// The event was passed over, for a reason with these words in it: the process has ended (`it has ended`, `it has decided to
    /// end`), has not been started (`nothing has started`), the event is for another (`it is for`), for none (`it is for no
    /// process`), or none that it receives (`receives no such events`). Nothing has changed.
    ///
    /// # Panics
    ///
    /// It was received, or passed over for another reason.
    #[track_caller]
    pub fn then_passes_over(self, because: &str) -> Self {
        self.judged.is_passed_over(because);
        self
    }

    /// The operator was refused, with exactly this; nothing has changed.
    ///
    /// # Panics
    ///
    /// The action was accepted, or refused otherwise, or nobody has acted.
    #[track_caller]
    pub fn then_refused(self, expected: &ActError) -> Self {
        self.judged.is_refused(expected);
        self
    }
}

/// How it stands now.
impl<P: Process> ProcessOutcome<P> {
    /// It knows exactly this.
    ///
    /// # Panics
    ///
    /// It knows something else, or has not been started.
    #[track_caller]
    pub fn then_knows(self, expected: P::State) -> Self {
        let expected = right(serde_json::to_value(expected), "the expected state has no JSON");
        let knows = self.state().process_state();
        self.judged.is(knows.is_some_and(|knows| **knows == expected), || match knows {
            Some(knows) => {
                let difference = difference(&expected, knows);
                format!("it was to know something else; expected (-) and known (+):\n{difference}")
            }
            None => format!("it was to know {expected}, and has not been started"),
        });
        self
    }

    /// Exactly these timers are set, in the order of their names, and fire so long after the start.
    ///
    /// # Panics
    ///
    /// Others are.
    #[track_caller]
    pub fn then_timers<'a>(self, expected: impl IntoIterator<Item = (&'a str, Duration)>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let machine = &self.judged.machine;
        let timers: Vec<_> = machine.state.timers().map(|(timer, due)| (timer, machine.since_start(due))).collect();
        self.judged.is(timers == expected, || {
            let difference = difference(&expected, &timers);
            format!("other timers were to be set; expected (-) and set (+):\n{difference}")
        });
        self
    }

    /// This is the command that is being sent.
    ///
    /// # Panics
    ///
    /// Another is, or none.
    #[track_caller]
    pub fn then_is_sending<C: Command>(self) -> Self {
        let sending = self.judged.machine.sending().map(|(_, command)| command);
        self.judged.is(sending == Some(C::NAME), || {
            let found = sending.map_or_else(|| "nothing is".into(), |other| format!("{other} is"));
            format!("{} was to be sent now, and {found}", C::NAME)
        });
        self
    }

    /// Nothing is due before so long after the start, unless something happens before; and then something is: a timer, another
    /// attempt, or the end of one in flight.
    ///
    /// # Panics
    ///
    /// Something is due earlier, or nothing until later.
    #[track_caller]
    pub fn then_waits_until(self, after_start: Duration) -> Self {
        self.judged.waits_until(after_start);
        self
    }

    /// It is in this phase now, as lists of sagas show it.
    ///
    /// # Panics
    ///
    /// It is in another.
    #[track_caller]
    pub fn then_is(self, expected: Phase) -> Self {
        self.judged.is_in(expected);
        self
    }
}

impl<P: Process> fmt::Debug for ProcessOutcome<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessOutcome").field(&self.judged).finish()
    }
}
