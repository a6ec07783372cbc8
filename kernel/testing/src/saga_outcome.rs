//! What has happened to a saga, and what was expected of it.

use crate::difference::difference;
use crate::given_saga::GivenSaga;
use crate::saga_machine::SagaMachine;
use core::fmt;
use core::ops::RangeBounds;
use core::time::Duration;
use portolan_kernel::domain::saga::{ActError, End, Phase, Saga, SagaEvent, SagaState, Way};

/// What something that happened to a saga has led to.
///
/// Each `then…` looks at what was recorded since, and can be followed by others; [`and`](Self::and) goes on to what happens
/// next. Each panics with a sentence and the timeline, at the line that called it; in the timeline, what came of it has a `+`.
pub struct SagaOutcome<S: Saga> {
    machine: SagaMachine<S>,
    /// What happened.
    what: String,
    /// How many facts there were before.
    from: usize,
    refused: Option<ActError>,
}

impl<S: Saga> SagaOutcome<S> {
    pub(crate) fn since(machine: SagaMachine<S>, what: String, from: usize) -> Self {
        Self { machine, what, from, refused: None }
    }

    pub(crate) fn refused(self, refused: Option<ActError>) -> Self {
        Self { refused, ..self }
    }

    /// The operator was not refused.
    #[track_caller]
    pub(crate) fn accepted(self) -> Self {
        if self.refused.is_some() {
            self.fail("it was to be accepted");
        }
        self
    }

    fn new_facts(&self) -> &[SagaEvent] {
        &self.machine.facts[self.from..]
    }

    /// How the saga stands, for what no `then` asks.
    #[must_use]
    pub fn state(&self) -> &SagaState {
        &self.machine.state
    }

    /// The saga, to which something else happens.
    pub fn and(self) -> GivenSaga<S> {
        GivenSaga(self.machine)
    }

    #[track_caller]
    fn fail(&self, expected: impl fmt::Display) -> ! {
        let (what, timeline) = (&self.what, self.machine.timeline(self.from));
        if let Some(error) = &self.refused {
            panic!("{what} was refused: {error}; where {expected}; so far:\n{timeline}");
        }
        let came = if self.new_facts().is_empty() { "nothing came of it" } else { "what came of it has a +" };
        panic!("after {what}, {expected}; {came}; so far:\n{timeline}");
    }

    #[track_caller]
    fn find<T>(&self, find: impl Fn(&SagaEvent) -> Option<T>, expected: impl fmt::Display) -> T {
        // No closure fails, because it would do so at its own line.
        match self.new_facts().iter().find_map(find) {
            Some(found) => found,
            None => self.fail(expected),
        }
    }
}

impl<S: Saga> SagaOutcome<S> {
    /// An attempt at this step has begun this way.
    ///
    /// # Panics
    ///
    /// None has.
    #[track_caller]
    pub fn then_begins(self, step: &str, way: Way) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Begun { step: of, way: own, .. } if of == step && *own == way => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("{step} was to begin {way}"));
        self
    }

    /// No attempt has begun.
    ///
    /// # Panics
    ///
    /// One has.
    #[track_caller]
    pub fn then_begins_nothing(self) -> Self {
        let has_begun = self.new_facts().iter().any(|fact| matches!(fact, SagaEvent::Begun { .. }));
        if has_begun || self.refused.is_some() {
            self.fail("nothing was to begin");
        }
        self
    }

    /// Exactly these attempts are in flight now, in the order of the definition.
    ///
    /// # Panics
    ///
    /// Others are.
    #[track_caller]
    pub fn then_in_flight<'a>(self, expected: impl IntoIterator<Item = (&'a str, Way)>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let running = self.machine.all_in_flight();
        if running != expected || self.refused.is_some() {
            let difference = difference(&expected, &running);
            self.fail(format_args!(
                "other attempts were to be in flight; expected (-) and in flight (+):\n{difference}"
            ));
        }
        self
    }

    /// This step is passed over.
    ///
    /// # Panics
    ///
    /// It is not.
    #[track_caller]
    pub fn then_passes_over(self, step: &str) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Passed { step: of, .. } if of == step => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("{step} was to be passed over"));
        self
    }

    /// An attempt at this step has failed and another is due, after a pause like this. A pause has jitter, unless the
    /// definition says otherwise: `50..=100` of milliseconds, then.
    ///
    /// # Panics
    ///
    /// No other is due, or after another pause.
    #[track_caller]
    pub fn then_tries_again(self, step: &str, pause: impl RangeBounds<Duration>) -> Self {
        let failed = |fact: &SagaEvent| match fact {
            SagaEvent::Failed { at, step: of, retry_at: Some(retry_at), .. } if of == step => {
                Some(Duration::from_micros(retry_at.as_micros().saturating_sub(at.as_micros())))
            }
            _ => None,
        };
        let found = self.find(failed, format_args!("{step} was to be tried again"));
        if !pause.contains(&found) {
            let range = (pause.start_bound(), pause.end_bound());
            self.fail(format_args!("{step} was to pause for {range:?}, and pauses for {found:?}"));
        }
        self
    }

    /// Nothing is due before so long after the start, unless something happens before; and then something is: another attempt,
    /// the end of one in flight, or of the time for the whole.
    ///
    /// # Panics
    ///
    /// Something is due earlier, or nothing until later.
    #[track_caller]
    pub fn then_waits_until(self, after_start: Duration) -> Self {
        let due = self.machine.due.map(|due| self.machine.since_start(due));
        if due != Some(after_start) || self.refused.is_some() {
            let found = due.map_or_else(|| "it never is".into(), |due| format!("it is after {due:?}"));
            self.fail(format_args!("something was to be due after {after_start:?}, and {found}"));
        }
        self
    }

    /// It turns back, for a reason with these words in it.
    ///
    /// # Panics
    ///
    /// It does not, or for another reason.
    #[track_caller]
    pub fn then_turns_back(self, because: &str) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::TurnedBack { reason, .. } if reason.contains(because) => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("it was to turn back because of `{because}`"));
        self
    }

    /// It cannot go on without an operator, for a reason with these words in it.
    ///
    /// # Panics
    ///
    /// It can, or for another reason.
    #[track_caller]
    pub fn then_needs_operator(self, because: &str) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::NeedsOperator { reason, .. } if reason.contains(because) => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("it was to need an operator because of `{because}`"));
        self
    }

    /// It ends so.
    ///
    /// # Panics
    ///
    /// It does not end, or otherwise.
    #[track_caller]
    pub fn then_ends(self, expected: End) -> Self {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Ended { end, .. } if *end == expected => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("it was to end as {expected}"));
        self
    }

    /// It ends, and exactly these steps are done, or may be, and were not undone; in the order of the definition. None are when
    /// it is completed or compensated.
    ///
    /// # Panics
    ///
    /// It does not end, or with other steps left.
    #[track_caller]
    pub fn then_leaves<'a>(self, expected: impl IntoIterator<Item = &'a str>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let left = |fact: &SagaEvent| match fact {
            SagaEvent::Ended { left, .. } => Some(left.clone()),
            _ => None,
        };
        let left = self.find(left, format_args!("it was to end, with these left: {expected:?}"));
        if left != expected {
            let difference = difference(&expected, &left);
            self.fail(format_args!("other steps were to be left; expected (-) and left (+):\n{difference}"));
        }
        self
    }

    /// It is in this phase now, as lists of sagas show it.
    ///
    /// # Panics
    ///
    /// It is in another.
    #[track_caller]
    pub fn then_is(self, expected: Phase) -> Self {
        let status = self.machine.state.status(self.machine.now);
        if status.phase != expected || self.refused.is_some() {
            self.fail(format_args!("it was to be {expected}, and is {status}"));
        }
        self
    }

    /// The operator was refused, with exactly this; nothing has changed.
    ///
    /// # Panics
    ///
    /// The action was accepted, or refused otherwise, or nobody has acted.
    #[track_caller]
    pub fn then_refused(self, expected: &ActError) -> Self {
        match &self.refused {
            Some(error) if error == expected => {}
            Some(error) => {
                let difference = difference(expected, error);
                self.fail(format_args!("another refusal was expected; expected (-) and given (+):\n{difference}"));
            }
            None => self.fail(format_args!("a refusal was expected: {expected}")),
        }
        self
    }
}

impl<S: Saga> fmt::Debug for SagaOutcome<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaOutcome")
            .field("what", &self.what)
            .field("led_to", &self.new_facts())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}
