//! How a saga stands, for people.

use super::standing::StepState;
use super::{Action, End, Phase, SagaState, Standing, Status, StepPlan, Way};
use crate::values::Timestamp;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a process waits for that has nothing to do.
pub(super) fn awaited(timer: Option<&str>) -> String {
    timer.map_or_else(|| "it waits for an event".into(), |timer| format!("it waits for an event, or the timer {timer}"))
}

/// Why it ended so: what is left, what an operator said of that, and why it had turned back.
pub(super) fn why_ended(end: End, left: &[String], said: Option<&str>, back: Option<&str>) -> Option<String> {
    let left = (!left.is_empty()).then(|| format!("not undone: {}", left.join(", ")));
    let said = said.filter(|_| end == End::Aborted).map(String::from);
    let why = left.into_iter().chain(said).chain(back.map(String::from)).collect::<Vec<_>>();
    (!why.is_empty()).then(|| why.join("; "))
}

/// What an operator has said in leaving something as it is.
pub(super) fn word_of_operator(action: Action, steps: &[String], note: &str) -> Option<String> {
    let what = match action {
        Action::Skip => format!("an operator skipped {}", steps.join(", ")),
        Action::Abort => "an operator aborted it".into(),
        Action::Retry | Action::Compensate => return None,
    };
    Some(if note.is_empty() { what } else { format!("{what}: {note}") })
}

impl From<End> for Phase {
    fn from(end: End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Compensated => Self::Compensated,
            End::Aborted => Self::Aborted,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Phase::from(*self).name())
    }
}

impl SagaState {
    /// How it stands at this time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        let is_overdue = self.end.is_none() && self.deadline().is_some_and(|deadline| deadline <= now);
        let shown = self.shown();
        let way = shown.and_then(|(_, state)| state.standing.way());
        let mut status = Status {
            phase: self.phase(),
            step: shown.map(|(plan, _)| plan.name.clone()),
            way,
            attempt: shown.zip(way).map(|((_, state), way)| state.tried(way)),
            since: self.started_at(),
            due: self.dues().min(),
            reason: self.turned_back.as_ref().map(|(reason, _)| reason.clone()),
            is_overdue,
        };
        match shown.map(|(_, state)| &state.standing) {
            Some(Standing::Running { since, .. }) => status.since = Some(*since),
            Some(Standing::Pausing { since, failure, .. }) => {
                (status.since, status.reason) = (Some(*since), Some(failure.reason.clone()));
            }
            _ => {}
        }
        if let Some(hold) = &self.hold {
            (status.since, status.reason) = (Some(hold.since), Some(hold.reason.clone()));
        }
        if let Some(process) =
            self.process.as_ref().filter(|_| self.end.is_none() && self.hold.is_none() && self.idles())
        {
            status.since = Some(process.since);
            status.reason = Some(awaited(process.first_timer().map(|(timer, _)| timer)));
        }
        if let Some((end, left, at)) = &self.end {
            (status.since, status.due) = (Some(*at), None);
            let back = self.turned_back.as_ref().map(|(reason, _)| &**reason);
            status.reason = why_ended(*end, left, self.said.as_deref(), back);
        }
        status
    }

    /// Whether a process waits for what comes from outside, or for the time. One that has decided to end does not: nothing but
    /// its end is left.
    fn idles(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.is_ending) && self.current().is_empty()
    }

    fn phase(&self) -> Phase {
        let waits = self.steps.iter().any(|step| matches!(step.standing, Standing::Pausing { .. }));
        // Where one has failed, or an operator wants something, what follows may not be recorded yet: it is gone on with at once.
        let runs = self.wish.is_some() || self.steps.iter().any(|step| step.is_running() || step.has_failed());
        match (&self.end, &self.hold) {
            (Some((end, ..)), _) => (*end).into(),
            (None, Some(_)) => Phase::NeedsOperator,
            _ if self.is_turned_back() => Phase::Compensating,
            _ if !runs && (waits || self.idles()) => Phase::Waiting,
            _ => Phase::Running,
        }
    }

    fn shown(&self) -> Option<(&StepPlan, &StepState)> {
        if self.end.is_some() {
            return None;
        }
        let held = |plan: &StepPlan| self.hold.as_ref().is_some_and(|hold| hold.steps.contains(&plan.name));
        let rank = |(plan, state): &(&StepPlan, &StepState)| match &state.standing {
            _ if held(plan) => 0,
            // On the way back a pause before another attempt forward is over.
            Standing::Pausing { way: Way::Forward, .. } if self.is_turned_back() => 9,
            Standing::Pausing { .. } => 1,
            Standing::Running { .. } => 2,
            _ => 9,
        };
        self.zipped().min_by_key(rank).filter(|shown| rank(shown) < 9)
    }
}
