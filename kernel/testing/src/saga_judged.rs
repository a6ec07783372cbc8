//! What has come of something, and what is said where another thing was expected.

use crate::difference::difference;
use crate::saga_machine::SagaMachine;
use core::fmt;
use core::ops::RangeBounds;
use core::time::Duration;
use portolan_kernel::domain::saga::{ActError, Conditions, End, Phase, SagaEvent};

/// A saga, or process, to which something has happened.
pub(crate) struct Judged<C> {
    pub(crate) machine: SagaMachine<C>,
    /// What happened.
    what: String,
    /// How many facts there were before.
    from: usize,
    /// Why the operator was refused.
    refused: Option<ActError>,
    /// Why an event was passed over.
    passed: Option<String>,
}

impl<C: Conditions> Judged<C> {
    pub(crate) fn since(machine: SagaMachine<C>, what: String, from: usize) -> Self {
        Self { machine, what, from, refused: None, passed: None }
    }

    pub(crate) fn refused(self, refused: Option<ActError>) -> Self {
        Self { refused, ..self }
    }

    pub(crate) fn passed(self, passed: Option<String>) -> Self {
        Self { passed, ..self }
    }

    /// It came about: no operator was refused, and no event passed over.
    #[track_caller]
    pub(crate) fn accepted(self) -> Self {
        if self.is_nothing() {
            self.fail("it was to be accepted");
        }
        self
    }

    pub(crate) fn new_facts(&self) -> &[SagaEvent] {
        &self.machine.facts[self.from..]
    }

    fn is_nothing(&self) -> bool {
        self.refused.is_some() || self.passed.is_some()
    }

    #[track_caller]
    pub(crate) fn fail(&self, expected: impl fmt::Display) -> ! {
        let (what, timeline) = (&self.what, self.machine.timeline(self.from));
        if let Some(error) = &self.refused {
            panic!("{what} was refused: {error}; where {expected}; so far:\n{timeline}");
        }
        if let Some(why) = &self.passed {
            panic!("{what} was passed over: {why}; where {expected}; so far:\n{timeline}");
        }
        let came = if self.new_facts().is_empty() { "nothing came of it" } else { "what came of it has a +" };
        panic!("after {what}, {expected}; {came}; so far:\n{timeline}");
    }

    #[track_caller]
    pub(crate) fn find<T>(&self, find: impl Fn(&SagaEvent) -> Option<T>, expected: impl fmt::Display) -> T {
        // No closure fails, because it would do so at its own line.
        match self.new_facts().iter().find_map(find) {
            Some(found) => found,
            None => self.fail(expected),
        }
    }

    /// Fails unless it came about and is so.
    #[track_caller]
    pub(crate) fn is(&self, so: bool, expected: impl FnOnce() -> String) {
        if !so || self.is_nothing() {
            self.fail(expected());
        }
    }
}

/// What both sagas and processes are asked.
impl<C: Conditions> Judged<C> {
    #[track_caller]
    pub(crate) fn tries_again(&self, step: &str, is_it: impl Fn(&str) -> bool, pause: impl RangeBounds<Duration>) {
        let failed = |fact: &SagaEvent| match fact {
            SagaEvent::Failed { at, step: of, retry_at: Some(retry_at), .. } if is_it(of) => {
                Some(Duration::from_micros(retry_at.as_micros().saturating_sub(at.as_micros())))
            }
            _ => None,
        };
        let found = self.find(failed, format_args!("{step} was to be tried again"));
        if !pause.contains(&found) {
            let range = (pause.start_bound(), pause.end_bound());
            self.fail(format_args!("{step} was to pause for {range:?}, and pauses for {found:?}"));
        }
    }

    #[track_caller]
    pub(crate) fn waits_until(&self, after_start: Duration) {
        let due = self.machine.due.map(|due| self.machine.since_start(due));
        self.is(due == Some(after_start), || {
            let found = due.map_or_else(|| "it never is".into(), |due| format!("it is after {due:?}"));
            format!("something was to be due after {after_start:?}, and {found}")
        });
    }

    #[track_caller]
    pub(crate) fn needs_operator(&self, because: &str) {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::NeedsOperator { reason, .. } if reason.contains(because) => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("it was to need an operator because of `{because}`"));
    }

    #[track_caller]
    pub(crate) fn ends(&self, expected: End) {
        let is_it = |fact: &SagaEvent| match fact {
            SagaEvent::Ended { end, .. } if *end == expected => Some(()),
            _ => None,
        };
        self.find(is_it, format_args!("it was to end as {expected}"));
    }

    #[track_caller]
    pub(crate) fn is_in(&self, expected: Phase) {
        let status = self.machine.state.status(self.machine.now);
        self.is(status.phase == expected, || format!("it was to be {expected}, and is {status}"));
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, expected: &ActError) {
        match &self.refused {
            Some(error) if error == expected => {}
            Some(error) => {
                let difference = difference(expected, error);
                self.fail(format_args!("another refusal was expected; expected (-) and given (+):\n{difference}"));
            }
            None => self.fail(format_args!("a refusal was expected: {expected}")),
        }
    }

    #[track_caller]
    pub(crate) fn is_passed_over(&self, because: &str) {
        let so = self.passed.as_ref().is_some_and(|why| why.contains(because));
        if !so {
            self.fail(format_args!("it was to be passed over because of `{because}`"));
        }
    }
}

impl<C: Conditions> fmt::Debug for Judged<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judged")
            .field("what", &self.what)
            .field("led_to", &self.new_facts())
            .field("refused", &self.refused)
            .field("passed_over", &self.passed)
            .finish_non_exhaustive()
    }
}
