//! The stream `$schemas`: an event for each version that is registered.

use super::catalogue::SchemaCatalogue;
use super::judging::New;
use crate::domain::{CodecError, Event, EventError, variant};
use crate::ports::{EventStore, RawEvent, ReadError, SchemaKind, SchemaSubject};
use crate::values::{Name, Read, Recorded, Revision, StreamId};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const STREAM: &str = "$schemas";

/// What happens in the stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SchemasEvent {
    /// A version has a schema from now on, or is known from now on.
    #[serde(rename = "schema.registered")]
    Registered {
        kind: String,
        name: String,
        version: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<Value>,
    },
}

impl Event for SchemasEvent {
    const CATEGORY: &'static str = STREAM;

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

impl SchemasEvent {
    pub(super) fn of((schema, category): &New) -> Self {
        Self::Registered {
            kind: schema.subject.kind.to_string(),
            name: schema.subject.name.to_string(),
            version: schema.version,
            category: category.as_ref().map(ToString::to_string),
            schema: schema.schema.clone(),
        }
    }
}

pub(super) fn stream() -> StreamId {
    StreamId::new(STREAM).expect("it is a name")
}

/// What has been read of the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Registered {
    pub(super) last: Option<Revision>,
    pub(super) schemas: SchemaCatalogue,
}

/// What stands in the stream after this event.
pub(super) async fn read_after(
    events: &dyn EventStore,
    last: Option<Revision>,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let mut found = Vec::new();
    let mut next = Some(Read::stream_after(stream(), last));
    while let Some(read) = next {
        let page = events.read(read).await?;
        found.extend(page.events);
        next = page.next;
    }
    Ok(found)
}

impl Registered {
    /// Takes in what has been read; what is in it already is passed over. So is what this application cannot read: a newer
    /// one may write it, and a raw append must not stop all others for good.
    pub(super) fn take(&mut self, events: &[Arc<Recorded>]) {
        let last = self.last;
        for event in events.iter().filter(|event| Some(event.revision) > last) {
            if let Some((subject, version, category, schema)) = registration(event) {
                self.schemas.add(subject, version, category, schema);
            }
            self.last = Some(event.revision);
        }
    }
}

fn registration(event: &Recorded) -> Option<(SchemaSubject, u32, Option<Name>, Option<Value>)> {
    let raw = RawEvent::new(event.event_type.clone(), event.version, event.format, event.payload.clone());
    let SchemasEvent::Registered { kind, name, version, category, schema } = SchemasEvent::decode(&raw).ok()?;
    let kind = [SchemaKind::Event, SchemaKind::Command].into_iter().find(|known| known.to_string() == kind)?;
    let category = category.map(Name::new).transpose().ok()?;
    Some((SchemaSubject { kind, name: Name::new(name).ok()? }, version, category, schema))
}
