//! What is written at once: as much as the target takes, and no part of what belongs together.

use super::MigrationReason;
use super::keys::Keyed;
use crate::ports::{Capabilities, Capability, Limits};
use crate::values::{NewEvent, Position, StreamId, Timestamp};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// How much an append of a migration may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// What the target takes.
    limits: Limits,
    batch: u32,
}

impl Room {
    pub(super) fn new(target: &Capabilities, batch: u32) -> Self {
        let mut limits = target.limits;
        if !target.has(Capability::SeveralStreams) {
            limits.append_streams = 1;
        }
        Self { limits, batch }
    }

    /// Whether what comes of one event has room in an append of its own. That is for the target to say: what belongs together
    /// may be more than a batch.
    pub(super) fn judge(&self, events: &[NewEvent]) -> Result<(), MigrationReason> {
        let target = &self.limits;
        for event in events {
            within("bytes of an event", event.bytes(), target.event_bytes)?;
            within("tags of an event", event.tags.len() as u64, target.event_tags.into())?;
        }
        within("events that one becomes", events.len() as u64, target.append_events.into())?;
        within("bytes of the events that one becomes", bytes(events), target.append_bytes)
    }
}

fn within(what: &'static str, size: u64, limit: u64) -> Result<(), MigrationReason> {
    if size > limit { Err(MigrationReason::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn bytes(events: &[NewEvent]) -> u64 {
    events.iter().map(NewEvent::bytes).sum()
}

/// Events for one append, and what they come of.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<NewEvent>,
    /// The command that all of them are of.
    pub(super) keyed: Option<Keyed>,
    /// How many events of the source are in it, and up to where.
    pub(super) read: u64,
    pub(super) through: Option<Position>,
    /// When all of them were recorded, where that matters.
    pub(super) time: Option<Timestamp>,
    bytes: u64,
    streams: BTreeSet<StreamId>,
}

impl Batch {
    /// Whether these go with what is in it. The first always do.
    pub(super) fn has_room(&self, room: &Room, events: &[NewEvent], time: Option<Timestamp>) -> bool {
        let Limits { append_events, append_bytes, append_streams, .. } = room.limits;
        let append_events = append_events.min(room.batch);
        let is_new = events.first().is_some_and(|event| !self.streams.contains(&event.stream));
        let fits = self.events.len() + events.len() <= append_events as usize
            && self.bytes + bytes(events) <= append_bytes
            && self.streams.len() + usize::from(is_new) <= append_streams as usize
            && self.read < u64::from(append_events);
        self.read == 0 || (fits && (self.time == time || events.is_empty()))
    }

    /// Whether these, which belong to what is in it, can be written with it.
    pub(super) fn judge_together(&self, room: &Room, events: &[NewEvent]) -> Result<(), MigrationReason> {
        let target = &room.limits;
        let new = events.first().is_some_and(|event| !self.streams.contains(&event.stream));
        let streams = (self.streams.len() + usize::from(new)) as u64;
        within("events of one command", (self.events.len() + events.len()) as u64, target.append_events.into())?;
        within("streams of one command", streams, target.append_streams.into())?;
        within("bytes of the events of one command", self.bytes + bytes(events), target.append_bytes)
    }

    pub(super) fn add(&mut self, events: Vec<NewEvent>, at: Position, time: Option<Timestamp>) {
        self.bytes += bytes(&events);
        if let Some(event) = events.first() {
            self.streams.insert(event.stream.clone());
        }
        // What is retired is of no time.
        if self.events.is_empty() {
            self.time = time;
        }
        self.events.extend(events);
        self.read += 1;
        self.through = Some(at);
    }

    /// Whether there is something to write.
    pub(super) fn is_append(&self) -> bool {
        !self.events.is_empty() || self.keyed.is_some()
    }
}
