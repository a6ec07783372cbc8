//! The port `SagaOrchestrator`: sagas started, seen and operated.

use super::{ListSagas, SagaAction, SagaError, SagaPage, SagaSummary, SagaTimeline};
use crate::values::{Metadata, Name, Position, Revision, SagaId};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;

/// A saga to be started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StartSaga {
    /// Which: the name of the definition, and the id that makes a repetition harmless (SG-03).
    pub saga: SagaId,
    /// What it is started with, as JSON.
    pub input: Value,
    /// Correlation, actor, tenant and trace of all that its steps send. Without a correlation the saga's id is it.
    pub metadata: Metadata,
}

impl StartSaga {
    /// This saga with this input, without metadata.
    #[must_use]
    pub fn new(saga: SagaId, input: Value) -> Self {
        Self { saga, input, metadata: Metadata::default() }
    }

    /// The same, with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }
}

/// A saga that has been started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaStarted {
    /// Which.
    pub saga: SagaId,
    /// The version of the definition that it follows.
    pub version: u32,
    /// The position of its first fact; `None` for an orchestrator that does not tell.
    pub position: Option<Position>,
    /// Whether it had been started before, with the same input.
    pub repeated: bool,
}

impl SagaStarted {
    /// A saga that was started now.
    #[must_use]
    pub fn new(saga: SagaId, version: u32, position: Option<Position>) -> Self {
        Self { saga, version, position, repeated: false }
    }

    /// The same, as a repetition returns it.
    #[must_use]
    pub fn as_repeated(self) -> Self {
        Self { repeated: true, ..self }
    }
}

/// What an operator has done to a saga (SG-09).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActOnSaga {
    /// Which.
    pub saga: SagaId,
    /// What.
    pub action: SagaAction,
    /// Why, in the operator's words; may be empty.
    pub note: String,
    /// Who: its actor is recorded.
    pub metadata: Metadata,
}

impl ActOnSaga {
    /// This action, by nobody known and without a note.
    #[must_use]
    pub fn new(saga: SagaId, action: SagaAction) -> Self {
        Self { saga, action, note: String::new(), metadata: Metadata::default() }
    }

    /// The same, with this note.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// The same, with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }
}

/// A definition that is registered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SagaInfo {
    /// Its name.
    pub name: Name,
    /// Its version. A saga that is started follows the highest of its name.
    pub version: u32,
    /// What it does, for a person; empty when nobody said.
    pub description: String,
    /// The JSON Schema (2020-12) of its input; `None` when nobody said.
    pub schema: Option<Value>,
    /// The definition as data: the JSON of a [`Plan`](crate::domain::saga::Plan). That of a process, which starts by events and not by
    /// hand, has `process`.
    pub plan: Value,
    /// What is in the way of it here, if anything: why processes of it receive no more events, or sagas of it are not driven,
    /// one of them named. Whoever mends that need do nothing more: no event is passed over, and what failed is tried again.
    /// But an event whose key [names no process](crate::domain::saga::Process::correlate) is, and the last such one is told
    /// here, until this process of the system feeds anew.
    pub trouble: Option<String>,
}

impl SagaInfo {
    /// A definition with this plan.
    #[must_use]
    pub fn new(name: Name, version: u32, plan: Value) -> Self {
        Self { name, version, description: String::new(), schema: None, plan, trouble: None }
    }

    /// Whether it is a process, which starts by events and not by hand.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.plan.get("process").is_some()
    }

    /// The same, described so.
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// The same, with this in the way of its events.
    #[must_use]
    pub fn with_trouble(self, trouble: Option<String>) -> Self {
        Self { trouble, ..self }
    }

    /// The same, with this schema of its input.
    #[must_use]
    pub fn with_schema(self, schema: Option<Value>) -> Self {
        Self { schema, ..self }
    }
}

/// Starts sagas, shows them and lets operators act on them; and, in a process that has their code, drives them to their end.
///
/// A saga is what its stream says (`$saga-{name}:{id}`). Whoever drives it appends there and nowhere else, so that any process
/// over the same log sees the same saga.
///
/// # Laws
///
/// - **SG-01** Intent is recorded before the effect, outcome after. Each step has one idempotency key over all its attempts,
///   its compensation another. Keys are kept for longer than the longest saga takes: checked at start-up.
/// - **SG-02** Killed at any durable boundary and resumed, a saga ends in the same final state, each effect applied once where
///   the receiver honours the key.
/// - **SG-03** Starting twice under one id with one input starts once, and says so; with another input it is
///   [`StartedOtherwise`](SagaError::StartedOtherwise). Of several results of one attempt the first that is recorded counts;
///   late ones are dropped.
/// - **SG-04** Compensation runs in the reverse order of completed steps. A step whose outcome is unknown is resolved or
///   compensated, never ignored. Steps declared without compensation mark the pivot.
/// - **SG-05** A compensation that fails is retried, and then the saga needs an operator; it is never shown as compensated.
/// - **SG-06** Retries have back-off, jitter and a maximum, by error class. Steps and sagas have time-outs by the
///   [`Clock`](super::Clock); a timer that was overdue at restart fires once.
/// - **SG-07** Two orchestrators never both advance one saga: each append expects the revision that its writer has seen.
/// - **SG-08** A running saga survives a new definition: it ends by the plan it was started with. One that this code
///   cannot go on with waits, and [`SagaSummary::lacks`] says why.
/// - **SG-09** An operator's retry, skip, compensation and abort are each recorded with actor and note, before they take
///   effect; what makes no sense is [`NotNow`](SagaError::NotNow).
#[async_trait]
pub trait SagaOrchestrator: Send + Sync {
    /// Starts a saga by the highest version of its definition. It is recorded when this returns; somebody drives it then.
    ///
    /// # Errors
    ///
    /// [`SagaError::UnknownDefinition`], [`SagaError::Invalid`], [`SagaError::StartedOtherwise`], and those of every call.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the saga started or not; starting again under the id settles it.
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError>;

    /// A page of sagas. What was recorded shortly before may be missing from it, or shown as it was.
    ///
    /// # Errors
    ///
    /// [`SagaError::Invalid`] for a limit of 0 or a cursor that is none, and those of every call.
    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError>;

    /// How a saga stands, by all that has been recorded.
    ///
    /// # Errors
    ///
    /// [`SagaError::NotFound`], and those of every call.
    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError>;

    /// The facts of a saga after this one, at most so many; `limit` is at least 1.
    ///
    /// # Errors
    ///
    /// [`SagaError::NotFound`], [`SagaError::Invalid`] for a limit of 0, and those of every call.
    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError>;

    /// Has an operator act, and says how the saga stands then.
    ///
    /// # Errors
    ///
    /// [`SagaError::NotFound`], [`SagaError::NotNow`], and those of every call.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the action recorded or not.
    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError>;

    /// The definitions that can be started or driven here, in the order of names and versions.
    ///
    /// # Errors
    ///
    /// [`SagaError::Busy`] and [`SagaError::Other`].
    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError>;
}

/// A shared orchestrator is one. It hands on its own futures, at no cost.
impl<S: SagaOrchestrator + ?Sized> SagaOrchestrator for Arc<S> {
    fn start<'s, 'f>(&'s self, start: StartSaga) -> BoxFuture<'f, Result<SagaStarted, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).start(start)
    }
    fn list<'s, 'f>(&'s self, list: ListSagas) -> BoxFuture<'f, Result<SagaPage, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).list(list)
    }
    fn status<'s, 'f>(&'s self, saga: SagaId) -> BoxFuture<'f, Result<SagaSummary, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).status(saga)
    }
    fn timeline<'s, 'f>(
        &'s self,
        saga: SagaId,
        after: Option<Revision>,
        limit: u32,
    ) -> BoxFuture<'f, Result<SagaTimeline, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).timeline(saga, after, limit)
    }
    fn act<'s, 'f>(&'s self, act: ActOnSaga) -> BoxFuture<'f, Result<SagaSummary, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).act(act)
    }
    fn describe<'s, 'f>(&'s self) -> BoxFuture<'f, Result<Vec<SagaInfo>, SagaError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).describe()
    }
}

/// An orchestrator without definitions and sagas.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSagas;

#[async_trait]
impl SagaOrchestrator for NoSagas {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        Err(SagaError::UnknownDefinition(start.saga.name().clone()))
    }

    async fn list(&self, _: ListSagas) -> Result<SagaPage, SagaError> {
        Ok(SagaPage::default())
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        Err(SagaError::NotFound(saga))
    }

    async fn timeline(&self, saga: SagaId, _: Option<Revision>, _: u32) -> Result<SagaTimeline, SagaError> {
        Err(SagaError::NotFound(saga))
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        Err(SagaError::NotFound(act.saga))
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        Ok(Vec::new())
    }
}
