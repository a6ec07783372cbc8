//! The port `SagaOrchestrator`.

use super::GrpcClient;
use super::transport::{Failure, denied, had_no_effect, may_pass, source_of, traced};
use crate::proto::{
    ActOnSagaRequest, DescribeSagasRequest, ListSagasRequest, SagaStatusRequest, SagaSummary as WireSummary,
    SagaTimelineRequest, StartSagaRequest, Violations,
};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Details, reason};
use crate::wire::{Wrong, required};
use async_trait::async_trait;
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted, SagaSummary, SagaTimeline,
    Source, StartSaga, Violation,
};
use portolan_kernel::values::{Revision, SagaId};
use prost::Message;
use tonic::{Request, Response, Status};

#[async_trait]
impl SagaOrchestrator for GrpcClient {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        let trace = start.metadata.traceparent.clone();
        let mut sagas = self.shared.transport.sagas();
        let call = async |asked| sagas.start(asked).await;
        let response = self.recorded(StartSagaRequest::from(start), trace, call).await?;
        // What came back cannot be told, and yet it was started.
        response.checked().map_err(|wrong| SagaError::Unknown(not_understood(&wrong)))
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        let mut sagas = self.shared.transport.sagas();
        let page = self.shown(ListSagasRequest::from(list), async |asked| sagas.list(asked).await).await?;
        page.checked().map_err(|wrong| SagaError::Other(not_understood(&wrong)))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        let message = SagaStatusRequest { saga: Some((&saga).into()) };
        let mut sagas = self.shared.transport.sagas();
        let response = self.shown(message, async |asked| sagas.status(asked).await).await?;
        summary(response.saga).map_err(|wrong| SagaError::Other(not_understood(&wrong)))
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        let after = after.map(Revision::get);
        let message = SagaTimelineRequest { saga: Some((&saga).into()), after, limit: Some(limit) };
        let mut sagas = self.shared.transport.sagas();
        let timeline = self.shown(message, async |asked| sagas.timeline(asked).await).await?;
        timeline.checked().map_err(|wrong| SagaError::Other(not_understood(&wrong)))
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        let trace = act.metadata.traceparent.clone();
        let mut sagas = self.shared.transport.sagas();
        let call = async |asked| sagas.act(asked).await;
        let response = self.recorded(ActOnSagaRequest::from(act), trace, call).await?;
        summary(response.saga).map_err(|wrong| SagaError::Unknown(not_understood(&wrong)))
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        let mut sagas = self.shared.transport.sagas();
        let response = self.shown(DescribeSagasRequest {}, async |asked| sagas.describe(asked).await).await?;
        response.checked().map_err(|wrong| SagaError::Other(not_understood(&wrong)))
    }
}

fn summary(saga: Option<WireSummary>) -> Result<SagaSummary, Wrong> {
    required("saga", saga)?.checked().map_err(|wrong| wrong.of("saga"))
}

impl GrpcClient {
    /// A call that records something.
    async fn recorded<M: Message, T>(
        &self,
        message: M,
        trace: Option<String>,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, SagaError> {
        self.takes(&message)?;
        self.shared.transport.write(traced(message, trace), None, call).await.map_err(|failure| match failure {
            Failure::NotSent(source) => SagaError::Busy(source),
            Failure::Lost(source) => SagaError::Unknown(source),
            Failure::Answered(status) => of_status(&status).unwrap_or_else(|| {
                let source = source_of(&status);
                if had_no_effect(&status) { SagaError::Other(source) } else { SagaError::Unknown(source) }
            }),
        })
    }

    /// A call that changes nothing.
    async fn shown<M: Message, T>(
        &self,
        message: M,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, SagaError> {
        self.takes(&message)?;
        self.shared.transport.read(message, call).await.map_err(|failure| match failure {
            Failure::NotSent(source) | Failure::Lost(source) => SagaError::Busy(source),
            Failure::Answered(status) => of_status(&status).unwrap_or_else(|| {
                let (passes, source) = (may_pass(&status), source_of(&status));
                if passes { SagaError::Busy(source) } else { SagaError::Other(source) }
            }),
        })
    }

    /// Whether the server takes a request of this size: it would answer a larger one with less.
    fn takes(&self, message: &impl Message) -> Result<(), SagaError> {
        let too_large = |source: Source| SagaError::Invalid(vec![Violation::new("", "too-large", source.to_string())]);
        self.holds(message).map_err(too_large)
    }
}

/// The port's error, or what a server says before the port is asked.
fn of_status(status: &Status) -> Option<SagaError> {
    let known = SagaError::from_status(status).or_else(|| denied(status).map(SagaError::Denied));
    let details = Details::of(status);
    let invalid = || details.own::<Violations>("Violations").map(|wrong| SagaError::Invalid(wrong.into_violations()));
    known.or_else(invalid).or_else(|| match details.reason().as_deref() {
        Some(reason::SHUTTING_DOWN) => Some(SagaError::ShuttingDown),
        Some(reason::BUSY | reason::TOO_MANY_BYTES | reason::SLOW_REQUEST) => Some(SagaError::Busy(source_of(status))),
        _ => None,
    })
}

fn not_understood(wrong: &Wrong) -> Source {
    Source::new(format!("the server's answer is not understood: {wrong}"))
}
