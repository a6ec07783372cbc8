//! Subscriptions that the server makes.

use super::GrpcClient;
use super::event_store::read_error;
use super::transport::Failure;
use crate::proto::{SubscribeRequest, SubscribeResponse};
use crate::wire::Wrong;
use crate::wire::errors::PortError as _;
use core::pin::pin;
use futures::stream::{self, BoxStream, StreamExt as _};
use portolan_kernel::drivers::{Delivery, From as Since, SubscribeError};
use portolan_kernel::ports::{ReadError, Source};
use portolan_kernel::values::Query;
use tonic::codec::Streaming;
use tonic::{Request, Status};

impl GrpcClient {
    /// Everything that matches, from there on, as the server delivers it: events come as they are written, without a
    /// question for each. Nothing is sent before the first poll. It ends only after an error; subscribe again after the last
    /// position seen, after [`ReadError::Busy`] with a pause.
    #[must_use]
    pub fn subscribe(&self, query: &Query, from: Since) -> BoxStream<'static, Result<Delivery, SubscribeError>> {
        let (client, request) = (self.clone(), SubscribeRequest::new(query, from));
        let opened = async move {
            let mut store = client.shared.transport.event_store();
            // The first delivery comes with the head of the answer, at once where anything has been written.
            let limit = client.shared.transport.config().request_timeout;
            let answered = tokio::time::timeout(limit, store.subscribe(Request::new(request))).await;
            match answered {
                Ok(Ok(response)) => Ok(deliveries(response.into_inner())),
                Ok(Err(status)) => Err(subscribe_error(status)),
                Err(_) => Err(ReadError::Busy(Source::new(format!("no answer within {limit:?}"))).into()),
            }
        };
        stream::once(opened)
            .flat_map(|opened| match opened {
                Ok(deliveries) => deliveries,
                Err(error) => stream::once(async { Err(error) }).boxed(),
            })
            .boxed()
    }
}

fn deliveries(messages: Streaming<SubscribeResponse>) -> BoxStream<'static, Result<Delivery, SubscribeError>> {
    stream::unfold(Some(messages), |messages| async move {
        let mut messages = messages?;
        loop {
            let next = pin!(messages.message()).await;
            let ended = || Status::unavailable("the subscription ended without a reason");
            match next.and_then(|message| message.ok_or_else(ended)).map(SubscribeResponse::checked) {
                // One of a kind that is not known here is left out of account.
                Ok(Ok(None)) => {}
                Ok(Ok(Some(delivery))) => return Some((Ok(delivery), Some(messages))),
                Ok(Err(wrong)) => return Some((Err(not_understood(&wrong)), None)),
                Err(status) => return Some((Err(subscribe_error(status)), None)),
            }
        }
    })
    .boxed()
}

fn subscribe_error(status: Status) -> SubscribeError {
    SubscribeError::from_status(&status).unwrap_or_else(|| read_error(Failure::of(status)).into())
}

fn not_understood(wrong: &Wrong) -> SubscribeError {
    ReadError::Other(Source::new(format!("a delivery is not understood: {wrong}"))).into()
}
