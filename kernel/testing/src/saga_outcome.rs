//! What has happened to a saga, and what was expected of it.

use crate::difference::difference;
use crate::given_saga::GivenSaga;
use crate::saga_judged::Judged;
use crate::saga_machine::{Defined, SagaMachine};
use core::fmt;
use core::ops::RangeBounds;
use core::time::Duration;
use portolan_kernel::domain::saga::{ActError, End, Phase, Saga, SagaEvent, SagaState, Way};

/// What something that happened to a saga has led to.
///
/// Each `then…` looks at what was recorded since, and can be followed by others; [`and`](Self::and) goes on to what happens
/// next. Each panics with a sentence and the timeline, at the line that called it; in the timeline, what came of it has a `+`.
pub struct SagaOutcome<S: Saga>(Judged<Defined<S>>);

impl<S: Saga> SagaOutcome<S> {
    pub(crate) fn since(machine: SagaMachine<Defined<S>>, what: String, from: usize) -> Self {
        Self(Judged::since(machine, what, from))
    }

    pub(crate) fn refused(self, refused: Option<ActError>) -> Self {
        Self(self.0.refused(refused))
    }

    /// The operator was not refused.
    #[track_caller]
    pub(crate) fn accepted(self) -> Self {
        Self(self.0.accepted())
    }

    /// How the saga stands, for what no `then` asks.
    #[must_use]
    pub fn state(&self) -> &SagaState {
        &self.0.machine.state
    }

    /// The saga, to which something else happens.
    pub fn and(self) -> GivenSaga<S> {
        GivenSaga(self.0.machine)
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
        self.0.find(is_it, format_args!("{step} was to begin {way}"));
        self
    }

    /// No attempt has begun.
    ///
    /// # Panics
    ///
    /// One has.
    #[track_caller]
    pub fn then_begins_nothing(self) -> Self {
        let has_begun = self.0.new_facts().iter().any(|fact| matches!(fact, SagaEvent::Begun { .. }));
        self.0.is(!has_begun, || "nothing was to begin".into());
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
        let running = self.0.machine.all_in_flight();
        self.0.is(running == expected, || {
            let difference = difference(&expected, &running);
            format!("other attempts were to be in flight; expected (-) and in flight (+):\n{difference}")
        });
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
        self.0.find(is_it, format_args!("{step} was to be passed over"));
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
        self.0.tries_again(step, |of| of == step, pause);
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
        self.0.waits_until(after_start);
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
        self.0.find(is_it, format_args!("it was to turn back because of `{because}`"));
        self
    }

    /// It cannot go on without an operator, for a reason with these words in it.
    ///
    /// # Panics
    ///
    /// It can, or for another reason.
    #[track_caller]
    pub fn then_needs_operator(self, because: &str) -> Self {
        self.0.needs_operator(because);
        self
    }

    /// It ends so.
    ///
    /// # Panics
    ///
    /// It does not end, or otherwise.
    #[track_caller]
    pub fn then_ends(self, expected: End) -> Self {
        self.0.ends(expected);
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
        let left = self.0.find(left, format_args!("it was to end, with these left: {expected:?}"));
        if left != expected {
            let difference = difference(&expected, &left);
            self.0.fail(format_args!("other steps were to be left; expected (-) and left (+):\n{difference}"));
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
        self.0.is_in(expected);
        self
    }

    /// The operator was refused, with exactly this; nothing has changed.
    ///
    /// # Panics
    ///
    /// The action was accepted, or refused otherwise, or nobody has acted.
    #[track_caller]
    pub fn then_refused(self, expected: &ActError) -> Self {
        self.0.is_refused(expected);
        self
    }
}

impl<S: Saga> fmt::Debug for SagaOutcome<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SagaOutcome").field(&self.0).finish()
    }
}
