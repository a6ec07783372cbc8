//! Events, metadata, and queries for events.

use super::{Wrong, decode_list, decode_timestamp, parsed, parsed_all, position, required, timestamp};
use crate::proto;
use portolan_kernel::values::{
    Direction, EventId, Format, Item, Metadata, NewEvent, Query, Recorded, Revision, StreamId,
};

impl From<Format> for proto::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            _ => Self::Binary,
        }
    }
}

pub(super) fn decode_format(field: &str, format: i32) -> Result<Format, Wrong> {
    match proto::Format::try_from(format) {
        Ok(proto::Format::Unspecified | proto::Format::Json) => Ok(Format::Json),
        Ok(proto::Format::Binary) => Ok(Format::Binary),
        Err(_) => Err(Wrong::new(field, "it is no format that is known here")),
    }
}

impl From<Direction> for proto::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Backward => Self::Backward,
        }
    }
}

pub(super) fn decode_direction(field: &str, direction: i32) -> Result<Direction, Wrong> {
    match proto::Direction::try_from(direction) {
        Ok(proto::Direction::Unspecified | proto::Direction::Forward) => Ok(Direction::Forward),
        Ok(proto::Direction::Backward) => Ok(Direction::Backward),
        Err(_) => Err(Wrong::new(field, "it is no direction that is known here")),
    }
}

impl From<Metadata> for proto::Metadata {
    fn from(metadata: Metadata) -> Self {
        let Metadata { correlation, causation, command, actor, tenant, traceparent, more } = metadata;
        let more = if more.is_empty() {
            String::new()
        } else {
            // JSON values under string keys: there is nothing that could fail.
            serde_json::to_string(&more).unwrap_or_default()
        };
        Self {
            correlation_id: correlation,
            causation_id: causation,
            command_id: command,
            actor,
            tenant,
            traceparent,
            more,
        }
    }
}

impl proto::Metadata {
    pub(crate) fn checked(self) -> Result<Metadata, Wrong> {
        let Self { correlation_id, causation_id, command_id, actor, tenant, traceparent, more } = self;
        let more = match &*more {
            "" => Default::default(),
            json => serde_json::from_str(json).map_err(|error| Wrong::new("more", error.to_string()))?,
        };
        Ok(Metadata {
            correlation: correlation_id,
            causation: causation_id,
            command: command_id,
            actor,
            tenant,
            traceparent,
            more,
        })
    }
}

impl From<&NewEvent> for proto::NewEvent {
    fn from(event: &NewEvent) -> Self {
        Self {
            id: event.id.to_string(),
            stream: event.stream.to_string(),
            r#type: event.event_type.to_string(),
            version: Some(event.version),
            format: proto::Format::from(event.format).into(),
            payload: event.payload.clone(),
            metadata: event.metadata.clone(),
            tags: event.tags.iter().map(ToString::to_string).collect(),
        }
    }
}

impl proto::NewEvent {
    pub(crate) fn checked(self) -> Result<NewEvent, Wrong> {
        let id = match &*self.id {
            "" => EventId::from_bytes([0; 16]),
            id => parsed("id", id)?,
        };
        let event = NewEvent::new(parsed("stream", &self.stream)?, parsed("type", &self.r#type)?, self.payload);
        Ok(event
            .with_id(id)
            .with_version(self.version.unwrap_or(1))
            .with_format(decode_format("format", self.format)?)
            .with_metadata(self.metadata)
            .with_tags(parsed_all("tags", &self.tags)?))
    }
}

impl From<&Recorded> for proto::RecordedEvent {
    fn from(recorded: &Recorded) -> Self {
        Self {
            event: Some((&recorded.event).into()),
            revision: recorded.revision.get(),
            position: recorded.position.get(),
            recorded_at: Some(timestamp(recorded.recorded_at)),
        }
    }
}

impl proto::RecordedEvent {
    pub(crate) fn checked(self) -> Result<Recorded, Wrong> {
        let event = required("event", self.event)?.checked().map_err(|wrong| wrong.of("event"))?;
        let recorded_at = decode_timestamp("recorded_at", self.recorded_at)?;
        Ok(Recorded::new(event, Revision::new(self.revision), position("position", self.position)?, recorded_at))
    }
}

impl From<&Query> for proto::EventQuery {
    fn from(query: &Query) -> Self {
        let texts = |streams: &[StreamId]| streams.iter().map(ToString::to_string).collect();
        let item = |item: &Item| proto::event_query::Item {
            streams: texts(&item.streams),
            categories: item.categories.iter().map(ToString::to_string).collect(),
            types: item.types.iter().map(ToString::to_string).collect(),
            tags: item.tags.iter().map(ToString::to_string).collect(),
        };
        Self { any_of: query.any_of.iter().map(item).collect(), system: query.system }
    }
}

impl proto::EventQuery {
    /// A query that is left out is that for all events.
    pub(crate) fn checked(query: Option<Self>) -> Result<Query, Wrong> {
        let Self { any_of, system } = query.unwrap_or_default();
        let mut query = Query::all();
        query.system = system;
        query.any_of = decode_list("any_of", any_of, |given| {
            let mut item = Item::new();
            item.streams = parsed_all("streams", &given.streams)?;
            item.categories = parsed_all("categories", &given.categories)?;
            item.types = parsed_all("types", &given.types)?;
            item.tags = parsed_all("tags", &given.tags)?;
            Ok(item)
        })?;
        Ok(query)
    }
}
