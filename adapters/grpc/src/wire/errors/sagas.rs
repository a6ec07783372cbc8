//! Errors of sagas.

use super::{PortError, corrupt, damage, text_of, told_busy, told_denied, told_failed};
use crate::proto::{self, saga_error};
use crate::wire::status::{Told, reason};
use crate::wire::{decode_saga, decode_saga_action};
use portolan_kernel::ports::{SagaError, Source};
use tonic::Code;

impl PortError for SagaError {
    type Detail = proto::SagaError;
    const DETAIL: &'static str = "SagaError";

    fn detail(&self) -> proto::SagaError {
        use saga_error::Error;
        let error = match self {
            Self::UnknownDefinition(name) => Error::UnknownDefinition(name.to_string()),
            Self::NotFound(saga) => Error::NotFound(saga.into()),
            Self::Invalid(violations) => Error::Invalid(violations.as_slice().into()),
            Self::StartedOtherwise(saga) => Error::StartedOtherwise(saga.into()),
            Self::NotNow { saga, action, reason } => Error::NotNow(saga_error::NotNow {
                saga: Some(saga.into()),
                action: proto::SagaAction::from(*action).into(),
                reason: reason.clone(),
            }),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::ShuttingDown => Error::ShuttingDown(()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Unknown(source) => Error::Unknown(text_of(source)),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Unknown(self.to_string()),
        };
        proto::SagaError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::UnknownDefinition(name) => {
                Told::new(Code::NotFound, "UNKNOWN_SAGA", message).info("definition", name)
            }
            Self::NotFound(saga) => Told::new(Code::NotFound, "NO_SUCH_SAGA", message).info("saga", saga),
            Self::Invalid(violations) => {
                Told::new(Code::InvalidArgument, "INVALID_SAGA_REQUEST", message).violations(violations)
            }
            Self::StartedOtherwise(saga) => {
                Told::new(Code::AlreadyExists, "SAGA_STARTED_OTHERWISE", message).info("saga", saga)
            }
            Self::NotNow { saga, action, .. } => Told::new(Code::FailedPrecondition, "SAGA_NOT_NOW", message)
                .info("saga", saga)
                .info("action", action)
                .precondition(saga),
            Self::Denied(_) => told_denied(message),
            Self::ShuttingDown => Told::new(Code::Unavailable, reason::SHUTTING_DOWN, message).retry(),
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

    fn from_detail(detail: proto::SagaError) -> Option<Self> {
        use saga_error::Error;
        Some(match detail.error? {
            Error::UnknownDefinition(name) => Self::UnknownDefinition(name.parse().ok()?),
            Error::NotFound(saga) => Self::NotFound(decode_saga(Some(saga)).ok()?),
            Error::Invalid(violations) => Self::Invalid(violations.into_violations()),
            Error::StartedOtherwise(saga) => Self::StartedOtherwise(decode_saga(Some(saga)).ok()?),
            Error::NotNow(not) => Self::NotNow {
                saga: decode_saga(not.saga).ok()?,
                action: decode_saga_action(not.action).ok()?,
                reason: not.reason,
            },
            Error::Denied(reason) => Self::Denied(reason),
            Error::ShuttingDown(()) => Self::ShuttingDown,
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Unknown(reason) => Self::Unknown(Source::new(reason)),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}
