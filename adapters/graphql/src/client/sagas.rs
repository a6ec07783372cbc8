//! The port `SagaOrchestrator`.

use super::GraphqlClient;
use super::buses::object;
use super::transport::Failure;
use crate::wire::errors::PortError as _;
use crate::wire::saga::{Loud, WireDefinition, WireSaga, WireSagaPage, WireStarted, WireTimeline};
use async_trait::async_trait;
use core::fmt::Display;
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted, SagaSummary, SagaTimeline,
    Source, StartSaga,
};
use portolan_kernel::values::{Name, Revision, SagaId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const SAGA: &str = "{ name id version startedAt deadline phase step way attempt since due reason isOverdue lacks }";

#[async_trait]
impl SagaOrchestrator for GraphqlClient {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        const START: &str = "mutation($name: String!, $id: String!, $input: String!, $options: SagaOptions) {
            startSaga(name: $name, id: $id, input: $input, options: $options) { name id version position repeated }
        }";
        let variables = json!({
            "name": start.saga.name().as_str(),
            "id": start.saga.id().as_str(),
            "input": start.input.to_string(),
            "options": { "metadata": object(&start.metadata) },
        });
        let started: WireStarted = self.recorded(START, variables).await?;
        started.decode().map_err(|wrong| SagaError::Unknown(unreadable(wrong)))
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        let document = format!(
            "query($name: String, $phases: [SagaPhase!], $first: Int, $after: String) {{
                sagas(name: $name, phases: $phases, first: $first, after: $after) {{ sagas {SAGA} next }}
            }}"
        );
        let variables = json!({
            "name": list.name.as_ref().map(Name::as_str),
            "phases": list.phases.iter().map(|phase| Loud(*phase).to_string()).collect::<Vec<_>>(),
            "first": first(list.limit),
            "after": list.after,
        });
        let page: WireSagaPage = self.shown(&document, variables).await?;
        page.decode().map_err(|wrong| SagaError::Other(unreadable(wrong)))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        let document = format!("query($name: String!, $id: String!) {{ saga(name: $name, id: $id) {SAGA} }}");
        let variables = json!({ "name": saga.name().as_str(), "id": saga.id().as_str() });
        let saga: WireSaga = self.shown(&document, variables).await?;
        saga.decode().map_err(|wrong| SagaError::Other(unreadable(wrong)))
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        const TIMELINE: &str = "query($name: String!, $id: String!, $first: Int, $after: Long) {
            sagaTimeline(name: $name, id: $id, first: $first, after: $after) { facts { revision at type data } next }
        }";
        let variables = json!({
            "name": saga.name().as_str(),
            "id": saga.id().as_str(),
            "first": first(limit),
            "after": after.map(|after| after.to_string()),
        });
        self.shown(TIMELINE, variables).await.map(WireTimeline::decode)
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        let document = format!(
            "mutation($name: String!, $id: String!, $action: SagaAction!, $note: String, $options: SagaOptions) {{
                actOnSaga(name: $name, id: $id, action: $action, note: $note, options: $options) {SAGA}
            }}"
        );
        let variables = json!({
            "name": act.saga.name().as_str(),
            "id": act.saga.id().as_str(),
            "action": Loud(act.action).to_string(),
            "note": act.note,
            "options": { "metadata": object(&act.metadata) },
        });
        let saga: WireSaga = self.recorded(&document, variables).await?;
        saga.decode().map_err(|wrong| SagaError::Unknown(unreadable(wrong)))
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        const DEFINITIONS: &str = "{ sagaDefinitions { name version description schema plan trouble } }";
        let all: Vec<WireDefinition> = self.shown(DEFINITIONS, json!({})).await?;
        Ok(all.into_iter().map(WireDefinition::decode).collect())
    }
}

/// A page may hold fewer than asked for.
fn first(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

impl GraphqlClient {
    /// What records something.
    async fn recorded<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, SagaError> {
        match self.shared.transport.field(document, variables, None).await {
            // What came back cannot be told, and yet it was recorded.
            Ok(value) => T::deserialize(value).map_err(|error| SagaError::Unknown(unreadable(error))),
            Err(Failure::NotSent(source)) => Err(SagaError::Busy(source)),
            Err(Failure::Lost(source)) => Err(SagaError::Unknown(source)),
            Err(Failure::Refused(problem)) => Err(SagaError::from_problem(&problem).unwrap_or_else(|| {
                let source = Source::new(problem.message.clone());
                match problem.code.as_str() {
                    "slow-request" => SagaError::Busy(source),
                    "panicked" | "" => SagaError::Unknown(source),
                    _ => SagaError::Other(source),
                }
            })),
        }
    }

    /// What changes nothing.
    async fn shown<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, SagaError> {
        match self.shared.transport.field(document, variables, None).await {
            Ok(value) => T::deserialize(value).map_err(|error| SagaError::Other(unreadable(error))),
            Err(Failure::NotSent(source) | Failure::Lost(source)) => Err(SagaError::Busy(source)),
            Err(Failure::Refused(problem)) => Err(SagaError::from_problem(&problem).unwrap_or_else(|| {
                let source = Source::new(problem.message.clone());
                match problem.code.as_str() {
                    "slow-request" | "timed-out" => SagaError::Busy(source),
                    _ => SagaError::Other(source),
                }
            })),
        }
    }
}

fn unreadable(what: impl Display) -> Source {
    Source::new(format!("the server's answer is not understood: {what}"))
}
