//! Errors of commands and questions.

use super::{PortError, corrupt, damage, text_of, told_busy, told_denied, told_failed};
use crate::proto::{self, command_error, query_error};
use crate::wire::json_of;
use crate::wire::status::Told;
use portolan_kernel::ports::{CommandError, QueryError, Source};
use tonic::Code;

/// [`CommandError::NotCaughtUp`] is a success on this wire, a receipt with the projections that have not caught up: a client
/// that knows nothing of Portolan does not send the command again.
impl PortError for CommandError {
    type Detail = proto::CommandError;
    const DETAIL: &'static str = "CommandError";

    fn detail(&self) -> proto::CommandError {
        use command_error::Error;
        let error = match self {
            Self::UnknownCommand(name) => Error::UnknownCommand(name.to_string()),
            Self::Malformed(reason) => Error::Malformed(reason.clone()),
            Self::Invalid(violations) => Error::Invalid(violations.as_slice().into()),
            Self::Rejected { code, message, fields } => Error::Rejected(command_error::Rejected {
                code: code.clone(),
                message: message.clone(),
                fields: json_of(fields),
            }),
            Self::Conflict { stream, actual } => Error::Conflict(proto::StreamRevision::new(stream, *actual)),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::DeadlinePassed => Error::DeadlinePassed(()),
            Self::KeyReused => Error::KeyReused(()),
            Self::ShuttingDown => Error::ShuttingDown(()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Unknown(source) => Error::Unknown(text_of(source)),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Unknown(self.to_string()),
        };
        proto::CommandError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::UnknownCommand(name) => Told::new(Code::NotFound, "UNKNOWN_COMMAND", message).info("command", name),
            Self::Malformed(_) => Told::new(Code::InvalidArgument, "MALFORMED", message),
            Self::Invalid(violations) => {
                Told::new(Code::InvalidArgument, "INVALID_COMMAND", message).violations(violations)
            }
            Self::Rejected { code, message, .. } => {
                Told::new(Code::FailedPrecondition, "REJECTED", message.as_str()).info("code", code).precondition(code)
            }
            Self::Conflict { stream, .. } => {
                Told::new(Code::Aborted, "COMMAND_CONFLICT", message).info("stream", stream).retry()
            }
            Self::Denied(_) => told_denied(message),
            Self::DeadlinePassed => Told::new(Code::DeadlineExceeded, "DEADLINE_PASSED", message),
            Self::KeyReused => Told::new(Code::AlreadyExists, "KEY_REUSED", message),
            Self::ShuttingDown => Told::new(Code::Unavailable, "SHUTTING_DOWN", message).retry(),
            Self::Busy(_) => told_busy(message),
            Self::Unknown(_) => Told::new(Code::Unknown, "OUTCOME_UNKNOWN", message),
            Self::Other(source) if damage(source).is_some() => corrupt(),
            Self::Other(_) => told_failed(message),
            _ => Told::new(Code::Unknown, "OUTCOME_UNKNOWN", message),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Other(source) | Self::Unknown(source) | Self::Busy(source) => damage(source),
            _ => None,
        }
    }

    fn from_detail(detail: proto::CommandError) -> Option<Self> {
        use command_error::Error;
        Some(match detail.error? {
            Error::UnknownCommand(name) => Self::UnknownCommand(name.parse().ok()?),
            Error::Malformed(reason) => Self::Malformed(reason),
            Error::Invalid(violations) => Self::Invalid(violations.into_violations()),
            Error::Rejected(rejected) => Self::Rejected {
                code: rejected.code,
                message: rejected.message,
                fields: serde_json::from_str(&rejected.fields).ok()?,
            },
            Error::Conflict(conflict) => {
                let (stream, actual) = conflict.checked().ok()?;
                Self::Conflict { stream, actual }
            }
            Error::Denied(reason) => Self::Denied(reason),
            Error::DeadlinePassed(()) => Self::DeadlinePassed,
            Error::KeyReused(()) => Self::KeyReused,
            Error::ShuttingDown(()) => Self::ShuttingDown,
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Unknown(reason) => Self::Unknown(Source::new(reason)),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}

impl PortError for QueryError {
    type Detail = proto::QueryError;
    const DETAIL: &'static str = "QueryError";

    fn detail(&self) -> proto::QueryError {
        use query_error::Error;
        let error = match self {
            Self::UnknownQuery(name) => Error::UnknownQuery(name.to_string()),
            Self::Malformed(reason) => Error::Malformed(reason.clone()),
            Self::Invalid(violations) => Error::Invalid(violations.as_slice().into()),
            Self::NotFound(what) => Error::NotFound(what.clone()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Other(self.to_string()),
        };
        proto::QueryError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::UnknownQuery(name) => Told::new(Code::NotFound, "UNKNOWN_QUERY", message).info("query", name),
            Self::Malformed(_) => Told::new(Code::InvalidArgument, "MALFORMED", message),
            Self::Invalid(violations) => {
                Told::new(Code::InvalidArgument, "INVALID_QUERY", message).violations(violations)
            }
            Self::NotFound(_) => Told::new(Code::NotFound, "NOT_FOUND", message),
            Self::Busy(_) => told_busy(message),
            Self::Denied(_) => told_denied(message),
            Self::Other(source) if damage(source).is_some() => corrupt(),
            _ => told_failed(message),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Other(source) | Self::Busy(source) => damage(source),
            _ => None,
        }
    }

    fn from_detail(detail: proto::QueryError) -> Option<Self> {
        use query_error::Error;
        Some(match detail.error? {
            Error::UnknownQuery(name) => Self::UnknownQuery(name.parse().ok()?),
            Error::Malformed(reason) => Self::Malformed(reason),
            Error::Invalid(violations) => Self::Invalid(violations.into_violations()),
            Error::NotFound(what) => Self::NotFound(what),
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Denied(reason) => Self::Denied(reason),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}
