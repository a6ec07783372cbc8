//! The errors of the ports as problems, and back: what leaves a server as one error arrives as the same (TR-2).

use super::problem::{Problem, Received, list};
use super::receipt::WireReceipt;
use super::store::capability;
use super::text::{At, digits};
use core::error::Error;
use portolan_kernel::drivers::{LoadError, ReadRowsError, SubscribeError};
use portolan_kernel::ports::{
    AppendError, CommandError, ProjectionError, QueryError, ReadError, RowError, Source, WaitError,
};
use portolan_kernel::values::{Name, Revision};
use serde::Deserialize as _;
use serde_json::Value;
use std::borrow::Cow;

/// An error of a port that has a form on the wire.
pub(crate) trait PortError: Sized {
    fn to_problem(&self) -> Problem;

    /// `None` for a problem that is not this port's.
    fn from_problem(problem: &Received) -> Option<Self>;
}

impl PortError for CommandError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::UnknownCommand(name) => problem("unknown-command").with("name", name.as_str()),
            Self::Malformed(reason) => problem("malformed").with("reason", reason.as_str()),
            Self::Invalid(violations) => problem("invalid-command").with("violations", list(violations)),
            Self::Rejected { code, message, fields } => Problem::new("rejected", message.as_str())
                .with("rejection", code.as_str())
                .with("fields", fields.clone()),
            Self::Conflict { stream, actual } => problem("command-conflict")
                .with("stream", stream.as_str())
                .with("actual", actual.map(|revision| revision.to_string())),
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::DeadlinePassed => problem("deadline-passed"),
            Self::NotCaughtUp { receipt, waiting } => {
                let waiting: Vec<&str> = waiting.iter().map(Name::as_str).collect();
                let receipt = serde_json::to_value(WireReceipt::new(receipt)).unwrap_or_default();
                problem("not-caught-up").with("receipt", receipt).with("waiting", waiting)
            }
            Self::KeyReused => problem("key-reused"),
            Self::ShuttingDown => problem("shutting-down"),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Unknown(source) => problem("outcome-unknown").with("reason", source.to_string()),
            Self::Other(source) => failed(self.to_string(), source),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        Some(match problem.code.as_str() {
            "unknown-command" => Self::UnknownCommand(problem.parsed("name")?),
            "malformed" => Self::Malformed(problem.text("reason")?.to_owned()),
            "invalid-command" | "invalid-request" => Self::Invalid(problem.violations()?),
            "rejected" => Self::Rejected {
                code: problem.text("rejection")?.to_owned(),
                message: problem.message.clone(),
                fields: problem.members.get("fields").cloned().unwrap_or(Value::Null),
            },
            "command-conflict" => Self::Conflict {
                stream: problem.parsed("stream")?,
                actual: match problem.maybe::<String>("actual")? {
                    Some(actual) => Some(Revision::new(digits(&actual)?)),
                    None => None,
                },
            },
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "deadline-passed" => Self::DeadlinePassed,
            "not-caught-up" => {
                let receipt = WireReceipt::deserialize(problem.members.get("receipt")?).ok()?;
                let names = problem.members.get("waiting")?.as_array()?.iter();
                let waiting = names.map(|name| name.as_str()?.parse().ok()).collect::<Option<_>>()?;
                Self::NotCaughtUp { receipt: Box::new(receipt.decode()), waiting }
            }
            "key-reused" => Self::KeyReused,
            "shutting-down" => Self::ShuttingDown,
            "busy" => Self::Busy(problem.source()?),
            "outcome-unknown" => Self::Unknown(problem.source()?),
            "corrupt" => Self::Other(Source::new(problem.message.clone())),
            "failed" => Self::Other(problem.source()?),
            _ => return None,
        })
    }
}

impl PortError for QueryError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::UnknownQuery(name) => problem("unknown-query").with("name", name.as_str()),
            Self::Malformed(reason) => problem("malformed").with("reason", reason.as_str()),
            Self::Invalid(violations) => problem("invalid-query").with("violations", list(violations)),
            Self::NotFound(what) => problem("not-found").with("what", what.as_str()),
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Other(source) => failed(self.to_string(), source),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        Some(match problem.code.as_str() {
            "unknown-query" => Self::UnknownQuery(problem.parsed("name")?),
            "malformed" => Self::Malformed(problem.text("reason")?.to_owned()),
            "invalid-query" | "invalid-request" => Self::Invalid(problem.violations()?),
            "not-found" => Self::NotFound(problem.text("what")?.to_owned()),
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "busy" => Self::Busy(problem.source()?),
            "shutting-down" => Self::Busy(Source::new(problem.message.clone())),
            "corrupt" => Self::Other(Source::new(problem.message.clone())),
            "failed" => Self::Other(problem.source()?),
            _ => return None,
        })
    }
}

impl PortError for ReadError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::TooLarge { what, size, limit } => sized(problem("too-large"), what, *size, *limit),
            Self::Invalid(reason) => problem("invalid-read").with("reason", reason.as_str()),
            Self::Unsupported(lack) => problem("unsupported").with("capability", lack.as_str()),
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Corrupt { place } => corrupt(place),
            Self::Other(source) => problem("failed").with("reason", source.to_string()),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        Some(match problem.code.as_str() {
            "too-large" => {
                let (what, size, limit) = sizes(problem)?;
                Self::TooLarge { what, size, limit }
            }
            "invalid-read" => Self::Invalid(problem.text("reason")?.to_owned()),
            "unsupported" => Self::Unsupported(capability(problem.text("capability")?)?),
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "busy" => Self::Busy(problem.source()?),
            "shutting-down" => Self::Busy(Source::new(problem.message.clone())),
            "corrupt" => Self::Corrupt { place: PLACE.to_owned() },
            "failed" => Self::Other(problem.source()?),
            _ => return None,
        })
    }
}

impl PortError for ProjectionError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::UnknownProjection(name) => problem("unknown-projection").with("name", name.as_str()),
            Self::NotFound { name, what } => {
                problem("not-found").with("name", name.as_str()).with("what", what.as_str())
            }
            Self::NotReady(name) => problem("not-ready").with("name", name.as_str()),
            Self::Gone { name, edition } => {
                problem("gone").with("name", name.as_str()).with("edition", edition.to_string())
            }
            Self::Invalid(reason) => problem("invalid-request").with("reason", reason.as_str()),
            Self::TooLarge { what, size, limit } => sized(problem("too-large"), what, *size, *limit),
            Self::Wait(error) => error.to_problem(),
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Unknown(source) => problem("outcome-unknown").with("reason", source.to_string()),
            Self::Corrupt { place } => corrupt(place),
            Self::Other(source) => problem("failed").with("reason", source.to_string()),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        Some(match problem.code.as_str() {
            "unknown-projection" => Self::UnknownProjection(problem.parsed("name")?),
            "not-found" => Self::NotFound { name: problem.parsed("name")?, what: problem.text("what")?.to_owned() },
            "not-ready" => Self::NotReady(problem.parsed("name")?),
            "gone" => Self::Gone { name: problem.parsed("name")?, edition: problem.parsed("edition")? },
            "invalid-request" => {
                Self::Invalid(problem.text("reason").map_or_else(|| problem.message.clone(), str::to_owned))
            }
            "too-large" => {
                let (what, size, limit) = sizes(problem)?;
                Self::TooLarge { what, size, limit }
            }
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "busy" => Self::Busy(problem.source()?),
            "shutting-down" => Self::Busy(Source::new(problem.message.clone())),
            "outcome-unknown" => Self::Unknown(problem.source()?),
            "corrupt" => Self::Corrupt { place: PLACE.to_owned() },
            "failed" => Self::Other(problem.source()?),
            _ => Self::Wait(WaitError::from_problem(problem)?),
        })
    }
}

impl PortError for WaitError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::UnknownProjection(name) => problem("unknown-projection").with("name", name.as_str()),
            Self::Stopped { name, reason } => {
                problem("projection-stopped").with("name", name.as_str()).with("reason", reason.as_str())
            }
            Self::Stalled { name } => problem("projection-stalled").with("name", name.as_str()),
            Self::Parked { name, position } => {
                problem("event-parked").with("name", name.as_str()).with("position", position.to_string())
            }
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Other(source) => problem("failed").with("reason", source.to_string()),
            _ => failed(self.to_string(), &Source::new(self.to_string())),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        Some(match problem.code.as_str() {
            "unknown-projection" => Self::UnknownProjection(problem.parsed("name")?),
            "projection-stopped" => {
                Self::Stopped { name: problem.parsed("name")?, reason: problem.text("reason")?.to_owned() }
            }
            "projection-stalled" => Self::Stalled { name: problem.parsed("name")? },
            "event-parked" => {
                Self::Parked { name: problem.parsed("name")?, position: problem.parsed::<At>("position")?.0 }
            }
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "busy" => Self::Busy(problem.source()?),
            "shutting-down" => Self::Busy(Source::new(problem.message.clone())),
            "failed" => Self::Other(problem.source()?),
            _ => return None,
        })
    }
}

/// Why it is not allowed. Whoever has not shown who he is has reached no port, so that nothing has happened.
pub(super) fn denied(problem: &Received) -> Option<String> {
    match problem.code.as_str() {
        "unauthenticated" => Some(problem.message.clone()),
        _ => problem.text("reason").map(str::to_owned),
    }
}

/// The error of a subscription.
pub(crate) fn of_subscription(error: &SubscribeError) -> Problem {
    match error {
        SubscribeError::AheadOfLog { after, store } => Problem::new("ahead-of-log", error.to_string())
            .with("after", after.to_string())
            .with("store", store.to_string()),
        SubscribeError::Read(error) => error.to_problem(),
        _ => failed(error.to_string(), &Source::new(error.to_string())),
    }
}

fn sized(problem: Problem, what: &str, size: u64, limit: u64) -> Problem {
    problem.with("what", what).with("size", size.to_string()).with("limit", limit.to_string())
}

fn sizes(problem: &Received) -> Option<(Cow<'static, str>, u64, u64)> {
    let what = problem.text("what")?.to_owned().into();
    Some((what, digits(problem.text("size")?)?, digits(problem.text("limit")?)?))
}

/// What stands for the place on the wire: a path is nobody's business but the operator's.
const PLACE: &str = "a place that the server's log names";

fn corrupt(place: &str) -> Problem {
    let problem = Problem::new("corrupt", format!("the store is damaged at {PLACE}"));
    Problem { for_operator: Some(format!("the store is damaged at {place}")), ..problem }
}

pub(super) fn failed(message: String, source: &Source) -> Problem {
    match damage(source) {
        Some(place) => corrupt(place),
        None => Problem::new("failed", message).with("reason", source.to_string()),
    }
}

/// Where the store is damaged, if that is what stopped a command or a query.
fn damage(source: &Source) -> Option<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::{Debug, Display};
    use portolan_kernel::ports::{Capability, Receipt, SagaAction, SagaError, Violation};
    use portolan_kernel::values::{Edition, Position, SagaId};
    use serde_json::json;

    fn name() -> Name {
        "a b,é".parse().unwrap()
    }

    fn backend() -> Source {
        Source::new("é: the \"disk\" is full")
    }

    /// Each comes back with all of its fields; what a backend said, as text.
    fn returns<E: PortError + Debug + Display>(errors: Vec<E>) {
        for error in errors {
            let problem = error.to_problem();
            let text = json!({ "message": problem.message, "extensions": problem.extensions() }).to_string();
            let mut sent: Value = serde_json::from_str(&text).unwrap();
            let Value::Object(mut members) = sent["extensions"].take() else { panic!() };
            let code = members.remove("code").unwrap().as_str().unwrap().to_owned();
            let received = Received { code, message: sent["message"].as_str().unwrap().to_owned(), members };
            let came = E::from_problem(&received).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(came.to_string(), error.to_string());
            assert_eq!(format!("{came:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn every_error_of_a_query_comes_back_the_same() {
        returns(vec![
            QueryError::UnknownQuery(name()),
            QueryError::Malformed("at line 1".into()),
            QueryError::Invalid(vec![Violation::new("a", "b", "c")]),
            QueryError::NotFound("no account ann".into()),
            QueryError::Denied("not é".into()),
            QueryError::Busy(backend()),
            QueryError::Other(backend()),
        ]);
    }

    #[test]
    fn every_error_of_a_read_comes_back_the_same() {
        returns(vec![
            ReadError::TooLarge { what: "terms".into(), size: u64::MAX, limit: 1 },
            ReadError::Invalid("it is 0".into()),
            ReadError::Unsupported(Capability::Guard),
            ReadError::Denied("not é".into()),
            ReadError::Busy(backend()),
            ReadError::Corrupt { place: PLACE.into() },
            ReadError::Other(backend()),
        ]);
    }

    #[test]
    fn every_error_of_projections_comes_back_the_same() {
        returns(vec![
            ProjectionError::UnknownProjection(name()),
            ProjectionError::NotFound { name: name(), what: "edition 3".into() },
            ProjectionError::NotReady(name()),
            ProjectionError::Gone { name: name(), edition: Edition { version: 3, rebuild: 2 } },
            ProjectionError::Invalid("it contradicts itself".into()),
            ProjectionError::TooLarge { what: "rows".into(), size: 2, limit: 1 },
            ProjectionError::Wait(WaitError::Stalled { name: name() }),
            ProjectionError::Denied("not é".into()),
            ProjectionError::Busy(backend()),
            ProjectionError::Unknown(backend()),
            ProjectionError::Corrupt { place: PLACE.into() },
            ProjectionError::Other(backend()),
        ]);
        returns(vec![
            WaitError::UnknownProjection(name()),
            WaitError::Stopped { name: name(), reason: "é".into() },
            WaitError::Stalled { name: name() },
            WaitError::Parked { name: name(), position: Position::MAX },
            WaitError::Denied("not é".into()),
            WaitError::Busy(backend()),
            WaitError::Other(backend()),
        ]);
    }

    #[test]
    fn every_error_of_sagas_comes_back_the_same() {
        let saga = || SagaId::new("transfer-money", "a/b:\"%é").unwrap();
        let violations = vec![Violation::new("lines[2].amount", "b", "c"), Violation::new("", "", "é\n")];
        returns(vec![
            SagaError::UnknownDefinition(name()),
            SagaError::NotFound(saga()),
            SagaError::Invalid(violations),
            SagaError::Invalid(vec![]),
            SagaError::StartedOtherwise(saga()),
            SagaError::Denied("not é".into()),
            SagaError::ShuttingDown,
            SagaError::Busy(backend()),
            SagaError::Unknown(backend()),
            SagaError::Other(backend()),
        ]);
        returns(SagaAction::ALL.map(|action| SagaError::NotNow { saga: saga(), action, reason: "é".into() }).into());
    }

    #[test]
    fn every_error_of_a_command_comes_back_the_same() {
        let receipt = Box::new(Receipt::new(vec![("s".parse().unwrap(), None)], Position::new(3), vec![], true));
        let numbers: Vec<f64> = (1..2_000_u64)
            .map(|n| f64::from_bits(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .filter(|number| number.is_finite())
            .collect();
        returns(vec![
            CommandError::UnknownCommand(name()),
            CommandError::Malformed("at line 1".into()),
            CommandError::Invalid(vec![Violation::new("a", "b", "c")]),
            CommandError::Rejected { code: "c".into(), message: "m".into(), fields: json!({ "numbers": numbers }) },
            CommandError::Conflict { stream: "s".parse().unwrap(), actual: Some(Revision::new(u64::MAX)) },
            CommandError::Conflict { stream: "s".parse().unwrap(), actual: None },
            CommandError::Denied("no".into()),
            CommandError::DeadlinePassed,
            CommandError::NotCaughtUp { receipt, waiting: vec![name()] },
            CommandError::KeyReused,
            CommandError::ShuttingDown,
            CommandError::Busy(backend()),
            CommandError::Unknown(backend()),
            CommandError::Other(backend()),
        ]);
    }

    #[test]
    fn where_a_store_is_damaged_stays_with_the_server() {
        let place = || "/srv/bank.db, page 3".to_owned();
        let damaged_rows = || ProjectionError::Corrupt { place: place() };
        let row = || Source::new(RowError::Corrupt { place: place() });
        for problem in [
            ReadError::Corrupt { place: place() }.to_problem(),
            ProjectionError::Corrupt { place: place() }.to_problem(),
            CommandError::Other(Source::new(AppendError::Corrupt { place: place() })).to_problem(),
            SagaError::Other(Source::new(AppendError::Corrupt { place: place() })).to_problem(),
            SagaError::Other(Source::new(ReadError::Corrupt { place: place() })).to_problem(),
            SagaError::Other(Source::new(damaged_rows())).to_problem(),
            SagaError::Other(Source::new(ReadRowsError::from(damaged_rows()))).to_problem(),
            QueryError::from(ReadRowsError::from(damaged_rows())).to_problem(),
            CommandError::Other(Source::new(ProjectionError::Other(row()))).to_problem(),
            QueryError::Other(Source::new(LoadError::Read(ReadError::Corrupt { place: place() }))).to_problem(),
        ] {
            assert!(!format!("{} {}", problem.message, problem.extensions()).contains("/srv"), "{problem:?}");
            assert_eq!(problem.code, "corrupt");
            assert!(problem.for_operator.is_some_and(|line| line.contains(&place())));
        }
    }
}
