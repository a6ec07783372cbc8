//! The errors of the port `ProjectionRegistry` as problems, and back (TR-2).

use super::errors::{
    PLACE, PortError, busy, corrupt, denied, failed, outcome_unknown, parsed, sizes, source, too_large,
};
use super::problem::Problem;
use super::text::At;
use http::StatusCode;
use portolan_kernel::ports::{ProjectionError, Source, WaitError};
use portolan_kernel::values::{Name, Position};

/// The member that tells an error of waiting from one of asking, where both have the same type.
const WHILE: &str = "while";
const WAITING: &str = "waiting";

impl PortError for WaitError {
    fn to_problem(&self) -> Problem {
        let stands = |kind, name: &Name| of(StatusCode::CONFLICT, kind, self.to_string(), name);
        match self {
            Self::UnknownProjection(name) => of(StatusCode::NOT_FOUND, "unknown-projection", self.to_string(), name),
            Self::Stopped { name, reason } => stands("projection-stopped", name).with("reason", reason.as_str()),
            Self::Stalled { name } => stands("projection-stalled", name),
            Self::Denied(reason) => denied(self.to_string(), reason),
            Self::Parked { name, position } => stands("event-parked", name).with("position", position.to_string()),
            Self::Busy(source) => busy(self.to_string(), source),
            Self::Other(source) => failed(self.to_string(), source),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        let name = || parsed(problem, "projection");
        Some(match problem.name.as_str() {
            "unknown-projection" => Self::UnknownProjection(name()?),
            "projection-stopped" => Self::Stopped { name: name()?, reason: problem.text("reason")?.to_owned() },
            "projection-stalled" => Self::Stalled { name: name()? },
            "event-parked" => Self::Parked { name: name()?, position: parsed::<At>(problem, "position")?.0 },
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" | "projection-behind" => Self::Busy(Source::new(problem.detail.clone())),
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

impl PortError for ProjectionError {
    fn to_problem(&self) -> Problem {
        let says = self.to_string();
        match self {
            Self::UnknownProjection(name) => of(StatusCode::NOT_FOUND, "unknown-projection", says, name),
            Self::NotFound { name, what } => {
                of(StatusCode::NOT_FOUND, "projection-lacks", says, name).with("what", what.as_str())
            }
            Self::NotReady(name) => of(StatusCode::SERVICE_UNAVAILABLE, "projection-not-ready", says, name),
            Self::Gone { name, edition } => {
                of(StatusCode::GONE, "rows-gone", says, name).with("edition", edition.to_string())
            }
            Self::Invalid(reason) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-projection-request", says)
                .with("reason", reason.as_str()),
            Self::Denied(reason) => denied(says, reason),
            Self::TooLarge { what, size, limit } => too_large(says, what, *size, *limit),
            Self::Wait(error) => error.to_problem().with(WHILE, WAITING),
            Self::Busy(source) => busy(says, source),
            Self::Unknown(source) => outcome_unknown(says, source),
            Self::Corrupt { place } => corrupt(place),
            Self::Other(source) => failed(says, source),
            _ => failed(says.clone(), &Source::new(says)),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        if problem.text(WHILE) == Some(WAITING) {
            return WaitError::from_problem(problem).map(Self::Wait);
        }
        let name = || parsed(problem, "projection");
        Some(match problem.name.as_str() {
            "unknown-projection" => Self::UnknownProjection(name()?),
            "projection-lacks" => Self::NotFound { name: name()?, what: problem.text("what")?.to_owned() },
            "projection-not-ready" => Self::NotReady(name()?),
            "rows-gone" => Self::Gone { name: name()?, edition: parsed(problem, "edition")? },
            "invalid-projection-request" => Self::Invalid(problem.text("reason")?.to_owned()),
            "too-large" => {
                let (what, size, limit) = sizes(problem)?;
                Self::TooLarge { what, size, limit }
            }
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" | "projection-behind" => Self::Busy(Source::new(problem.detail.clone())),
            "outcome-unknown" => Self::Unknown(source(problem)?),
            "corrupt" => Self::Corrupt { place: PLACE.to_owned() },
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

/// The projection has not come to the position in the time there was.
pub(crate) fn behind(projection: &Name, position: Position) -> Problem {
    let detail = format!("projection {projection} has not come to position {position} in time; ask again");
    of(StatusCode::SERVICE_UNAVAILABLE, "projection-behind", detail, projection).with("position", position.to_string())
}

/// The projection has no row of this key.
pub(crate) fn no_such_row(projection: &Name, key: &str) -> Problem {
    let detail = format!("projection {projection} has no row {key}");
    of(StatusCode::NOT_FOUND, "no-such-row", detail, projection).with("key", key)
}

fn of(status: StatusCode, kind: &str, detail: String, projection: &Name) -> Problem {
    Problem::new(status, kind, detail).with("projection", projection.as_str())
}
