//! Answers: what an attempt has come to.

use super::standing::StepState;
use super::{FailureClass, SagaEvent, SagaState, Standing, StepError, StepPlan, Way};
use crate::values::Timestamp;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use serde_json::Value;

/// The longest reason that is recorded, in bytes.
const REASON_BYTES: usize = 500;

/// The answer came to an attempt that is no longer in flight: it timed out, was answered before, or the saga has ended. The
/// first answer that is recorded counts, and this one is dropped (SG-3). If it told of an effect, the step's key makes the
/// next attempt find it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attempt {attempt} of {step}, {way}, is no longer in flight; drop its answer")]
#[non_exhaustive]
pub struct LateAnswer {
    /// Which step.
    pub step: String,
    /// Which way.
    pub way: Way,
    /// Which attempt.
    pub attempt: u32,
}

impl SagaState {
    /// The fact that this attempt has come to this. Fold it, and ask [`next`](super::next()) what follows; both are one
    /// append. What is [`Interrupted`](StepError::Interrupted) is no answer: whoever asks all the same is told of an unknown one.
    ///
    /// # Errors
    ///
    /// [`LateAnswer`] when the attempt is not in flight.
    pub fn answer(
        &self,
        step: &str,
        way: Way,
        attempt: u32,
        result: Result<Value, StepError>,
        now: Timestamp,
    ) -> Result<SagaEvent, LateAnswer> {
        let late = || LateAnswer { step: step.into(), way, attempt };
        if self.end.is_some() || self.is_aborted() {
            return Err(late());
        }
        let (plan, state) = self.zipped().find(|(plan, _)| plan.name == step).ok_or_else(late)?;
        match state.standing {
            Standing::Running { way: own, attempt: of, .. } if own == way && of == attempt => {}
            _ => return Err(late()),
        }
        Ok(match result {
            Ok(outcome) => {
                SagaEvent::Succeeded { at: now, step: step.into(), way, attempt, outcome: Arc::new(outcome) }
            }
            Err(error) => self.failed(plan, state, (way, attempt), &error, now),
        })
    }

    /// The fact that an attempt has failed, with the time of the next, if there is to be one.
    pub(super) fn failed(
        &self,
        plan: &StepPlan,
        state: &StepState,
        (way, attempt): (Way, u32),
        error: &StepError,
        now: Timestamp,
    ) -> SagaEvent {
        let (class, code) = (error.class(), error.code());
        let goes_on = way != Way::Forward || !self.is_turned_back();
        let retry = plan
            .effort(way)
            .map(|effort| &effort.retry)
            .filter(|retry| goes_on && retry.tries_again(way, class, code) && state.counted(way) < retry.attempts);
        let retry_at = retry.map(|retry| {
            let stream = self.id.stream();
            let seed = [stream.as_bytes(), plan.name.as_bytes(), &[way as u8], &attempt.to_be_bytes()];
            now.plus(retry.pause_with_jitter(state.counted(way), &seed))
        });
        SagaEvent::Failed {
            at: now,
            step: plan.name.clone(),
            way,
            attempt,
            class,
            code: code.map(|code| cut(code).into()),
            reason: cut(&error.to_string()).into(),
            retry_at,
        }
    }
}

impl SagaEvent {
    /// The fact, which [`answer`](SagaState::answer) has made, of an attempt that somebody else has begun, who may be at it
    /// still, or may have had its effect before he was gone. A failure here proves nothing of that, so the step is in doubt;
    /// whether it is tried again is as it was. To settle leaves no such doubt.
    #[must_use]
    pub fn of_another(mut self) -> Self {
        if let Self::Failed { way: Way::Forward | Way::Back, class, .. } = &mut self {
            *class = FailureClass::Unknown;
        }
        self
    }
}

/// What finds out by closing keys whether a step has happened: the step itself was run once more over a bus that, in place of
/// sending a command, closed its key, or found that it had taken effect and answered with its receipt. This is what the run
/// tells, given how many keys were closed (`closed`), how many commands had taken effect (`found`), and what the step
/// returned over that bus.
///
/// - All of them had taken effect, and the step went well: it has happened.
/// - Some key was closed and nothing had taken effect: it has not happened, and never will.
/// - Anything else is unknown: a part of it has happened, or the run ended before it came to a command.
///
/// # Errors
///
/// [`StepError::Refused`] when it has not happened; [`StepError::Unknown`].
pub fn settled_by_keys(result: Result<Value, StepError>, closed: u32, found: u32) -> Result<Value, StepError> {
    match (result, closed, found) {
        (Ok(outcome), 0, _) => Ok(outcome),
        (_, 1.., 0) => Err(StepError::refused("not-happened", "it has not happened, and its key is closed")),
        (_, 1.., 1..) => Err(StepError::unknown("one of its commands has taken effect, and another has not")),
        (Err(error), 0, _) => Err(StepError::unknown(error)),
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
