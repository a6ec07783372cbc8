//! The log in the form that is asked for: as it is stored, or as what its events have become.

use super::subscription::{Delivery, From, SubscribeError, Subscription, Subscriptions};
use crate::domain::{EventForm, NotCurrent, Upcasters};
use crate::ports::{EventStore, ReadError};
use crate::values::{Direction, Page, Position, Query, Read, Recorded, Start};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures::stream::Stream;

/// Reads and follows a log for people, who want to see events in one form or the other. Those of an application are
/// [`Ports::in_form`](crate::application::Ports::in_form).
///
/// In the current form a stored event is shown as what it has become: as nothing when it is retired, as several that share
/// its id and its places when it was split (UP-01). A query is about events as they are shown: by a type it finds those that
/// are of it now, whatever they were stored as, and not those that have become something else.
///
/// An event whose current form is unknown is shown as it is stored, with the reason beside it, wherever it might be one of
/// those that are asked for: neither is a page lost for one event, nor an event without a word.
///
/// Reads are counted, continued and resumed by stored events; an
/// [`AccessPolicy`](super::AccessPolicy) judges what is read of these.
#[derive(Clone)]
pub struct FormedEvents {
    events: Arc<dyn EventStore>,
    subscriptions: Subscriptions,
    /// `None` for the stored form.
    upcasters: Option<Arc<Upcasters>>,
}

impl fmt::Debug for FormedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormedEvents").field("form", &self.form()).finish_non_exhaustive()
    }
}

/// An event in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormedEvent {
    /// The event; its id and its places are those of the stored one.
    pub recorded: Arc<Recorded>,
    /// Which of the several events it is that the stored one has become, from 1; `None` where it is the only one. Id and part
    /// together tell all events of a log apart.
    pub part: Option<u32>,
    /// Why it is as it is stored, where the current form was asked for.
    pub not_current: Option<NotCurrent>,
}

/// A page in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormedPage {
    /// The events, in the direction of the read. None of them may be left though `stored` has some, and more pages follow.
    pub events: Vec<FormedEvent>,
    /// The page of stored events that they are of; its `next` continues the read in the same form.
    pub stored: Page,
}

impl FormedEvents {
    /// The events of a log as they are stored.
    #[must_use]
    pub fn stored(events: Arc<dyn EventStore>, subscriptions: Subscriptions) -> Self {
        Self { events, subscriptions, upcasters: None }
    }

    /// The same log, as what its events have become.
    #[must_use]
    pub fn as_current(self, upcasters: Arc<Upcasters>) -> Self {
        Self { upcasters: Some(upcasters), ..self }
    }

    /// The form.
    #[must_use]
    pub fn form(&self) -> EventForm {
        if self.upcasters.is_some() { EventForm::Current } else { EventForm::Stored }
    }

    /// One page. The limit is one of stored events.
    ///
    /// # Errors
    ///
    /// Those of [`EventStore::read`].
    pub async fn read(&self, mut read: Read) -> Result<FormedPage, ReadError> {
        let Some(upcasters) = &self.upcasters else {
            let stored = self.events.read(read).await?;
            let events = stored.events.iter().cloned().map(FormedEvent::stored).collect();
            return Ok(FormedPage { events, stored });
        };
        let mut wanted = None;
        if let Start::Log(query, _) = &mut read.from {
            let stored = upcasters.query_of_sources(query.clone());
            wanted = Some(mem::replace(query, stored));
        }
        let backward = read.direction == Direction::Backward;
        let mut stored = self.events.read(read).await?;
        let mut events = Vec::with_capacity(stored.events.len());
        for recorded in &stored.events {
            let begin = events.len();
            events.extend(become_of(upcasters, wanted.as_ref(), recorded));
            if backward {
                events[begin..].reverse();
            }
        }
        if let (Some(next), Some(wanted)) = (&mut stored.next, wanted)
            && let Start::Log(query, _) = &mut next.from
        {
            *query = wanted;
        }
        Ok(FormedPage { events, stored })
    }

    /// Everything that matches, from there on. Nothing is read before the first poll.
    #[must_use]
    pub fn subscribe(&self, query: Query, from: From) -> FormedSubscription {
        let ready = VecDeque::new();
        match &self.upcasters {
            None => {
                FormedSubscription { subscription: self.subscriptions.subscribe(query, from), current: None, ready }
            }
            Some(upcasters) => {
                let stored = upcasters.query_of_sources(query.clone());
                let current = Some((upcasters.clone(), query));
                FormedSubscription { subscription: self.subscriptions.subscribe(stored, from), current, ready }
            }
        }
    }
}

impl FormedEvent {
    fn stored(recorded: Arc<Recorded>) -> Self {
        Self { recorded, part: None, not_current: None }
    }
}

/// What is shown of a stored event to somebody who wants this.
fn become_of(upcasters: &Upcasters, wanted: Option<&Query>, recorded: &Arc<Recorded>) -> Vec<FormedEvent> {
    match upcasters.current(recorded) {
        // It was found, so it might be wanted; who could say that it is not?
        Err(reason) => {
            alloc::vec![FormedEvent { not_current: Some(reason), ..FormedEvent::stored(recorded.clone()) }]
        }
        Ok(events) => {
            let several = events.len() > 1;
            let numbered = (1..).zip(events);
            let is_wanted = |event: &Recorded| wanted.is_none_or(|wanted| wanted.matches(event));
            let formed = numbered
                .filter(|(_, event)| is_wanted(event))
                .map(|(n, event)| FormedEvent { part: several.then_some(n), ..FormedEvent::stored(event) });
            formed.collect()
        }
    }
}

/// What a subscription delivers: a [`Delivery`] in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormedDelivery {
    /// An event that matches. Several that one stored event has become follow one another directly.
    Event {
        /// The event.
        event: FormedEvent,
        /// A place to resume from: everything up to it has been delivered. `None` while more events of the same stored one
        /// follow (UP-01).
        resume: Option<Position>,
    },
    /// As [`Delivery::Progress`]; also in place of an event that is retired, or has become what does not match.
    Progress(Position),
    /// As [`Delivery::CaughtUp`].
    CaughtUp(Option<Position>),
    /// As [`Delivery::FellBehind`].
    FellBehind,
}

/// A stream of deliveries in the form that was asked for; it ends only after an error.
pub struct FormedSubscription {
    subscription: Subscription,
    /// What is wanted of events as they are now; `None` for the stored form.
    current: Option<(Arc<Upcasters>, Query)>,
    ready: VecDeque<FormedDelivery>,
}

impl fmt::Debug for FormedSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormedSubscription").finish_non_exhaustive()
    }
}

impl FormedSubscription {
    fn take(&mut self, delivery: Delivery) -> FormedDelivery {
        let recorded = match delivery {
            Delivery::Event(recorded) => recorded,
            Delivery::Progress(position) => return FormedDelivery::Progress(position),
            Delivery::CaughtUp(position) => return FormedDelivery::CaughtUp(position),
            Delivery::FellBehind => return FormedDelivery::FellBehind,
        };
        let resume = Some(recorded.position);
        let Some((upcasters, wanted)) = &self.current else {
            return FormedDelivery::Event { event: FormedEvent::stored(recorded), resume };
        };
        let mut events = become_of(upcasters, Some(wanted), &recorded);
        let Some(event) = events.pop() else { return FormedDelivery::Progress(recorded.position) };
        self.ready.extend(events.into_iter().map(|event| FormedDelivery::Event { event, resume: None }));
        self.ready.push_back(FormedDelivery::Event { event, resume });
        self.ready.pop_front().expect("it was put there above")
    }
}

impl Stream for FormedSubscription {
    type Item = Result<FormedDelivery, SubscribeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(delivery) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(delivery)));
        }
        let delivery = ready!(Pin::new(&mut self.subscription).poll_next(context));
        Poll::Ready(delivery.map(|delivery| delivery.map(|delivery| self.take(delivery))))
    }
}
