//! The service `Queries`.

use super::admission::ports;
use super::{App, call};
use crate::proto::queries_server::Queries;
use crate::proto::{AskRequest, AskResponse, DescribeQueriesRequest, DescribeQueriesResponse};
use crate::wire::errors::PortError as _;
use crate::wire::status::invalid_request;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Queries for App {
    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<AskResponse>, Status> {
        let ports = ports(&request)?;
        let (metadata, _, message) = request.into_parts();
        let mut query = message.checked().map_err(invalid_request)?;
        query.within = call::within(&metadata)?;
        call::complete(&mut query.metadata, &metadata)?;
        if query.parameters.is_empty() {
            query.parameters = "{}".into();
        }
        let answer = ports.queries.ask(query).await.map_err(|error| error.into_status())?;
        Ok(Response::new(answer.into()))
    }

    async fn describe(
        &self,
        request: Request<DescribeQueriesRequest>,
    ) -> Result<Response<DescribeQueriesResponse>, Status> {
        let queries = ports(&request)?.queries.queries().into_iter().map(Into::into).collect();
        Ok(Response::new(DescribeQueriesResponse { queries }))
    }
}
