//! How a saga stands, and what an operator may do to it.

use crate::values::Timestamp;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// What a saga is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SagaPhase {
    /// It goes forward.
    Running,
    /// It goes forward, and pauses before another attempt; or it is a process that waits for an event or a timer.
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

impl SagaPhase {
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

impl fmt::Display for SagaPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// This is no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no phase of a saga; there are running, waiting, compensating, needs-operator, completed, compensated and aborted"
)]
pub struct UnknownSagaPhase(pub String);

impl FromStr for SagaPhase {
    type Err = UnknownSagaPhase;

    fn from_str(text: &str) -> Result<Self, UnknownSagaPhase> {
        Self::ALL.into_iter().find(|phase| phase.name() == text).ok_or_else(|| UnknownSagaPhase(text.into()))
    }
}

/// How a saga stands, for people: what an index keeps and a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaStatus {
    /// What it is doing.
    pub phase: SagaPhase,
    /// The step that matters most now: one that holds it up, else one that pauses, else one in flight. Of several of one kind
    /// the first of the plan.
    pub step: Option<String>,
    /// Which way that step goes.
    pub way: Option<SagaWay>,
    /// Its attempts so far, that way.
    pub attempt: Option<u32>,
    /// Since when it stands so: the attempt begun, the failure, the end.
    pub since: Option<Timestamp>,
    /// When something is due to happen, if nothing does before: the next attempt at a step, the end of one in flight, the end
    /// of the time for the whole, while it can turn back, or a timer of a process, which is due also while an operator is
    /// needed. It is the first of these, of all steps; one that has passed is done as soon as somebody drives it. A list may
    /// show an earlier time where there are more than 64 timers, or steps in flight at once.
    pub due: Option<Timestamp>,
    /// Why it waits, needs an operator, or was turned back. Of one that was aborted: what is left, what an operator said of
    /// that, and why it had turned back.
    pub reason: Option<String>,
    /// Whether the time for the whole has passed, and it has not ended.
    pub is_overdue: bool,
}

impl SagaStatus {
    /// In this phase, and nothing else is known of it. The fields are set after that.
    #[must_use]
    pub const fn new(phase: SagaPhase) -> Self {
        Self { phase, step: None, way: None, attempt: None, since: None, due: None, reason: None, is_overdue: false }
    }
}

impl fmt::Display for SagaStatus {
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

/// Which way a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SagaWay {
    /// It is done.
    Forward,
    /// It is found out whether it has been done, and seen to that it is not done any more if it has not.
    Settle,
    /// It is undone: its compensation runs.
    Back,
}

impl fmt::Display for SagaWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Settle => "settle",
            Self::Back => "back",
        })
    }
}

/// What an operator does to a saga (SG-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SagaAction {
    /// What holds it up is tried anew, with all its attempts; a pause between attempts ends at once.
    ///
    /// A step of which it is unknown whether it has happened, or is undone, is tried anew only as long as the store is sure to
    /// keep its key ([`Capabilities::key_retention`](super::Capabilities::key_retention)), counted from when the first attempt
    /// was begun that may have had its effect, less an eighth, at most an hour. After that the same attempt could have the
    /// effect twice, and a key that is free would prove nothing; so it is refused as
    /// [`NotNow`](super::SagaError::NotNow). Look whether the effect is there, do by hand what is missing, and skip the step,
    /// or have the saga compensated or aborted. Of several steps those are tried anew that can be. What is known not to have
    /// happened is tried anew at any time.
    Retry,
    /// What holds it up counts as passed over. On the way back: it is left as it is, and the saga ends as
    /// [`Aborted`](crate::domain::saga::End::Aborted) with the step named. Forward, a pivot of which it is unknown whether it has happened
    /// counts as happened.
    Skip,
    /// It turns back, and what was done is undone; a process cannot. At a pivot of which it is unknown whether it has happened, the operator says
    /// by this that it has not.
    Compensate,
    /// It ends as it is. Nothing more is done, what is in flight is not waited for, and what was done is not undone.
    Abort,
}

impl SagaAction {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Retry, Self::Skip, Self::Compensate, Self::Abort];

    /// Its name on a wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Compensate => "compensate",
            Self::Abort => "abort",
        }
    }
}

impl fmt::Display for SagaAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// This is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no action; there are retry, skip, compensate and abort")]
pub struct UnknownSagaAction(pub String);

impl FromStr for SagaAction {
    type Err = UnknownSagaAction;

    fn from_str(text: &str) -> Result<Self, UnknownSagaAction> {
        Self::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| UnknownSagaAction(text.into()))
    }
}
