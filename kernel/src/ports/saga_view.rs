//! What is told of sagas: how each stands, pages of them, and what has been recorded of one.

use super::{SagaPhase, SagaStatus};
use crate::values::{EventType, Name, Revision, SagaId, Timestamp};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

/// One saga, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaSummary {
    /// Which.
    pub saga: SagaId,
    /// The version of the definition that it follows.
    pub version: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it turns back, if it has not ended and is not past its pivot.
    pub deadline: Option<Timestamp>,
    /// How it stands.
    pub status: SagaStatus,
    /// Why the process that answers cannot go on with it (SG-08): it lacks the code. Another process may have it.
    ///
    /// It speaks of the process that answers, which need not be the one that drives the saga. In a rolling deploy an old process
    /// may hold the shard of a saga that was started by a new version: asked there, it tells of the missing version; asked where
    /// the code is, it tells of nothing, and the saga stands as it did, with [`SagaStatus::since`] long past. No step, timer or
    /// time-out of it comes about meanwhile, and none is lost: what is overdue comes once somebody with the code drives it.
    ///
    /// - The old processes are on their way out: nothing is to be done. One that shuts down gives its shards up at once, one that
    ///   has died loses them with its lease ([`SagaOptions::lease`](crate::drivers::SagaOptions::lease)), and even before that
    ///   a new process asks for its share of them.
    /// - They are to stay: shut them down all the same, or deploy to them a program that has the new version too. Where old and new
    ///   have to run beside each other for long, give the new definition a name of its own: its shards are held by none but those
    ///   that have it.
    /// - Every process tells of it: deploy one that has the handler of that version beside the newer ones. What is not to go on at
    ///   all is ended by [`SagaAction::Abort`](super::SagaAction::Abort), which needs no code.
    pub lacks: Option<String>,
}

impl SagaSummary {
    /// A saga that stands so.
    #[must_use]
    pub fn new(saga: SagaId, version: u32, started_at: Timestamp, status: SagaStatus) -> Self {
        Self { saga, version, started_at, deadline: None, status, lacks: None }
    }

    /// The same, with this deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Option<Timestamp>) -> Self {
        Self { deadline, ..self }
    }

    /// The same, for which this is missing.
    #[must_use]
    pub fn with_lacks(self, lacks: Option<String>) -> Self {
        Self { lacks, ..self }
    }
}

/// Which sagas to list, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListSagas {
    /// Only those of this definition.
    pub name: Option<Name>,
    /// Only those in one of these phases; empty: in any.
    pub phases: BTreeSet<SagaPhase>,
    /// After the saga that this cursor names: [`SagaPage::next`] of a page before. Opaque. Or after all sagas of the definition
    /// of this name, whether there are any.
    pub after: Option<String>,
    /// The most of a page; at least 1. A page may hold fewer, even none.
    pub limit: u32,
}

impl ListSagas {
    /// The limit of a list that names none.
    pub const DEFAULT_LIMIT: u32 = 100;

    /// All.
    #[must_use]
    pub fn all() -> Self {
        Self { name: None, phases: BTreeSet::new(), after: None, limit: Self::DEFAULT_LIMIT }
    }

    /// Only those of this definition.
    #[must_use]
    pub fn named(self, name: Name) -> Self {
        Self { name: Some(name), ..self }
    }

    /// Those in this phase too.
    #[must_use]
    pub fn phase(mut self, phase: SagaPhase) -> Self {
        self.phases.insert(phase);
        self
    }

    /// After this cursor, or all sagas of the definition of this name.
    #[must_use]
    pub fn after(self, cursor: Option<String>) -> Self {
        Self { after: cursor, ..self }
    }

    /// At most so many.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }
}

/// A page of sagas, in the order of names and ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SagaPage {
    /// The sagas.
    pub sagas: Vec<SagaSummary>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

impl SagaPage {
    /// A page, as an orchestrator makes it.
    #[must_use]
    pub fn new(sagas: Vec<SagaSummary>, next: Option<String>) -> Self {
        Self { sagas, next }
    }
}

/// A fact about a saga, as its stream has it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SagaFact {
    /// Its place in the stream.
    pub revision: Revision,
    /// When it happened, by the clock of whoever recorded it.
    pub at: Timestamp,
    /// Its stored type, such as `$saga.begun`.
    pub event_type: EventType,
    /// What it tells: the fields of [`SagaEvent`](crate::domain::saga::SagaEvent).
    pub data: Value,
}

impl SagaFact {
    /// A fact, as an orchestrator makes it.
    #[must_use]
    pub fn new(revision: Revision, at: Timestamp, event_type: EventType, data: Value) -> Self {
        Self { revision, at, event_type, data }
    }
}

/// A page of a saga's facts, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SagaTimeline {
    /// The facts.
    pub facts: Vec<SagaFact>,
    /// After which fact the next page begins; `None`: this was the last page.
    pub next: Option<Revision>,
}

impl SagaTimeline {
    /// A page, as an orchestrator makes it.
    #[must_use]
    pub fn new(facts: Vec<SagaFact>, next: Option<Revision>) -> Self {
        Self { facts, next }
    }
}
