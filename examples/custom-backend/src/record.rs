//! A line of the journal as a value, and its form in JSON.
//!
//! The kernel's types know no wire, so a backend spells its own form out. Bytes that are text are kept as
//! text, and a person can read the file.

use bytes::Bytes;
use portolan_kernel::ports::streams_of;
use portolan_kernel::values::{
    Append, EventId, EventType, Format, IdempotencyKey, InvalidName, Move, Name, NewEvent, Position, Revision,
    StreamId, Tag, Timestamp, Token,
};
use serde::{Deserialize, Serialize};

/// One append that has been judged good. Positions and revisions follow from the order of the lines.
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) checkpoint: Option<(Name, Option<Position>, Token)>,
    pub(crate) key: Option<IdempotencyKey>,
    /// The streams it is about, with their last revisions after it.
    pub(crate) streams: Vec<(StreamId, Option<Revision>)>,
}

impl Record {
    pub(crate) fn new(append: Append, at: Timestamp, last: impl Fn(&StreamId) -> Option<Revision>) -> Self {
        let after = |stream: &StreamId| {
            let written = append.events.iter().filter(|event| event.stream == *stream).count() as u64;
            if written == 0 { last(stream) } else { Some(Revision::after(last(stream)).plus(written - 1)) }
        };
        let streams = streams_of(&append).into_iter().map(|stream| (stream.clone(), after(stream))).collect();
        let checkpoint = append.checkpoint.map(|checkpoint| {
            let to = match checkpoint.to {
                Move::Claim => checkpoint.from,
                Move::At(to) => Some(to),
                Move::Reset(to) => to,
            };
            (checkpoint.name, to, checkpoint.token)
        });
        Self { at, events: append.events, checkpoint, key: append.key, streams }
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Line {
            at: self.at.as_micros(),
            events: self.events.iter().map(EventLine::new).collect(),
            checkpoint: self.checkpoint.as_ref().map(|(name, position, token)| CheckpointLine {
                name: name.to_string(),
                position: position.map(Position::get),
                token: token.0,
            }),
            key: self.key.as_ref().map(|key| KeyLine {
                scope: key.scope.to_string(),
                id: key.id.to_string(),
                digest: key.digest,
                note: Blob::new(&key.note),
            }),
            streams: self.streams.iter().map(|(name, last)| (name.to_string(), last.map(Revision::get))).collect(),
        })
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        line.into_record().map_err(|error| error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: u64,
    events: Vec<EventLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<CheckpointLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<KeyLine>,
    streams: Vec<(String, Option<u64>)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    id: String,
    stream: String,
    #[serde(rename = "type")]
    event_type: String,
    version: u32,
    json: bool,
    payload: Blob,
    metadata: Blob,
    tags: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    name: String,
    position: Option<u64>,
    token: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine {
    scope: String,
    id: String,
    digest: [u8; 32],
    note: Blob,
}

/// Bytes: a string when they are UTF-8, else an array of numbers.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Blob {
    Text(String),
    Bytes(Vec<u8>),
}

impl Blob {
    fn new(bytes: &Bytes) -> Self {
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl From<Blob> for Bytes {
    fn from(blob: Blob) -> Self {
        match blob {
            Blob::Text(text) => text.into(),
            Blob::Bytes(bytes) => bytes.into(),
        }
    }
}

impl Line {
    fn into_record(self) -> Result<Record, Box<dyn core::error::Error>> {
        let checkpoint = self.checkpoint.map(|line| {
            let position = line.position.map(position).transpose()?;
            Ok::<_, Box<dyn core::error::Error>>((Name::new(line.name)?, position, Token(line.token)))
        });
        let key = self.key.map(|line| {
            let key = IdempotencyKey::new(Name::new(line.scope)?, Name::new(line.id)?, line.digest);
            Ok::<_, InvalidName>(key.with_note(line.note))
        });
        let stream = |(name, last): (String, Option<u64>)| Ok((StreamId::new(name)?, last.map(Revision::new)));
        Ok(Record {
            at: Timestamp::from_micros(self.at),
            events: self.events.into_iter().map(EventLine::into_event).collect::<Result<_, _>>()?,
            checkpoint: checkpoint.transpose()?,
            key: key.transpose()?,
            streams: self.streams.into_iter().map(stream).collect::<Result<_, InvalidName>>()?,
        })
    }
}

impl EventLine {
    fn new(event: &NewEvent) -> Self {
        Self {
            id: event.id.to_string(),
            stream: event.stream.to_string(),
            event_type: event.event_type.to_string(),
            version: event.version,
            json: event.format == Format::Json,
            payload: Blob::new(&event.payload),
            metadata: Blob::new(&event.metadata),
            tags: event.tags.iter().map(ToString::to_string).collect(),
        }
    }

    fn into_event(self) -> Result<NewEvent, Box<dyn core::error::Error>> {
        let event = NewEvent::new(StreamId::new(self.stream)?, EventType::new(self.event_type)?, self.payload);
        Ok(event
            .with_id(self.id.parse::<EventId>()?)
            .with_version(self.version)
            .with_format(if self.json { Format::Json } else { Format::Binary })
            .with_metadata(self.metadata)
            .with_tags(self.tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>()?))
    }
}

fn position(number: u64) -> Result<Position, String> {
    Position::new(number).ok_or_else(|| format!("{number} is no position"))
}
