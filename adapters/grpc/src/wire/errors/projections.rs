//! Errors of projections, and of waiting for them.

use super::{
    PLACE, PortError, corrupt, damage, sizes, text_of, told_busy, told_denied, told_failed, told_too_large, too_large,
};
use crate::proto::{self, projection_error, wait_error};
use crate::wire::position;
use crate::wire::status::Told;
use portolan_kernel::ports::{ProjectionError, Source, WaitError};
use portolan_kernel::values::Name;
use tonic::Code;

fn told_unknown(message: String, name: &Name) -> Told {
    Told::new(Code::NotFound, "UNKNOWN_PROJECTION", message).info("projection", name)
}

impl PortError for ProjectionError {
    type Detail = proto::ProjectionError;
    const DETAIL: &'static str = "ProjectionError";

    fn detail(&self) -> proto::ProjectionError {
        use projection_error::Error;
        let error = match self {
            Self::UnknownProjection(name) => Error::UnknownProjection(name.to_string()),
            Self::NotFound { name, what } => {
                Error::NotFound(projection_error::NotFound { name: name.to_string(), what: what.clone() })
            }
            Self::NotReady(name) => Error::NotReady(name.to_string()),
            Self::Gone { name, edition } => {
                Error::Gone(projection_error::Gone { name: name.to_string(), edition: Some((*edition).into()) })
            }
            Self::Invalid(reason) => Error::Invalid(reason.clone()),
            Self::TooLarge { what, size, limit } => Error::TooLarge(too_large(what, *size, *limit)),
            Self::Wait(error) => Error::Wait(error.detail()),
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Unknown(source) => Error::Unknown(text_of(source)),
            Self::Corrupt { .. } => Error::Corrupt(PLACE.to_owned()),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Unknown(self.to_string()),
        };
        proto::ProjectionError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        match self {
            Self::UnknownProjection(name) => told_unknown(message, name),
            Self::NotFound { name, .. } => Told::new(Code::NotFound, "NOT_FOUND", message).info("projection", name),
            Self::NotReady(name) => Told::new(Code::Unavailable, "NOT_READY", message).info("projection", name).retry(),
            Self::Gone { name, edition } => {
                Told::new(Code::Aborted, "GONE", message).info("projection", name).info("edition", edition)
            }
            Self::Invalid(_) => Told::new(Code::InvalidArgument, "INVALID", message),
            Self::TooLarge { size, limit, .. } => told_too_large(message, *size, *limit),
            Self::Wait(error) => error.told(),
            Self::Busy(_) => told_busy(message),
            Self::Unknown(_) => Told::new(Code::Unknown, "OUTCOME_UNKNOWN", message),
            Self::Corrupt { .. } => corrupt(),
            Self::Denied(_) => told_denied(message),
            Self::Other(source) if damage(source).is_some() => corrupt(),
            Self::Other(_) => told_failed(message),
            _ => Told::new(Code::Unknown, "OUTCOME_UNKNOWN", message),
        }
    }

    fn damage(&self) -> Option<&str> {
        match self {
            Self::Corrupt { place } => Some(place),
            Self::Wait(error) => error.damage(),
            Self::Other(source) | Self::Unknown(source) | Self::Busy(source) => damage(source),
            _ => None,
        }
    }

    fn from_detail(detail: proto::ProjectionError) -> Option<Self> {
        use projection_error::Error;
        Some(match detail.error? {
            Error::UnknownProjection(name) => Self::UnknownProjection(name.parse().ok()?),
            Error::NotFound(not) => Self::NotFound { name: not.name.parse().ok()?, what: not.what },
            Error::NotReady(name) => Self::NotReady(name.parse().ok()?),
            Error::Gone(gone) => Self::Gone { name: gone.name.parse().ok()?, edition: gone.edition?.checked().ok()? },
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::TooLarge(given) => {
                let (what, size, limit) = sizes(given);
                Self::TooLarge { what, size, limit }
            }
            Error::Wait(error) => Self::Wait(WaitError::from_detail(error)?),
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Unknown(reason) => Self::Unknown(Source::new(reason)),
            Error::Corrupt(place) => Self::Corrupt { place },
            Error::Denied(reason) => Self::Denied(reason),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}

impl PortError for WaitError {
    type Detail = proto::WaitError;
    const DETAIL: &'static str = "WaitError";

    fn detail(&self) -> proto::WaitError {
        use wait_error::Error;
        let error = match self {
            Self::UnknownProjection(name) => Error::UnknownProjection(name.to_string()),
            Self::Stopped { name, reason } => {
                Error::Stopped(wait_error::Stopped { name: name.to_string(), reason: reason.clone() })
            }
            Self::Stalled { name } => Error::Stalled(name.to_string()),
            Self::Parked { name, position } => {
                Error::Parked(wait_error::Parked { name: name.to_string(), position: position.get() })
            }
            Self::Busy(source) => Error::Busy(text_of(source)),
            Self::Denied(reason) => Error::Denied(reason.clone()),
            Self::Other(source) => Error::Other(text_of(source)),
            _ => Error::Other(self.to_string()),
        };
        proto::WaitError { error: Some(error) }
    }

    fn told(&self) -> Told {
        let message = self.to_string();
        let stuck = |reason, name: &Name| {
            let told = Told::new(Code::FailedPrecondition, reason, self.to_string());
            told.info("projection", name).precondition(name)
        };
        match self {
            Self::UnknownProjection(name) => told_unknown(message, name),
            Self::Stopped { name, .. } => stuck("PROJECTION_STOPPED", name),
            Self::Stalled { name } => stuck("PROJECTION_STALLED", name),
            Self::Parked { name, .. } => stuck("EVENT_PARKED", name),
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

    fn from_detail(detail: proto::WaitError) -> Option<Self> {
        use wait_error::Error;
        Some(match detail.error? {
            Error::UnknownProjection(name) => Self::UnknownProjection(name.parse().ok()?),
            Error::Stopped(stopped) => Self::Stopped { name: stopped.name.parse().ok()?, reason: stopped.reason },
            Error::Stalled(name) => Self::Stalled { name: name.parse().ok()? },
            Error::Parked(parked) => {
                Self::Parked { name: parked.name.parse().ok()?, position: position("position", parked.position).ok()? }
            }
            Error::Busy(reason) => Self::Busy(Source::new(reason)),
            Error::Denied(reason) => Self::Denied(reason),
            Error::Other(reason) => Self::Other(Source::new(reason)),
        })
    }
}
