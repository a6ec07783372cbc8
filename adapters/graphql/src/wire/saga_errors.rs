//! The errors of the port `SagaOrchestrator` as problems, and back (TR-2).

use super::errors::{PortError, denied, failed};
use super::problem::{Problem, Received, list};
use portolan_kernel::ports::{SagaError, Source};
use portolan_kernel::values::SagaId;

impl PortError for SagaError {
    fn to_problem(&self) -> Problem {
        let problem = |code| Problem::new(code, self.to_string());
        match self {
            Self::UnknownDefinition(name) => problem("unknown-saga").with("name", name.as_str()),
            Self::NotFound(saga) => named(problem("no-such-saga"), saga),
            Self::Invalid(violations) => problem("invalid-saga-request").with("violations", list(violations)),
            Self::StartedOtherwise(saga) => named(problem("saga-started-otherwise"), saga),
            Self::NotNow { saga, action, reason } => {
                named(problem("saga-not-now"), saga).with("action", action.name()).with("reason", reason.as_str())
            }
            Self::Denied(reason) => problem("denied").with("reason", reason.as_str()),
            Self::ShuttingDown => problem("shutting-down"),
            Self::Busy(source) => problem("busy").with("reason", source.to_string()),
            Self::Unknown(source) => problem("outcome-unknown").with("reason", source.to_string()),
            Self::Other(source) => failed(self.to_string(), source),
            _ => problem("outcome-unknown").with("reason", self.to_string()),
        }
    }

    fn from_problem(problem: &Received) -> Option<Self> {
        let said = || problem.source().unwrap_or_else(|| Source::new(problem.message.clone()));
        Some(match problem.code.as_str() {
            "unknown-saga" => Self::UnknownDefinition(problem.parsed("name")?),
            "no-such-saga" => Self::NotFound(saga(problem)?),
            "invalid-saga-request" | "invalid-request" => Self::Invalid(problem.violations()?),
            "saga-started-otherwise" => Self::StartedOtherwise(saga(problem)?),
            "saga-not-now" => Self::NotNow {
                saga: saga(problem)?,
                action: problem.parsed("action")?,
                reason: problem.text("reason")?.to_owned(),
            },
            "denied" | "unauthenticated" => Self::Denied(denied(problem)?),
            "shutting-down" => Self::ShuttingDown,
            "busy" => Self::Busy(said()),
            "outcome-unknown" => Self::Unknown(said()),
            "corrupt" => Self::Other(Source::new(problem.message.clone())),
            "failed" => Self::Other(said()),
            _ => return None,
        })
    }
}

fn named(problem: Problem, saga: &SagaId) -> Problem {
    problem.with("name", saga.name().as_str()).with("id", saga.id().as_str())
}

fn saga(problem: &Received) -> Option<SagaId> {
    SagaId::new(problem.text("name")?, problem.text("id")?).ok()
}
