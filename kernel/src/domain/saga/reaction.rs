//! What a process has done about something.

use super::{Intent, PlanError};
use crate::domain::CodecError;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::Value;

/// What a process has done about an event, a timer or a failure: its state after that, and what it wants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reaction {
    /// The state.
    pub state: Arc<Value>,
    /// What it wants, in this order.
    pub intents: Vec<Intent>,
}

impl Reaction {
    /// This state, and these intents.
    #[must_use]
    pub fn new(state: Value, intents: Vec<Intent>) -> Self {
        Self { state: Arc::new(state), intents }
    }
}

/// Why code has no answer: to whether a condition holds, or to what a process has to react to. It is a mistake of the
/// application, and nothing is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReactionError {
    /// The code is no process's.
    #[error("this code is no process's; register the handler of the process")]
    NoProcess,
    /// The recorded state is none of the code's.
    #[error(
        "the process's state cannot be read by this code: {0}; let its type take older forms, or raise the version"
    )]
    State(#[source] CodecError),
    /// The state, or a command, has no form in which it can be recorded.
    #[error("what the process did cannot be recorded: {0}")]
    Unrecordable(String),
    /// A command is to be tried in a way that makes no sense.
    #[error("a command of the process cannot be tried so: {0}")]
    Effort(#[from] PlanError),
    /// A command is to be tried for longer than keys are kept for.
    #[error(
        "the command of {step} may take {takes:?} with all attempts and pauses, and the process allows {longest:?}; raise its \
         LONGEST, or try less"
    )]
    TooLong {
        /// The step.
        step: String,
        /// How long it may take.
        takes: Duration,
        /// How long it may at the most.
        longest: Duration,
    },
    /// A condition panicked.
    #[error("the condition of {step} panicked: {said}")]
    Condition {
        /// The step.
        step: String,
        /// What the panic said.
        said: String,
    },
    /// The handler panicked.
    #[error("the process's handler panicked: {0}")]
    Panicked(String),
}
