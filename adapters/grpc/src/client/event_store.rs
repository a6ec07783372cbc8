//! The port `EventStore`.

use super::GrpcClient;
use super::transport::{Failure, denied, had_no_effect, may_pass, source_of};
use crate::proto::{AppendRequest, ChangedRequest, CheckpointRequest, ReadRequest, RecallRequest};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Details, reason};
use crate::wire::{Wrong, decode_checkpoint};
use async_trait::async_trait;
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError, Source};
use portolan_kernel::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled};
use prost::Message as _;
use tonic::{Request, Response, Status};

#[async_trait]
impl EventStore for GrpcClient {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        match self.shared.about.capabilities.check(&append) {
            // The server's store may have been replaced since the capabilities were asked for; it judges itself.
            Ok(()) | Err(AppendError::WrongStore { .. }) => {}
            Err(error) => return Err(error),
        }
        let message = AppendRequest::from(&append);
        drop(append);
        let (size, limit) = (message.encoded_len() as u64, self.shared.about.append_bytes);
        if size > limit {
            return Err(AppendError::TooLarge { what: "bytes of the request".into(), size, limit });
        }
        let mut store = self.shared.transport.event_store();
        let sent = self.shared.transport.write(Request::new(message), None, async |asked| store.append(asked).await);
        match sent.await {
            // What came back cannot be told, and yet it was written.
            Ok(response) => response.checked().map_err(|wrong| AppendError::Unknown(unreadable(&wrong))),
            Err(Failure::NotSent(source)) => Err(AppendError::Busy(source)),
            Err(Failure::Lost(source)) => Err(AppendError::Unknown(source)),
            Err(Failure::Answered(status)) => Err(append_error(&status)),
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let message = ReadRequest::from(&read);
        self.fits(&message)?;
        let mut store = self.shared.transport.event_store();
        self.asked(message, async |asked| store.read(asked).await).await?.checked().map_err(not_understood)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let message = RecallRequest { scope: scope.to_string(), id: id.to_string() };
        let mut store = self.shared.transport.event_store();
        let response = self.asked(message, async |asked| store.recall(asked).await).await?;
        response.recalled.map(|recalled| recalled.checked()).transpose().map_err(not_understood)
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let message = CheckpointRequest { name: name.to_string() };
        let mut store = self.shared.transport.event_store();
        let response = self.asked(message, async |asked| store.checkpoint(asked).await).await?;
        decode_checkpoint(&response).map_err(not_understood)
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        let message = ChangedRequest { query: Some((&query).into()), after: after.map(Position::get) };
        self.fits(&message)?;
        let mut store = self.shared.transport.event_store();
        self.asked(message, async |asked| store.changed(asked).await).await.map(drop)
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.about.capabilities.clone()
    }
}

impl GrpcClient {
    async fn asked<M, T>(
        &self,
        message: M,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, ReadError> {
        self.shared.transport.read(message, call).await.map_err(read_error)
    }

    /// Whether the server takes a request of this size: it would answer a larger one with less.
    fn fits(&self, message: &impl prost::Message) -> Result<(), ReadError> {
        let (size, limit) = (message.encoded_len() as u64, self.shared.about.request_bytes);
        if size > limit {
            return Err(ReadError::TooLarge { what: "bytes of the request".into(), size, limit });
        }
        Ok(())
    }
}

fn unreadable(wrong: &Wrong) -> Source {
    Source::new(format!("the server's answer is not understood: {wrong}"))
}

fn not_understood(wrong: Wrong) -> ReadError {
    ReadError::Other(unreadable(&wrong))
}

/// What a server answers besides its store's own errors: its limits, and mistakes of a client.
fn append_error(status: &Status) -> AppendError {
    if let Some(error) = AppendError::from_status(status) {
        return error;
    }
    if let Some(reason) = denied(status) {
        return AppendError::Denied(reason);
    }
    let source = source_of(status);
    match Details::of(status).reason().as_deref() {
        Some(reason::INVALID_REQUEST) => AppendError::Invalid(status.message().to_owned()),
        Some(reason::BUSY | reason::SHUTTING_DOWN | reason::TOO_MANY_BYTES | reason::SLOW_REQUEST) => {
            AppendError::Busy(source)
        }
        _ if had_no_effect(status) => AppendError::Other(source),
        // A proxy's error, or a server that broke: the append may have come through.
        _ => AppendError::Unknown(source),
    }
}

pub(super) fn read_error(failure: Failure) -> ReadError {
    let status = match failure {
        Failure::NotSent(source) | Failure::Lost(source) => return ReadError::Busy(source),
        Failure::Answered(status) => status,
    };
    if let Some(error) = ReadError::from_status(&status) {
        return error;
    }
    if let Some(reason) = denied(&status) {
        return ReadError::Denied(reason);
    }
    match Details::of(&status).reason().as_deref() {
        Some(reason::INVALID_REQUEST) => ReadError::Invalid(status.message().to_owned()),
        _ if may_pass(&status) => ReadError::Busy(source_of(&status)),
        _ => ReadError::Other(source_of(&status)),
    }
}
