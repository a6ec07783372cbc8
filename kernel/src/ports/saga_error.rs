//! Why an orchestrator of sagas did not do as asked.

use super::{SagaAction, Source, Violation};
use crate::values::{Name, SagaId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Why an orchestrator did not do as asked. Except after [`Unknown`](Self::Unknown), nothing was recorded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SagaError {
    /// There is no definition of this name. The caller or the registration is mistaken.
    #[error("there is no definition of a saga {0}; register its handler, or correct the name")]
    UnknownDefinition(Name),
    /// No saga has been started under this name and id.
    #[error("there is no saga {0}")]
    NotFound(SagaId),
    /// The input has wrong fields, or the request does; each is listed.
    #[error("the request about a saga is invalid: {}", listed(.0))]
    Invalid(Vec<Violation>),
    /// A saga with another input was started under this id (SG-03). Choose a new id.
    #[error("saga {0} was started before, with another input; use a new id")]
    StartedOtherwise(SagaId),
    /// The action makes no sense as the saga stands. Look at it again.
    #[error("{action} cannot be done to saga {saga} now: {reason}")]
    NotNow {
        /// Which saga.
        saga: SagaId,
        /// What was to be done.
        action: SagaAction,
        /// Why not, and what can be done.
        reason: String,
    },
    /// This caller may not, says a policy. Asking again changes nothing until the policy does.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The orchestrator shuts down. Ask another process.
    #[error("this process is shutting down; ask another")]
    ShuttingDown,
    /// It cannot be done now. Try again, with a pause.
    #[error("the sagas are busy; try again")]
    Busy(#[source] Source),
    /// It may have been recorded. Starting again under the same id settles it; before acting again, look at the saga.
    #[error("the outcome is unknown: {0}; start again under the same id, or look at the saga before acting again")]
    Unknown(#[source] Source),
    /// Anything else, such as a stream that is damaged. An operator has to look.
    #[error("the sagas cannot be used: {0}")]
    Other(#[source] Source),
}

fn listed(violations: &[Violation]) -> String {
    let mut text = String::new();
    for (n, violation) in violations.iter().enumerate() {
        let separator = if n == 0 { "" } else { "; " };
        let at = if violation.path.is_empty() { "" } else { ": " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{}{at}{}", violation.path, violation.message);
    }
    text
}
