//! The errors of the port `SagaOrchestrator` as problems, and back (TR-2).

use super::errors::{PortError, busy, corrupt, damage, denied, failed, outcome_unknown, parsed, source};
use super::problem::Problem;
use http::StatusCode;
use portolan_kernel::ports::{SagaError, Source, Violation};
use portolan_kernel::values::SagaId;

impl PortError for SagaError {
    fn to_problem(&self) -> Problem {
        let says = self.to_string();
        match self {
            Self::UnknownDefinition(name) => {
                Problem::new(StatusCode::NOT_FOUND, "unknown-saga", says).with("name", name.as_str())
            }
            Self::NotFound(saga) => of(StatusCode::NOT_FOUND, "no-such-saga", says, saga),
            Self::Invalid(violations) => {
                Problem::invalid("invalid-saga-request", "the request about a saga", violations.clone())
            }
            Self::StartedOtherwise(saga) => of(StatusCode::CONFLICT, "saga-started-otherwise", says, saga),
            Self::NotNow { saga, action, reason } => of(StatusCode::CONFLICT, "saga-not-now", says, saga)
                .with("action", action.name())
                .with("reason", reason.as_str()),
            Self::Denied(reason) => denied(says, reason),
            Self::ShuttingDown => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", says),
            Self::Busy(source) => busy(says, source),
            Self::Unknown(source) => outcome_unknown(says, source),
            Self::Other(source) => match damage(source) {
                Some(place) => corrupt(place),
                None => failed(says, source),
            },
            _ => failed(says.clone(), &Source::new(says)),
        }
    }

    fn from_problem(problem: &Problem) -> Option<Self> {
        Some(match problem.name.as_str() {
            "unknown-saga" => Self::UnknownDefinition(parsed(problem, "name")?),
            "no-such-saga" => Self::NotFound(saga(problem)?),
            "invalid-saga-request" | "invalid-request" => Self::Invalid(problem.violations()?),
            "malformed" => Self::Invalid(vec![Violation::new("", "malformed", problem.text("reason")?)]),
            "body-too-large" => Self::Invalid(vec![Violation::new("", "too-large", problem.detail.as_str())]),
            "saga-started-otherwise" => Self::StartedOtherwise(saga(problem)?),
            "saga-not-now" => Self::NotNow {
                saga: saga(problem)?,
                action: parsed(problem, "action")?,
                reason: problem.text("reason")?.to_owned(),
            },
            "denied" => Self::Denied(problem.text("reason")?.to_owned()),
            "shutting-down" => Self::ShuttingDown,
            "busy" => Self::Busy(source(problem)?),
            "outcome-unknown" => Self::Unknown(source(problem)?),
            "corrupt" => Self::Other(Source::new(problem.detail.clone())),
            "failed" => Self::Other(source(problem)?),
            _ => return None,
        })
    }
}

fn of(status: StatusCode, kind: &str, detail: String, saga: &SagaId) -> Problem {
    named(Problem::new(status, kind, detail), saga)
}

/// The problem, with the saga that it is about.
pub(crate) fn named(problem: Problem, saga: &SagaId) -> Problem {
    problem.with("name", saga.name().as_str()).with("id", saga.id().as_str())
}

fn saga(problem: &Problem) -> Option<SagaId> {
    SagaId::new(problem.text("name")?, problem.text("id")?).ok()
}
