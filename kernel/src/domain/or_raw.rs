//! Events, or what is stored where they are unknown.

use super::event::EventError;
use super::history::Histories;
use super::projection::EventSet;
use super::shape::Includes;
use crate::ports::RawEvent;
use core::any::Any;

/// An event of `E`, or a stored one that `E` does not know: of an unknown type, or of a version from the future (UP-04).
///
/// It is an [`EventSet`] wherever `E` is: read, subscribe to or project `OrRaw<AccountEvent>`, to see what newer
/// applications write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrRaw<E> {
    /// It is known.
    Event(E),
    /// It is not. What hops have made of it is in it.
    Raw(RawEvent),
}

impl<E: EventSet> EventSet for OrRaw<E> {
    const CATEGORIES: &'static [&'static str] = E::CATEGORIES;

    fn histories(histories: &mut Histories) {
        E::histories(histories);
    }

    fn decode_in(category: &str, raw: &RawEvent) -> Result<Self, EventError> {
        E::decode_in(category, raw).map(Self::Event)
    }

    fn of_unknown(raw: &RawEvent) -> Option<Self> {
        Some(Self::Raw(raw.clone()))
    }

    fn current_version(&self) -> u32 {
        match self {
            Self::Event(event) => event.current_version(),
            Self::Raw(raw) => raw.version,
        }
    }

    fn field_named(&self, name: &str) -> Option<&dyn Any> {
        match self {
            Self::Event(event) => event.field_named(name),
            Self::Raw(_) => None,
        }
    }
}

impl<E> Includes<E> for OrRaw<E> {
    fn part(&self) -> Option<&E> {
        match self {
            Self::Event(event) => Some(event),
            Self::Raw(_) => None,
        }
    }
}
