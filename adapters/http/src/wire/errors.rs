//! The errors of the ports as problems, and back: what leaves a server as one error arrives as the same (TR-2).

use super::append::WireExpected;
use super::capabilities::capability;
use super::problem::Problem;
use super::receipt::WireReceipt;
use super::text::{At, digits};
use core::error::Error;
use core::str::FromStr;
use http::StatusCode;
use portolan_kernel::drivers::{LoadError, ReadRowsError, SubscribeError};
use portolan_kernel::ports::{
    AppendError, CommandError, PayloadViolation, ProjectionError, QueryError, ReadError, RowError, Source,
};
use portolan_kernel::values::{Name, Position, Revision, Token};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::borrow::Cow;

/// An error of a port that has a form on the wire.
pub(crate) trait PortError: Sized {
    fn to_problem(&self) -> Problem;

    /// `None` for a problem that is not this port's.
    fn from_problem(problem: &Problem) -> Option<Self>;
}

impl PortError for AppendError {
    fn to_problem(&self) -> Problem {
        let conflict = |name| Problem::new(StatusCode::CONFLICT, name, self.to_string());
        match self {
            Self::Conflict { stream, expected, actual } => conflict("stream-conflict")
                .with("stream", stream.as_str())
                .with("expected", serde_json::to_value(WireExpected::from(*expected)).unwrap_or_default())
                .with("actual", actual.map(Revision::get)),
            Self::GuardFailed { position } => conflict("guard-failed").with("position", position.to_string()),
            Self::CheckpointMoved { name, actual, token } => conflict("checkpoint-moved")
                .with("name", name.as_str())
                .with("actual", actual.map(|position| position.to_string()))
                .with("token", token.0.to_string()),
            Self::WrongStore { named, actual } => {
                conflict("wrong-store").with("named", named.to_string()).with("actual", actual.to_string())
            }
            Self::KeyReused { scope, id } => {
                conflict("key-reused").with("scope", scope.as_str()).with("id", id.as_str())
            }
            Self::InlineRefused { projection, reason } => {
                conflict("inline-refused").with("projection", projection.as_str()).with("reason", reason.as_str())
            }
            Self::TooLarge { what, size, limit } => too_large(self.to_string(), what, *size, *limit),
            Self::Invalid(reason) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-append", self.to_string())
                .with("reason", reason.as_str()),
            Self::Nonconforming(violations) => {
                let one = |wrong: &PayloadViolation| json!({ "event": wrong.event, "pointer": wrong.pointer, "message": wrong.message });
                let list: Vec<Value> = violations.iter().map(one).collect();
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nonconforming-append", self.to_string())
                    .with("violations", list)
            }
            Self::Unsupported(lack) => unsupported(self.to_string(), lack.as_str()),
            Self::Denied(reason) => denied(self.to_string(), reason),
            Self::Busy(source) => busy(self.to_string(), source),
            Self::Unknown(source) => outcome_unknown(self.to_string(), source),
            Self::Corrupt { place } => corrupt(place),
            Self::Other(source) => failed(self.to_string(), source),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "stream-conflict" => Self::Conflict {
                stream: parsed(problem, "stream")?,
                expected: WireExpected::deserialize(problem.members.get("expected")?).ok()?.into(),
                actual: revision(problem, "actual")?,
            },
            "guard-failed" => Self::GuardFailed { position: parsed::<At>(problem, "position")?.0 },
            "checkpoint-moved" => Self::CheckpointMoved {
                name: parsed(problem, "name")?,
                actual: position(problem, "actual")?,
                token: Token(digits(problem.text("token")?)?),
            },
            "wrong-store" => Self::WrongStore { named: parsed(problem, "named")?, actual: parsed(problem, "actual")? },
            "key-reused" => Self::KeyReused { scope: parsed(problem, "scope")?, id: parsed(problem, "id")? },
            "inline-refused" => Self::InlineRefused {
                projection: parsed(problem, "projection")?,
                reason: problem.text("reason")?.to_owned(),
            },
            "too-large" => {
                let (what, size, limit) = sizes(problem)?;
                Self::TooLarge { what, size, limit }
            }
            "invalid-append" => Self::Invalid(problem.text("reason")?.to_owned()),
            "nonconforming-append" => {
                let list = problem.members.get("violations")?.as_array()?;
                Self::Nonconforming(list.iter().map(payload_violation).collect::<Option<_>>()?)
            }
            "unsupported" => Self::Unsupported(capability(problem.text("capability")?)?),
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" => Self::Busy(Source::new(problem.detail.clone())),
            "outcome-unknown" => Self::Unknown(source(problem)?),
            "corrupt" => Self::Corrupt { place: PLACE.to_owned() },
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

impl PortError for ReadError {
    fn to_problem(&self) -> Problem {
        match self {
            Self::TooLarge { what, size, limit } => too_large(self.to_string(), what, *size, *limit),
            Self::Invalid(reason) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-read", self.to_string())
                .with("reason", reason.as_str()),
            Self::Unsupported(lack) => unsupported(self.to_string(), lack.as_str()),
            Self::Denied(reason) => denied(self.to_string(), reason),
            Self::Busy(source) => busy(self.to_string(), source),
            Self::Corrupt { place } => corrupt(place),
            Self::Other(source) => failed(self.to_string(), source),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "too-large" => {
                let (what, size, limit) = sizes(problem)?;
                Self::TooLarge { what, size, limit }
            }
            "invalid-read" => Self::Invalid(problem.text("reason")?.to_owned()),
            "unsupported" => Self::Unsupported(capability(problem.text("capability")?)?),
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" => Self::Busy(Source::new(problem.detail.clone())),
            "corrupt" => Self::Corrupt { place: PLACE.to_owned() },
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

impl PortError for CommandError {
    fn to_problem(&self) -> Problem {
        match self {
            Self::UnknownCommand(name) => {
                Problem::new(StatusCode::NOT_FOUND, "unknown-command", self.to_string()).with("name", name.as_str())
            }
            Self::Malformed(reason) => Problem::malformed(reason.as_str()),
            Self::Invalid(violations) => Problem::invalid("invalid-command", "the command", violations.clone()),
            Self::Rejected { code, message, fields } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "rejected", message.as_str())
                    .with("code", code.as_str())
                    .with("fields", fields.clone())
            }
            Self::Conflict { stream, actual } => {
                Problem::new(StatusCode::CONFLICT, "command-conflict", self.to_string())
                    .with("stream", stream.as_str())
                    .with("actual", actual.map(Revision::get))
            }
            Self::Denied(reason) => denied(self.to_string(), reason),
            // The status that proxies and gRPC's mapping have for a deadline. What theirs leave open, whether
            // anything happened, the type tells.
            Self::DeadlinePassed => Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline-passed", self.to_string()),
            // A success, because the command took effect: a client that knows nothing of Portolan does not send it
            // again, and finds the receipt where it always is. Accepted, because what it asked for is not complete.
            Self::NotCaughtUp { receipt, waiting } => {
                let waiting: Vec<&str> = waiting.iter().map(Name::as_str).collect();
                let mut problem = Problem::new(StatusCode::ACCEPTED, "not-caught-up", self.to_string());
                if let Ok(Value::Object(receipt)) = serde_json::to_value(WireReceipt::new(receipt)) {
                    problem.members.extend(receipt);
                }
                problem.with("waiting", waiting)
            }
            Self::KeyReused => Problem::new(StatusCode::CONFLICT, "key-reused", self.to_string()),
            Self::ShuttingDown => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", self.to_string()),
            Self::Busy(source) => busy(self.to_string(), source),
            Self::Unknown(source) => outcome_unknown(self.to_string(), source),
            Self::Other(source) => match damage(source) {
                Some(place) => corrupt(place),
                None => failed(self.to_string(), source),
            },
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "unknown-command" => Self::UnknownCommand(parsed(problem, "name")?),
            "malformed" => Self::Malformed(problem.text("reason")?.to_owned()),
            "invalid-command" | "invalid-request" => Self::Invalid(problem.violations()?),
            "rejected" => Self::Rejected {
                code: problem.text("code")?.to_owned(),
                message: problem.detail.clone(),
                fields: problem.members.get("fields").cloned().unwrap_or(Value::Null),
            },
            "command-conflict" => {
                Self::Conflict { stream: parsed(problem, "stream")?, actual: revision(problem, "actual")? }
            }
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "deadline-passed" => Self::DeadlinePassed,
            "not-caught-up" => {
                let receipt = WireReceipt::deserialize(Value::Object(problem.members.clone())).ok()?;
                let names = problem.members.get("waiting")?.as_array()?.iter();
                let waiting = names.map(|name| name.as_str()?.parse().ok()).collect::<Option<_>>()?;
                Self::NotCaughtUp { receipt: Box::new(receipt.decode()), waiting }
            }
            "key-reused" => Self::KeyReused,
            "shutting-down" => Self::ShuttingDown,
            "busy" => Self::Busy(source(problem)?),
            "outcome-unknown" => Self::Unknown(source(problem)?),
            "corrupt" => Self::Other(Source::new(problem.detail.clone())),
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

impl PortError for QueryError {
    fn to_problem(&self) -> Problem {
        match self {
            Self::UnknownQuery(name) => {
                Problem::new(StatusCode::NOT_FOUND, "unknown-query", self.to_string()).with("name", name.as_str())
            }
            Self::Malformed(reason) => Problem::malformed(reason.as_str()),
            Self::Invalid(violations) => Problem::invalid("invalid-query", "the query", violations.clone()),
            Self::NotFound(what) => Problem::new(StatusCode::NOT_FOUND, "not-found", what.as_str()),
            Self::Denied(reason) => denied(self.to_string(), reason),
            Self::Busy(source) => busy(self.to_string(), source),
            Self::Other(source) => match damage(source) {
                Some(place) => corrupt(place),
                None => failed(self.to_string(), source),
            },
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "unknown-query" => Self::UnknownQuery(parsed(problem, "name")?),
            "malformed" => Self::Malformed(problem.text("reason")?.to_owned()),
            "invalid-query" | "invalid-request" => Self::Invalid(problem.violations()?),
            "not-found" => Self::NotFound(problem.detail.clone()),
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "busy" => Self::Busy(source(problem)?),
            "shutting-down" => Self::Busy(Source::new(problem.detail.clone())),
            "corrupt" => Self::Other(Source::new(problem.detail.clone())),
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

/// The error of a subscription, which has a client of people only.
pub(crate) fn of_subscription(error: &SubscribeError) -> Problem {
    match error {
        SubscribeError::AheadOfLog { after, store } => {
            Problem::new(StatusCode::CONFLICT, "ahead-of-log", error.to_string())
                .with("after", after.to_string())
                .with("store", store.to_string())
        }
        SubscribeError::Read(error) => error.to_problem(),
        _ => failed(error.to_string(), &Source::new(error.to_string())),
    }
}

pub(super) fn too_large(detail: String, what: &str, size: u64, limit: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        .with("what", what)
        .with("size", size.to_string())
        .with("limit", limit.to_string())
}

fn unsupported(detail: String, capability: &str) -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "unsupported", detail).with("capability", capability)
}

/// Whoever asks may not have it.
pub(crate) fn denied(detail: String, reason: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "denied", detail).with("reason", reason)
}

pub(super) fn busy(detail: String, source: &Source) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).with("reason", source.to_string())
}

pub(super) fn outcome_unknown(detail: String, source: &Source) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "outcome-unknown", detail).with("reason", source.to_string())
}

/// What stands for the place on the wire: a path is nobody's business but the operator's.
pub(super) const PLACE: &str = "a place that the server's log names";

pub(super) fn corrupt(place: &str) -> Problem {
    let problem =
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt", format!("the store is damaged at {PLACE}"));
    Problem { for_operator: Some(format!("the store is damaged at {place}")), ..problem }
}

/// Where the store is damaged, if that is what stopped a command or a query.
pub(super) fn damage(source: &Source) -> Option<&str> {
    let mut next: Option<&(dyn Error + 'static)> = Some(source.get());
    while let Some(error) = next {
        // A source stands for what it holds, and is no source of it.
        let error = error.downcast_ref::<Source>().map_or(error, |held| held.get());
        if let Some(LoadError::Read(ReadError::Corrupt { place })) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(ReadError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(AppendError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(ReadRowsError::Projection(ProjectionError::Corrupt { place })) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(ProjectionError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        if let Some(RowError::Corrupt { place }) = error.downcast_ref() {
            return Some(place);
        }
        next = error.source();
    }
    None
}

pub(super) fn failed(detail: String, source: &Source) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail).with("reason", source.to_string())
}

pub(super) fn source(problem: &Problem) -> Option<Source> {
    problem.text("reason").map(Source::new)
}

pub(super) fn parsed<T: FromStr>(problem: &Problem, member: &str) -> Option<T> {
    problem.text(member)?.parse().ok()
}

fn payload_violation(wrong: &Value) -> Option<PayloadViolation> {
    let text = |member: &str| wrong.get(member).and_then(Value::as_str);
    let event = u32::try_from(wrong.get("event")?.as_u64()?).ok()?;
    Some(PayloadViolation::new(event, text("pointer")?, text("message")?))
}

fn revision(problem: &Problem, member: &str) -> Option<Option<Revision>> {
    match problem.members.get(member)? {
        Value::Null => Some(None),
        number => number.as_u64().map(|number| Some(Revision::new(number))),
    }
}

fn position(problem: &Problem, member: &str) -> Option<Option<Position>> {
    match problem.members.get(member)? {
        Value::Null => Some(None),
        _ => parsed::<At>(problem, member).map(|At(position)| Some(position)),
    }
}

pub(super) fn sizes(problem: &Problem) -> Option<(Cow<'static, str>, u64, u64)> {
    let number = |member| problem.text(member).and_then(digits);
    Some((Cow::Owned(problem.text("what")?.to_owned()), number("size")?, number("limit")?))
}

#[cfg(test)]
mod tests;
