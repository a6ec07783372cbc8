//! The code of sagas, by name and version.

use crate::domain::saga::{Misfit, OpenSaga, ReactionError, SagaHandler, SagaState};
use crate::values::Name;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// The handlers of sagas that a process has: one a name and version.
#[derive(Default)]
pub struct SagaHandlers {
    by_name: BTreeMap<(Name, u32), SagaHandler>,
}

impl fmt::Debug for SagaHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// Why this process cannot go on with a saga (SG-08). It waits for one that can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SagaLacking {
    /// There is no handler of this name and version.
    #[error("there is no handler of {name} version {version} here; register it, as long as sagas of that version run")]
    Handler {
        /// The name of the definition.
        name: String,
        /// Its version.
        version: u32,
    },
    /// The handler lacks what the saga needs.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The handler does not know the conditions of these steps.
    #[error("this code knows no condition of {}; register the handler that the saga was started by", .0.join(", "))]
    Conditions(alloc::vec::Vec<String>),
    /// The code has no answer: to whether a condition holds, or to what a process has to react to.
    #[error("{0}; register code that has an answer, and it goes on")]
    Reaction(ReactionError),
    /// A fact of the saga is of a form that this code does not know.
    #[error("a fact of the saga cannot be read by this code: {0}; it was recorded by a newer one")]
    Facts(String),
}

impl SagaLacking {
    /// What the code was found to lack, if anything.
    pub(super) fn of(conditions: alloc::vec::Vec<String>, unanswered: Option<ReactionError>) -> Option<Self> {
        let conditions = (!conditions.is_empty()).then_some(conditions).map(Self::Conditions);
        conditions.or(unanswered.map(Self::Reaction))
    }
}

impl SagaHandlers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The handlers, with one more. `false`: there is one of this name and version already, and it stays.
    #[must_use]
    pub fn add(&mut self, handler: SagaHandler) -> bool {
        let key = (handler.name().clone(), handler.version());
        let is_new = !self.by_name.contains_key(&key);
        if is_new {
            self.by_name.insert(key, handler);
        }
        is_new
    }

    /// Those of processes, in the order of names and versions: feed them [the events](SagaHandler::events) that they receive.
    pub fn processes(&self) -> impl Iterator<Item = &SagaHandler> {
        self.all().filter(|handler| handler.is_process())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All, in the order of names and versions.
    pub fn all(&self) -> impl Iterator<Item = &SagaHandler> {
        self.by_name.values()
    }

    /// The handler of this name and version.
    #[must_use]
    pub fn get(&self, name: &Name, version: u32) -> Option<&SagaHandler> {
        self.by_name.get(&(name.clone(), version))
    }

    /// The highest version of this name: what a saga is started by.
    #[must_use]
    pub fn latest(&self, name: &Name) -> Option<&SagaHandler> {
        let versions = (name.clone(), 0)..=(name.clone(), u32::MAX);
        self.by_name.range(versions).next_back().map(|(_, handler)| handler)
    }

    /// The functions for this saga, which has been started.
    ///
    /// # Errors
    ///
    /// [`SagaLacking`].
    pub fn open(&self, state: &SagaState) -> Result<OpenSaga, SagaLacking> {
        let (name, version) = (state.id().name(), state.version().unwrap_or_default());
        let lacking = || SagaLacking::Handler { name: name.as_str().into(), version };
        let handler = self.get(name, version).ok_or_else(lacking)?;
        match (state.plan(), state.input()) {
            (Some(plan), Some(input)) => Ok(handler.open(plan, input)?),
            _ => Err(lacking()),
        }
    }
}
