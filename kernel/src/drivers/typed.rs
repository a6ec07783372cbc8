//! The log as typed events: read page after page, and subscribed to.

use super::loading::LoadError;
use super::reading::EventStoreExt;
use super::subscription::{Delivery, From, SubscribeError, Subscription, Subscriptions};
use crate::domain::{EventSet, RecordedAs, Unknown, Upcasters};
use crate::ports::EventStore;
use crate::values::{Position, Query, Read, Recorded};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures::future::ready;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt, iter, once, unfold};

/// Reads a log as typed events, upcast as they are everywhere. That of an application is
/// [`Application::typed_events`](crate::application::Application::typed_events); for a log beyond a wire it is made of the
/// client's ports and of [`Upcasters::of`].
///
/// Histories of event types that the upcasters do not have are added for each read and subscription.
#[derive(Clone)]
pub struct TypedEvents {
    events: Arc<dyn EventStore>,
    subscriptions: Subscriptions,
    upcasters: Arc<Upcasters>,
    unknown: Unknown,
}

impl fmt::Debug for TypedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedEvents").field("unknown", &self.unknown).finish_non_exhaustive()
    }
}

impl TypedEvents {
    /// The events of this log, decoded with these upcasters.
    #[must_use]
    pub fn new(events: Arc<dyn EventStore>, subscriptions: Subscriptions, upcasters: Arc<Upcasters>) -> Self {
        Self { events, subscriptions, upcasters, unknown: Unknown::Fail }
    }

    /// The same, with this done about events that a type does not know. Of events of [`OrRaw`](crate::domain::OrRaw) all are
    /// known.
    #[must_use]
    pub fn on_unknown(self, unknown: Unknown) -> Self {
        Self { unknown, ..self }
    }

    /// The events of a read, across its pages. All of them have to be of this type's or set's. It ends at the frontier as it
    /// was at the first page, or after the first error.
    pub fn read<E: EventSet>(&self, read: Read) -> BoxStream<'_, Result<RecordedAs<E>, LoadError>> {
        typed(&self.events, &self.upcasters, read, self.unknown)
    }

    /// The events that match, from there on, and what follows. All of them have to be of this type's or set's.
    #[must_use]
    pub fn subscribe<E: EventSet>(&self, query: Query, from: From) -> TypedSubscription<E> {
        let upcasters = match self.upcasters.covering::<E>() {
            Ok(upcasters) => upcasters,
            Err(error) => return TypedSubscription { deliveries: once(ready(Err(error.into()))).boxed() },
        };
        let subscription = self.subscriptions.subscribe(query, from);
        let open = Open { subscription: Some(subscription), upcasters, unknown: self.unknown, ready: VecDeque::new() };
        TypedSubscription { deliveries: Box::pin(unfold(open, Open::next)) }
    }
}

/// The typed events of a read.
pub(super) fn typed<'a, E: EventSet>(
    events: &'a Arc<dyn EventStore>,
    upcasters: &Arc<Upcasters>,
    read: Read,
    unknown: Unknown,
) -> BoxStream<'a, Result<RecordedAs<E>, LoadError>> {
    let upcasters = match upcasters.covering::<E>() {
        Ok(upcasters) => upcasters,
        Err(error) => return once(ready(Err(error.into()))).boxed(),
    };
    let decode = move |recorded: Arc<Recorded>| {
        let decoded = upcasters.decode::<E>(&recorded, unknown).map_err(LoadError::Decode);
        ready(decoded.map(|decoded| {
            let events = decoded.events.into_iter();
            iter(events.map(move |event| Ok(RecordedAs::new(event, recorded.clone()))))
        }))
    };
    events.read_all(read).map_err(LoadError::Read).and_then(decode).try_flatten().boxed()
}

/// What a typed subscription delivers: a [`Delivery`] with the events that a recorded one has become.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypedDelivery<E> {
    /// An event that matches. Several that one recorded event has become follow one another directly.
    Event {
        /// The event.
        event: RecordedAs<E>,
        /// A place to resume from: everything up to it has been delivered. `None` while more events of the same recorded one
        /// follow (UP-01).
        resume: Option<Position>,
    },
    /// As [`Delivery::Progress`]; also in place of an event that was retired or skipped.
    Progress(Position),
    /// As [`Delivery::CaughtUp`].
    CaughtUp(Option<Position>),
    /// As [`Delivery::FellBehind`].
    FellBehind,
}

/// A stream of typed deliveries; it ends only after an error.
pub struct TypedSubscription<E> {
    deliveries: BoxStream<'static, Result<TypedDelivery<E>, SubscribeError>>,
}

impl<E> fmt::Debug for TypedSubscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSubscription").finish_non_exhaustive()
    }
}

impl<E> Stream for TypedSubscription<E> {
    type Item = Result<TypedDelivery<E>, SubscribeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.deliveries.as_mut().poll_next(context)
    }
}

struct Open<E> {
    /// `None` once it has ended.
    subscription: Option<Subscription>,
    upcasters: Arc<Upcasters>,
    unknown: Unknown,
    ready: VecDeque<TypedDelivery<E>>,
}

impl<E: EventSet> Open<E> {
    async fn next(mut self) -> Option<(Result<TypedDelivery<E>, SubscribeError>, Self)> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some((Ok(delivery), self));
            }
            let delivered = self.subscription.as_mut()?.next().await?;
            if let Err(error) = delivered.and_then(|delivery| self.take(delivery)) {
                self.subscription = None;
                return Some((Err(error), self));
            }
        }
    }

    fn take(&mut self, delivery: Delivery) -> Result<(), SubscribeError> {
        let other = match delivery {
            Delivery::Event(recorded) => return self.take_event(&recorded),
            Delivery::Progress(position) => TypedDelivery::Progress(position),
            Delivery::CaughtUp(position) => TypedDelivery::CaughtUp(position),
            Delivery::FellBehind => TypedDelivery::FellBehind,
        };
        self.ready.push_back(other);
        Ok(())
    }

    fn take_event(&mut self, recorded: &Arc<Recorded>) -> Result<(), SubscribeError> {
        let events = self.upcasters.decode::<E>(recorded, self.unknown)?.events;
        let position = recorded.position;
        if events.is_empty() {
            self.ready.push_back(TypedDelivery::Progress(position));
        }
        let last = events.len();
        self.ready.extend(events.into_iter().enumerate().map(|(n, event)| TypedDelivery::Event {
            event: RecordedAs::new(event, recorded.clone()),
            resume: (n + 1 == last).then_some(position),
        }));
        Ok(())
    }
}
