//! Starting typed sagas with any orchestrator, and waiting for their end.

use super::subscription::yield_now;
use crate::domain::saga::Saga;
use crate::ports::{
    EventStore, ReadError, SagaError, SagaOrchestrator, SagaStarted, SagaSummary, Source, StartSaga, Violation,
};
use crate::values::{Metadata, Query, Read, SagaId, SagaIdError};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;
use futures::future::BoxFuture;
use serde_json::Value;

/// Comfort on any orchestrator of sagas.
pub trait SagaOrchestratorExt: SagaOrchestrator {
    /// Starts a typed saga under this id, once it is awaited: `ports.sagas.start_as::<Transfers>("t-1", transfer).await`.
    ///
    /// ```
    /// # use portolan_kernel::domain::saga::{Definition, Saga, Step, StepContext, StepError};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Transfer { from: String, to: String, amount: u64 }
    /// # struct Transfers;
    /// # impl Transfers { async fn pay(&self, _: &Transfer, _: &StepContext) -> Result<(), StepError> { Ok(()) } }
    /// # impl Saga for Transfers {
    /// #     const NAME: &'static str = "transfer-money";
    /// #     type Input = Transfer;
    /// #     fn definition() -> Definition<Self> { Definition::new().step(Step::new("pay", Self::pay)) }
    /// # }
    /// use portolan_kernel::application::Ports;
    /// use portolan_kernel::drivers::SagaOrchestratorExt;
    /// use portolan_kernel::ports::{SagaError, SagaPhase};
    ///
    /// async fn transfer(ports: &Ports) -> Result<bool, SagaError> {
    ///     let transfer = Transfer { from: "ann".into(), to: "bob".into(), amount: 200 };
    ///     let started = ports.sagas.start_as::<Transfers>("t-1", transfer).actor("olu").await?;
    ///     let ended = ports.sagas.wait_for_end(&started.saga, &ports.events).await?;
    ///     Ok(ended.status.phase == SagaPhase::Completed)
    /// }
    /// ```
    fn start_as<S: Saga>(&self, id: impl Into<String>, input: S::Input) -> Starting<'_, Self> {
        let input = serde_json::to_value(&input).map_err(|error| SagaError::Other(Source::new(error)));
        Starting { sagas: self, name: S::NAME, id: id.into(), input, metadata: Metadata::default() }
    }

    /// Waits until the saga has ended, and says how it stands then: completed, compensated or aborted.
    ///
    /// It waits for as long as that takes, also for an operator; whoever has less time puts it under a time-out of its own.
    /// `events` is the log that the saga stands in, such as that of the same [`Ports`](crate::application::Ports): between
    /// two looks it is asked for its hint ([`changed`](EventStore::changed)) on the saga's stream, so that nothing is polled.
    ///
    /// # Errors
    ///
    /// Those of [`status`](SagaOrchestrator::status), and those of reading the stream: [`SagaError::Denied`] where the caller may
    /// not, [`SagaError::Busy`], [`SagaError::Other`]. Waiting again loses nothing.
    ///
    /// # Cancellation
    ///
    /// Safe: waiting changes nothing.
    fn wait_for_end<'a>(
        &'a self,
        saga: &SagaId,
        events: &'a dyn EventStore,
    ) -> BoxFuture<'a, Result<SagaSummary, SagaError>> {
        let saga = saga.clone();
        Box::pin(async move {
            let mut seen = None;
            loop {
                // First where the stream is seen to end, then how the saga stands: what comes between is hinted at.
                let end = events.read(Read::stream(saga.stream()).backward().limit(1)).await.map_err(unreadable)?;
                let summary = self.status(saga.clone()).await?;
                if summary.status.phase.is_end() {
                    return Ok(summary);
                }
                if seen.replace(end.frontier) == Some(end.frontier) {
                    yield_now().await;
                }
                events.changed(Query::stream(saga.stream()), end.frontier).await.map_err(unreadable)?;
            }
        })
    }
}

impl<S: SagaOrchestrator + ?Sized> SagaOrchestratorExt for S {}

fn unreadable(error: ReadError) -> SagaError {
    match error {
        ReadError::Busy(source) => SagaError::Busy(source),
        ReadError::Denied(reason) => SagaError::Denied(reason),
        other => SagaError::Other(Source::new(other)),
    }
}

/// A saga about to be started. Await it; until then nothing happens.
#[must_use = "a saga is started when this is awaited"]
pub struct Starting<'a, O: ?Sized> {
    sagas: &'a O,
    name: &'static str,
    id: String,
    input: Result<Value, SagaError>,
    metadata: Metadata,
}

impl<O: ?Sized> fmt::Debug for Starting<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

impl<O: ?Sized> Starting<'_, O> {
    /// On behalf of this actor, as are all commands of its steps.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// In this tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.metadata.tenant = Some(tenant.into());
        self
    }

    /// As part of what this id holds together, in place of the saga's own.
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.metadata.correlation = Some(correlation.into());
        self
    }

    /// With this metadata, in place of what was given before.
    pub fn metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }
}

impl<'a, O: SagaOrchestrator + ?Sized> IntoFuture for Starting<'a, O> {
    type Output = Result<SagaStarted, SagaError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let saga = SagaId::new(self.name, &self.id).map_err(|error| match error {
                SagaIdError::Name(error) => SagaError::Other(Source::new(error)),
                error => SagaError::Invalid(alloc::vec![Violation::new("id", "wrong-value", error.to_string())]),
            })?;
            self.sagas.start(StartSaga::new(saga, self.input?).with_metadata(self.metadata)).await
        })
    }
}
