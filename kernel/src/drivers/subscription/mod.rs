//! Subscriptions: the log, from anywhere to now and on, built on pages and the hint.

mod follower;
mod tail;

use self::follower::Follower;
use self::tail::Hub;
use crate::domain::DecodeError;
use crate::domain::history::HistoryError;
use crate::ports::{EventStore, ReadError, Source, Spawn, StoreId};
use crate::values::{Page, Position, Query, Read, Recorded, Start};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures::stream::{self, BoxStream, Stream};

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first event.
    Beginning,
    /// After this position, such as the last one seen. It must not be past the frontier.
    After(Position),
    /// With what comes next: after the frontier at the time of the first poll.
    Now,
}

/// What a subscription delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// An event that matches.
    Event(Arc<Recorded>),
    /// Everything up to this position has been delivered or does not match: a place to resume from.
    Progress(Position),
    /// All that was there has been delivered; what follows is live. The position is a place to resume from,
    /// `None` while the store is empty.
    CaughtUp(Option<Position>),
    /// The subscriber was too slow for the live tail and reads from the store again, until it has caught up
    /// anew. Nothing is lost.
    FellBehind,
}

/// Why a subscription ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The position to resume from is past the frontier: it is of another store, or this one was restored.
    #[error("position {after} is past the frontier of store {store}: it is of another store, or this one was restored")]
    AheadOfLog {
        /// The position asked for.
        after: Position,
        /// The store.
        store: StoreId,
    },
    /// An event could not be decoded, in a typed subscription ([`TypedEvents`](super::TypedEvents)). Subscribing again after
    /// the last position seen meets it again.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Stored events of an old version do not become those of the current one. It is a mistake of the application.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store could not be read. Subscribe again after the last position seen; after
    /// [`ReadError::Busy`], with a pause.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Gives subscriptions to one store. All its live subscribers share one reader of the tail. A clone is
/// the same.
///
/// A subscription first *catches up*: it reads pages of its own query from the store. At the frontier it turns
/// *live*: one task, spawned while anybody is live, waits for the hint, reads what is new once, and hands each
/// page to everyone. Of the shared pages a subscriber takes those events that match.
///
/// # Laws
///
/// - **ES-19** From the start, after a position, from now: every matching event is delivered once, in the
///   order of the log, while writers append; catch-up turns live with no loss and no repeat at the seam.
/// - **ES-20** A subscription says when it has caught up and when it falls behind, and reports progress when the
///   filter passes nothing. [`CaughtUp`](Delivery::CaughtUp) comes each time that it turns live,
///   [`FellBehind`](Delivery::FellBehind) each time that it no longer is, and
///   [`Progress`](Delivery::Progress) when what was passed last does not match.
/// - **ES-21** A slow consumer is bounded, and writers never wait for it. 500 subscribers share one tail reader.
///   At most a fixed number of shared pages waits for a consumer, then it falls behind; other subscribers do not
///   wait for it either.
/// - **ES-22** Cancelled and resumed after the last seen position, a subscription misses nothing. It repeats
///   nothing either.
///
/// # Errors
///
/// A failing read ends a subscription with [`SubscribeError::Read`], `Busy` included: the kernel owns no timer
/// here to pause with, and the subscriber knows best how long to wait. When the shared reader fails, every
/// live subscriber gets its error. Each of them resumes after the last position it has seen; the next to turn
/// live starts a new reader.
///
/// # Cancellation
///
/// A subscription can be dropped at any moment, also between two polls; the shared reader ends with the last
/// one that is live. One that is not polled holds up nobody.
#[derive(Clone)]
pub struct Subscriptions {
    hub: Arc<Hub>,
    gates: Vec<Gate>,
}

/// Says whether somebody may subscribe to what a query finds.
pub(crate) type Gate = Arc<dyn Fn(&Query) -> Result<(), ReadError> + Send + Sync>;

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

impl Subscriptions {
    /// How many shared pages may wait for a live subscriber before it falls behind, unless said otherwise.
    pub const DEFAULT_BUFFER: usize = 64;

    /// Subscriptions to this store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, spawn: Arc<dyn Spawn>) -> Self {
        Self::with_buffer(store, spawn, Self::DEFAULT_BUFFER)
    }

    /// Subscriptions to this store, each of which falls behind when more than `pages` shared pages wait for it;
    /// at least one may.
    #[must_use]
    pub fn with_buffer(store: Arc<dyn EventStore>, spawn: Arc<dyn Spawn>, pages: usize) -> Self {
        Self { hub: Arc::new(Hub::new(store, spawn, pages)), gates: Vec::new() }
    }

    /// The same, for queries that this lets through; others end at once with its error.
    pub(crate) fn allowing(mut self, gate: Gate) -> Self {
        self.gates.push(gate);
        self
    }

    /// Everything that matches, from there on. Nothing is read before the first poll.
    #[must_use]
    pub fn subscribe(&self, query: Query, from: From) -> Subscription {
        if let Some(error) = self.gates.iter().find_map(|gate| gate(&query).err()) {
            return Subscription { deliveries: Box::pin(stream::iter([Err(error.into())])) };
        }
        let follower = Follower::new(self.hub.clone(), query, from);
        Subscription { deliveries: Box::pin(stream::unfold(follower, Follower::next)) }
    }
}

/// A stream of deliveries; it ends only after an error.
pub struct Subscription {
    deliveries: BoxStream<'static, Result<Delivery, SubscribeError>>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery, SubscribeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.deliveries.as_mut().poll_next(context)
    }
}

/// How far a page of a forward log read has come: everything at or below is in it, was before it, or does
/// not match.
pub(super) fn reached(page: &Page) -> Option<Position> {
    let to = match &page.next {
        None => page.frontier,
        Some(next) => match next.from {
            Start::Log(_, after) => after,
            Start::Stream(..) => None,
        },
    };
    to.max(page.events.last().map(|event| event.position))
}

/// One page, after letting others run: a store that is always ready cannot occupy an executor with a long log.
pub(super) async fn page(store: &dyn EventStore, read: Read) -> Result<Page, ReadError> {
    yield_now().await;
    let page = store.read(read.clone()).await?;
    if page.next.as_ref() == Some(&read) {
        // Against ES-16, and following it would never end.
        return Err(ReadError::Other(Source::new(
            "a page of the store names itself as the next; the log cannot be read",
        )));
    }
    Ok(page)
}

/// Lets others run, so that a hint that always returns at once cannot occupy an executor.
pub(super) async fn yield_now() {
    let mut yielded = false;
    core::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
