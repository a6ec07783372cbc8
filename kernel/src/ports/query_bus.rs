//! The port `QueryBus`: questions in, answers out.

use super::command_bus::listed;
use super::{Source, Violation};
use crate::values::{Format, Metadata, Name, Position, Revision};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use serde_json::Value;

/// A question on its way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueryEnvelope {
    /// The query's wire name.
    pub name: Name,
    /// Its parameters, a JSON object.
    pub parameters: Bytes,
    /// Who asks, in which trace.
    pub metadata: Metadata,
    /// How long the caller waits for the answer; `None`: as long as it takes. Past it the question is
    /// [`QueryError::Busy`].
    pub within: Option<Duration>,
    /// The answer must not be older than this position, such as that of a receipt: whoever answers waits until it
    /// sees the log up to there. A position that is not reached in time is [`QueryError::Busy`].
    pub at_least: Option<Position>,
}

impl QueryEnvelope {
    /// A question with these parameters, a JSON object.
    #[must_use]
    pub fn new(name: Name, parameters: impl Into<Bytes>) -> Self {
        let metadata = Metadata::default();
        Self { name, parameters: parameters.into(), metadata, within: None, at_least: None }
    }

    /// The same question with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// The same question, to be answered within this time.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }

    /// The same question, to be answered by nothing older than this position.
    #[must_use]
    pub fn at_least(self, position: Position) -> Self {
        Self { at_least: Some(position), ..self }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// What the body's bytes are.
    pub format: Format,
    /// The answer itself.
    pub body: Bytes,
    /// The revision of the stream the answer was made from, if it was one stream.
    pub revision: Option<Revision>,
}

impl Answer {
    /// An answer in JSON.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { format: Format::Json, body: body.into(), revision: None }
    }

    /// The same answer, made from one stream at this revision.
    #[must_use]
    pub fn with_revision(self, revision: Option<Revision>) -> Self {
        Self { revision, ..self }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No handler has this name. The caller or the registration is mistaken.
    #[error("there is no query {0}")]
    UnknownQuery(Name),
    /// The parameters are no JSON object.
    #[error("the query's parameters cannot be read: {0}")]
    Malformed(String),
    /// Parameters are wrong; each is listed.
    #[error("the query is invalid: {}", listed(.0))]
    Invalid(Vec<Violation>),
    /// What was asked for does not exist.
    #[error("{0}")]
    NotFound(String),
    /// This caller may not, says a policy between the caller and the port. Asking again changes nothing until the policy
    /// does.
    #[error("not allowed: {0}")]
    Denied(String),
    /// It cannot be answered now. Try again, with a pause.
    #[error("the application is busy; try again")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the query failed: {0}")]
    Other(#[source] Source),
}

/// What a bus tells of a query it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryInfo {
    /// The wire name.
    pub name: Name,
    /// What it answers, for a person; empty when nobody said.
    pub description: String,
    /// The JSON Schema (2020-12) of its parameters; `None` when nobody said.
    pub schema: Option<Value>,
    /// The JSON Schema of its answer; `None` when nobody said.
    pub answer_schema: Option<Value>,
}

impl QueryInfo {
    /// A query of this name, of which nothing else is told.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, description: String::new(), schema: None, answer_schema: None }
    }

    /// The same, with what it answers.
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same, with the JSON Schemas of its parameters and of its answer.
    #[must_use]
    pub fn with_schemas(self, schema: Option<Value>, answer_schema: Option<Value>) -> Self {
        Self { schema, answer_schema, ..self }
    }
}

/// Answers questions. Asking changes nothing.
///
/// An answer is never older than [`QueryEnvelope::at_least`], and never later than [`QueryEnvelope::within`].
#[async_trait]
pub trait QueryBus: Send + Sync {
    /// Answers.
    ///
    /// # Errors
    ///
    /// [`QueryError`]; a question can always be repeated.
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError>;

    /// The queries it answers, by name.
    fn queries(&self) -> Vec<QueryInfo>;
}
