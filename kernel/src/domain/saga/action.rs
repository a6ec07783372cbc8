//! Operators: what they may do, when, and why not.

use super::standing::StepState;
use super::{Action, End, SagaEvent, SagaState, Standing, Way};
use crate::values::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;

/// Why an operator's action makes no sense now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// There is no such saga.
    #[error("the saga has not been started")]
    NotStarted,
    /// It has ended, and that is final.
    #[error("the saga has ended: {0}; nothing can be done to it any more")]
    Ended(End),
    /// It goes on by itself, and nothing pauses.
    #[error("the saga goes on by itself, and nothing of it waits to be tried again; let it go on, or abort it")]
    NothingToRetry,
    /// It goes on by itself.
    #[error("nothing holds the saga up, so there is nothing to skip; wait until it needs an operator, or abort it")]
    NothingToSkip,
    /// It is on its way back.
    #[error("the saga is on its way back already; where its compensation sticks, retry or skip it")]
    TurnedBack,
    /// It is a process.
    #[error("a process has no way back, so it cannot be compensated; let it go on, retry, skip or abort")]
    NoWayBack,
    /// It is past its pivot.
    #[error("the saga is past its pivot {pivot}, which cannot be undone; retry, skip or abort")]
    PastPivot {
        /// The pivot.
        pivot: String,
    },
    /// Its pivot is in flight.
    #[error(
        "it is not known yet whether the pivot {pivot} has happened; ask again when it has been answered, or abort"
    )]
    PivotInFlight {
        /// The pivot.
        pivot: String,
    },
    /// It is unknown whether a step has happened, or whether it is undone, and its key may be forgotten by now.
    #[error(
        "it is unknown whether {step} {}, and its key may be forgotten by now, so that another attempt could do it twice; look, \
         do by hand what is missing, and {}",
        match way { Way::Back => "is undone", _ => "has happened" },
        match way { Way::Back => "skip it", _ => "skip it, or have the saga compensated or aborted" },
    )]
    KeyForgotten {
        /// The step.
        step: String,
        /// Which way: it was done, or undone.
        way: Way,
        /// When the first attempt was begun that may have had its effect.
        since: Timestamp,
    },
}

impl SagaState {
    /// The steps that this action would be done to now; of [`Compensate`](Action::Compensate) and [`Abort`](Action::Abort),
    /// which are for the whole, none. Whether the time for it is over does not show here, but where somebody
    /// [acts](Self::act).
    ///
    /// # Errors
    ///
    /// [`ActError`]: why it makes no sense now, and what does.
    pub fn allows(&self, action: Action) -> Result<Vec<String>, ActError> {
        if self.start.is_none() {
            return Err(ActError::NotStarted);
        }
        if let Some(end) = self.end().or_else(|| self.is_aborted().then_some(End::Aborted)) {
            return Err(ActError::Ended(end));
        }
        match action {
            Action::Retry => match &self.hold {
                Some(_) => Ok(self.stuck()),
                None => {
                    let pausing = self.pausing();
                    if pausing.is_empty() { Err(ActError::NothingToRetry) } else { Ok(pausing) }
                }
            },
            Action::Skip if self.hold.is_none() => Err(ActError::NothingToSkip),
            Action::Skip => Ok(self.stuck()),
            Action::Compensate if self.is_process() => Err(ActError::NoWayBack),
            Action::Compensate => {
                if self.is_turned_back() || self.wish.is_some() {
                    return Err(ActError::TurnedBack);
                }
                if let Some(pivot) = self.passed_pivot() {
                    return Err(ActError::PastPivot { pivot: pivot.name.clone() });
                }
                // Where the machine has given up finding out, the operator's word counts.
                let risk = self.zipped().nth(self.pivot_at_risk().unwrap_or(usize::MAX));
                match risk.filter(|(_, state)| self.hold.is_none() || state.is_running()) {
                    Some((pivot, _)) => Err(ActError::PivotInFlight { pivot: pivot.name.clone() }),
                    None => Ok(Vec::new()),
                }
            }
            Action::Abort => Ok(Vec::new()),
        }
    }

    /// The fact that an operator acts. Fold it, and ask [`next`](super::next()) what follows; both are one append. Of the steps
    /// to be tried again, those whose keys may be forgotten stay as they are.
    ///
    /// # Errors
    ///
    /// As [`allows`](Self::allows), and [`ActError::KeyForgotten`] where the keys of all steps to be tried again may be
    /// forgotten.
    pub fn act(
        &self,
        action: Action,
        actor: Option<String>,
        note: impl Into<String>,
        now: Timestamp,
    ) -> Result<SagaEvent, ActError> {
        let mut steps = self.allows(action)?;
        if action == Action::Retry {
            let mut late = None;
            steps.retain(|step| {
                let error = self.key_forgotten(step, now);
                late = late.take().or(error.clone());
                error.is_none()
            });
            if let Some(late) = late.filter(|_| steps.is_empty()) {
                return Err(late);
            }
        }
        Ok(SagaEvent::Acted { at: now, action, steps, actor, note: note.into() })
    }

    /// Why this step is not tried again, if its key may be forgotten.
    fn key_forgotten(&self, step: &str, now: Timestamp) -> Option<ActError> {
        let (plan, state) = self.zipped().find(|(plan, _)| plan.name == step)?;
        let way = self.retried(state);
        let since = state.first_begun(way).filter(|_| self.is_too_late(plan, state, way, now))?;
        Some(ActError::KeyForgotten { step: step.into(), way, since })
    }

    /// Which way a step goes that an operator has tried again.
    pub(super) fn retried(&self, state: &StepState) -> Way {
        match state.standing.way() {
            // Past the pivot there is nothing to find out first: it is to be done.
            Some(Way::Settle) if self.is_past_pivot() && !self.is_turned_back() => Way::Forward,
            way => way.unwrap_or(Way::Forward),
        }
    }

    fn stuck(&self) -> Vec<String> {
        let held = self.hold.iter().flat_map(|hold| &hold.steps);
        let failed =
            |step: &&String| matches!(self.standing(step), Some(Standing::Failed { .. } | Standing::Pausing { .. }));
        held.filter(failed).cloned().collect()
    }

    /// The steps that are due to be tried again.
    fn pausing(&self) -> Vec<String> {
        let pauses = |standing: &Standing| match standing {
            Standing::Pausing { way, .. } => *way != Way::Forward || !self.is_turned_back(),
            _ => false,
        };
        self.zipped().filter(|(_, state)| pauses(&state.standing)).map(|(plan, _)| plan.name.clone()).collect()
    }
}
