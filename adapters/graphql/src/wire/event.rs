//! Recorded events.

use super::text::{At, Base64, Moment, Text};
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::FormedEvent;
use portolan_kernel::values::{EventId, EventType, Format, NewEvent, Recorded, Revision, StreamId, Tag};
use serde::{Deserialize, Serialize};

/// A recorded event. Payload and metadata are base64 here; what people read is made of it when it is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireEvent {
    id: Text<EventId>,
    #[serde(rename = "type")]
    event_type: Text<EventType>,
    version: Text<u32>,
    stream: Text<StreamId>,
    revision: Text<u64>,
    position: Text<At>,
    recorded_at: Text<Moment>,
    tags: Vec<Text<Tag>>,
    /// No client reads it, nor what belongs to it.
    #[serde(skip_deserializing)]
    form: WireForm,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    not_current: Option<WireNotCurrent>,
    format: WireFormat,
    data_base64: Text<Base64>,
    metadata_base64: Text<Base64>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum WireForm {
    #[default]
    Stored,
    Current,
}

#[derive(Debug, Serialize)]
struct WireNotCurrent {
    code: &'static str,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum WireFormat {
    Json,
    Binary,
}

impl From<Format> for WireFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            _ => Self::Binary,
        }
    }
}

impl From<WireFormat> for Format {
    fn from(format: WireFormat) -> Self {
        match format {
            WireFormat::Json => Self::Json,
            WireFormat::Binary => Self::Binary,
        }
    }
}

impl WireEvent {
    pub(crate) fn new(recorded: &Recorded) -> Self {
        Self {
            id: Text(recorded.id),
            event_type: Text(recorded.event_type.clone()),
            version: Text(recorded.version),
            stream: Text(recorded.stream.clone()),
            revision: Text(recorded.revision.get()),
            position: Text(At(recorded.position)),
            recorded_at: Text(Moment(recorded.recorded_at)),
            tags: recorded.tags.iter().cloned().map(Text).collect(),
            form: WireForm::Stored,
            part: None,
            not_current: None,
            format: recorded.format.into(),
            data_base64: Text(Base64(recorded.payload.clone())),
            metadata_base64: Text(Base64(recorded.metadata.clone())),
        }
    }

    /// One in the form that was asked for.
    pub(crate) fn formed(event: &FormedEvent, asked: EventForm) -> Self {
        let not_current = event.not_current.as_ref();
        let form = match asked {
            EventForm::Current if not_current.is_none() => WireForm::Current,
            _ => WireForm::Stored,
        };
        let not_current = not_current.map(|why| WireNotCurrent { code: why.code(), message: why.to_string() });
        Self { form, part: event.part, not_current, ..Self::new(&event.recorded) }
    }

    pub(crate) fn decode(self) -> Recorded {
        let event = NewEvent::new(self.stream.0, self.event_type.0, self.data_base64.0.0)
            .with_id(self.id.0)
            .with_version(self.version.0)
            .with_format(self.format.into())
            .with_metadata(self.metadata_base64.0.0)
            .with_tags(self.tags.into_iter().map(|Text(tag)| tag));
        Recorded::new(event, Revision::new(self.revision.0), self.position.0.0, self.recorded_at.0.0)
    }
}
