//! What steps have done outside, kept by key; and which of them may go on.

use portolan_kernel::domain::saga::{StepContext, Way};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A step's function was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The id of its saga.
    pub(crate) saga: String,
    /// The step, with `undo-` before it on the way back.
    pub(crate) step: String,
    pub(crate) attempt: u32,
    /// Under which key.
    pub(crate) key: String,
}

/// Outlives all processes of a world.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    calls: Vec<Call>,
    /// Each effect, by its key, in the order in which they were had.
    effects: Vec<(String, Call)>,
    keys: BTreeSet<String>,
    released: BTreeSet<(String, String)>,
    outcomes: BTreeMap<String, u32>,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step is at work.
    pub(super) fn called(&self, step: &StepContext) -> Call {
        let undo = if step.way() == Way::Back { "undo-" } else { "" };
        let call = Call {
            saga: step.saga().id().to_string(),
            step: format!("{undo}{}", step.step()),
            attempt: step.attempt(),
            key: step.key().to_string(),
        };
        self.entries().calls.push(call.clone());
        call
    }

    /// An effect is had, once a key.
    pub(super) fn has(&self, call: &Call) {
        let mut entries = self.entries();
        if entries.keys.insert(call.key.clone()) {
            entries.effects.push((call.key.clone(), call.clone()));
        }
    }

    /// What a later step was told of an earlier one.
    pub(super) fn told(&self, saga: &str, outcome: u32) {
        self.entries().outcomes.insert(saga.to_owned(), outcome);
    }

    /// What a later step of the saga was told of an earlier one.
    pub(crate) fn outcome(&self, saga: &str) -> Option<u32> {
        self.entries().outcomes.get(saga).copied()
    }

    /// Lets the held attempts at this step of this saga go on.
    pub(crate) fn release(&self, saga: &str, step: &str) {
        self.entries().released.insert((saga.to_owned(), step.to_owned()));
    }

    pub(super) fn is_released(&self, call: &Call) -> bool {
        self.entries().released.contains(&(call.saga.clone(), call.step.clone()))
    }

    /// The calls of this saga, in order. An attempt that is run again, because whoever ran it has lost its lease, is one call.
    pub(crate) fn calls(&self, saga: &str) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for call in self.entries().calls.iter().filter(|call| call.saga == saga) {
            if !calls.contains(call) {
                calls.push(call.clone());
            }
        }
        calls
    }

    /// The calls of this step of this saga, in order.
    pub(crate) fn calls_of(&self, saga: &str, step: &str) -> Vec<Call> {
        self.calls(saga).into_iter().filter(|call| call.step == step).collect()
    }

    /// The steps of this saga that have had their effect outside, in order.
    pub(crate) fn effects(&self, saga: &str) -> Vec<String> {
        let effects = self.entries();
        effects.effects.iter().filter(|(_, call)| call.saga == saga).map(|(_, call)| call.step.clone()).collect()
    }
}
