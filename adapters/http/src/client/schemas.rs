//! The port `SchemaRegistry`.

use super::HttpClient;
use super::transport::{Answer, Failure};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::schemas::{WireSchemaVersions, WireSchemas, path};
use async_trait::async_trait;
use http::Method;
use portolan_kernel::ports::{Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions, Source};

#[async_trait]
impl SchemaRegistry for HttpClient {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        let answer = self.asked("/schemas").await?;
        if !answer.status.is_success() {
            return Err(error(&answer.problem()));
        }
        let all: WireSchemas = from_json(&answer.body).map_err(|problem| unreadable(problem.detail))?;
        Ok(all.schemas.into_iter().map(WireSchemaVersions::decode).collect())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        let answer = self.asked(&format!("{}?kind={}", path(&subject.name, version), subject.kind)).await?;
        if answer.status.is_success() {
            let schema = serde_json::from_slice(&answer.body).map_err(|error| unreadable(error.to_string()))?;
            return Ok(Schema::new(subject, version, Some(schema)));
        }
        let problem = answer.problem();
        if problem.name == "no-schema" {
            return Ok(Schema::new(subject, version, None));
        }
        Err(error(&problem))
    }
}

impl HttpClient {
    async fn asked(&self, path: &str) -> Result<Answer, SchemaError> {
        let sent = self.shared.transport.send(Method::GET, path, Vec::new(), None, None).await;
        sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| SchemaError::Busy(source))
    }
}

/// What a server answers besides its registry's own errors. What has only been read can be read again.
fn error(problem: &Problem) -> SchemaError {
    SchemaError::from_problem(problem).unwrap_or_else(|| {
        let source = Source::new(problem.detail.clone());
        match (problem.name.as_str(), problem.status.as_u16()) {
            ("slow-request" | "not-ready", _) | (_, 429 | 502..=504) => SchemaError::Busy(source),
            _ => SchemaError::Other(source),
        }
    })
}

fn unreadable(reason: String) -> SchemaError {
    SchemaError::Other(Source::new(format!("the server's answer is not understood: {reason}")))
}
