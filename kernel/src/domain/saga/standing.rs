//! Where a step stands.

use super::{Effort, FailureClass, StepPlan, Undo, Way};
use crate::values::Timestamp;
use alloc::string::String;
use alloc::sync::Arc;
use serde_json::Value;

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Its turn has not come.
    Waiting,
    /// It was passed over: its condition does not hold, or an operator said so.
    Passed,
    /// An attempt has begun and is not answered.
    Running {
        /// Which way.
        way: Way,
        /// Which attempt this way.
        attempt: u32,
        /// When it began.
        since: Timestamp,
        /// When it counts as unknown.
        until: Timestamp,
    },
    /// An attempt failed, and another is due.
    Pausing {
        /// Which way.
        way: Way,
        /// When it failed.
        since: Timestamp,
        /// When the next attempt is due.
        retry_at: Timestamp,
        /// Why it failed.
        failure: Failure,
    },
    /// The last attempt failed.
    Failed {
        /// Which way.
        way: Way,
        /// When it failed.
        since: Timestamp,
        /// Why it failed.
        failure: Failure,
    },
    /// It has happened.
    Done,
    /// It has happened, and is undone.
    Undone,
    /// An operator had the saga go on without undoing it.
    Left,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What is known of its effect.
    pub class: FailureClass,
    /// The code of a refusal.
    pub code: Option<String>,
    /// For a person.
    pub reason: String,
}

impl Standing {
    /// Which way it is tried, if it is being tried or has failed.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        match self {
            Self::Running { way, .. } | Self::Pausing { way, .. } | Self::Failed { way, .. } => Some(*way),
            _ => None,
        }
    }

    /// Why the last attempt failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Pausing { failure, .. } | Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// A step's plan, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepState {
    pub(super) group: usize,
    pub(super) standing: Standing,
    /// An attempt ended without an answer, and nothing has told since whether it had its effect.
    pub(super) in_doubt: bool,
    pub(super) outcome: Option<Arc<Value>>,
    /// Attempts so far, by way.
    tried: [u32; 3],
    /// When the first attempt was begun that may have had its effect, and which one it is: to do it, and to undo it. Each has
    /// a key.
    first_begun: [Option<(u32, Timestamp)>; 2],
    /// Those of them that count no more, because an operator had it tried anew.
    forgiven: [u32; 3],
    /// Which fact of the saga was the last to tell of its effect: the order in which steps have happened.
    pub(super) told: u32,
}

impl StepState {
    pub(super) fn new(group: usize) -> Self {
        let standing = Standing::Waiting;
        let (tried, first_begun, forgiven) = ([0; 3], [None; 2], [0; 3]);
        Self { group, standing, in_doubt: false, outcome: None, tried, first_begun, forgiven, told: 0 }
    }

    pub(super) fn tried(&self, way: Way) -> u32 {
        self.tried[way as usize]
    }

    /// Attempts that count.
    pub(super) fn counted(&self, way: Way) -> u32 {
        self.tried(way).saturating_sub(self.forgiven[way as usize])
    }

    pub(super) fn begin(&mut self, way: Way, attempt: u32, since: Timestamp, until: Timestamp) {
        self.tried[way as usize] = attempt;
        if way != Way::Settle {
            self.first_begun[key_of(way)].get_or_insert((attempt, since));
        }
        self.standing = Standing::Running { way, attempt, since, until };
    }

    /// When the first attempt under the key of this way was begun that may have had its effect.
    pub(super) fn first_begun(&self, way: Way) -> Option<Timestamp> {
        self.first_begun[key_of(way)].map(|(_, begun)| begun)
    }

    /// This attempt had no effect.
    pub(super) fn had_no_effect(&mut self, way: Way, attempt: u32) {
        match way {
            Way::Settle => self.first_begun[key_of(way)] = None,
            Way::Forward | Way::Back => drop(self.first_begun[key_of(way)].take_if(|(first, _)| *first == attempt)),
        }
    }

    /// Tried anew from now on, if it has failed or pauses.
    pub(super) fn forgive(&mut self, way: Way, at: Timestamp) {
        if let Standing::Failed { since, failure, .. } | Standing::Pausing { since, failure, .. } = &self.standing {
            self.standing = Standing::Pausing { way, since: *since, retry_at: at, failure: failure.clone() };
            self.forgiven[way as usize] = self.tried(way);
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.standing, Standing::Running { .. })
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.standing, Standing::Failed { .. })
    }

    /// Whether nothing more is to be done for it on the way forward.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.standing, Standing::Done | Standing::Passed)
    }

    /// Whether it has failed or pauses on the way forward, and may have happened.
    pub(super) fn is_open(&self) -> bool {
        let forward = matches!(
            self.standing,
            Standing::Failed { way: Way::Forward, .. } | Standing::Pausing { way: Way::Forward, .. }
        );
        forward && self.in_doubt
    }
}

/// Which of a step's two keys this way has.
fn key_of(way: Way) -> usize {
    match way {
        Way::Forward | Way::Settle => 0,
        Way::Back => 1,
    }
}

impl StepPlan {
    pub(super) fn is_pivot(&self) -> bool {
        self.undo == Undo::Pivot
    }

    pub(super) fn compensation(&self) -> Option<&Effort> {
        match &self.undo {
            Undo::Compensation(effort) => Some(effort),
            Undo::Harmless | Undo::Pivot => None,
        }
    }

    /// How it is tried this way; `None`: it is not.
    pub(super) fn effort(&self, way: Way) -> Option<&Effort> {
        match way {
            Way::Forward => Some(&self.run),
            Way::Settle => self.settle.as_ref().map(super::Settling::effort),
            Way::Back => self.compensation(),
        }
    }
}
