//! Reads, pages and subscriptions.

use super::event::decode_direction;
use super::{Wrong, decode_list, maybe_position, number, parsed, position, required};
use crate::proto::{self, read_request, subscribe_request, subscribe_response};
use portolan_kernel::drivers::{Delivery, From as Since};
use portolan_kernel::values::{Page, Read, Revision, Start};
use std::sync::Arc;

impl From<&Read> for proto::ReadRequest {
    fn from(read: &Read) -> Self {
        let from = match &read.from {
            Start::Stream(stream, after) => read_request::From::Stream(read_request::OfStream {
                stream: stream.to_string(),
                after: after.map(Revision::get),
            }),
            Start::Log(query, after) => {
                read_request::From::Log(read_request::OfLog { query: Some(query.into()), after: number(*after) })
            }
        };
        Self {
            from: Some(from),
            direction: proto::Direction::from(read.direction).into(),
            limit: Some(read.limit),
            until: number(read.until),
        }
    }
}

impl proto::ReadRequest {
    pub(crate) fn checked(self) -> Result<Read, Wrong> {
        let from = match required("from", self.from)? {
            read_request::From::Stream(of) => {
                let stream = parsed("stream", &of.stream).map_err(|wrong| wrong.of("stream"))?;
                Start::Stream(stream, of.after.map(Revision::new))
            }
            read_request::From::Log(of) => {
                let query = proto::EventQuery::checked(of.query).map_err(|wrong| wrong.of("log.query"))?;
                Start::Log(query, maybe_position("log.after", of.after)?)
            }
        };
        let mut read = Read::from(from);
        read.direction = decode_direction("direction", self.direction)?;
        read.limit = self.limit.unwrap_or(Read::DEFAULT_LIMIT);
        read.until = maybe_position("until", self.until)?;
        Ok(read)
    }
}

impl From<&Page> for proto::ReadResponse {
    fn from(page: &Page) -> Self {
        Self {
            events: page.events.iter().map(|event| (&**event).into()).collect(),
            frontier: number(page.frontier),
            next: page.next.as_ref().map(Into::into),
            revision: page.revision.map(Revision::get),
        }
    }
}

impl proto::ReadResponse {
    pub(crate) fn checked(self) -> Result<Page, Wrong> {
        let events = decode_list("events", self.events, |event| event.checked().map(Arc::new))?;
        let next = self.next.map(proto::ReadRequest::checked).transpose().map_err(|wrong| wrong.of("next"))?;
        Ok(Page::new(events, maybe_position("frontier", self.frontier)?, next, self.revision.map(Revision::new)))
    }
}

impl proto::SubscribeRequest {
    pub(crate) fn new(query: &portolan_kernel::values::Query, from: Since) -> Self {
        let from = match from {
            Since::Beginning => subscribe_request::From::Beginning(()),
            Since::After(position) => subscribe_request::From::After(position.get()),
            Since::Now => subscribe_request::From::Now(()),
        };
        Self { query: Some(query.into()), from: Some(from) }
    }

    pub(crate) fn checked(self) -> Result<(portolan_kernel::values::Query, Since), Wrong> {
        let query = proto::EventQuery::checked(self.query).map_err(|wrong| wrong.of("query"))?;
        let from = match self.from {
            None | Some(subscribe_request::From::Beginning(())) => Since::Beginning,
            Some(subscribe_request::From::After(after)) => Since::After(position("after", after)?),
            Some(subscribe_request::From::Now(())) => Since::Now,
        };
        Ok((query, from))
    }
}

impl proto::SubscribeResponse {
    /// `None` for a delivery of a kind that has no form on this wire.
    pub(crate) fn new(delivery: &Delivery) -> Option<Self> {
        let delivery = match delivery {
            Delivery::Event(event) => subscribe_response::Delivery::Event((&**event).into()),
            Delivery::Progress(position) => subscribe_response::Delivery::Progress(position.get()),
            Delivery::CaughtUp(position) => {
                subscribe_response::Delivery::CaughtUp(subscribe_response::CaughtUp { position: number(*position) })
            }
            Delivery::FellBehind => subscribe_response::Delivery::FellBehind(()),
            _ => return None,
        };
        Some(Self { delivery: Some(delivery) })
    }

    /// `None` for a delivery of a kind that is not known here.
    pub(crate) fn checked(self) -> Result<Option<Delivery>, Wrong> {
        let Some(delivery) = self.delivery else { return Ok(None) };
        Ok(Some(match delivery {
            subscribe_response::Delivery::Event(event) => {
                Delivery::Event(Arc::new(event.checked().map_err(|wrong| wrong.of("event"))?))
            }
            subscribe_response::Delivery::Progress(at) => Delivery::Progress(position("progress", at)?),
            subscribe_response::Delivery::CaughtUp(at) => {
                Delivery::CaughtUp(maybe_position("caught_up.position", at.position)?)
            }
            subscribe_response::Delivery::FellBehind(()) => Delivery::FellBehind,
        }))
    }
}
