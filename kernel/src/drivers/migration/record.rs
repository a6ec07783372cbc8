//! What a target remembers of its migration: events of the system stream `$migration`.

use super::MigrationError;
use crate::ports::StoreId;
use crate::values::{EventType, NewEvent, Position, Recorded, StreamId};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;
use serde::{Deserialize, Serialize};

pub(super) const MIGRATION: &str = "$migration";

/// The source is copied up to here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) source: StoreId,
    pub(super) rules: String,
    pub(super) through: Option<Position>,
    pub(super) read: u64,
    pub(super) written: u64,
}

/// The same in JSON, with positions as strings.
#[derive(Serialize, Deserialize)]
struct Stored {
    source: String,
    rules: String,
    through: Option<String>,
    read: u64,
    written: u64,
}

pub(super) fn stream() -> StreamId {
    StreamId::new(MIGRATION).expect("a short name")
}

impl Record {
    pub(super) fn to_event(&self) -> NewEvent {
        let stored = Stored {
            source: self.source.to_string(),
            rules: self.rules.clone(),
            through: self.through.map(|position| position.to_string()),
            read: self.read,
            written: self.written,
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
            rules: stored.rules,
            through: stored.through.map(position).transpose()?,
            read: stored.read,
            written: stored.written,
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
