//! What an event store is, can do, and takes.

use super::{AppendError, ReadError};
use crate::values::{Append, Move, Query, Read, Start, StoreId, StreamId};
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// What a store may lack. Everything else is the core, and no store can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// What was acknowledged survives the process. A store that lacks it has a new identity in each life.
    Durability,
    /// Several handles and processes may open one store at once. A store that lacks it refuses the second
    /// handle, or gives it a store of its own.
    SeveralProcesses,
    /// Appends may carry a [`Guard`](crate::values::Guard).
    Guard,
    /// One append may write or expect several streams.
    SeveralStreams,
    /// Appends may carry an [`IdempotencyKey`](crate::values::IdempotencyKey).
    Keys,
    /// Appends may move a [`Checkpoint`](crate::values::Checkpoint).
    Checkpoints,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Durability, Self::SeveralProcesses, Self::Guard, Self::SeveralStreams, Self::Keys, Self::Checkpoints];

    /// Its name in kebab case, as wires and reports write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durability => "durability",
            Self::SeveralProcesses => "several-processes",
            Self::Guard => "guard",
            Self::SeveralStreams => "several-streams",
            Self::Keys => "keys",
            Self::Checkpoints => "checkpoints",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a store is, can do, and takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Which store it is.
    pub identity: StoreId,
    /// What it cannot do.
    pub lacks: BTreeSet<Capability>,
    /// How long keys are kept; `None`: as long as the store.
    pub key_retention: Option<Duration>,
    /// How soon `changed` returns after something matching has become visible, on a machine that is not
    /// overloaded.
    pub hint_latency: Duration,
    /// How much it takes.
    pub limits: Limits,
}

impl Capabilities {
    /// A store that lacks nothing, keeps keys for good, hints within 100 ms, and has the usual limits.
    #[must_use]
    pub fn new(identity: StoreId) -> Self {
        Self {
            identity,
            lacks: BTreeSet::new(),
            key_retention: None,
            hint_latency: Duration::from_millis(100),
            limits: Limits::default(),
        }
    }

    /// The same, without this capability.
    #[must_use]
    pub fn lacking(mut self, capability: Capability) -> Self {
        self.lacks.insert(capability);
        self
    }

    /// The same, keeping keys for this long.
    #[must_use]
    pub fn with_key_retention(self, key_retention: Option<Duration>) -> Self {
        Self { key_retention, ..self }
    }

    /// The same, with hints this late.
    #[must_use]
    pub fn with_hint_latency(self, hint_latency: Duration) -> Self {
        Self { hint_latency, ..self }
    }

    /// The same, with these limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Whether the store has the capability.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        !self.lacks.contains(&capability)
    }

    /// Judges what can be judged of an append without looking into the store: lacks, limits, and whether it
    /// contradicts itself. The first step of every store's `append`.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `TooLarge`, `Invalid` or `WrongStore`.
    pub fn check(&self, append: &Append) -> Result<(), AppendError> {
        let needs = |needed: bool, capability| {
            if needed && !self.has(capability) { Err(AppendError::Unsupported(capability)) } else { Ok(()) }
        };
        // Most appends are so small that their streams need not be counted.
        let at_most = append.events.len() + append.expect.len();
        let may_be_too_many = at_most > self.limits.append_streams as usize || !self.has(Capability::SeveralStreams);
        let streams = if may_be_too_many { streams_of(append).len() } else { at_most };
        needs(append.guard.is_some(), Capability::Guard)?;
        needs(append.key.is_some(), Capability::Keys)?;
        needs(append.checkpoint.is_some(), Capability::Checkpoints)?;
        needs(may_be_too_many && streams > 1, Capability::SeveralStreams)?;
        self.limits.check(append, streams as u64)?;

        let mut expected = BTreeSet::new();
        if append.expect.len() > 1
            && let Some((twice, _)) = append.expect.iter().find(|(stream, _)| !expected.insert(stream))
        {
            return Err(AppendError::Invalid(format!("it has two expectations of {twice}; at most one is possible")));
        }
        if let Some(checkpoint) = &append.checkpoint {
            if checkpoint.store != self.identity {
                return Err(AppendError::WrongStore { named: checkpoint.store, actual: self.identity });
            }
            if let Move::At(to) = checkpoint.to
                && Some(to) < checkpoint.from
            {
                return Err(AppendError::Invalid(format!(
                    "checkpoint {} would go back to {to}; only a reset does",
                    checkpoint.name
                )));
            }
        }
        Ok(())
    }

    /// Judges what can be judged of a read without looking into the store.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit of 0, `TooLarge` for a query of too many terms.
    pub fn check_read(&self, read: &Read) -> Result<(), ReadError> {
        if read.limit == 0 {
            return Err(ReadError::Invalid("a page of at most 0 events says nothing; ask for at least 1".to_string()));
        }
        match &read.from {
            Start::Log(query, _) if terms(query) > u64::from(self.limits.query_terms) => Err(ReadError::TooLarge {
                what: Cow::Borrowed("terms of the query"),
                size: terms(query),
                limit: self.limits.query_terms.into(),
            }),
            _ => Ok(()),
        }
    }
}

/// The streams an append is about, each once: written ones in order of their first event, then those only
/// expected. The order of [`Appended::streams`](crate::values::Appended::streams).
#[must_use]
pub fn streams_of(append: &Append) -> Vec<&StreamId> {
    let mut seen = BTreeSet::new();
    let written = append.events.iter().map(|event| &event.stream);
    written.chain(append.expect.iter().map(|(stream, _)| stream)).filter(|stream| seen.insert(*stream)).collect()
}

fn terms(query: &Query) -> u64 {
    let of_item = |item: &crate::values::Item| {
        1 + item.streams.len() + item.categories.len() + item.types.len() + item.tags.len()
    };
    query.any_of.iter().map(of_item).sum::<usize>() as u64
}

/// How much a store takes. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Events in one append.
    pub append_events: u32,
    /// All events of one append together, each as [`NewEvent::bytes`](crate::values::NewEvent::bytes) counts.
    pub append_bytes: u64,
    /// Streams that one append writes or expects.
    pub append_streams: u32,
    /// One event, as [`NewEvent::bytes`](crate::values::NewEvent::bytes) counts.
    pub event_bytes: u64,
    /// Tags of one event.
    pub event_tags: u32,
    /// The note of a key.
    pub note_bytes: u64,
    /// Items, streams, categories, types and tags of one query, all counted.
    pub query_terms: u32,
    /// Events in one page, whatever limit the read names.
    pub page_events: u32,
}

impl Default for Limits {
    /// The usual limits: 10,000 events and 64 MiB an append, 1,000 streams, 16 MiB an event, 100 tags, 64 KiB
    /// of note, 1,000 terms, 10,000 events a page.
    fn default() -> Self {
        Self {
            append_events: 10_000,
            append_bytes: 64 << 20,
            append_streams: 1_000,
            event_bytes: 16 << 20,
            event_tags: 100,
            note_bytes: 64 << 10,
            query_terms: 1_000,
            page_events: 10_000,
        }
    }
}

impl Limits {
    fn check(&self, append: &Append, streams: u64) -> Result<(), AppendError> {
        let within = |what, size: u64, limit: u64| {
            if size > limit { Err(AppendError::TooLarge { what: Cow::Borrowed(what), size, limit }) } else { Ok(()) }
        };
        within("events of the append", append.events.len() as u64, self.append_events.into())?;
        within("streams of the append", streams, self.append_streams.into())?;
        let mut total = 0;
        for event in &append.events {
            let bytes = event.bytes();
            within("bytes of an event", bytes, self.event_bytes)?;
            within("tags of an event", event.tags.len() as u64, self.event_tags.into())?;
            total += bytes;
        }
        within("bytes of the append", total, self.append_bytes)?;
        if let Some(key) = &append.key {
            within("bytes of the key's note", key.note.len() as u64, self.note_bytes)?;
        }
        match &append.guard {
            Some(guard) => within("terms of the guard", terms(&guard.none_of), self.query_terms.into()),
            None => Ok(()),
        }
    }
}
