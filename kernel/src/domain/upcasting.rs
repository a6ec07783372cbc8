//! Upcasting: the one place between stored events and their types.

use super::event::EventError;
use super::projection::EventSet;
use crate::ports::{RawEvent, UpcastError, Upcaster};
use crate::values::{EventType, Recorded, Revision, StreamId};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// The most hops one stored event takes to its current version, all branches together.
pub const MAX_HOPS: usize = 1_000;

/// The registered hops from old versions to newer ones.
///
/// An event of a type and version that no hop starts from is current and passes untouched; with no hop at
/// all, nothing is even looked up.
#[derive(Clone, Default)]
pub struct Upcasters {
    hops: BTreeMap<(EventType, u32), Arc<dyn Upcaster>>,
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hops.keys()).finish()
    }
}

impl Upcasters {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a hop; gives back the one that started from the same type and version, if there was one.
    pub fn insert(&mut self, upcaster: Arc<dyn Upcaster>) -> Option<Arc<dyn Upcaster>> {
        self.hops.insert(upcaster.from(), upcaster)
    }

    /// The events of current versions that this stored one has become, in order: none when it is retired.
    ///
    /// # Errors
    ///
    /// [`DecodeReason::Upcast`] when a hop fails, [`DecodeReason::TooManyHops`] past [`MAX_HOPS`].
    pub fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, DecodeReason> {
        if self.hops.is_empty() {
            return Ok(alloc::vec![event]);
        }
        let (mut open, mut current, mut hops) = (alloc::vec![event], Vec::new(), 0);
        while let Some(event) = open.pop() {
            let Some(hop) = self.hops.get(&(event.event_type.clone(), event.version)) else {
                current.push(event);
                continue;
            };
            hops += 1;
            if hops > MAX_HOPS {
                return Err(DecodeReason::TooManyHops);
            }
            open.extend(hop.upcast(event)?.into_iter().rev());
        }
        Ok(current)
    }
}

/// Why a recorded event could not be decoded, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {revision} of {stream} ({event_type} version {version}) cannot be decoded: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// Its stream.
    pub stream: StreamId,
    /// Its place there.
    pub revision: Revision,
    /// Its stored type.
    pub event_type: EventType,
    /// Its stored version.
    pub version: u32,
    /// What is wrong.
    #[source]
    pub reason: DecodeReason,
}

/// What is wrong with a recorded event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// A hop failed.
    #[error(transparent)]
    Upcast(#[from] UpcastError),
    /// Hops lead on without end.
    #[error("its upcasters lead on for more than {MAX_HOPS} hops; one of them goes back")]
    TooManyHops,
    /// The version is not the current one, and no hop starts from it.
    #[error(
        "it has version {stored} after upcasting, and the application knows version {current}; register an upcaster, or update the application"
    )]
    WrongVersion {
        /// The version after upcasting.
        stored: u32,
        /// The version the application writes.
        current: u32,
    },
    /// It is none of the type's events.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// The events of a type that a recorded one holds: one, unless an upcaster has retired or split it. Every
/// path from stored bytes to values goes through here.
///
/// # Errors
///
/// [`DecodeError`] with the event's place.
pub fn decode_recorded<E: EventSet>(upcasters: &Upcasters, recorded: &Recorded) -> Result<Vec<E>, DecodeError> {
    let stored =
        RawEvent::new(recorded.event_type.clone(), recorded.version, recorded.format, recorded.payload.clone());
    let current = |events: Vec<_>| events.iter().map(|raw| decode_current(recorded.stream.category(), raw)).collect();
    let decoded = upcasters.upcast(stored).and_then(current);
    decoded.map_err(|reason| DecodeError {
        stream: recorded.stream.clone(),
        revision: recorded.revision,
        event_type: recorded.event_type.clone(),
        version: recorded.version,
        reason,
    })
}

fn decode_current<E: EventSet>(category: &str, raw: &RawEvent) -> Result<E, DecodeReason> {
    let event = E::decode_in(category, raw)?;
    match event.current_version() {
        current if current == raw.version => Ok(event),
        current => Err(DecodeReason::WrongVersion { stored: raw.version, current }),
    }
}
