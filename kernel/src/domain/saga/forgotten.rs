//! Keys that may be forgotten: which attempts come too late.

use super::standing::StepState;
use super::{SagaState, Settling, Standing, StepPlan, Way};
use crate::values::Timestamp;
use core::time::Duration;

/// The most that is taken off the time for which keys are kept, because not all clocks show the same.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// For how long a key is counted on that is kept for this long: an eighth less, or an hour.
pub(crate) fn counted_on(kept: Duration) -> Duration {
    kept.saturating_sub((kept / 8).min(MARGIN))
}

impl SagaState {
    /// The same, over a store that keeps keys for this long ([`Capabilities::key_retention`]); `None`, as it is at first: for
    /// good. It is no fact, and every process says it anew.
    ///
    /// Where it is unknown whether a step has happened, its key is what keeps it from happening twice, and what tells. So from
    /// the time on at which the first attempt that may have had its effect was begun, the key is counted on for as long as keys
    /// are kept, less an eighth, at most an hour. An attempt that may last longer than that is not begun, nor is the key closed:
    /// it counts as if all attempts had failed, and [`act`](Self::act) refuses to have it tried again
    /// ([`ActError::KeyForgotten`](super::ActError::KeyForgotten)). What is known not to have happened is tried again at any
    /// time; so is a compensation, which has a key of its own; and a resolution asks without one.
    ///
    /// [`Capabilities::key_retention`]: crate::ports::Capabilities::key_retention
    #[must_use]
    pub fn keeping_keys_for(self, kept: Option<Duration>) -> Self {
        Self { keys_for: kept.map(counted_on), ..self }
    }

    /// When the first attempt of this step that may have had its effect was begun: to do the step, or on the way back to undo
    /// it. `None`: there is none, or it is known to have had none.
    #[must_use]
    pub fn first_begun(&self, step: &str, way: Way) -> Option<Timestamp> {
        self.place(step).and_then(|place| self.steps[place].first_begun(way))
    }

    /// Whether an attempt that is begun now comes too late for its key.
    pub(super) fn is_too_late(&self, plan: &StepPlan, state: &StepState, way: Way, now: Timestamp) -> bool {
        let goes_by_key = way != Way::Settle || matches!(plan.settle, Some(Settling::Keys(_)));
        let timeout = plan.effort(way).map_or(Duration::ZERO, |effort| effort.timeout);
        match (self.keys_for, state.first_begun(way)) {
            (Some(kept), Some(first)) if goes_by_key => now.plus(timeout) > first.plus(kept),
            _ => false,
        }
    }

    /// The same, as a part of a reason.
    pub(super) fn told_too_late(&self, plan: &StepPlan, state: &StepState, way: Way, now: Timestamp) -> &'static str {
        if self.is_too_late(plan, state, way, now) { ", and its key may be forgotten by now" } else { "" }
    }

    /// Whether the step has failed for good: in its last attempt, or because the next, which is due, comes too late.
    pub(super) fn is_stuck(&self, plan: &StepPlan, state: &StepState, now: Timestamp) -> bool {
        match state.standing {
            Standing::Failed { .. } => true,
            Standing::Pausing { way, retry_at, .. } => retry_at <= now && self.is_too_late(plan, state, way, now),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_counted_on_than_is_kept() {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert_eq!(counted_on(hours(7 * 24)), hours(7 * 24 - 1));
        assert_eq!(counted_on(hours(4)), Duration::from_secs(3 * 3_600 + 1_800));
        assert_eq!(counted_on(Duration::ZERO), Duration::ZERO);
        assert_eq!(counted_on(Duration::MAX), Duration::MAX - MARGIN);
    }
}
