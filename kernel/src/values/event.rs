//! Events: before and after a store has recorded them.

use super::{EventId, EventType, StreamId, Tag};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The place of an event in its stream: 0, 1, 2, … without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

/// The place of an event in the whole log: rising, opaque, not dense; at most `i64::MAX`.
///
/// A position says *after which* events others stand; nothing can be computed from two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

/// A moment: microseconds since the Unix epoch, UTC. To serde it is that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Revision {
    /// The revision of the first event of a stream.
    pub const FIRST: Self = Self(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision `n` events further on; saturates.
    #[must_use]
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    /// The revision that follows `last`: [`FIRST`](Self::FIRST) for an empty stream.
    #[must_use]
    pub const fn after(last: Option<Self>) -> Self {
        match last {
            None => Self::FIRST,
            Some(last) => last.plus(1),
        }
    }
}

impl Position {
    /// The largest position there can be.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The position with this number, or `None` past [`MAX`](Self::MAX).
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number, for a store or a wire.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Timestamp {
    /// The moment this many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `by` later; saturates.
    #[must_use]
    pub fn plus(self, by: core::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

macro_rules! numbers {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
numbers!(Revision, Position);

/// What a payload's bytes are. A store keeps it and looks no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// JSON text in UTF-8 (RFC 8259).
    #[default]
    Json,
    /// Anything else; the event type and version say what.
    Binary,
}

/// An event that is yet to be recorded.
///
/// Payload, metadata, id and tags come back from a store byte for byte (ES-14).
///
/// ```
/// # use portolan_kernel::values::*;
/// # fn main() -> Result<(), InvalidName> {
/// let event = NewEvent::new(StreamId::new("account-ann")?, EventType::new("account.opened")?, "{}")
///     .with_id(EventId::from_bytes([7; 16]))
///     .with_tags([Tag::new("owner:Ann")?]);
/// assert_eq!((event.version, event.format), (1, Format::Json));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEvent {
    /// Its identity; all zero unless given.
    pub id: EventId,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its stored type.
    pub event_type: EventType,
    /// The version of the type's schema, from 1.
    pub version: u32,
    /// What the payload's bytes are.
    pub format: Format,
    /// The payload.
    pub payload: Bytes,
    /// The encoded [`Metadata`](super::Metadata); opaque to stores.
    pub metadata: Bytes,
    /// Its tags; a set in meaning, kept in the order given. A repeated tag is kept and means nothing more.
    pub tags: Arc<[Tag]>,
}

impl NewEvent {
    /// An event with a JSON payload, version 1, without tags and metadata, and with an id of zeros.
    #[must_use]
    pub fn new(stream: StreamId, event_type: EventType, payload: impl Into<Bytes>) -> Self {
        Self {
            id: EventId::from_bytes([0; 16]),
            stream,
            event_type,
            version: 1,
            format: Format::Json,
            payload: payload.into(),
            metadata: Bytes::new(),
            tags: Arc::default(),
        }
    }

    /// The same event with this id.
    #[must_use]
    pub fn with_id(self, id: EventId) -> Self {
        Self { id, ..self }
    }

    /// The same event with this schema version.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The same event with a payload of this format.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The same event with this encoded metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: impl Into<Bytes>) -> Self {
        Self { metadata: metadata.into(), ..self }
    }

    /// The same event with these tags.
    #[must_use]
    pub fn with_tags(self, tags: impl IntoIterator<Item = Tag>) -> Self {
        let tags = tags.into_iter().collect::<Vec<_>>();
        // What has none shares one empty list.
        Self { tags: if tags.is_empty() { Arc::default() } else { tags.into() }, ..self }
    }

    /// What counts against [`Limits::event_bytes`](crate::ports::Limits::event_bytes): payload, metadata,
    /// and the bytes of all names.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let tags: usize = self.tags.iter().map(|tag| tag.len()).sum();
        (self.payload.len() + self.metadata.len() + self.stream.len() + self.event_type.len() + tags) as u64
    }
}

/// An event as a store has recorded it. Shared as `Arc<Recorded>`: a reader copies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The event, as it was given.
    pub event: NewEvent,
    /// Its place in its stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// When the store recorded it, by the store's clock. Not a measure of order: positions are.
    pub recorded_at: Timestamp,
}

impl Recorded {
    /// An event with its places, as a store or a wire makes it.
    #[must_use]
    pub fn new(event: NewEvent, revision: Revision, position: Position, recorded_at: Timestamp) -> Self {
        Self { event, revision, position, recorded_at }
    }
}

impl core::ops::Deref for Recorded {
    type Target = NewEvent;
    fn deref(&self) -> &NewEvent {
        &self.event
    }
}
