//! `Subscribe`: the log, from anywhere to now and on.

use crate::proto::SubscribeResponse;
use crate::wire::errors::PortError as _;
use crate::wire::status::shutting_down;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use portolan_kernel::drivers::{Delivery, SubscribeError, Subscription};
use portolan_kernel::values::Position;
use tokio::time::Instant;
use tonic::Status;

pub(super) type Deliveries = BoxStream<'static, Result<SubscribeResponse, Status>>;

/// Why the server ends a subscription, once it does.
type End = Pin<Box<dyn Future<Output = Status> + Send>>;

/// The deliveries as messages, until `end` tells why there are no more. The first is awaited, so that a start that is wrong is an answer.
///
/// A message is made when the connection has room for it, and not before: a slow reader holds up itself alone.
pub(super) async fn deliveries(
    mut subscription: Subscription,
    progress_every: Duration,
    end: impl Future<Output = Status> + Send + 'static,
) -> Result<Deliveries, Status> {
    let mut end: End = Box::pin(end);
    let first = tokio::select! {
        biased;
        status = &mut end => return Err(status),
        first = subscription.next() => first,
    };
    let first = match first {
        Some(Ok(delivery)) => delivery,
        Some(Err(error)) => return Err(error.into_status()),
        None => return Err(shutting_down()),
    };
    let live = Live {
        subscription,
        end,
        first: Some(first),
        passed: None,
        progress_every,
        progress_due: Instant::now(),
        ended: false,
    };
    Ok(stream::unfold(live, Live::next).boxed())
}

struct Live {
    subscription: Subscription,
    end: End,
    first: Option<Delivery>,
    /// How far the log has come past what does not match, where the reader has not been told yet.
    passed: Option<Position>,
    progress_every: Duration,
    /// When it may be told next.
    progress_due: Instant,
    ended: bool,
}

impl Live {
    async fn next(mut self) -> Option<(Result<SubscribeResponse, Status>, Self)> {
        if self.ended {
            return None;
        }
        let message = loop {
            match self.delivery().await {
                // One of a kind that has no form on this wire is left out.
                Ok(delivery) => match SubscribeResponse::new(&delivery) {
                    Some(message) => break Ok(message),
                    None => continue,
                },
                Err(status) => break Err(*status),
            }
        };
        self.ended = message.is_err();
        Some((message, self))
    }

    async fn delivery(&mut self) -> Result<Delivery, Box<Status>> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        loop {
            // With every commit, each idle subscriber hears how far the log has come. Many connections would carry little
            // else, so of what came within a while only the last is passed on.
            let delivery: Option<Result<Delivery, SubscribeError>> = tokio::select! {
                biased;
                status = &mut self.end => return Err(Box::new(status)),
                () = tokio::time::sleep_until(self.progress_due), if self.passed.is_some() => {
                    self.progress_due = Instant::now() + self.progress_every;
                    match self.passed.take() {
                        Some(position) => return Ok(Delivery::Progress(position)),
                        None => continue,
                    }
                }
                delivery = self.subscription.next() => delivery,
            };
            match delivery {
                None => return Err(Box::new(shutting_down())),
                Some(Err(error)) => return Err(Box::new(error.into_status())),
                Some(Ok(Delivery::Progress(position))) => self.passed = Some(position),
                Some(Ok(delivery)) => {
                    // Whatever tells a position of its own tells more than the progress before it.
                    if matches!(delivery, Delivery::Event(_) | Delivery::CaughtUp(_)) {
                        self.passed = None;
                    }
                    return Ok(delivery);
                }
            }
        }
    }
}
