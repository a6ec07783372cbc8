//! The service `Commands`.

use super::admission::ports;
use super::{App, call};
use crate::proto::commands_server::Commands;
use crate::proto::{DescribeCommandsRequest, DescribeCommandsResponse, DispatchRequest, DispatchResponse};
use crate::wire::errors::PortError as _;
use crate::wire::status::invalid_request;
use portolan_kernel::ports::CommandError;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Commands for App {
    async fn dispatch(&self, request: Request<DispatchRequest>) -> Result<Response<DispatchResponse>, Status> {
        let ports = ports(&request)?;
        let (metadata, _, message) = request.into_parts();
        let mut command = message.checked().map_err(invalid_request)?;
        command.within = call::within(&metadata)?;
        call::complete(&mut command.metadata, &metadata)?;
        if command.id.is_none() {
            command.id = call::idempotency_key(&metadata)?;
        }
        match ports.commands.dispatch(command).await {
            Ok(receipt) => Ok(Response::new(DispatchResponse::new(&receipt, None))),
            Err(CommandError::NotCaughtUp { receipt, waiting }) => {
                Ok(Response::new(DispatchResponse::new(&receipt, Some(&waiting))))
            }
            Err(error) => Err(error.into_status()),
        }
    }

    async fn describe(
        &self,
        request: Request<DescribeCommandsRequest>,
    ) -> Result<Response<DescribeCommandsResponse>, Status> {
        let commands = ports(&request)?.commands.commands().into_iter().map(Into::into).collect();
        Ok(Response::new(DescribeCommandsResponse { commands }))
    }
}
