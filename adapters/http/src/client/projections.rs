//! The port `ProjectionRegistry`.

use super::HttpClient;
use super::buses::timeout_header;
use super::event_store::limit_of;
use super::transport::{Answer, Failure};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::projections::{WireParkedPage, WireProjections, WireStatus};
use crate::wire::rows::{WireRowsAnswer, WireRowsQuestion};
use crate::wire::text::ESCAPED;
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{
    ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus, RowsAnswer, RowsQuestion,
    Source, WaitError,
};
use portolan_kernel::values::{Name, Position};
use serde::Deserialize;

type Headers = Vec<(HeaderName, HeaderValue)>;

#[async_trait]
impl ProjectionRegistry for HttpClient {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let answer = self.got("/projections").await?;
        let all: WireProjections = understood(&answer)?;
        Ok(all.projections.into_iter().map(WireStatus::decode).collect())
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        let answer = self.got(&path(&projection, "")).await?;
        understood::<WireStatus>(&answer).map(WireStatus::decode)
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        let parameter = match action {
            ProjectionAction::Activate(version) => version.map(|version| format!("?version={version}")),
            ProjectionAction::Remove(edition) => Some(format!("?edition={edition}")),
            ProjectionAction::Retry(position) => position.map(|position| format!("?position={position}")),
            ProjectionAction::Drop(position) => Some(format!("?position={position}")),
            _ => None,
        };
        let path = path(&projection, &format!("/{}{}", action.as_str(), parameter.unwrap_or_default()));
        match self.shared.transport.send(Method::POST, &path, Vec::new(), None, None).await {
            Err(Failure::NotSent(source)) => Err(ProjectionError::Busy(source)),
            Err(Failure::Lost(source)) => Err(ProjectionError::Unknown(source)),
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(error(&answer.problem(), 0, of_acting)),
        }
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        if limit == 0 {
            return Err(ProjectionError::Invalid("it is for 0 events; ask for at least 1".to_owned()));
        }
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let answer = self.got(&path(&projection, &format!("/parked?limit={limit}{after}"))).await?;
        understood::<WireParkedPage>(&answer).map(WireParkedPage::decode)
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        let json = serde_json::to_vec(&WireRowsQuestion::new(&question))
            .map_err(|error| ProjectionError::Other(Source::new(error)))?;
        let path = path(&question.projection, "/rows");
        let mut headers = Headers::new();
        if let Some(position) = question.at_least {
            headers.push((HeaderName::from_static("portolan-at-least"), position.get().into()));
            headers.extend(self.patience());
        }
        loop {
            let sent = self.shared.transport.send(Method::POST, &path, headers.clone(), Some(json.clone()), None).await;
            let answer =
                sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| ProjectionError::Busy(source))?;
            if answer.status.is_success() {
                return understood::<WireRowsAnswer>(&answer).map(WireRowsAnswer::decode);
            }
            let problem = answer.problem();
            if !is_to_come(&problem) {
                return Err(error(&problem, json.len() as u64, of_reading));
            }
        }
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        let path = path(&projection, &format!("/wait?position={position}"));
        loop {
            let headers = self.patience().into_iter().collect();
            let sent = self.shared.transport.send(Method::GET, &path, headers, None, None).await;
            let answer = sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| WaitError::Busy(source))?;
            if answer.status.is_success() {
                return Ok(());
            }
            let problem = answer.problem();
            if !is_to_come(&problem) {
                return Err(WaitError::from_problem(&problem).unwrap_or_else(|| match problem.status.as_u16() {
                    408 | 429 | 502..=504 => WaitError::Busy(said(&problem)),
                    _ => WaitError::Other(said(&problem)),
                }));
            }
        }
    }
}

impl HttpClient {
    async fn got(&self, path: &str) -> Result<Answer, ProjectionError> {
        let sent = self.shared.transport.send(Method::GET, path, Vec::new(), None, None).await;
        let answer =
            sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| ProjectionError::Busy(source))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(error(&answer.problem(), 0, of_reading))
    }

    /// Half of what this client would wait, so that the answer that nothing has come to pass comes in time.
    fn patience(&self) -> Option<(HeaderName, HeaderValue)> {
        timeout_header(self.shared.transport.request_timeout() / 2)
    }
}

fn path(projection: &Name, rest: &str) -> String {
    format!("/projections/{}{rest}", utf8_percent_encode(projection, ESCAPED))
}

/// The server has waited, and it may come yet.
fn is_to_come(problem: &Problem) -> bool {
    problem.name == "projection-behind"
}

fn understood<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, ProjectionError> {
    from_json(&answer.body).map_err(|problem| {
        ProjectionError::Other(Source::new(format!("the server's answer is not understood: {}", problem.detail)))
    })
}

/// What a server answers besides its registry's own errors: its limits, and mistakes of a client. What is none of ours is
/// judged by whether it may have been done.
fn error(problem: &Problem, size: u64, otherwise: fn(&Problem) -> ProjectionError) -> ProjectionError {
    if let Some(error) = ProjectionError::from_problem(problem) {
        return error;
    }
    match (problem.name.as_str(), problem.status) {
        ("body-too-large", _) => {
            let limit = limit_of(problem);
            ProjectionError::TooLarge { what: "bytes of the request".into(), size, limit }
        }
        ("malformed" | "invalid-request", _) => ProjectionError::Invalid(problem.detail.clone()),
        ("slow-request" | "not-ready", _) | (_, StatusCode::TOO_MANY_REQUESTS) => ProjectionError::Busy(said(problem)),
        (_, status) if status.is_client_error() => ProjectionError::Other(said(problem)),
        _ => otherwise(problem),
    }
}

/// What has only been read can be read again.
fn of_reading(problem: &Problem) -> ProjectionError {
    match problem.status.as_u16() {
        502..=504 => ProjectionError::Busy(said(problem)),
        _ => ProjectionError::Other(said(problem)),
    }
}

/// A proxy's error, or a server that broke: it may have been done.
fn of_acting(problem: &Problem) -> ProjectionError {
    ProjectionError::Unknown(said(problem))
}

fn said(problem: &Problem) -> Source {
    Source::new(problem.detail.clone())
}
