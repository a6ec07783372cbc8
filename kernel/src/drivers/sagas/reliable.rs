//! A saga's code, whose panics cost an answer and not the driver.

use crate::domain::saga::{Conditions, FailedIntent, Intents, OpenSaga, Outcomes, Reaction, ReactionError};
use crate::ports::Spawn;
use serde_json::Value;

/// The code of a saga; where it panics, it has no answer.
pub(super) struct Reliable<'a> {
    open: &'a OpenSaga,
    spawn: &'a dyn Spawn,
}

impl<'a> Reliable<'a> {
    pub(super) fn new(open: &'a OpenSaga, spawn: &'a dyn Spawn) -> Self {
        Self { open, spawn }
    }

    pub(super) fn caught<T>(&self, work: impl FnOnce() -> Result<T, ReactionError>) -> Result<T, ReactionError> {
        let (mut work, mut done) = (Some(work), None);
        let caught = self.spawn.catch(&mut || done = work.take().map(|work| work()));
        let panicked = |said| Err(ReactionError::Panicked(said));
        match caught {
            Ok(()) => done.unwrap_or_else(|| panicked("it was not called".into())),
            Err(said) => panicked(said),
        }
    }
}

impl Conditions for Reliable<'_> {
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Result<Option<bool>, ReactionError> {
        self.caught(|| self.open.holds(step, outcomes)).map_err(|error| match error {
            ReactionError::Panicked(said) => ReactionError::Condition { step: step.into(), said },
            error => error,
        })
    }

    fn fired(&self, timer: &str, state: Option<&Value>, intents: Intents) -> Result<Reaction, ReactionError> {
        self.caught(|| self.open.fired(timer, state, intents))
    }

    fn failed(
        &self,
        failed: &FailedIntent,
        state: Option<&Value>,
        intents: Intents,
    ) -> Result<Option<Reaction>, ReactionError> {
        self.caught(|| self.open.failed(failed, state, intents))
    }
}
