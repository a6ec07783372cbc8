//! What comes of one event. Pure.

use super::MigrationReason;
use super::record::{MIGRATION, RulesDigest};
use crate::domain::{Place, Upcasters};
use crate::ports::RawEvent;
use crate::values::{EventId, NewEvent, Query, Recorded, StreamId};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

pub(super) struct Chain {
    upcasters: Arc<Upcasters>,
    pub(super) system: bool,
    pub(super) keep_unknown: bool,
}

impl Chain {
    pub(super) fn new(upcasters: Arc<Upcasters>) -> Self {
        Self { upcasters, system: false, keep_unknown: false }
    }

    /// Which events are copied, in the source as in the target.
    pub(super) fn query(&self) -> Query {
        if self.system { Query::all().with_system() } else { Query::all() }
    }

    /// The events that this one has become, in order.
    pub(super) fn convert(&self, recorded: &Recorded) -> Result<Vec<NewEvent>, MigrationReason> {
        let event = &recorded.event;
        if event.stream.is_system() || !self.has_way(event)? {
            return Ok(vec![event.clone()]);
        }
        let raw = RawEvent::new(event.event_type.clone(), event.version, event.format, event.payload.clone());
        let results = self.upcasters.upcast(raw)?;
        let last = results.len().saturating_sub(1);
        let new = |(n, raw): (usize, RawEvent)| NewEvent {
            id: if n == last { event.id } else { derived(recorded, n) },
            stream: event.stream.clone(),
            event_type: raw.event_type,
            version: raw.version,
            format: raw.format,
            payload: raw.payload,
            metadata: event.metadata.clone(),
            tags: event.tags.clone(),
        };
        Ok(results.into_iter().enumerate().map(new).collect())
    }

    /// Whether a hop starts from it.
    fn has_way(&self, event: &NewEvent) -> Result<bool, MigrationReason> {
        // A chain that knows nothing takes every event to be of now.
        if self.upcasters.is_empty() {
            return Ok(false);
        }
        match self.upcasters.place(&event.event_type, event.version) {
            Place::Old => Ok(true),
            Place::UnknownVersion { newest } if !self.keep_unknown => Err(MigrationReason::UnknownVersion { newest }),
            Place::UnknownType if !self.keep_unknown => Err(MigrationReason::UnknownType),
            _ => Ok(false),
        }
    }

    /// The types and versions that are told of, and what is done with others, as a digest.
    pub(super) fn rules(&self) -> String {
        let mut digest = RulesDigest::default();
        for (event_type, version, is_current) in self.upcasters.known() {
            digest.text(event_type);
            digest.text(&alloc::format!("{version}"));
            digest.flags(&[is_current]);
        }
        digest.text("");
        digest.flags(&[self.keep_unknown]);
        digest.into_hex()
    }
}

/// Whether the stream is the target's own record, which is never copied.
pub(super) fn is_record(stream: &StreamId) -> bool {
    *stream == MIGRATION
}

/// The id of the `n`th result of a split, other than the last. Ids of the source may all be alike, positions are not.
fn derived(recorded: &Recorded, n: usize) -> EventId {
    let mut hash = Sha256::new();
    hash.update(b"migration");
    hash.update(recorded.id.as_bytes());
    hash.update(recorded.position.get().to_be_bytes());
    hash.update((n as u64).to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8 ("custom") and the variant of RFC 9562.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    EventId::from_bytes(bytes)
}
