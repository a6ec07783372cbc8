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

/// Why the stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("its event {revision} is no registration of a schema: {reason}")]
    Damaged { revision: Revision, reason: String },
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
    /// Takes in what has been read; what is in it already is passed over. What a newer application writes there, and this one
    /// does not know, says nothing to it.
    pub(super) fn take(&mut self, events: &[Arc<Recorded>]) -> Result<(), StreamError> {
        let last = self.last;
        for event in events.iter().filter(|event| Some(event.revision) > last) {
            let damaged = |reason: String| StreamError::Damaged { revision: event.revision, reason };
            let raw = RawEvent::new(event.event_type.clone(), event.version, event.format, event.payload.clone());
            match SchemasEvent::decode(&raw) {
                Err(EventError::UnknownType(_)) => {}
                Err(error) => return Err(damaged(error.to_string())),
                Ok(SchemasEvent::Registered { kind, name, version, category, schema }) => {
                    let named = |text: String| Name::new(text).map_err(|error| damaged(error.to_string()));
                    let (name, category) = (named(name)?, category.map(named).transpose()?);
                    let kinds = [SchemaKind::Event, SchemaKind::Command];
                    if let Some(kind) = kinds.into_iter().find(|known| known.to_string() == kind) {
                        self.schemas.add(SchemaSubject { kind, name }, version, category, schema);
                    }
                }
            }
            self.last = Some(event.revision);
        }
        Ok(())
    }
}
