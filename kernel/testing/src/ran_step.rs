//! What a step of a saga has done, and what was expected of it.

use crate::difference::{difference, right};
use portolan_kernel::domain::Command;
use portolan_kernel::domain::saga::{SagaId, StepError, Way};
use serde::Serialize;
use serde_json::Value;

/// A command that a step, or a process, is expected to send.
#[derive(Debug, Clone)]
pub struct Sent {
    pub(crate) name: &'static str,
    body: Value,
    part: Option<String>,
    key: Option<String>,
}

impl Sent {
    /// This command, under the step's key.
    ///
    /// # Panics
    ///
    /// It has no JSON.
    #[must_use]
    #[track_caller]
    pub fn of<C: Command>(command: C) -> Self {
        let body = right(serde_json::to_value(command), format_args!("{} has no JSON", C::NAME));
        Self { name: C::NAME, body, part: None, key: None }
    }

    /// Sent by [`send_as`](portolan_kernel::domain::saga::StepContext::send_as), under this word.
    #[must_use]
    pub fn as_part(self, part: impl Into<String>) -> Self {
        Self { part: Some(part.into()), ..self }
    }

    /// Sent under exactly this key, which is `saga:{name}:{id}:{step}` unless a part of them is long or unusual. Without this,
    /// under whatever key its step has.
    #[must_use]
    pub fn under(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// As a bus sees it when this step sends it.
    pub(crate) fn seen_by(self, saga: &SagaId, step: &str, way: Way) -> Seen {
        let Self { name, body, part, key } = self;
        let own = || match part {
            None => saga.step_key(step, way).to_string(),
            Some(part) => saga.part_key(step, way, &part).to_string(),
        };
        Seen { name: name.to_owned(), id: Some(key.unwrap_or_else(own)), body }
    }
}

/// A command as a bus sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) body: Value,
}

/// A step that has run.
///
/// Each `then…` panics with a sentence and the difference, line by line, at the line that called it.
#[derive(Debug)]
pub struct RanStep {
    pub(crate) saga: SagaId,
    pub(crate) step: String,
    pub(crate) way: Way,
    pub(crate) sent: Vec<Seen>,
    pub(crate) result: Result<Value, StepError>,
}

impl RanStep {
    /// What it returned: its outcome as it is recorded, or its error.
    ///
    /// # Errors
    ///
    /// The step's.
    pub fn result(&self) -> Result<&Value, &StepError> {
        self.result.as_ref()
    }

    /// It has sent exactly these commands, in this order, each under its key; what came of them does not matter.
    ///
    /// # Panics
    ///
    /// It has sent others, or others under these keys, or these under others.
    #[track_caller]
    pub fn then_sends(self, expected: impl IntoIterator<Item = Sent>) -> Self {
        let keyed = |sent: Sent| sent.seen_by(&self.saga, &self.step, self.way);
        let expected: Vec<_> = expected.into_iter().map(keyed).collect();
        assert!(
            expected == self.sent,
            "{} {} sent other commands; expected (-) and sent (+):\n{}",
            self.step,
            self.way,
            difference(&expected, &self.sent)
        );
        self
    }

    /// It went well, with exactly this outcome.
    ///
    /// # Panics
    ///
    /// It failed, or had another outcome.
    #[track_caller]
    pub fn then_succeeds(self, expected: impl Serialize) -> Self {
        let expected = right(serde_json::to_value(expected), "the expected outcome has no JSON");
        match &self.result {
            Ok(outcome) if *outcome == expected => {}
            Ok(outcome) => panic!(
                "{} {} had another outcome; expected (-) and had (+):\n{}",
                self.step,
                self.way,
                difference(&expected, outcome)
            ),
            Err(error) => panic!(
                "{} {} failed: {error:?}, where this outcome was expected: {expected}; it had sent: {}",
                self.step,
                self.way,
                self.told_sent()
            ),
        }
        self
    }

    /// It failed, with exactly this.
    ///
    /// # Panics
    ///
    /// It went well, or failed otherwise.
    #[track_caller]
    pub fn then_fails(self, expected: &StepError) -> Self {
        match &self.result {
            Err(error) if error == expected => {}
            Err(error) => panic!(
                "{} {} failed otherwise; expected (-) and given (+):\n{}",
                self.step,
                self.way,
                difference(expected, error)
            ),
            Ok(outcome) => panic!(
                "{} {} succeeded: {outcome}, where this was expected: {expected:?}; it had sent: {}",
                self.step,
                self.way,
                self.told_sent()
            ),
        }
        self
    }

    fn told_sent(&self) -> String {
        if self.sent.is_empty() {
            return "nothing".into();
        }
        let one = |seen: &Seen| format!("{} {}", seen.name, seen.body);
        self.sent.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}
