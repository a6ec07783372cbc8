//! The service `EventStore`.

use super::App;
use super::subscribe::{self, Deliveries};
use crate::proto::event_store_server::EventStore;
use crate::proto::{
    AppendRequest, AppendResponse, CapabilitiesRequest, CapabilitiesResponse, ChangedRequest, ChangedResponse,
    CheckpointRequest, CheckpointResponse, EventQuery, ReadRequest, ReadResponse, RecallRequest, RecallResponse,
    SubscribeRequest,
};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Told, invalid_request, reason};
use crate::wire::{maybe_position, parsed};
use portolan_kernel::values::Append;
use tonic::{Code, Request, Response, Status};

#[tonic::async_trait]
impl EventStore for App {
    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let append = request.into_inner().checked().map_err(invalid_request)?;
        // Whether the store can write is told to those too who may not append.
        if !self.raw_appends && append != Append::default() {
            let message = "raw appends are off: they bypass the domain; send a command";
            return Err(Told::new(Code::PermissionDenied, reason::RAW_APPENDS_OFF, message).into_status());
        }
        let appended = self.ports.events.append(append).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&appended).into()))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadResponse>, Status> {
        let read = request.into_inner().checked().map_err(invalid_request)?;
        let page = self.ports.events.read(read).await.map_err(|error| error.into_status())?;
        Ok(Response::new((&page).into()))
    }

    async fn recall(&self, request: Request<RecallRequest>) -> Result<Response<RecallResponse>, Status> {
        let RecallRequest { scope, id } = request.into_inner();
        let scope = parsed("scope", &scope).map_err(invalid_request)?;
        let id = parsed("id", &id).map_err(invalid_request)?;
        let recalled = self.ports.events.recall(scope, id).await.map_err(|error| error.into_status())?;
        Ok(Response::new(RecallResponse { recalled: recalled.as_ref().map(Into::into) }))
    }

    async fn checkpoint(&self, request: Request<CheckpointRequest>) -> Result<Response<CheckpointResponse>, Status> {
        let name = parsed("name", &request.get_ref().name).map_err(invalid_request)?;
        let state = self.ports.events.checkpoint(name).await.map_err(|error| error.into_status())?;
        Ok(Response::new(state.into()))
    }

    async fn changed(&self, request: Request<ChangedRequest>) -> Result<Response<ChangedResponse>, Status> {
        let longest_wait = self.longest_wait(request.metadata())?;
        let ChangedRequest { query, after } = request.into_inner();
        let query = EventQuery::checked(query).map_err(|wrong| invalid_request(wrong.of("query")))?;
        let after = maybe_position("after", after).map_err(invalid_request)?;
        tokio::select! {
            biased;
            changed = self.ports.events.changed(query, after) => changed.map_err(|error| error.into_status())?,
            () = tokio::time::sleep(longest_wait) => {}
            () = self.stopping() => {}
        }
        Ok(Response::new(ChangedResponse {}))
    }

    async fn capabilities(&self, _: Request<CapabilitiesRequest>) -> Result<Response<CapabilitiesResponse>, Status> {
        let mut response = CapabilitiesResponse::from(&self.ports.events.capabilities());
        response.append_request_bytes = self.append_request_bytes().max(self.config.request_bytes) as u64;
        response.request_bytes = self.config.request_bytes as u64;
        response.appends = self.raw_appends;
        Ok(Response::new(response))
    }

    type SubscribeStream = Deliveries;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Deliveries>, Status> {
        let (query, from) = request.into_inner().checked().map_err(invalid_request)?;
        let stopping = self.stopping();
        let subscription = self.ports.subscriptions.subscribe(query, from);
        subscribe::deliveries(subscription, self.config.live_progress, stopping).await.map(Response::new)
    }
}
