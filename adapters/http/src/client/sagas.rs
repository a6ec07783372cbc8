//! The port `SagaOrchestrator`.

use super::HttpClient;
use super::buses::{headers_of, quoted_key};
use super::transport::{Answer, Failure};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::sagas::{WireAct, WireDefinitions, WireSagas, WireStarted, WireSummary, WireTimeline, path};
use crate::wire::text::ESCAPED;
use async_trait::async_trait;
use core::fmt::Display;
use core::fmt::Write as _;
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted, SagaSummary, SagaTimeline,
    Source, StartSaga,
};
use portolan_kernel::values::{Revision, SagaId};
use serde::Deserialize;

#[async_trait]
impl SagaOrchestrator for HttpClient {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        let StartSaga { saga, input, metadata, .. } = start;
        let mut headers = headers_of(&metadata);
        let key = quoted_key(saga.id()).map_err(|error| SagaError::Other(Source::new(error)))?;
        headers.push((HeaderName::from_static("idempotency-key"), key));
        let path = format!("/sagas/{}", utf8_percent_encode(saga.name(), ESCAPED));
        let answer = self.recorded(&path, headers, input.to_string().into_bytes()).await?;
        let started: WireStarted = understood(&answer).map_err(SagaError::Unknown)?;
        started.decode().map_err(|error| SagaError::Unknown(not_understood(error)))
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        let ListSagas { name, phases, after, limit, .. } = list;
        let mut path = format!("/sagas?limit={limit}");
        let mut add = |parameter: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = write!(path, "&{parameter}={}", utf8_percent_encode(value, ESCAPED));
        };
        name.iter().for_each(|name| add("name", name));
        phases.iter().for_each(|phase| add("phase", phase.name()));
        after.iter().for_each(|after| add("after", after));
        let answer = self.told(&path).await?;
        let page: WireSagas = understood(&answer).map_err(SagaError::Other)?;
        page.decode().map_err(|error| SagaError::Other(not_understood(error)))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        let answer = self.told(&path(&saga)).await?;
        summary(&answer).map_err(SagaError::Other)
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let answer = self.told(&format!("{}/timeline?limit={limit}{after}", path(&saga))).await?;
        understood::<WireTimeline>(&answer).map(WireTimeline::decode).map_err(SagaError::Other)
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        let ActOnSaga { saga, action, note, metadata, .. } = act;
        let path = format!("{}/{}", path(&saga), action.name());
        let json = serde_json::to_vec(&WireAct { note }).map_err(|error| SagaError::Other(Source::new(error)))?;
        let answer = self.recorded(&path, headers_of(&metadata), json).await?;
        summary(&answer).map_err(SagaError::Unknown)
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        let answer = self.told("/saga-definitions").await?;
        understood::<WireDefinitions>(&answer).map(WireDefinitions::decode).map_err(SagaError::Other)
    }
}

impl HttpClient {
    /// The answer to a request that records something.
    async fn recorded(
        &self,
        path: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        json: Vec<u8>,
    ) -> Result<Answer, SagaError> {
        match self.shared.transport.send(Method::POST, path, headers, Some(json), None).await {
            Err(Failure::NotSent(source)) => Err(SagaError::Busy(source)),
            Err(Failure::Lost(source)) => Err(SagaError::Unknown(source)),
            Ok(answer) if answer.status.is_success() => Ok(answer),
            // A proxy's error, or a server that broke: it may have been recorded.
            Ok(answer) => Err(error(&answer.problem(), |problem| match problem.status {
                status if status.is_client_error() => SagaError::Other(said(problem)),
                _ => SagaError::Unknown(said(problem)),
            })),
        }
    }

    /// The answer to a request that only asks.
    async fn told(&self, path: &str) -> Result<Answer, SagaError> {
        let sent = self.shared.transport.send(Method::GET, path, Vec::new(), None, None).await;
        let answer = sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| SagaError::Busy(source))?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(error(&answer.problem(), |problem| match problem.status.as_u16() {
            502..=504 => SagaError::Busy(said(problem)),
            _ => SagaError::Other(said(problem)),
        }))
    }
}

/// The port's error, if the problem is one; else what the server says besides, or somebody on the way.
fn error(problem: &Problem, otherwise: fn(&Problem) -> SagaError) -> SagaError {
    SagaError::from_problem(problem).unwrap_or_else(|| match (problem.name.as_str(), problem.status.as_u16()) {
        ("slow-request" | "not-ready", _) | (_, 429) => SagaError::Busy(said(problem)),
        _ => otherwise(problem),
    })
}

fn summary(answer: &Answer) -> Result<SagaSummary, Source> {
    understood::<WireSummary>(answer)?.decode().map_err(not_understood)
}

fn understood<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Source> {
    from_json(&answer.body).map_err(|problem| not_understood(problem.detail))
}

fn not_understood(reason: impl Display) -> Source {
    Source::new(format!("the server's answer is not understood: {reason}"))
}

fn said(problem: &Problem) -> Source {
    Source::new(problem.detail.clone())
}
