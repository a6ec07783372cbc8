//! Histories: how stored events of old versions become those that are written now.
//!
//! A [`History`] says which version of each stored type is current, and has a [`Hop`] from each older one to the next. The
//! derive `Event` writes it from attributes; by hand it is:
//!
//! ```
//! use portolan_kernel::domain::history::{History, Hop};
//!
//! let history = History::new()
//!     .current("user.created", 3)
//!     // Version 2 has a name.
//!     .hop(Hop::from("user.created", 1).add("name", "Unknown").to("user.created", 2))
//!     // Version 3 calls the address by its name.
//!     .hop(Hop::from("user.created", 2).rename("mail", "email").to("user.created", 3))
//!     // Nobody needs these any more.
//!     .hop(Hop::from("user.newsletter-flagged", 1).retire());
//! # use portolan_kernel::domain::history::Histories;
//! # let mut histories = Histories::new();
//! # histories.add("the example", history);
//! # assert!(histories.judge().is_ok());
//! ```
//!
//! Histories are judged together, before any event is read ([`Histories::judge`]); an application does so when it is built.
//! What comes of that are [`Upcasters`](super::Upcasters), the one place between stored bytes and values.

mod hop;
mod judging;
mod object;
mod pieces;

pub use hop::{Hop, HopFrom, HopSplit};
pub use judging::HistoryError;
pub use pieces::Pieces;

pub(super) use hop::{Then, Transcoding};
pub(super) use object::Object;

use super::event::Event;
use super::event_schema::EventSchema;
use super::projection::EventSet;
use crate::ports::Upcaster;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::{TypeId, type_name};
use core::fmt;

/// The history of an event type: the current version of each stored type, and hops from the older ones.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct History {
    current: Vec<(String, u32)>,
    first: Vec<(String, u32)>,
    hops: Vec<AnyHop>,
    /// The event types that tell the rest.
    told_by: Vec<fn(&mut Histories)>,
}

impl History {
    /// Nothing is told: no hops, and what is current shows when an event is read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events of this stored type are written in this version. Where this is told, chains are judged by it, and an event of a
    /// later version is known to be from the future before its payload is looked at.
    pub fn current(mut self, event_type: impl Into<String>, version: u32) -> Self {
        self.current.push((event_type.into(), version));
        self
    }

    /// This stored type came with this version, and was never stored in an earlier one. Where it is not told, it came with
    /// version 1.
    pub fn first(mut self, event_type: impl Into<String>, version: u32) -> Self {
        self.first.push((event_type.into(), version));
        self
    }

    /// Adds a [`Hop`], or an [`Upcaster`] by hand.
    pub fn hop(mut self, hop: impl Into<AnyHop>) -> Self {
        self.hops.push(hop.into());
        self
    }

    /// Hops are those of this event type, which is stored alike: for a type that has only those variants which its reader
    /// looks at.
    pub fn told_by<E: Event>(mut self) -> Self {
        self.told_by.push(Histories::event::<E>);
        self
    }

    /// The stored types that it speaks of.
    fn types(&self) -> Vec<String> {
        let currents = self.current.iter().map(|(event_type, _)| event_type.clone());
        let starts = self.hops.iter().map(|hop| match &hop.0 {
            Kind::Declared(hop) => hop.from.0.clone(),
            Kind::ByHand(upcaster) => upcaster.from().0.to_string(),
        });
        currents.chain(starts).collect()
    }

    fn is_empty(&self) -> bool {
        self.current.is_empty() && self.hops.is_empty()
    }
}

/// A [`Hop`], or an [`Upcaster`] by hand; either turns into it by itself.
#[derive(Clone)]
pub struct AnyHop(Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Declared(Arc<Hop>),
    ByHand(Arc<dyn Upcaster>),
}

impl From<Hop> for AnyHop {
    fn from(hop: Hop) -> Self {
        Self(Kind::Declared(Arc::new(hop)))
    }
}

impl<U: Upcaster + 'static> From<U> for AnyHop {
    fn from(upcaster: U) -> Self {
        Self(Kind::ByHand(Arc::new(upcaster)))
    }
}

impl fmt::Debug for AnyHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Declared(hop) => hop.fmt(f),
            Kind::ByHand(upcaster) => f.debug_tuple("Upcaster").field(&upcaster.from()).finish(),
        }
    }
}

/// What an event type tells of its stored types. Schemas are made when somebody asks.
#[derive(Debug, Clone)]
pub(crate) struct ToldEvents {
    /// Who tells it.
    pub(crate) owner: &'static str,
    pub(crate) category: &'static str,
    pub(crate) schemas: fn() -> Vec<EventSchema>,
    /// The stored types that its history speaks of.
    pub(crate) types: Vec<String>,
}

/// The histories of several event types, to be judged together. An event type counts once, however often it is added.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    known: Vec<TypeId>,
    told: Vec<ToldEvents>,
    /// Each with the name of who says so.
    parts: Vec<(&'static str, History)>,
}

impl Histories {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a set of events, or of one event type.
    #[must_use]
    pub fn of<E: EventSet>() -> Self {
        let mut histories = Self::new();
        E::histories(&mut histories);
        histories
    }

    /// Adds that of an event type.
    pub fn event<E: Event>(&mut self) {
        let id = TypeId::of::<E>();
        if !self.known.contains(&id) {
            self.known.push(id);
            let history = E::history();
            let (owner, category) = (type_name::<E>(), E::CATEGORY);
            self.told.push(ToldEvents { owner, category, schemas: E::schemas, types: history.types() });
            history.told_by.iter().for_each(|more| more(self));
            self.add(owner, history);
        }
    }

    /// Adds a history that is told beside event types; `owner` is named in errors.
    pub fn add(&mut self, owner: &'static str, history: History) {
        if !history.is_empty() {
            self.parts.push((owner, history));
        }
    }

    /// What each event type tells of its stored types.
    pub(crate) fn told(&self) -> &[ToldEvents] {
        &self.told
    }

    /// Those event types of the set that are not among these.
    pub(super) fn beyond<E: EventSet>(&self) -> Option<Self> {
        let mut all = Self { known: self.known.clone(), told: self.told.clone(), parts: Vec::new() };
        E::histories(&mut all);
        if all.parts.is_empty() {
            return None;
        }
        all.parts.splice(..0, self.parts.iter().cloned());
        Some(all)
    }
}
