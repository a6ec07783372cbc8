//! What a target remembers of its migration: events of the system stream `$migration`.

use super::MigrationError;
use crate::ports::StoreId;
use crate::values::{EventType, NewEvent, Position, Recorded, StreamId};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) const MIGRATION: &str = "$migration";

/// The source is copied up to here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) source: StoreId,
    /// What may not change from run to run, and what may where all that is there would be the same: digests.
    pub(super) options: String,
    pub(super) chain: String,
    pub(super) through: Option<Position>,
    pub(super) read: u64,
    pub(super) written: u64,
    /// Whether a run has come to its end, and none has begun to write since.
    pub(super) whole: bool,
}

/// The same in JSON, with positions as strings.
#[derive(Serialize, Deserialize)]
struct Stored {
    source: String,
    options: String,
    chain: String,
    through: Option<String>,
    read: u64,
    written: u64,
    whole: bool,
}

pub(super) fn stream() -> StreamId {
    StreamId::new(MIGRATION).expect("a short name")
}

impl Record {
    pub(super) fn to_event(&self) -> NewEvent {
        let stored = Stored {
            source: self.source.to_string(),
            options: self.options.clone(),
            chain: self.chain.clone(),
            through: self.through.map(|position| position.to_string()),
            read: self.read,
            written: self.written,
            whole: self.whole,
        };
        // Strings and numbers: there is nothing that could fail.
        let payload = serde_json::to_vec(&stored).unwrap_or_default();
        NewEvent::new(stream(), EventType::new("$migration.copied").expect("a short name"), payload)
    }

    pub(super) fn of(recorded: &Recorded) -> Result<Self, MigrationError> {
        let failed = |reason: String| MigrationError::NoRecord { revision: recorded.revision, reason };
        let stored: Stored = serde_json::from_slice(&recorded.payload).map_err(|error| failed(error.to_string()))?;
        let position = |text: String| {
            let number = text.parse().ok().and_then(Position::new);
            number.ok_or_else(|| failed(format!("{text:?} is no position")))
        };
        Ok(Self {
            source: stored.source.parse().map_err(|_| failed(format!("{:?} is no store", stored.source)))?,
            options: stored.options,
            chain: stored.chain,
            through: stored.through.map(position).transpose()?,
            read: stored.read,
            written: stored.written,
            whole: stored.whole,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A digest of texts and flags.
#[derive(Default)]
pub(super) struct RulesDigest(Sha256);

impl RulesDigest {
    pub(super) fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    pub(super) fn flags(&mut self, flags: &[bool]) {
        flags.iter().for_each(|flag| self.0.update([u8::from(*flag)]));
    }

    pub(super) fn into_hex(self) -> String {
        hex(&<[u8; 32]>::from(self.0.finalize()))
    }
}
