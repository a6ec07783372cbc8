//! Subscriptions: the log, from anywhere to now and on, built on pages and the hint.

use crate::ports::{EventStore, ReadError, Spawn, StoreId};
use crate::values::{Position, Query, Recorded};
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures::Stream;

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the first event.
    Beginning,
    /// After this position.
    After(Position),
    /// With what comes next.
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
    /// All that was there has been delivered; what follows is live. `None` while the store is empty.
    CaughtUp(Option<Position>),
    /// The subscriber was too slow for the live tail and reads from the store again.
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
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Gives subscriptions to one store. All its live subscribers share one reader of the tail. A clone is
/// the same.
#[derive(Clone)]
pub struct Subscriptions {
    store: Arc<dyn EventStore>,
    spawn: Arc<dyn Spawn>,
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

impl Subscriptions {
    /// Subscriptions to this store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, spawn: Arc<dyn Spawn>) -> Self {
        Self { store, spawn }
    }

    /// Everything that matches, from there on.
    #[must_use]
    pub fn subscribe(&self, query: Query, from: From) -> Subscription {
        let _ = (&self.store, &self.spawn, query, from);
        Subscription {}
    }
}

/// A stream of deliveries; it ends only after an error.
#[derive(Debug)]
pub struct Subscription {}

impl Stream for Subscription {
    type Item = Result<Delivery, SubscribeError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
