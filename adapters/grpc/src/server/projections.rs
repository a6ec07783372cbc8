//! The service `Projections`.

use super::App;
use super::admission::ports;
use crate::proto::projections_server::Projections;
use crate::proto::{
    ActRequest, ActResponse, ListProjectionsRequest, ListProjectionsResponse, ParkedRequest, ParkedResponse,
    ProjectionStatusRequest, ProjectionStatusResponse, RowsRequest, RowsResponse, WaitForRequest, WaitForResponse,
};
use crate::wire::errors::PortError as _;
use crate::wire::status::{invalid_request, shutting_down};
use crate::wire::{decode_action, maybe_position, parsed, position};
use portolan_kernel::values::Name;
use tonic::{Request, Response, Status};

fn named(projection: &str) -> Result<Name, Status> {
    parsed("projection", projection).map_err(invalid_request)
}

#[tonic::async_trait]
impl Projections for App {
    async fn list(
        &self,
        request: Request<ListProjectionsRequest>,
    ) -> Result<Response<ListProjectionsResponse>, Status> {
        let statuses = ports(&request)?.projections.list().await.map_err(|error| error.into_status())?;
        Ok(Response::new(ListProjectionsResponse { projections: statuses.iter().map(Into::into).collect() }))
    }

    async fn status(
        &self,
        request: Request<ProjectionStatusRequest>,
    ) -> Result<Response<ProjectionStatusResponse>, Status> {
        let ports = ports(&request)?;
        let projection = named(&request.get_ref().projection)?;
        let status = ports.projections.status(projection).await.map_err(|error| error.into_status())?;
        Ok(Response::new(ProjectionStatusResponse { status: Some((&status).into()) }))
    }

    async fn act(&self, request: Request<ActRequest>) -> Result<Response<ActResponse>, Status> {
        let ports = ports(&request)?;
        let ActRequest { projection, action } = request.into_inner();
        let (projection, action) = (named(&projection)?, decode_action(action).map_err(invalid_request)?);
        ports.projections.act(projection, action).await.map_err(|error| error.into_status())?;
        Ok(Response::new(ActResponse {}))
    }

    async fn parked(&self, request: Request<ParkedRequest>) -> Result<Response<ParkedResponse>, Status> {
        const LIMIT: u32 = 100;
        let ports = ports(&request)?;
        let ParkedRequest { projection, after, limit } = request.into_inner();
        let after = maybe_position("after", after).map_err(invalid_request)?;
        let parked = ports.projections.parked(named(&projection)?, after, limit.unwrap_or(LIMIT));
        let page = parked.await.map_err(|error| error.into_status())?;
        Ok(Response::new((&page).into()))
    }

    async fn rows(&self, request: Request<RowsRequest>) -> Result<Response<RowsResponse>, Status> {
        let ports = ports(&request)?;
        let question = request.into_inner().checked().map_err(invalid_request)?;
        // An answer may have to wait for a position, for as long as it takes.
        tokio::select! {
            biased;
            rows = ports.projections.rows(question) => {
                Ok(Response::new((&rows.map_err(|error| error.into_status())?).into()))
            }
            () = self.stopping() => Err(shutting_down()),
        }
    }

    async fn wait_for(&self, request: Request<WaitForRequest>) -> Result<Response<WaitForResponse>, Status> {
        let ports = ports(&request)?;
        let longest_wait = self.longest_wait(request.metadata())?;
        let WaitForRequest { projection, position: number } = request.into_inner();
        let position = position("position", number).map_err(invalid_request)?;
        let applied = tokio::select! {
            biased;
            waited = ports.projections.wait_for(named(&projection)?, position) => {
                waited.map_err(|error| error.into_status())?;
                true
            }
            () = tokio::time::sleep(longest_wait) => false,
            () = self.stopping() => return Err(shutting_down()),
        };
        Ok(Response::new(WaitForResponse { applied }))
    }
}
