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

/// One hop from an old raw event to the next version: to no event (retired), to one, or to several.
///
/// Most hops need no type of their own: [`Hop`](crate::domain::history::Hop) adds and renames fields, renames and retires
/// types, and takes functions; the derive `Event` writes such hops from attributes. Implement this trait for what those
/// cannot do, such as a payload of another format.
///
/// Every decoding path goes through the hops of an event type and those that are registered; stored bytes never change, and
/// the port `EventStore` itself carries stored events. Events of the current version pass untouched.
///
/// # Laws
///
/// - **UP-01** One hop a version, chained; to none (retired), to one, or to several. Results share their event's position,
///   are delivered together, and only the last carries a place to resume from.
/// - **UP-02** Gaps, cycles, duplicates and chains that do not end at the current version are refused at start-up.
/// - **UP-03** Stored bytes are never changed. Every decoding path upcasts alike; the port's own reads carry stored events.
/// - **UP-04** An unknown type, or a version from the future, fails, is skipped, or is passed raw, as its reader says.
/// - **UP-05** What was stored in any version reads as what is written now: a hop is pure, and the same event becomes the
///   same events each time.
pub trait Upcaster: Send + Sync {
    /// The type and version this hop is from.
    fn from(&self) -> (EventType, u32);

    /// The types and versions that its results may have; none when it retires the event. Chains are judged by it before any
    /// event is read, and a result that is not among them is an error.
    fn to(&self) -> Vec<(EventType, u32)>;

    /// The events this one has become.
    ///
    /// # Errors
    ///
    /// [`UpcastError`] when the payload is not what its type and version promise.
    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError>;
}
