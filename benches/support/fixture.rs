//! Stores to measure, and events to fill them with.

use super::Outcome;
use super::machine;
use portolan::Bytes;
use portolan::memory::MemoryStore;
use portolan::ports::EventStore;
use portolan::sqlite::SqliteStore;
use portolan::values::{EventId, EventType, NewEvent, StreamId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long the payload of an event is.
pub(crate) const PAYLOAD_BYTES: usize = TEMPLATE.len();

const TEMPLATE: &str = r#"{"account_id":"account-000000","amount":00000000,"currency":"EUR","reference":"invoice 2026-11","note":"as payloads are, about one hundred and fifty"}"#;

/// Makes payloads, each its own bytes.
pub(crate) struct Payloads {
    amount_at: usize,
}

impl Default for Payloads {
    fn default() -> Self {
        Self { amount_at: TEMPLATE.find("00000000,").unwrap_or_default() }
    }
}

impl Payloads {
    /// The payload with this number in it.
    pub(crate) fn one(&self, number: u64) -> Bytes {
        let mut bytes = TEMPLATE.as_bytes().to_vec();
        let mut rest = 10_000_000 + number % 90_000_000;
        for digit in bytes[self.amount_at..self.amount_at + 8].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        bytes.into()
    }
}

/// Makes events: each with an identity and a payload of its own, and a stream and type whose names are shared, as an
/// application's are.
pub(crate) struct Events {
    payloads: Payloads,
    event_type: EventType,
    made: u64,
}

impl Events {
    /// Numbers its events from here.
    pub(crate) fn from(first: u64) -> Outcome<Self> {
        Ok(Self { payloads: Payloads::default(), event_type: EventType::new("account.deposited")?, made: first })
    }

    /// The next one.
    pub(crate) fn next(&mut self, stream: &StreamId) -> NewEvent {
        self.made += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        id[8..].copy_from_slice(&self.made.to_be_bytes());
        NewEvent::new(stream.clone(), self.event_type.clone(), self.payloads.one(self.made))
            .with_id(EventId::from_bytes(id))
    }
}

/// The name of a stream, as long as names with a UUID are not, and as long as those with a number are.
pub(crate) fn stream(number: u64) -> Outcome<StreamId> {
    Ok(StreamId::new(format!("account-{number:06}"))?)
}

/// Numbers that look random and are the same in each run (Knuth's MMIX).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// One below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A kind of store; each row has a new one.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// In memory.
    Memory,
    /// A file in this folder.
    Sqlite(PathBuf),
}

/// A store, and what it occupies.
pub(crate) struct Place {
    /// By its port, as all else sees it.
    pub(crate) store: Arc<dyn EventStore>,
    file: Option<PathBuf>,
    resident_before: Option<u64>,
}

impl Kind {
    /// As the table calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Whether what it acknowledges is on a disk.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// A new store.
    pub(crate) async fn open(&self) -> Outcome<Place> {
        let resident_before = machine::resident_bytes();
        Ok(match self {
            Self::Memory => Place { store: Arc::new(MemoryStore::new()), file: None, resident_before },
            Self::Sqlite(dir) => {
                let file = dir.join(format!("log-{}.db", std::process::id()));
                remove(&file);
                Place { store: Arc::new(SqliteStore::open(&file).await?), file: Some(file), resident_before }
            }
        })
    }
}

impl Place {
    /// Another handle on the same file, whose reads map it into memory; none of a store that has no file.
    pub(crate) async fn mapped(&self) -> Outcome<Option<Arc<dyn EventStore>>> {
        let Some(file) = &self.file else { return Ok(None) };
        Ok(Some(Arc::new(SqliteStore::builder(file).mapped_bytes(2 << 30).open().await?)))
    }

    /// Closes the store, and tells how many bytes it occupied: on disk, or of memory.
    pub(crate) fn close(self) -> Option<u64> {
        let Some(file) = self.file else {
            let held = machine::resident_bytes()?.checked_sub(self.resident_before?);
            drop(self.store);
            return held;
        };
        // Whoever closes last moves the write-ahead log into the file.
        drop(self.store);
        let bytes = std::fs::metadata(&file).ok().map(|file| file.len());
        remove(&file);
        bytes
    }
}

/// Removes an SQLite file with all that belongs to it.
pub(crate) fn remove(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
