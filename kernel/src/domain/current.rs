//! What stored events have become, for those who show events and do not decode them.

use super::upcasting::{Known, Upcasters};
use crate::ports::{RawEvent, UpcastError};
use crate::values::{EventType, Query, Recorded};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// In which form events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EventForm {
    /// As they are stored, byte for byte.
    #[default]
    Stored,
    /// As what they have become: with the type, version and payload of now.
    Current,
}

impl EventForm {
    /// Its name on wires.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Current => "current",
        }
    }
}

impl fmt::Display for EventForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventForm {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        [Self::Stored, Self::Current]
            .into_iter()
            .find(|form| form.as_str() == text)
            .ok_or("a form is `stored` or `current`")
    }
}

/// Why nobody can say what a stored event is now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCurrent {
    /// No history tells of its type: a newer application has written it, or another, or its events have no history.
    #[error(
        "no history of this application tells of the event type {0}; a newer application, or another, may have written it"
    )]
    UnknownType(EventType),
    /// Its type is known, and its version is neither current nor one that a hop starts from.
    #[error("this application knows no version {version} of {event_type}; a newer one may have written it")]
    UnknownVersion {
        /// Its type.
        event_type: EventType,
        /// Its version.
        version: u32,
    },
    /// A hop failed.
    #[error(transparent)]
    Failed(#[from] UpcastError),
}

impl NotCurrent {
    /// A stable code in kebab case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "unknown-type",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::Failed(_) => "upcast-failed",
        }
    }
}

/// What is known of a version of a stored type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is written now, or is what hops end at where nobody tells what is written now.
    Current,
    /// A hop starts from it.
    Old,
    /// Others of its type are known, up to this one.
    UnknownVersion { newest: u32 },
    /// Nobody tells of its type.
    UnknownType,
}

impl Upcasters {
    /// Whether no type is told of.
    pub(crate) fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// What is known of this version. Everybody who asks what becomes of an event asks here.
    pub(crate) fn place(&self, event_type: &EventType, version: u32) -> Place {
        let Some(Known { current, ways, arrivals }) = self.types.get(event_type) else { return Place::UnknownType };
        if ways.contains_key(&version) {
            return Place::Old;
        }
        if current.map_or_else(|| arrivals.contains(&version), |current| current == version) {
            return Place::Current;
        }
        let newest = *current;
        let newest = newest.max(arrivals.last().copied()).max(ways.keys().next_back().copied());
        Place::UnknownVersion { newest: newest.unwrap_or_default() }
    }

    /// The events that a recorded one has become, with its id and its places: none when it is retired. One of a current
    /// version is the same.
    ///
    /// # Errors
    ///
    /// [`NotCurrent`] where that is unknown. A person is better shown the event as it is stored, with the reason beside it.
    pub fn current(&self, recorded: &Arc<Recorded>) -> Result<Vec<Arc<Recorded>>, NotCurrent> {
        let (event_type, version) = (&recorded.event_type, recorded.version);
        match self.place(event_type, version) {
            Place::Old => {}
            Place::Current => return Ok(alloc::vec![recorded.clone()]),
            Place::UnknownVersion { .. } => {
                return Err(NotCurrent::UnknownVersion { event_type: event_type.clone(), version });
            }
            Place::UnknownType => return Err(NotCurrent::UnknownType(event_type.clone())),
        }
        let stored = RawEvent::new(event_type.clone(), version, recorded.format, recorded.payload.clone());
        let become_of = |raw: RawEvent| {
            let mut event = recorded.event.clone();
            (event.event_type, event.version) = (raw.event_type, raw.version);
            (event.format, event.payload) = (raw.format, raw.payload);
            Arc::new(Recorded { event, ..(**recorded).clone() })
        };
        Ok(self.upcast(stored)?.into_iter().map(become_of).collect())
    }

    /// The stored types whose events may be of this type now: itself first, and those that hops lead here from.
    ///
    /// ```
    /// # use portolan_kernel::domain::history::{Histories, History, Hop};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let history = History::new().hop(Hop::from("user.mail-changed", 1).to("user.email-updated", 1));
    /// # let mut histories = Histories::new();
    /// # histories.add("the example", history);
    /// let sources = histories.judge()?.sources_of(&"user.email-updated".parse()?);
    /// assert_eq!(sources, ["user.email-updated", "user.mail-changed"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sources_of(&self, event_type: &EventType) -> Vec<EventType> {
        let mut sources = alloc::vec![event_type.clone()];
        let mut seen = BTreeSet::from([event_type]);
        let mut next = 0;
        while let Some(to) = sources.get(next).cloned() {
            let leads_there = |known: &Known| known.ways.values().flat_map(|way| &way.to).any(|(end, _)| *end == to);
            for (source, known) in &self.types {
                if leads_there(known) && seen.insert(source) {
                    sources.push(source.clone());
                }
            }
            next += 1;
        }
        sources
    }

    /// The query that finds each stored event which may have become one that this query wants. It has more types in it, which
    /// count against [`Limits::query_terms`](crate::ports::Limits::query_terms). What is found has to be judged again, once
    /// it is known what it has become.
    #[must_use]
    pub fn query_of_sources(&self, mut query: Query) -> Query {
        for item in &mut query.any_of {
            let sources: BTreeSet<EventType> = item.types.iter().flat_map(|wanted| self.sources_of(wanted)).collect();
            item.types = sources.into_iter().collect();
        }
        query
    }
}
