//! Records: events of one stream, by one transaction.

use crate::encoding::{Raw, decode, encode, format_number, format_of, position};
use crate::error::Fault;
use crate::pieces;
use crate::table::Key;
use alloc::sync::Arc;
use bytes::Bytes;
use portolan_kernel::values::{EventId, EventType, NewEvent, Recorded, Revision, StreamId, Tag, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct EventsRow<'a> {
    recorded_at: u64,
    #[serde(borrow)]
    events: Vec<EventRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct EventRow<'a> {
    position: u64,
    id: [u8; 16],
    event_type: &'a str,
    version: u32,
    format: u8,
    payload: Raw<'a>,
    metadata: Raw<'a>,
    tags: Vec<&'a str>,
}

/// Some events of one stream, in order, as one record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Events {
    pub(crate) events: Vec<Arc<Recorded>>,
}

impl Events {
    pub(crate) fn first(&self) -> u64 {
        self.events.first().map_or(0, |event| event.revision.get())
    }

    pub(crate) fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.revision.get())
    }

    /// The record of these events at these positions, under its key.
    pub(crate) fn sealed<'e>(key: &Key, at: Timestamp, events: impl Iterator<Item = (&'e NewEvent, u64)>) -> Vec<u8> {
        let event = |(event, position): (&'e NewEvent, u64)| EventRow {
            position,
            id: *event.id.as_bytes(),
            event_type: &event.event_type,
            version: event.version,
            format: format_number(event.format),
            payload: Raw(&event.payload),
            metadata: Raw(&event.metadata),
            tags: event.tags.iter().map(|tag| &**tag).collect(),
        };
        let row = EventsRow { recorded_at: at.as_micros(), events: events.map(event).collect() };
        pieces::sealed(key, encode(&row))
    }

    pub(crate) fn decode(key: &Key, stream: &StreamId, first: u64, bytes: Vec<u8>) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged(key.place());
        let bytes = Bytes::from(bytes);
        let row: EventsRow<'_> = decode(key, &bytes)?;
        let at = Timestamp::from_micros(row.recorded_at);
        let event = |(row, revision): (&EventRow<'_>, u64)| {
            let tags = row.tags.iter().map(|tag| Tag::new(*tag).ok()).collect::<Option<Vec<_>>>()?;
            let event =
                NewEvent::new(stream.clone(), EventType::new(row.event_type).ok()?, bytes.slice_ref(row.payload.0))
                    .with_id(EventId::from_bytes(row.id))
                    .with_version(row.version)
                    .with_format(format_of(row.format)?)
                    .with_metadata(bytes.slice_ref(row.metadata.0))
                    .with_tags(tags);
            Some(Arc::new(Recorded::new(event, Revision::new(revision), position(row.position)?, at)))
        };
        let events = row.events.iter().zip(first..).map(event).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        if events.is_empty() { Err(damaged()) } else { Ok(Self { events }) }
    }
}
