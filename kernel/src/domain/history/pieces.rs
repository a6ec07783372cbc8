//! What one event has become, where it has become several.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The events that a function has made of an old one, in order.
///
/// ```
/// # use portolan_kernel::domain::history::Pieces;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Deserialize)]
/// struct MovedIn { street: String, city: String }
/// #[derive(Serialize)]
/// struct CityChosen { city: String }
/// #[derive(Serialize)]
/// struct StreetChosen { street: String }
///
/// fn split(moved: MovedIn) -> Pieces {
///     Pieces::new()
///         .event("user.city-chosen", 2, &CityChosen { city: moved.city })
///         .event("user.street-chosen", 2, &StreetChosen { street: moved.street })
/// }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Pieces {
    events: Vec<Piece>,
    /// Why one of them has no payload.
    flaw: Option<String>,
}

#[derive(Debug, Clone)]
struct Piece {
    event_type: String,
    version: u32,
    payload: Box<RawValue>,
}

impl Pieces {
    /// Types, versions and payloads, unless one of them has none.
    pub(in super::super) fn events(self) -> Result<impl Iterator<Item = (String, u32, Bytes)>, String> {
        match self.flaw {
            Some(flaw) => Err(flaw),
            None => Ok(self.events.into_iter().map(|Piece { event_type, version, payload }| {
                let payload = Bytes::from(String::from(Box::<str>::from(payload)));
                (event_type, version, payload)
            })),
        }
    }

    /// None: the event is retired.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more: its stored type, the version that it is of, and its payload.
    pub fn event(mut self, event_type: impl Into<String>, version: u32, payload: &impl Serialize) -> Self {
        let event_type = event_type.into();
        match to_raw_value(payload) {
            Ok(payload) => self.events.push(Piece { event_type, version, payload }),
            Err(error) => {
                self.flaw.get_or_insert_with(|| [&event_type, " has no payload: ", &error.to_string()].concat());
            }
        }
        self
    }
}
