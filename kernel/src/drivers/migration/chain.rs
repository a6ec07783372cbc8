//! What comes of one event. Pure.

use super::MigrationReason;
use super::record::{MIGRATION, hex};
use crate::domain::Upcasters;
use crate::ports::RawEvent;
use crate::values::{EventId, EventType, Name, NewEvent, Query, Recorded, StreamId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

pub(super) struct Chain {
    upcasters: Arc<Upcasters>,
    /// The types that are told of: the versions that hops start from, and the one that is written now.
    told: BTreeMap<EventType, (BTreeSet<u32>, Option<u32>)>,
    pub(super) system: bool,
    pub(super) keep_unknown: bool,
}

impl Chain {
    pub(super) fn new(upcasters: Arc<Upcasters>) -> Self {
        let mut told = BTreeMap::<EventType, (BTreeSet<u32>, Option<u32>)>::new();
        for (event_type, version, is_current) in upcasters.known() {
            let (starts, current) = told.entry(event_type.clone()).or_default();
            if is_current {
                *current = Some(version);
            } else {
                starts.insert(version);
            }
        }
        Self { upcasters, told, system: false, keep_unknown: false }
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
        match self.told.get(&event.event_type) {
            Some((starts, _)) if starts.contains(&event.version) => Ok(true),
            Some((_, Some(current))) if *current != event.version && !self.keep_unknown => {
                Err(MigrationReason::UnknownVersion { current: *current })
            }
            // A chain that knows nothing takes every event to be of now.
            None if !self.told.is_empty() && !self.keep_unknown => Err(MigrationReason::UnknownType),
            _ => Ok(false),
        }
    }

    /// What has to be the same in every run into one target, as a digest.
    pub(super) fn rules(&self, keeps_times: bool, commands: &[Name]) -> String {
        let mut hash = Sha256::new();
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for command in commands {
            text(command);
        }
        text("");
        for (event_type, (starts, current)) in &self.told {
            text(event_type);
            for version in starts {
                text(&alloc::format!("{version}"));
            }
            text(&alloc::format!("{current:?}"));
        }
        hash.update([u8::from(self.system), u8::from(self.keep_unknown), u8::from(keeps_times)]);
        hex(&<[u8; 32]>::from(hash.finalize()))
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
