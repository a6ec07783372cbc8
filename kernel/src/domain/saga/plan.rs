//! Plans: definitions as data.

use super::retry::millis;
use super::{Effort, Retry, SagaNameError, SentCommand};
use crate::domain::history::HistoryError;
use crate::values::{InvalidName, check_saga_name as check_name};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What a saga does, as data: its steps in groups, and how each is tried and undone. A definition has one, and a saga that
/// is started records it, so that it ends by the plan it started with (SG-8); code gives only the functions.
///
/// As JSON, durations are whole milliseconds. Fields that are not known are refused: a saga of a newer plan waits for a
/// process that understands it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// How long the saga may take before it turns back, from its start; `None`: as long as it takes.
    #[serde(rename = "timeout_ms", default, skip_serializing_if = "Option::is_none", with = "optional")]
    pub timeout: Option<Duration>,
    /// The groups in their order; the steps of one group are begun together.
    pub groups: Vec<Vec<StepPlan>>,
    /// It is a process's, which starts without steps and gets one for each command that it wants sent; `None`: of a saga whose
    /// steps are known when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessPlan>,
}

/// What is known of a process before it has received anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProcessPlan {
    /// The longest time that one of its commands may take, with all its attempts and pauses.
    #[serde(rename = "longest_ms", with = "millis")]
    pub longest: Duration,
}

/// A step, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepPlan {
    /// Its name, unlike all others in the saga.
    pub name: String,
    /// Whether it has a condition.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub conditional: bool,
    /// How it is tried.
    pub run: Effort,
    /// How it is undone.
    pub undo: Undo,
    /// How it is found out whether it has happened; `None`: it cannot be, and then its compensation is for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Settling>,
    /// What it sends, as a step of a process; `None`: what it does is in the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<SentCommand>,
}

/// How a step that has happened is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// By its compensation, tried so.
    Compensation(Effort),
    /// There is nothing to undo.
    Harmless,
    /// It cannot be: once it has happened, there is no way back (SG-4).
    Pivot,
}

/// How it is found out whether a step has happened whose attempts ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settling {
    /// By closing the keys of its commands: what has not taken effect by then never will.
    Keys(Effort),
    /// By the step's own function.
    Resolve(Effort),
}

impl Settling {
    /// How it is tried.
    #[must_use]
    pub fn effort(&self) -> &Effort {
        match self {
            Self::Keys(effort) | Self::Resolve(effort) => effort,
        }
    }
}

impl Plan {
    /// The steps in their order.
    pub fn steps(&self) -> impl Iterator<Item = &StepPlan> {
        self.groups.iter().flatten()
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&StepPlan> {
        self.steps().find(|step| step.name == name)
    }

    /// The plan of a process that has just started.
    pub(super) fn of_process(longest: Duration) -> Self {
        Self { timeout: None, groups: Vec::new(), process: Some(ProcessPlan { longest }) }
    }

    /// How long the saga takes at the most while somebody drives it and no operator is needed: every attempt, every pause,
    /// and all the way back; of a process, which has no end of its own, how long a command of it takes. Keys have to be
    /// kept for longer (SG-1). Saturates.
    ///
    /// Time for which nobody drives it, or an operator is waited for, is not in it. Keys that are kept for much longer give room
    /// for that; once they may be gone, a step that was in flight or in doubt is left to an operator
    /// ([`SagaState::keeping_keys_for`](super::SagaState::keeping_keys_for)).
    #[must_use]
    pub fn longest(&self) -> Duration {
        if let Some(process) = &self.process {
            return process.longest;
        }
        let forward = self.groups.iter().map(|group| {
            let step = |step: &StepPlan| {
                let settle = step.settle.as_ref().map_or(Duration::ZERO, |settle| settle.effort().longest());
                step.run.longest().saturating_add(settle)
            };
            group.iter().map(step).max().unwrap_or_default()
        });
        let back = self.steps().map(|step| match &step.undo {
            Undo::Compensation(effort) => effort.longest(),
            Undo::Harmless | Undo::Pivot => Duration::ZERO,
        });
        forward.chain(back).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Whether this plan can be followed.
    ///
    /// # Errors
    ///
    /// [`PlanError`], the first thing that is wrong, and how to mend it.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.groups.is_empty() && self.process.is_none() {
            return Err(PlanError::NoSteps);
        }
        if let Some(process) = &self.process {
            check_duration("the process", "longest time of a command", process.longest, Duration::from_millis(1))?;
        }
        if let Some(timeout) = self.timeout {
            check_duration("the saga", "time-out", timeout, Duration::from_millis(1))?;
        }
        let mut names = BTreeSet::new();
        for (at, group) in self.groups.iter().enumerate() {
            if group.is_empty() {
                return Err(PlanError::EmptyGroup { group: at + 1 });
            }
            let mut pivots = group.iter().filter(|step| step.undo == Undo::Pivot).map(|step| step.name.clone());
            if let (Some(first), Some(second)) = (pivots.next(), pivots.next()) {
                return Err(PlanError::TwoPivots { first, second });
            }
            for step in group {
                check_name("step", &step.name)?;
                if !names.insert(&*step.name) {
                    return Err(PlanError::SameName { step: step.name.clone() });
                }
                step.check()?;
            }
        }
        Ok(())
    }
}

impl StepPlan {
    /// Every way this step is tried.
    fn efforts(&self) -> impl Iterator<Item = &Effort> {
        let undo = match &self.undo {
            Undo::Compensation(effort) => Some(effort),
            Undo::Harmless | Undo::Pivot => None,
        };
        [Some(&self.run), undo, self.settle.as_ref().map(Settling::effort)].into_iter().flatten()
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        let none = Duration::ZERO;
        for Effort { retry, timeout } in self.efforts() {
            let Retry { attempts, first, factor, longest, jitter_percent, .. } = retry;
            check_duration(&self.name, "time-out", *timeout, Duration::from_millis(1))?;
            check_duration(&self.name, "first pause", *first, none)?;
            check_duration(&self.name, "longest pause", *longest, none)?;
            let wrong = if *attempts == 0 {
                "no attempts; give it at least 1"
            } else if *factor == 0 {
                "pauses with the factor 0; give them at least 1, which makes all pauses equal"
            } else if *jitter_percent > 100 {
                "a jitter of more than 100 percent; give it at most 100"
            } else {
                continue;
            };
            return Err(PlanError::Retry { step: self.name.clone(), wrong });
        }
        Ok(())
    }
}

/// The longest time a plan may name.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

fn check_duration(of: &str, what: &'static str, found: Duration, least: Duration) -> Result<(), PlanError> {
    let is_whole = found.subsec_nanos().is_multiple_of(1_000_000);
    if is_whole && found >= least && found <= LONGEST {
        return Ok(());
    }
    Err(PlanError::Duration { of: of.into(), what, found })
}

/// Why a definition cannot be followed. It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The saga or a step has a name that is none.
    #[error(transparent)]
    Name(#[from] SagaNameError),
    /// The version is 0.
    #[error("the saga {saga} has version 0; versions begin with 1")]
    Version {
        /// The saga.
        saga: String,
    },
    /// A category of a process's events is none.
    #[error("the process's events have a category that is none: {0}")]
    Category(#[from] InvalidName),
    /// The histories of a process's events contradict themselves.
    #[error("the histories of the process's events: {0}")]
    Histories(#[from] HistoryError),
    /// There is no step.
    #[error("the saga has no steps; give it at least one with `step`")]
    NoSteps,
    /// A group has no step.
    #[error("group {group} has no steps; leave it out, or put steps into it")]
    EmptyGroup {
        /// Its place, from 1.
        group: usize,
    },
    /// Two steps have one name.
    #[error("two steps are called {step}; outcomes and keys go by the name, so give one of them another")]
    SameName {
        /// The name.
        step: String,
    },
    /// A group has two pivots: when one has happened and the other fails, there is no way on and no way back.
    #[error(
        "{first} and {second} are begun together, and neither can be undone; put one after the other, or give one a \
         compensation"
    )]
    TwoPivots {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A step is said to be harmless and has a compensation.
    #[error("{step} is harmless and has a compensation; take one of them away")]
    HarmlessAndCompensated {
        /// The step.
        step: String,
    },
    /// A step is tried in a way that makes no sense.
    #[error("{step} has {wrong}")]
    Retry {
        /// The step.
        step: String,
        /// What is wrong, and how to mend it.
        wrong: &'static str,
    },
    /// A time is too short, too long, or no number of whole milliseconds.
    #[error(
        "the {what} of {of} is {found:?}; times are whole milliseconds, a time-out at least 1, and none is longer than a \
         hundred years"
    )]
    Duration {
        /// The step, or the saga.
        of: String,
        /// Which time.
        what: &'static str,
        /// What it is.
        found: Duration,
    },
}

mod optional {
    use super::millis;
    use core::time::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => millis::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
