//! Events on the wire, before and after a store has recorded them.
//!
//! `data` is the payload as it is where that is exact, and `data_base64` otherwise: where the payload is no
//! JSON text, has white space around it, or holds a carriage return, which no SSE frame keeps. A
//! `data_base64` is binary unless `"format":"json"` stands beside it. `metadata` is `{}` for none.

use super::text::{At, Base64, Moment, Text, whole};
use portolan_kernel::Bytes;
use portolan_kernel::domain::EventForm;
use portolan_kernel::drivers::FormedEvent;
use portolan_kernel::values::{EventId, EventType, Format, NewEvent, Recorded, Revision, StreamId, Tag};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A recorded event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireRecorded<'a> {
    id: Text<EventId>,
    #[serde(rename = "type")]
    event_type: Text<EventType>,
    version: u32,
    stream: Text<StreamId>,
    revision: u64,
    position: At,
    recorded_at: Text<Moment>,
    tags: Vec<Text<Tag>>,
    /// The form that it is in, where people have asked for the current one. No client reads it, nor what belongs to it.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    form: Option<&'static str>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    not_current: Option<WireNotCurrent>,
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<Base64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<Base64>,
}

/// Why an event is as it is stored.
#[derive(Debug, Serialize)]
struct WireNotCurrent {
    code: &'static str,
    message: String,
}

/// An event that is yet to be recorded. What may be left out has the defaults of [`NewEvent::new`]; the stream and
/// the id may be left out only where the route gives them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireNew<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Text<EventId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stream: Option<Text<StreamId>>,
    #[serde(rename = "type")]
    event_type: Text<EventType>,
    #[serde(default = "first_version", deserialize_with = "whole")]
    version: u32,
    #[serde(default)]
    tags: Vec<Text<Tag>>,
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<Base64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<WireFormat>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<Base64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireFormat {
    Json,
    Binary,
}

/// What is wrong with an event whose fields are each right.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Contradiction {
    pub(crate) field: &'static str,
    message: &'static str,
}

impl<'a> WireRecorded<'a> {
    pub(crate) fn new(recorded: &'a Recorded) -> Self {
        let content = Content::of(&recorded.event);
        Self {
            id: Text(recorded.id),
            event_type: Text(recorded.event_type.clone()),
            version: recorded.version,
            stream: Text(recorded.stream.clone()),
            revision: recorded.revision.get(),
            position: At(recorded.position),
            recorded_at: Text(Moment(recorded.recorded_at)),
            tags: recorded.tags.iter().cloned().map(Text).collect(),
            form: None,
            part: None,
            not_current: None,
            data: content.data,
            data_base64: content.data_base64,
            format: content.format,
            metadata: content.metadata,
            metadata_base64: content.metadata_base64,
        }
    }

    /// One for people, who have asked for this form.
    pub(crate) fn formed(event: &'a FormedEvent, asked: EventForm) -> Self {
        let wire = Self::new(&event.recorded);
        if asked == EventForm::Stored {
            return wire;
        }
        let not_current = event.not_current.as_ref();
        let form = if not_current.is_some() { EventForm::Stored } else { EventForm::Current };
        let not_current = not_current.map(|why| WireNotCurrent { code: why.code(), message: why.to_string() });
        Self { form: Some(form.as_str()), part: event.part, not_current, ..wire }
    }

    pub(crate) fn decode(self) -> Result<Recorded, Contradiction> {
        let Text(Moment(recorded_at)) = self.recorded_at;
        let content = Content {
            data: self.data,
            data_base64: self.data_base64,
            format: self.format,
            metadata: self.metadata,
            metadata_base64: self.metadata_base64,
        };
        let event = content
            .decode(NewEvent::new(self.stream.0, self.event_type.0, Bytes::new()))?
            .with_id(self.id.0)
            .with_version(self.version)
            .with_tags(self.tags.into_iter().map(|Text(tag)| tag));
        Ok(Recorded::new(event, Revision::new(self.revision), self.position.0, recorded_at))
    }
}

impl<'a> WireNew<'a> {
    pub(crate) fn new(event: &'a NewEvent) -> Self {
        let content = Content::of(event);
        Self {
            id: Some(Text(event.id)),
            stream: Some(Text(event.stream.clone())),
            event_type: Text(event.event_type.clone()),
            version: event.version,
            tags: event.tags.iter().cloned().map(Text).collect(),
            data: content.data,
            data_base64: content.data_base64,
            format: content.format,
            metadata: content.metadata,
            metadata_base64: content.metadata_base64,
        }
    }

    /// The event, in the stream of the route where there is one. Such a route also gives an id to an event without.
    pub(crate) fn decode(self, route: Option<&StreamId>) -> Result<NewEvent, Contradiction> {
        let stream = match (self.stream, route) {
            (Some(Text(stream)), None) => stream,
            (None, Some(route)) => route.clone(),
            (Some(Text(stream)), Some(route)) if stream == *route => stream,
            (Some(_), Some(_)) => {
                return Err(Contradiction { field: "stream", message: "the event names another stream than the path" });
            }
            (None, None) => return Err(Contradiction { field: "stream", message: "missing field `stream`" }),
        };
        let content = Content {
            data: self.data,
            data_base64: self.data_base64,
            format: self.format,
            metadata: self.metadata,
            metadata_base64: self.metadata_base64,
        };
        let event = content
            .decode(NewEvent::new(stream, self.event_type.0, Bytes::new()))?
            .with_version(self.version)
            .with_tags(self.tags.into_iter().map(|Text(tag)| tag));
        match (self.id, route) {
            (Some(Text(id)), _) => Ok(event.with_id(id)),
            (None, Some(_)) => Ok(event),
            (None, None) => Err(Contradiction { field: "id", message: "missing field `id`" }),
        }
    }
}

/// Payload and metadata, which both kinds of events write alike. (Not one flattened struct: flattening would
/// parse the payload, and lose its exact text.)
struct Content<'a> {
    data: Option<&'a RawValue>,
    data_base64: Option<Base64>,
    format: Option<WireFormat>,
    metadata: Option<&'a RawValue>,
    metadata_base64: Option<Base64>,
}

impl<'a> Content<'a> {
    fn of(event: &'a NewEvent) -> Self {
        let (data, data_base64, format) = match event.format {
            Format::Json => match exact_json(&event.payload) {
                Some(data) => (Some(data), None, None),
                None => (None, Some(Base64(event.payload.clone())), Some(WireFormat::Json)),
            },
            _ => (None, Some(Base64(event.payload.clone())), None),
        };
        let (metadata, metadata_base64) = match exact_json(&event.metadata) {
            _ if event.metadata.is_empty() => (Some(no_metadata()), None),
            // `{}` stands for no metadata, so that these two bytes need the other form.
            Some(object) if object.get().starts_with('{') && object.get() != "{}" => (Some(object), None),
            _ => (None, Some(Base64(event.metadata.clone()))),
        };
        Self { data, data_base64, format, metadata, metadata_base64 }
    }

    fn decode(self, event: NewEvent) -> Result<NewEvent, Contradiction> {
        let (payload, format) = match (self.data, self.data_base64, self.format) {
            (Some(data), None, None | Some(WireFormat::Json)) => (owned(data), Format::Json),
            (None, Some(Base64(bytes)), Some(WireFormat::Json)) => (bytes, Format::Json),
            (None, Some(Base64(bytes)), _) => (bytes, Format::Binary),
            (Some(_), None, Some(WireFormat::Binary)) => {
                return Err(Contradiction { field: "format", message: "`data` is JSON; binary goes in `data_base64`" });
            }
            (Some(_), Some(_), _) => {
                return Err(Contradiction {
                    field: "data",
                    message: "there is `data_base64` too; only one is possible",
                });
            }
            (None, None, _) => return Err(Contradiction { field: "data", message: "missing field `data`" }),
        };
        let metadata = match (self.metadata, self.metadata_base64) {
            (None, None) => Bytes::new(),
            (None, Some(Base64(bytes))) => bytes,
            (Some(object), None) if object.get() == "{}" => Bytes::new(),
            (Some(object), None) if object.get().starts_with('{') => owned(object),
            (Some(_), None) => return Err(Contradiction { field: "metadata", message: "metadata is a JSON object" }),
            (Some(_), Some(_)) => {
                return Err(Contradiction {
                    field: "metadata",
                    message: "there is `metadata_base64` too; only one is possible",
                });
            }
        };
        let event = event.with_format(format).with_metadata(metadata);
        Ok(with_payload(event, payload))
    }
}

fn with_payload(mut event: NewEvent, payload: Bytes) -> NewEvent {
    event.payload = payload;
    event
}

/// The bytes as a JSON text that reads back as the same bytes, also out of an SSE frame.
fn exact_json(bytes: &[u8]) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_slice(bytes).ok()?;
    (raw.get().len() == bytes.len() && !bytes.contains(&b'\r')).then_some(raw)
}

fn no_metadata() -> &'static RawValue {
    serde_json::from_str("{}").unwrap_or(RawValue::NULL)
}

fn owned(raw: &RawValue) -> Bytes {
    Bytes::copy_from_slice(raw.get().as_bytes())
}

/// A field that is there holds a value, even where the value is `null`.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn first_version() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::values::{Position, Timestamp};

    fn recorded(payload: &[u8], format: Format, metadata: &[u8]) -> Recorded {
        let name = "a/b \"\\ %41 \u{1F980} e\u{301}";
        let event = NewEvent::new(name.parse().unwrap(), name.parse().unwrap(), payload.to_vec())
            .with_format(format)
            .with_metadata(metadata.to_vec())
            .with_id(EventId::from_bytes([9; 16]))
            .with_version(u32::MAX)
            .with_tags(["b", "a", "b"].map(|tag| tag.parse().unwrap()));
        Recorded::new(event, Revision::new(u64::MAX), Position::MAX, Timestamp::from_micros(1_785_000_000_000_001))
    }

    const PAYLOADS: [&[u8]; 16] = [
        b"",
        b"{}",
        b" {}",
        b"{}\n",
        b"{\"a\" :\n 1}",
        b"{\"a\":\r\n1}",
        b"null",
        b"1e999",
        b"123456789012345678901234567890.10",
        b"\"\\ud800 \\u0041\"",
        b"{\"a\":1,\"a\":2}",
        b"\xEF\xBB\xBF{}",
        b"\xFF\xFE",
        b"\"\xFF\"",
        b"{\"a\":",
        b"{} {}",
    ];

    #[test]
    fn every_byte_comes_back() {
        for payload in PAYLOADS {
            for format in [Format::Json, Format::Binary] {
                for metadata in PAYLOADS {
                    let before = recorded(payload, format, metadata);
                    let json = serde_json::to_vec(&WireRecorded::new(&before)).unwrap();
                    let after = serde_json::from_slice::<WireRecorded<'_>>(&json).unwrap().decode().unwrap();
                    assert_eq!(after, before, "{}", String::from_utf8_lossy(&json));

                    let json = serde_json::to_vec(&WireNew::new(&before.event)).unwrap();
                    let after: WireNew<'_> = crate::wire::from_json(&json).unwrap();
                    assert_eq!(after.decode(None).unwrap(), before.event, "{}", String::from_utf8_lossy(&json));
                }
            }
        }
    }

    #[test]
    fn a_deep_payload_is_kept_and_not_parsed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let before = recorded(deep.as_bytes(), Format::Json, b"");
        let json = serde_json::to_vec(&WireRecorded::new(&before)).unwrap();
        assert_eq!(serde_json::from_slice::<WireRecorded<'_>>(&json).unwrap().decode().unwrap(), before);
    }

    #[test]
    fn a_person_reads_json_as_json() {
        let event = recorded(b"{\"owner\":\"Ann\"}", Format::Json, b"{\"actor\":\"ann\"}");
        let json: serde_json::Value = serde_json::to_value(WireRecorded::new(&event)).unwrap();
        assert_eq!(json["data"]["owner"], "Ann");
        assert_eq!(json["metadata"]["actor"], "ann");
        assert_eq!(json["position"], Position::MAX.to_string());
        assert_eq!(json.get("data_base64"), None);
    }
}
