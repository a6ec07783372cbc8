//! The service `Sagas`.

use super::admission::ports;
use super::{App, call};
use crate::proto::sagas_server::Sagas;
use crate::proto::{
    ActOnSagaRequest, ActOnSagaResponse, DescribeSagasRequest, DescribeSagasResponse, ListSagasRequest,
    ListSagasResponse, SagaStatusRequest, SagaStatusResponse, SagaTimelineRequest, SagaTimelineResponse,
    StartSagaRequest, StartSagaResponse,
};
use crate::wire::decode_saga;
use crate::wire::errors::PortError as _;
use crate::wire::status::invalid_request;
use portolan_kernel::values::Revision;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Sagas for App {
    async fn start(&self, request: Request<StartSagaRequest>) -> Result<Response<StartSagaResponse>, Status> {
        let ports = ports(&request)?;
        let (metadata, _, message) = request.into_parts();
        let mut start = message.checked().map_err(invalid_request)?;
        call::complete(&mut start.metadata, &metadata)?;
        let started = ports.sagas.start(start).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&started).into()))
    }

    async fn list(&self, request: Request<ListSagasRequest>) -> Result<Response<ListSagasResponse>, Status> {
        let ports = ports(&request)?;
        let list = request.into_inner().checked().map_err(invalid_request)?;
        let page = ports.sagas.list(list).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&page).into()))
    }

    async fn status(&self, request: Request<SagaStatusRequest>) -> Result<Response<SagaStatusResponse>, Status> {
        let ports = ports(&request)?;
        let saga = decode_saga(request.into_inner().saga).map_err(invalid_request)?;
        let summary = ports.sagas.status(saga).await.map_err(|error| error.into_status())?;
        Ok(Response::new(SagaStatusResponse { saga: Some((&summary).into()) }))
    }

    async fn timeline(&self, request: Request<SagaTimelineRequest>) -> Result<Response<SagaTimelineResponse>, Status> {
        const LIMIT: u32 = 100;
        let ports = ports(&request)?;
        let SagaTimelineRequest { saga, after, limit } = request.into_inner();
        let saga = decode_saga(saga).map_err(invalid_request)?;
        let timeline = ports.sagas.timeline(saga, after.map(Revision::new), limit.unwrap_or(LIMIT));
        let timeline = timeline.await.map_err(|error| error.into_status())?;
        Ok(Response::new((&timeline).into()))
    }

    async fn act(&self, request: Request<ActOnSagaRequest>) -> Result<Response<ActOnSagaResponse>, Status> {
        let ports = ports(&request)?;
        let (metadata, _, message) = request.into_parts();
        let mut act = message.checked().map_err(invalid_request)?;
        call::complete(&mut act.metadata, &metadata)?;
        let summary = ports.sagas.act(act).await.map_err(|error| error.into_status())?;
        Ok(Response::new(ActOnSagaResponse { saga: Some((&summary).into()) }))
    }

    async fn describe(
        &self,
        request: Request<DescribeSagasRequest>,
    ) -> Result<Response<DescribeSagasResponse>, Status> {
        let definitions = ports(&request)?.sagas.describe().await.map_err(|error| error.into_status())?;
        Ok(Response::new(DescribeSagasResponse { definitions: definitions.into_iter().map(Into::into).collect() }))
    }
}
