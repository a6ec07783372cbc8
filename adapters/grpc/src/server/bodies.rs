//! Around every call: what requests may take, in bytes and in time, and panics.

use super::admission::Guarded;
use crate::config::ServerConfig;
use crate::wire::status::{Told, reason};
use bytes::Bytes;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::panic::catch_unwind;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

/// What all requests under way share.
#[derive(Clone)]
pub(super) struct Bodies {
    /// A permit a byte.
    room: Arc<Semaphore>,
    timeout: Duration,
}

impl Bodies {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let room = Arc::new(Semaphore::new(config.requests_bytes.clamp(1, Semaphore::MAX_PERMITS)));
        Self { room, timeout: config.request_timeout }
    }

    pub(super) fn around(&self, inner: Guarded) -> Around {
        Around { inner, bodies: self.clone() }
    }
}

/// The services, with this around each call.
#[derive(Clone)]
pub(super) struct Around {
    inner: Guarded,
    bodies: Bodies,
}

impl Service<Request<Body>> for Around {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let share = Arc::new(std::sync::Mutex::new(None));
        let (bodies, held) = (self.bodies.clone(), share.clone());
        // Its requests are streams, which last for as long as their clients like.
        let lasts = request.uri().path().starts_with("/grpc.reflection.");
        let request = request.map(|body| {
            let late = (!lasts).then(|| Box::pin(tokio::time::sleep(bodies.timeout)));
            Body::new(Counted { body, share: held, bodies, late, ended: false })
        });
        let mut answering = Box::pin(self.inner.call(request));
        Box::pin(async move {
            // A panic is an answer too, and the server goes on.
            let answer = poll_fn(|context| {
                catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)))
                    .unwrap_or_else(|_| Poll::Ready(Ok(panicked().into_http())))
            });
            let answer = answer.await;
            // Given back when the request has been answered.
            drop(share);
            answer
        })
    }
}

fn panicked() -> Status {
    Told::new(Code::Internal, reason::PANICKED, "the call broke off; what it was to do may have been done")
        .into_status()
}

/// A request's body, and its share of what all together may take. A share is claimed as bytes come, so that one who only
/// announces them takes nothing from others.
struct Counted {
    body: Body,
    share: Arc<std::sync::Mutex<Option<OwnedSemaphorePermit>>>,
    bodies: Bodies,
    late: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Counted {
    fn claim(&self, bytes: usize) -> Result<(), Status> {
        let claimed = u32::try_from(bytes).ok().and_then(|n| self.bodies.room.clone().try_acquire_many_owned(n).ok());
        let Some(claimed) = claimed else {
            let told = Told::new(Code::ResourceExhausted, reason::TOO_MANY_BYTES, "too many large requests at once");
            return Err(told.retry().into_status());
        };
        let mut share = self.share.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &mut *share {
            Some(share) => share.merge(claimed),
            none => *none = Some(claimed),
        }
        Ok(())
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            if self.late.as_mut().is_none_or(|late| late.as_mut().poll(context).is_pending()) {
                return Poll::Pending;
            }
            self.ended = true;
            let message = format!("the request took longer than {:?}", self.bodies.timeout);
            return Poll::Ready(Some(Err(Told::new(Code::Unavailable, reason::SLOW_REQUEST, message).into_status())));
        };
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let claimed = self.claim(frame.data_ref().map_or(0, Bytes::len));
        self.ended = claimed.is_err();
        Poll::Ready(Some(claimed.map(|()| frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
