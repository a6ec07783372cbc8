//! The port `ProjectionRegistry`.

use super::GraphqlClient;
use super::transport::Failure;
use crate::wire::cells::{WireQuestion, WireRows};
use crate::wire::errors::PortError as _;
use crate::wire::projection::{WireParkedPage, WireStatus};
use crate::wire::text::at;
use async_trait::async_trait;
use core::fmt::Display;
use portolan_kernel::ports::{
    ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus, RowsAnswer, RowsQuestion,
    Source, WaitError,
};
use portolan_kernel::values::{Name, Position};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const STATUS: &str = "{
    name version lifecycle state reason stalledSince edition position frontier lagEvents lagTime eventsPerSecond
    lastError { at position reason }
    parked skipped
    editions { edition state reason stalledSince isActive isReady position holder }
}";

#[async_trait]
impl ProjectionRegistry for GraphqlClient {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let document = format!("{{ projections {STATUS} }}");
        let all: Vec<WireStatus> = self.asked(&document, json!({})).await?;
        Ok(all.into_iter().map(WireStatus::decode).collect())
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        let document = format!("query($name: String!) {{ projection(name: $name) {STATUS} }}");
        self.asked(&document, json!({ "name": projection.as_str() })).await.map(WireStatus::decode)
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        const ACT: &str = "mutation(
            $projection: String!, $action: ProjectionAction!, $version: Int, $edition: String, $position: Position
        ) {
            actOnProjection(
                projection: $projection, action: $action, version: $version, edition: $edition, position: $position
            )
        }";
        let (mut version, mut edition, mut position) = (None, None, None);
        match action {
            ProjectionAction::Activate(to) => version = to,
            ProjectionAction::Remove(which) => edition = Some(which.to_string()),
            ProjectionAction::Retry(which) => position = which,
            ProjectionAction::Drop(which) => position = Some(which),
            _ => {}
        }
        let name = action.as_str().replace('-', "_").to_uppercase();
        let variables = json!({
            "projection": projection.as_str(),
            "action": name,
            "version": version,
            "edition": edition,
            "position": at(position),
        });
        match self.shared.transport.field(ACT, variables, None).await {
            Ok(_) => Ok(()),
            Err(Failure::NotSent(source)) => Err(ProjectionError::Busy(source)),
            Err(Failure::Lost(source)) => Err(ProjectionError::Unknown(source)),
            Err(Failure::Refused(problem)) => Err(ProjectionError::from_problem(&problem)
                .unwrap_or_else(|| ProjectionError::Other(Source::new(problem.message.clone())))),
        }
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        const PARKED: &str = "query($name: String!, $first: Int, $after: Position) {
            projection(name: $name) {
                parkedEvents(first: $first, after: $after) { events { position stream key reason at } next }
            }
        }";
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Projection {
            parked_events: WireParkedPage,
        }
        if limit == 0 {
            return Err(ProjectionError::Invalid("it is for 0 events; ask for at least 1".to_owned()));
        }
        let first = i32::try_from(limit).unwrap_or(i32::MAX);
        let variables = json!({ "name": projection.as_str(), "first": first, "after": at(after) });
        let projection: Projection = self.asked(PARKED, variables).await?;
        Ok(projection.parked_events.decode())
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        const ROWS: &str = "query($question: JSON!) { rows(question: $question) }";
        let rows: WireRows = self.asked(ROWS, json!({ "question": WireQuestion::new(&question) })).await?;
        Ok(rows.decode())
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        const WAIT: &str = "query($projection: String!, $position: Position!, $wait: Float) {
            waitFor(projection: $projection, position: $position, wait: $wait)
        }";
        // Half of what this client would wait, so that the answer that it has not come so far comes in time.
        let wait = (self.shared.transport.request_timeout() / 2).as_secs_f64();
        let variables = json!({ "projection": projection.as_str(), "position": position.to_string(), "wait": wait });
        loop {
            match self.shared.transport.field(WAIT, variables.clone(), None).await {
                Ok(Value::Bool(true)) => return Ok(()),
                Ok(_) => {}
                Err(Failure::NotSent(source) | Failure::Lost(source)) => return Err(WaitError::Busy(source)),
                Err(Failure::Refused(problem)) => {
                    return Err(WaitError::from_problem(&problem)
                        .unwrap_or_else(|| WaitError::Other(Source::new(problem.message.clone()))));
                }
            }
        }
    }
}

impl GraphqlClient {
    async fn asked<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, ProjectionError> {
        match self.shared.transport.field(document, variables, None).await {
            Ok(value) => T::deserialize(value).map_err(unreadable),
            Err(Failure::NotSent(source) | Failure::Lost(source)) => Err(ProjectionError::Busy(source)),
            Err(Failure::Refused(problem)) => Err(ProjectionError::from_problem(&problem).unwrap_or_else(|| {
                let source = Source::new(problem.message.clone());
                match problem.code.as_str() {
                    "slow-request" | "timed-out" => ProjectionError::Busy(source),
                    _ => ProjectionError::Other(source),
                }
            })),
        }
    }
}

fn unreadable(what: impl Display) -> ProjectionError {
    ProjectionError::Other(Source::new(format!("the server's answer is not understood: {what}")))
}
