//! What came of a command, and what was expected of it.

use crate::difference::difference;
use core::fmt::Debug;
use portolan_kernel::domain::Rejection;
use portolan_kernel::ports::Violation;

/// What a command came to: refused by validation, or decided.
///
/// Each `then…` panics with a sentence and the difference, line by line, at the line that called it.
#[derive(Debug)]
#[must_use = "an outcome is judged by one of the `then`s"]
pub struct Outcome<E, R> {
    command: &'static str,
    came: Came<E, R>,
}

#[derive(Debug)]
enum Came<E, R> {
    Invalid(Vec<Violation>),
    Decided(Vec<E>),
    Rejected(R),
}

impl<E, R> Outcome<E, R> {
    pub(crate) fn invalid(command: &'static str, violations: Vec<Violation>) -> Self {
        Self { command, came: Came::Invalid(violations) }
    }

    pub(crate) fn decided(command: &'static str, decision: Result<Vec<E>, R>) -> Self {
        Self { command, came: decision.map_or_else(Came::Rejected, Came::Decided) }
    }
}

impl<E: Debug, R: Rejection> Outcome<E, R> {
    /// Exactly these events were decided, in this order.
    ///
    /// # Panics
    ///
    /// Anything else came of it.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = E>)
    where
        E: PartialEq,
    {
        let expected: Vec<E> = expected.into_iter().collect();
        match &self.came {
            Came::Decided(events) if *events == expected => {}
            Came::Decided(events) => panic!(
                "{} decided other events; expected (-) and decided (+):\n{}",
                self.command,
                difference(&expected, events)
            ),
            _ => panic!("{}, where these events were expected:\n{expected:#?}", self.told()),
        }
    }

    /// No event was decided, and nothing refused.
    ///
    /// # Panics
    ///
    /// Anything else came of it.
    #[track_caller]
    pub fn then_nothing(self) {
        assert!(
            matches!(&self.came, Came::Decided(events) if events.is_empty()),
            "{}, where nothing was expected",
            self.told()
        );
    }

    /// It was rejected by the domain, with exactly this.
    ///
    /// # Panics
    ///
    /// Anything else came of it.
    #[track_caller]
    pub fn then_rejected(self, expected: R)
    where
        R: PartialEq,
    {
        match &self.came {
            Came::Rejected(rejection) if *rejection == expected => {}
            Came::Rejected(rejection) => panic!(
                "{} was rejected otherwise; expected (-) and given (+):\n{}",
                self.command,
                difference(&expected, rejection)
            ),
            _ => panic!("{}, where a rejection was expected: {expected:?} ({})", self.told(), expected.code()),
        }
    }

    /// It was refused by validation, with exactly these paths of fields, in any order.
    ///
    /// # Panics
    ///
    /// Anything else came of it.
    #[track_caller]
    pub fn then_invalid<'a>(self, expected: impl IntoIterator<Item = &'a str>) {
        let mut expected: Vec<&str> = expected.into_iter().collect();
        expected.sort_unstable();
        let Came::Invalid(violations) = &self.came else {
            panic!("{}, where wrong fields were expected: {}", self.told(), expected.join(", "));
        };
        let mut paths: Vec<&str> = violations.iter().map(|violation| violation.path.as_str()).collect();
        paths.sort_unstable();
        assert!(
            paths == expected,
            "{} has other wrong fields; expected (-) and found (+):\n{}\n{}",
            self.command,
            difference(&expected, &paths),
            listed(violations)
        );
    }

    fn told(&self) -> String {
        let command = self.command;
        match &self.came {
            Came::Invalid(violations) => format!("{command} is invalid ({})", listed(violations)),
            Came::Decided(events) if events.is_empty() => format!("{command} decided nothing"),
            Came::Decided(events) => format!("{command} decided {events:#?}"),
            Came::Rejected(rejection) => {
                format!("{command} was rejected: {rejection:?} ({}: {rejection})", rejection.code())
            }
        }
    }
}

pub(crate) fn listed(violations: &[Violation]) -> String {
    let one = |violation: &Violation| format!("{}: {} [{}]", violation.path, violation.message, violation.code);
    violations.iter().map(one).collect::<Vec<_>>().join("; ")
}
