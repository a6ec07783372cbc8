//! How a step fails.

use crate::ports::{CommandError, QueryError};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why an attempt at a step did not succeed, by what is known of its effect.
///
/// An error of a bus becomes one by `?`. What a command's error says of *this* sending is kept: the machine remembers that
/// an earlier attempt was unknown, and finds out before it counts on a refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// This attempt had no effect, and a later one may go well.
    #[error("{reason}")]
    Retry {
        /// What happened, for a person.
        reason: String,
    },
    /// This attempt had no effect, and no later one will.
    #[error("{message} ({code})")]
    Refused {
        /// A stable code in kebab case.
        code: String,
        /// A sentence for a person.
        message: String,
        /// What the sentence is about, as a JSON object.
        fields: Value,
    },
    /// This attempt may have had its effect.
    #[error("{reason}")]
    Unknown {
        /// What happened, for a person.
        reason: String,
    },
    /// Whoever was to carry it out is shutting down: this attempt has no answer, as if the process had died in it. It stays in
    /// flight, and is run again under the same key and number: here, after a pause, or by whoever drives the saga next.
    ///
    /// A driver records nothing of it. Only when the attempt's time is over before anybody has answered, it counts as unknown.
    #[error("{reason}")]
    Interrupted {
        /// Who shuts down, for a person.
        reason: String,
    },
}

impl StepError {
    /// This attempt had no effect, and a later one may go well.
    #[must_use]
    pub fn retry(reason: impl Display) -> Self {
        Self::Retry { reason: reason.to_string() }
    }

    /// This attempt had no effect, and no later one will.
    #[must_use]
    pub fn refused(code: impl Into<String>, message: impl Display) -> Self {
        Self::Refused { code: code.into(), message: message.to_string(), fields: Value::Object(serde_json::Map::new()) }
    }

    /// This attempt may have had its effect.
    #[must_use]
    pub fn unknown(reason: impl Display) -> Self {
        Self::Unknown { reason: reason.to_string() }
    }

    /// Whoever was to carry it out is shutting down: this attempt has no answer.
    #[must_use]
    pub fn interrupted(reason: impl Display) -> Self {
        Self::Interrupted { reason: reason.to_string() }
    }

    /// What is known of the effect. That of an attempt without an answer is unknown.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Retry { .. } => FailureClass::Retry,
            Self::Refused { .. } => FailureClass::Refused,
            Self::Unknown { .. } | Self::Interrupted { .. } => FailureClass::Unknown,
        }
    }

    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// What is known of the effect of an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureClass {
    /// It had none, and a later attempt may go well.
    Retry,
    /// It had none, and no later attempt will. Of an attempt to settle: the step has not happened and never will.
    Refused,
    /// It may have had one.
    Unknown,
}

impl From<CommandError> for StepError {
    /// - A command that can never go well is refused: `Rejected` with its own code, `Invalid`, `Malformed`, `Denied`,
    ///   `UnknownCommand`.
    /// - `Conflict`, `Busy`, `DeadlinePassed` and `Other` had no effect, and are tried again.
    /// - `ShuttingDown` is no answer: the attempt is interrupted, and has not failed.
    /// - `Unknown` is unknown. So are `KeyReused` (something has taken effect under the step's key: an earlier attempt, if it
    ///   made another command of the same input) and `NotCaughtUp` (it has taken effect; another attempt gets the receipt).
    fn from(error: CommandError) -> Self {
        let message = error.to_string();
        let refused = |code: &str| Self::refused(code, &message);
        match error {
            CommandError::Rejected { code, message, fields } => Self::Refused { code, message, fields },
            CommandError::Invalid(_) => refused("invalid"),
            CommandError::Malformed(_) => refused("malformed"),
            CommandError::Denied(_) => refused("denied"),
            CommandError::UnknownCommand(_) => refused("unknown-command"),
            CommandError::Conflict { .. }
            | CommandError::DeadlinePassed
            | CommandError::Busy(_)
            | CommandError::Other(_) => Self::retry(message),
            CommandError::ShuttingDown => Self::interrupted(message),
            CommandError::KeyReused => Self::unknown(
                "another command has taken effect under this step's key; make the same command of the same input in every \
                 attempt",
            ),
            CommandError::NotCaughtUp { .. } | CommandError::Unknown(_) => Self::unknown(message),
        }
    }
}

impl From<QueryError> for StepError {
    /// A question has no effect: it is tried again when it cannot be answered now, and refused when it never can.
    fn from(error: QueryError) -> Self {
        let message = format!("a query failed: {error}");
        match error {
            QueryError::Busy(_) | QueryError::Other(_) => Self::retry(message),
            QueryError::NotFound(_) => Self::refused("not-found", message),
            QueryError::Denied(_) => Self::refused("denied", message),
            QueryError::UnknownQuery(_) => Self::refused("unknown-query", message),
            QueryError::Malformed(_) | QueryError::Invalid(_) => Self::refused("invalid", message),
        }
    }
}
