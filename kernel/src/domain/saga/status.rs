//! How a saga stands, for people.

use super::standing::StepState;
use super::{End, SagaState, Standing, StepPlan, Way};
use crate::values::Timestamp;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// What a saga is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It goes forward.
    Running,
    /// It goes forward, and pauses before another attempt.
    Waiting,
    /// What was done is being undone.
    Compensating,
    /// It cannot go on by itself.
    NeedsOperator,
    /// It has ended, with every step done.
    Completed,
    /// It has ended, with every step undone.
    Compensated,
    /// An operator has ended it as it was.
    Aborted,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Waiting,
        Self::Compensating,
        Self::NeedsOperator,
        Self::Completed,
        Self::Compensated,
        Self::Aborted,
    ];

    /// Its name on a wire and in an index.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Compensating => "compensating",
            Self::NeedsOperator => "needs-operator",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::Aborted => "aborted",
        }
    }

    /// Whether the saga has ended.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated | Self::Aborted)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// This is no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no phase of a saga; there are running, waiting, compensating, needs-operator, completed, compensated and aborted"
)]
pub struct UnknownPhase(pub String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|phase| phase.name() == text).ok_or_else(|| UnknownPhase(text.into()))
    }
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

/// How a saga stands, for people: what an index keeps and a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The step that matters most now: one that holds it up, else one that pauses, else one in flight. Of several of one kind
    /// the first of the plan.
    pub step: Option<String>,
    /// Which way that step goes.
    pub way: Option<Way>,
    /// Its attempts so far, that way.
    pub attempt: Option<u32>,
    /// Since when it stands so: the attempt begun, the failure, the end.
    pub since: Option<Timestamp>,
    /// When something is due to happen, if nothing does before: the next attempt, or the end of the one in flight.
    pub due: Option<Timestamp>,
    /// Why it waits, needs an operator, was turned back, or was ended with something left.
    pub reason: Option<String>,
    /// Whether the time for the whole has passed, and it has not ended.
    pub is_overdue: bool,
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
            due: None,
            reason: self.turned_back.as_ref().map(|(reason, _)| reason.clone()),
            is_overdue,
        };
        match shown.map(|(_, state)| &state.standing) {
            Some(Standing::Running { since, until, .. }) => {
                (status.since, status.due) = (Some(*since), Some(*until));
            }
            Some(Standing::Pausing { since, retry_at, failure, .. }) => {
                (status.since, status.due) = (Some(*since), Some(*retry_at));
                status.reason = Some(failure.reason.clone());
            }
            _ => {}
        }
        if let Some(hold) = &self.hold {
            (status.since, status.due, status.reason) = (Some(hold.since), None, Some(hold.reason.clone()));
        }
        if let Some((_, left, at)) = &self.end {
            (status.since, status.due) = (Some(*at), None);
            if !left.is_empty() {
                status.reason = Some(format!("not undone: {}", left.join(", ")));
            }
        }
        status
    }

    fn phase(&self) -> Phase {
        let waits = self.steps.iter().any(|step| matches!(step.standing, Standing::Pausing { .. }));
        let runs = self.steps.iter().any(StepState::is_running);
        match (&self.end, &self.hold) {
            (Some((end, ..)), _) => (*end).into(),
            (None, Some(_)) => Phase::NeedsOperator,
            _ if self.is_turned_back() => Phase::Compensating,
            _ if waits && !runs => Phase::Waiting,
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

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.phase)?;
        if let (Some(step), Some(way), Some(attempt)) = (&self.step, self.way, self.attempt) {
            write!(f, ", {step} {way}, attempt {attempt}")?;
        }
        if self.is_overdue {
            f.write_str(", overdue")?;
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}
