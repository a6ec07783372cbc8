//! Events: what an application's facts are, as values and as recorded.

use super::codec::CodecError;
use super::event_schema::EventSchema;
use super::history::History;
use super::shape::EventVariant;
use crate::ports::RawEvent;
use crate::values::{EventId, EventType, Format, InvalidName, Metadata, NewEvent, Recorded, StreamId, Tag};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::any::Any;
use core::ops::Deref;

/// The facts of one category of streams, as one type: usually an enum with a variant a stored type.
///
/// With the feature `macros` there is a derive of the same name. By hand it is four lines over
/// [`variant`](super::variant):
///
/// ```
/// use portolan_kernel::Bytes;
/// use portolan_kernel::domain::{CodecError, Event, EventError, variant};
/// use portolan_kernel::ports::RawEvent;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
/// enum AccountEvent {
///     #[serde(rename = "account.opened")]
///     Opened { owner: String },
///     #[serde(rename = "account.deposited")]
///     Deposited { amount: u64 },
/// }
///
/// impl Event for AccountEvent {
///     const CATEGORY: &'static str = "account";
///     fn event_type(&self) -> &'static str { variant::name(self) }
///     fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
///     fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event type",
    label = "this is no event type",
    note = "an event type is an enum with a variant a stored type; derive `Event` on it"
)]
pub trait Event: Sized + Send + Sync + 'static {
    /// The category of the streams that hold such events: what precedes the first `-` of their names.
    const CATEGORY: &'static str;

    /// What the payload's bytes are.
    const FORMAT: Format = Format::Json;

    /// The variants and their fields, for a derived [`Projection`](super::Projection). Empty: they are not told, and only
    /// projections by hand follow such events. The derive tells them.
    const VARIANTS: &'static [EventVariant] = &[];

    /// The stored type, such as `account.opened`. It never changes once an event of it is stored.
    fn event_type(&self) -> &'static str;

    /// The current version of the type's schema, from 1. Raise it with each incompatible change, and say in
    /// [`history`](Self::history) how events of the version before become those of this.
    fn version(&self) -> u32 {
        1
    }

    /// How events of older versions become those of now. Whoever registers something of these events has it judged and
    /// applied. None, unless it is told.
    fn history() -> History {
        History::new()
    }

    /// What the stored types look like in the versions that are written now, for a
    /// [`SchemaRegistry`](crate::ports::SchemaRegistry). None, unless it is told; versions are then those of the
    /// [`history`](Self::history) alone.
    ///
    /// The derive tells every variant, with the JSON Schema of its payload (as it is written) where `JsonSchema` is derived too. By hand, with
    /// the feature `macros`, `domain::schema::of_events` does the same:
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// # use portolan_kernel::Bytes;
    /// # use portolan_kernel::domain::{CodecError, Event, EventError, EventSchema, JsonSchema, schema, variant};
    /// # use portolan_kernel::ports::RawEvent;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(JsonSchema, Serialize, Deserialize)]
    /// enum AccountEvent {
    ///     #[serde(rename = "account.opened")]
    ///     Opened { owner: String },
    /// }
    ///
    /// impl Event for AccountEvent {
    ///     // ...
    /// #   const CATEGORY: &'static str = "account";
    /// #   fn event_type(&self) -> &'static str { variant::name(self) }
    /// #   fn encode(&self) -> Result<Bytes, CodecError> { variant::encode(self) }
    /// #   fn decode(raw: &RawEvent) -> Result<Self, EventError> { variant::decode(&raw.event_type, &raw.payload) }
    ///     fn schemas() -> Vec<EventSchema> {
    ///         // The stored name, serde's name of the variant, and the version.
    ///         schema::of_events::<Self>(&[("account.opened", "account.opened", 1)])
    ///     }
    /// }
    ///
    /// let opened = AccountEvent::schemas()[0].schema.clone().unwrap();
    /// assert_eq!(opened["properties"]["owner"]["type"], "string");
    /// # }
    /// ```
    #[must_use]
    fn schemas() -> Vec<EventSchema> {
        Vec::new()
    }

    /// What queries and guards find the event by, across streams.
    ///
    /// # Errors
    ///
    /// [`InvalidName`]: check in [`Command::validate`](super::Command::validate) what comes from outside.
    fn tags(&self) -> Result<Vec<Tag>, InvalidName> {
        Ok(Vec::new())
    }

    /// The value of the field of this name, if this variant has one: what [`VARIANTS`](Self::VARIANTS) says.
    fn field(&self, name: &str) -> Option<&dyn Any> {
        let _ = name;
        None
    }

    /// The payload.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] when a field has no form in the format.
    fn encode(&self) -> Result<Bytes, CodecError>;

    /// The event in a stored one of the current version.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownType`] for a type that is not of this category, [`EventError::Payload`] for a
    /// payload of another shape.
    fn decode(raw: &RawEvent) -> Result<Self, EventError>;
}

/// Why a stored event is none of a type's events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The type is unknown.
    #[error("the event type {0} is unknown here; a newer version of the application may have written it")]
    UnknownType(String),
    /// The payload does not fit its type.
    #[error("the payload does not fit its type: {0}")]
    Payload(#[from] CodecError),
}

/// Why an event cannot be stored. It is a mistake of the application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Its type or a tag is no name.
    #[error("an event's type or tag is no name: {0}")]
    Name(#[from] InvalidName),
    /// Its payload has no form in its format.
    #[error("the payload of {event_type} {source}")]
    Payload {
        /// Its type.
        event_type: &'static str,
        /// What is wrong with it.
        source: CodecError,
    },
}

/// The event as a store takes it.
///
/// # Errors
///
/// [`EncodeError`], which is a mistake of the application.
pub fn new_event<E: Event>(event: &E, stream: StreamId, id: EventId, metadata: Bytes) -> Result<NewEvent, EncodeError> {
    let event_type = event.event_type();
    let payload = event.encode().map_err(|source| EncodeError::Payload { event_type, source })?;
    Ok(NewEvent::new(stream, EventType::new(event_type)?, payload)
        .with_id(id)
        .with_version(event.version())
        .with_format(E::FORMAT)
        .with_metadata(metadata)
        .with_tags(event.tags()?))
}

/// An event with its place: the typed view of a [`Recorded`]. Several share one place when an upcaster has made
/// several of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedAs<E> {
    /// The event.
    pub event: E,
    /// What was recorded: places, id and metadata; type, version and payload as stored.
    pub recorded: Arc<Recorded>,
}

impl<E> RecordedAs<E> {
    /// The event in this record.
    #[must_use]
    pub fn new(event: E, recorded: Arc<Recorded>) -> Self {
        Self { event, recorded }
    }

    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.recorded.stream
    }

    /// Where it came from.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata::decode(&self.recorded.metadata)
    }
}

impl<E> Deref for RecordedAs<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}
