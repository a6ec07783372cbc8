//! The service `EventStore`.

use super::App;
use super::admission::{admitted, expired, ports, reached};
use super::subscribe::{self, Deliveries};
use crate::proto::event_store_server::EventStore;
use crate::proto::{
    AppendRequest, AppendResponse, CapabilitiesRequest, CapabilitiesResponse, ChangedRequest, ChangedResponse,
    CheckpointRequest, CheckpointResponse, EventQuery, ReadRequest, ReadResponse, RecallRequest, RecallResponse,
    SubscribeRequest,
};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Told, invalid_request, reason, shutting_down};
use crate::wire::{maybe_position, parsed};
use portolan_kernel::application::Admitted;
use portolan_kernel::values::Append;
use tonic::{Code, Request, Response, Status};

#[tonic::async_trait]
impl EventStore for App {
    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let ports = ports(&request)?;
        let append = request.into_inner().checked().map_err(invalid_request)?;
        // Whether the store can write is told to those too who may not append.
        if !self.raw_appends && append != Append::default() {
            let message = "raw appends are off: they bypass the domain; send a command";
            return Err(Told::new(Code::PermissionDenied, reason::RAW_APPENDS_OFF, message).into_status());
        }
        let appended = ports.events.append(append).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&appended).into()))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadResponse>, Status> {
        let ports = ports(&request)?;
        let read = request.into_inner().checked().map_err(invalid_request)?;
        let page = ports.events.read(read).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&page).into()))
    }

    async fn recall(&self, request: Request<RecallRequest>) -> Result<Response<RecallResponse>, Status> {
        let ports = ports(&request)?;
        let RecallRequest { scope, id } = request.into_inner();
        let scope = parsed("scope", &scope).map_err(invalid_request)?;
        let id = parsed("id", &id).map_err(invalid_request)?;
        let recalled = ports.events.recall(scope, id).await.map_err(|error| error.into_status())?;
        Ok(Response::new(RecallResponse { recalled: recalled.as_ref().map(Into::into) }))
    }

    async fn checkpoint(&self, request: Request<CheckpointRequest>) -> Result<Response<CheckpointResponse>, Status> {
        let ports = ports(&request)?;
        let name = parsed("name", &request.get_ref().name).map_err(invalid_request)?;
        let state = ports.events.checkpoint(name).await.map_err(|error| error.into_status())?;
        Ok(Response::new(state.into()))
    }

    async fn changed(&self, request: Request<ChangedRequest>) -> Result<Response<ChangedResponse>, Status> {
        let ports = ports(&request)?;
        let longest_wait = self.longest_wait(request.metadata())?;
        let ChangedRequest { query, after } = request.into_inner();
        let query = EventQuery::checked(query).map_err(|wrong| invalid_request(wrong.of("query")))?;
        let after = maybe_position("after", after).map_err(invalid_request)?;
        tokio::select! {
            biased;
            changed = ports.events.changed(query, after) => changed.map_err(|error| error.into_status())?,
            () = tokio::time::sleep(longest_wait) => {}
            () = self.stopping() => {}
        }
        Ok(Response::new(ChangedResponse {}))
    }

    async fn capabilities(
        &self,
        request: Request<CapabilitiesRequest>,
    ) -> Result<Response<CapabilitiesResponse>, Status> {
        let mut response = CapabilitiesResponse::from(&ports(&request)?.events.capabilities());
        response.append_request_bytes = self.append_request_bytes as u64;
        response.request_bytes = self.config.request_bytes as u64;
        response.appends = self.raw_appends;
        Ok(Response::new(response))
    }

    type SubscribeStream = Deliveries;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Deliveries>, Status> {
        let Admitted { caller, ports, .. } = admitted(&request)?.clone();
        let (query, from) = request.into_inner().checked().map_err(invalid_request)?;
        let stopping = self.stopping();
        let end = async move {
            tokio::select! {
                () = stopping => shutting_down(),
                () = reached(caller.until) => expired(),
            }
        };
        let subscription = ports.subscriptions.subscribe(query, from);
        subscribe::deliveries(subscription, self.config.live_progress, end).await.map(Response::new)
    }
}
