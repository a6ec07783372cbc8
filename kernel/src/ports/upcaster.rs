//! The port `Upcaster`: one hop from an old stored event to the next version.

use crate::values::{EventType, Format};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// The part of an event that versions change: its type, version and payload. No JSON value is built
/// unless an upcaster builds one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawEvent {
    /// The stored type.
    pub event_type: EventType,
    /// The version of the type's schema.
    pub version: u32,
    /// What the payload's bytes are.
    pub format: Format,
    /// The payload.
    pub payload: Bytes,
}

impl RawEvent {
    /// An event of this type and version.
    #[must_use]
    pub fn new(event_type: EventType, version: u32, format: Format, payload: Bytes) -> Self {
        Self { event_type, version, format, payload }
    }
}

/// Why an event could not be brought to its next version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} version {version} cannot be upcast: {reason}")]
#[non_exhaustive]
pub struct UpcastError {
    /// The event's type.
    pub event_type: EventType,
    /// The version it has.
    pub version: u32,
    /// What is wrong with it.
    pub reason: String,
}

impl UpcastError {
    /// The event cannot be upcast, for this reason.
    #[must_use]
    pub fn new(event: &RawEvent, reason: impl Into<String>) -> Self {
        Self { event_type: event.event_type.clone(), version: event.version, reason: reason.into() }
    }
}

/// One hop from an old raw event to the next: to no event (retired), to one, or to several.
///
/// Every decoding path goes through the registered hops; stored bytes never change, and the port
/// `EventStore` itself carries stored events. Events of the current version pass untouched.
pub trait Upcaster: Send + Sync {
    /// The type and version this hop is from.
    fn from(&self) -> (EventType, u32);

    /// The events this one has become.
    ///
    /// # Errors
    ///
    /// [`UpcastError`] when the payload is not what its type and version promise.
    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError>;
}
