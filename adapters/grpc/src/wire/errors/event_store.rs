//! Errors of appends, reads and subscriptions.

use super::{
    PLACE, PortError, corrupt, damage, sizes, text_of, told_busy, told_denied, told_failed, told_too_large, too_large,
};
use crate::proto::{self, append_error, read_error, subscribe_error};
use crate::wire::capabilities::decode_capability;
use crate::wire::status::Told;
use crate::wire::{maybe_position, number, parsed, position};
use portolan_kernel::drivers::SubscribeError;
use portolan_kernel::ports::{AppendError, Capability, PayloadViolation, ReadError, Source, Violation};
use portolan_kernel::values::{Revision, Token};
use tonic::Code;

fn told_unsupported(message: String, capability: Capability) -> Told {
    Told::new(Code::Unimplemented, "UNSUPPORTED", message).info("capability", capability)
}

impl From<&PayloadViolation> for append_error::PayloadViolation {
    fn from(violation: &PayloadViolation) -> Self {
        Self { event: violation.event, pointer: violation.pointer.clone(), message: violation.message.clone() }
    }
}

/// What is wrong with a payload, as a field of the request.
fn field(violation: &PayloadViolation) -> Violation {
    let PayloadViolation { event, pointer, message, .. } = violation;
    Violation::new(format!("events[{event}].payload{pointer}"), "nonconforming", message.as_str())
}

impl PortError for AppendError {
    type Detail = proto::AppendError;
    const DETAIL: &'static str = "AppendError";

    fn detail(&self) -> proto::AppendError {
        use append_error::Error;
        let error = match self {
            Self::Conflict { stream, expected, actual } => Error::Conflict(append_error::Conflict {
                expected: Some(proto::Expectation::new(stream, *expected)),
                actual: actual.map(Revision::get),
            }),
            Self::GuardFailed { position } => {
                Error::GuardFailed(append_error::GuardFailed { position: position.get() })
            }
            Self::CheckpointMoved { name, actual, token } => Error::CheckpointMoved(append_error::CheckpointMoved {
                name: name.to_string(),
                actual: number(*actual),
                token: token.0,
            }),
            Self::WrongStore { named, actual } => {
                Error::WrongStore(append_error::WrongStore { named: named.to_string(), actual: actual.to_string() })
            }
            Self::KeyReused { scope, id } => {
                Error::KeyReused(append_error::KeyReused { scope: scope.to_string(), id: id.to_string() })
            }
            Self::InlineRefused { projection, reason } => Error::InlineRefused(append_error::InlineRefused {
                projection: projection.to_string(),
                reason: reason.clone(),
            }),
            Self::TooLarge { what, size, limit } => Error::TooLarge(too_large(what, *size, *limit)),
            Self::Invalid(reason) => Error::Invalid(reason.clone()),
            Self::Nonconforming(violations) => Error::Nonconforming(append_error::Nonconforming {
                violations: violations.iter().map(Into::into).collect(),
            }),
            Self::Unsupported(capability) => Error::Unsupported(proto::Capability::from(*capability).into()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Unknown(source) => Error::Unknown(text_of(source)),
            Self::Corrupt { .. } => Error::Corrupt(PLACE.to_owned()),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Other(self.to_string()),
        };
        proto::AppendError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::Conflict { stream, actual, .. } => {
                let told = Told::new(Code::Aborted, "STREAM_CONFLICT", message).info("stream", stream);
                match actual {
                    Some(actual) => told.info("actual", actual),
                    None => told,
                }
                .precondition(stream)
            }
            Self::GuardFailed { position } => {
                Told::new(Code::Aborted, "GUARD_FAILED", message).info("position", position).precondition("guard")
            }
            Self::CheckpointMoved { name, token, .. } => Told::new(Code::Aborted, "CHECKPOINT_MOVED", message)
                .info("checkpoint", name)
                .info("token", token.0)
                .precondition(name),
            Self::WrongStore { named, actual } => Told::new(Code::FailedPrecondition, "WRONG_STORE", message)
                .info("named", named)
                .info("actual", actual)
                .precondition(named),
            Self::KeyReused { scope, id } => {
                Told::new(Code::AlreadyExists, "KEY_REUSED", message).info("scope", scope).info("id", id)
            }
            Self::InlineRefused { projection, .. } => {
                let told = Told::new(Code::FailedPrecondition, "INLINE_REFUSED", message);
                told.info("projection", projection).precondition(projection)
            }
            Self::TooLarge { size, limit, .. } => told_too_large(message, *size, *limit),
            Self::Invalid(_) => Told::new(Code::InvalidArgument, "INVALID", message),
            Self::Nonconforming(violations) => {
                let fields: Vec<_> = violations.iter().map(field).collect();
                Told::new(Code::InvalidArgument, "NONCONFORMING", message).violations(&fields)
            }
            Self::Unsupported(capability) => told_unsupported(message, *capability),
            Self::Busy(_) => told_busy(message),
            Self::Unknown(_) => Told::new(Code::Unknown, "OUTCOME_UNKNOWN", message),
            Self::Denied(_) => told_denied(message),
            Self::Corrupt { .. } => corrupt(),
            Self::Other(source) if damage(source).is_some() => corrupt(),
            _ => told_failed(message),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Corrupt { place } => Some(place),
            Self::Other(source) | Self::Unknown(source) | Self::Busy(source) => damage(source),
            _ => None,
        }
    }

    fn from_detail(detail: proto::AppendError) -> Option<Self> {
        use append_error::Error;
        Some(match detail.error? {
            Error::Conflict(conflict) => {
                let (stream, expected) = conflict.expected?.checked().ok()?;
                Self::Conflict { stream, expected, actual: conflict.actual.map(Revision::new) }
            }
            Error::GuardFailed(failed) => Self::GuardFailed { position: position("position", failed.position).ok()? },
            Error::CheckpointMoved(moved) => Self::CheckpointMoved {
                name: parsed("name", &moved.name).ok()?,
                actual: maybe_position("actual", moved.actual).ok()?,
                token: Token(moved.token),
            },
            Error::WrongStore(wrong) => {
                Self::WrongStore { named: wrong.named.parse().ok()?, actual: wrong.actual.parse().ok()? }
            }
            Error::KeyReused(key) => Self::KeyReused { scope: key.scope.parse().ok()?, id: key.id.parse().ok()? },
            Error::InlineRefused(refused) => {
                Self::InlineRefused { projection: refused.projection.parse().ok()?, reason: refused.reason }
            }
            Error::TooLarge(given) => {
                let (what, size, limit) = sizes(given);
                Self::TooLarge { what, size, limit }
            }
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::Nonconforming(list) => {
                let all = list.violations.into_iter();
                Self::Nonconforming(all.map(|one| PayloadViolation::new(one.event, one.pointer, one.message)).collect())
            }
            Error::Unsupported(capability) => Self::Unsupported(decode_capability(capability)?),
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Unknown(reason) => Self::Unknown(Source::new(reason)),
            Error::Corrupt(place) => Self::Corrupt { place },
            Error::Denied(reason) => Self::Denied(reason),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}

impl PortError for ReadError {
    type Detail = proto::ReadError;
    const DETAIL: &'static str = "ReadError";

    fn detail(&self) -> proto::ReadError {
        use read_error::Error;
        let error = match self {
            Self::TooLarge { what, size, limit } => Error::TooLarge(too_large(what, *size, *limit)),
            Self::Invalid(reason) => Error::Invalid(reason.clone()),
            Self::Unsupported(capability) => Error::Unsupported(proto::Capability::from(*capability).into()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Corrupt { .. } => Error::Corrupt(PLACE.to_owned()),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Other(self.to_string()),
        };
        proto::ReadError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::TooLarge { size, limit, .. } => told_too_large(message, *size, *limit),
            Self::Invalid(_) => Told::new(Code::InvalidArgument, "INVALID", message),
            Self::Unsupported(capability) => told_unsupported(message, *capability),
            Self::Busy(_) => told_busy(message),
            Self::Denied(_) => told_denied(message),
            Self::Corrupt { .. } => corrupt(),
            Self::Other(source) if damage(source).is_some() => corrupt(),
            _ => told_failed(message),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Corrupt { place } => Some(place),
            Self::Other(source) | Self::Busy(source) => damage(source),
            _ => None,
        }
    }

    fn from_detail(detail: proto::ReadError) -> Option<Self> {
        use read_error::Error;
        Some(match detail.error? {
            Error::TooLarge(given) => {
                let (what, size, limit) = sizes(given);
                Self::TooLarge { what, size, limit }
            }
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::Unsupported(capability) => Self::Unsupported(decode_capability(capability)?),
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Corrupt(place) => Self::Corrupt { place },
            Error::Denied(reason) => Self::Denied(reason),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}

impl PortError for SubscribeError {
    type Detail = proto::SubscribeError;
    const DETAIL: &'static str = "SubscribeError";

    fn detail(&self) -> proto::SubscribeError {
        use subscribe_error::Error;
        let error = match self {
            Self::AheadOfLog { after, store } => {
                Error::AheadOfLog(subscribe_error::AheadOfLog { after: after.get(), store: store.to_string() })
            }
            Self::Read(error) => Error::Read(error.detail()),
            _ => Error::Read(proto::ReadError { error: Some(read_error::Error::Other(self.to_string())) }),
        };
        proto::SubscribeError { error: Some(error) }
    }

    fn told(&self) -> Told {
        match self {
            Self::AheadOfLog { after, store } => {
                let told = Told::new(Code::FailedPrecondition, "AHEAD_OF_LOG", self.to_string());
                told.info("after", after).info("store", store).precondition(store)
            }
            Self::Read(error) => error.told(),
            _ => told_failed(self.to_string()),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Read(error) => error.damage(),
            _ => None,
        }
    }

    fn from_detail(detail: proto::SubscribeError) -> Option<Self> {
        use subscribe_error::Error;
        Some(match detail.error? {
            Error::AheadOfLog(ahead) => {
                Self::AheadOfLog { after: position("after", ahead.after).ok()?, store: ahead.store.parse().ok()? }
            }
            Error::Read(error) => Self::Read(ReadError::from_detail(error)?),
        })
    }
}
