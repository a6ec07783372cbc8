//! A stranger's event store: one text file to which a line is added for every append, and all of it in
//! memory. It shows what a backend has to do, and `tests/laws.rs` shows how it is proven.
//!
//! A line is one append, events, key and checkpoint together, so that a write is whole or torn but never
//! half. `journal.rs` is the file, `record.rs` the form of a
//! line, and `lib.rs` the port.
//!
//! ```
//! # fn main() { tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! use portolan_example_custom_backend::JournalStore;
//! use portolan_kernel::ports::EventStore;
//! use portolan_kernel::values::{Append, EventType, NewEvent, StreamId};
//!
//! let path = folder.path().join("log.journal");
//! let store = JournalStore::open(&path)?;
//! store.append(Append::new([NewEvent::new(StreamId::new("a-1")?, EventType::new("made")?, "{}")])).await?;
//! assert!(JournalStore::open(&path).unwrap_err().to_string().contains("is in use by process"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap() }
//! ```

extern crate alloc;

mod journal;
mod record;

pub use crate::journal::JournalError;

use crate::journal::Journal;
use crate::record::Record;
use alloc::sync::Arc;
use async_trait::async_trait;
use event_listener::Event;
use portolan_kernel::ports::{AppendError, Capabilities, Capability, EventStore, ReadError, Source};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Direction, Move, Name, Page, Position, Query, Read, Recalled, Recorded,
    Revision, Start, StreamId, Timestamp, Token,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// An event store on a text file, for one handle at a time.
pub struct JournalStore {
    capabilities: Capabilities,
    /// Held while an append is judged and written, so that appends come one after another.
    journal: Mutex<Journal>,
    /// Held for writing only while what is already on disk is added, so that readers never wait for a disk.
    log: RwLock<Log>,
    grown: Event,
}

/// What the lines of the journal amount to. The event at index `i` has position `i + 1`, so that a position
/// is also the number of events up to it.
#[derive(Default)]
struct Log {
    events: Vec<Arc<Recorded>>,
    streams: HashMap<StreamId, Vec<usize>>,
    keys: HashMap<(Name, Name), Recalled>,
    checkpoints: HashMap<Name, (Option<Position>, Token)>,
}

impl JournalStore {
    /// Opens the journal, or makes it. A torn last line, which nobody was told of, is cut off.
    ///
    /// # Errors
    ///
    /// [`JournalError`] when another handle has it open, when it is damaged, or when the system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let mut log = Log::default();
        let journal = Journal::open(path.as_ref(), |record| log.apply(record).map(drop))?;
        Ok(Self {
            capabilities: Capabilities::new(journal.identity()).lacking(Capability::SeveralProcesses),
            journal: Mutex::new(journal),
            log: RwLock::new(log),
            grown: Event::new(),
        })
    }
}

impl core::fmt::Debug for JournalStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("JournalStore").field("identity", &self.capabilities.identity).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for JournalStore {
    /// It blocks its thread for as long as the disk takes. A store for more than a few writers would hand the
    /// line to a thread of its own and write many at once.
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.capabilities.check(&append)?;
        let mut journal = self.journal.lock().map_err(|_| AppendError::Other(panicked()))?;
        let record = {
            let log = self.log.read().map_err(|_| AppendError::Other(panicked()))?;
            if let Some(repeated) = log.repetition(&append)? {
                return Ok(repeated);
            }
            log.judge(&append)?;
            Record::new(append, now(), |stream| log.last_revision(stream))
        };
        journal.write(&record)?;
        let mut log = self.log.write().map_err(|_| AppendError::Unknown(panicked()))?;
        let appended = log.apply(record).map_err(|reason| AppendError::Unknown(Source::new(reason)))?;
        drop(log);
        self.grown.notify(usize::MAX);
        Ok(appended)
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.capabilities.check_read(&read)?;
        let limit = read.limit.min(self.capabilities.limits.page_events);
        self.log.read().map_err(|_| ReadError::Other(panicked()))?.page(read, limit as usize)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(self.log.read().map_err(|_| ReadError::Other(panicked()))?.keys.get(&(scope, id)).cloned())
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let log = self.log.read().map_err(|_| ReadError::Other(panicked()))?;
        let (position, token) = log.checkpoints.get(&name).copied().unwrap_or_default();
        Ok(CheckpointState::new(self.capabilities.identity, position, token))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        let mut seen = count_up_to(after);
        loop {
            // Listening begins before the look, so that nothing falls between the two.
            let grown = self.grown.listen();
            {
                let log = self.log.read().map_err(|_| ReadError::Other(panicked()))?;
                if log.events.iter().skip(seen).any(|event| query.matches(event)) {
                    return Ok(());
                }
                seen = seen.max(log.events.len());
            }
            grown.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
}

impl Log {
    fn frontier(&self) -> Option<Position> {
        self.events.last().map(|event| event.position)
    }

    fn last_revision(&self, stream: &StreamId) -> Option<Revision> {
        let last = self.streams.get(stream)?.len().checked_sub(1)?;
        Some(Revision::new(last as u64))
    }

    /// The original outcome, when the append's key has been here before.
    fn repetition(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        let Some(key) = &append.key else { return Ok(None) };
        match self.keys.get(&(key.scope.clone(), key.id.clone())) {
            None => Ok(None),
            Some(recalled) if recalled.digest == key.digest => Ok(Some(recalled.appended.clone())),
            Some(_) => Err(AppendError::KeyReused { scope: key.scope.clone(), id: key.id.clone() }),
        }
    }

    /// Judges expectations, guard and checkpoint, in this order.
    fn judge(&self, append: &Append) -> Result<(), AppendError> {
        for (stream, expected) in &append.expect {
            let actual = self.last_revision(stream);
            if !expected.holds(actual) {
                return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
            }
        }
        let behind_frontier = |position| {
            if position <= self.frontier() { Ok(()) } else { Err(AppendError::Invalid(past_frontier(position))) }
        };
        if let Some(guard) = &append.guard {
            behind_frontier(guard.after)?;
            let mut later = self.events.iter().skip(count_up_to(guard.after));
            if let Some(event) = later.find(|event| guard.none_of.matches(event)) {
                return Err(AppendError::GuardFailed { position: event.position });
            }
        }
        if let Some(checkpoint) = &append.checkpoint {
            let (actual, token) = self.checkpoints.get(&checkpoint.name).copied().unwrap_or_default();
            if actual != checkpoint.from || token > checkpoint.token {
                return Err(AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token });
            }
            behind_frontier(match checkpoint.to {
                Move::Claim => None,
                Move::At(to) => Some(to),
                Move::Reset(to) => to,
            })?;
        }
        Ok(())
    }

    /// Adds what a line says; the same when it has just been written and when the journal is opened.
    fn apply(&mut self, record: Record) -> Result<Appended, String> {
        let Record { at, events, checkpoint, key, streams } = record;
        let first = self.events.len();
        for event in events {
            let index = self.events.len();
            let position = Position::new(index as u64 + 1).ok_or("it has more events than a log can have")?;
            let stream = self.streams.entry(event.stream.clone()).or_default();
            let revision = Revision::new(stream.len() as u64);
            stream.push(index);
            self.events.push(Arc::new(Recorded::new(event, revision, position, at)));
        }
        if let Some((name, position, token)) = checkpoint {
            self.checkpoints.insert(name, (position, token));
        }
        let first = self.events.get(first).map(|event| event.position);
        let appended = Appended::new(first, first.and(self.frontier()), streams);
        Ok(match key {
            None => appended,
            Some(key) => {
                let appended = appended.with_note(key.note);
                let recalled = Recalled::new(appended.clone().as_repeated(), key.digest);
                self.keys.insert((key.scope, key.id), recalled);
                appended
            }
        })
    }

    fn page(&self, mut read: Read, limit: usize) -> Result<Page, ReadError> {
        let len = self.events.len();
        let end = read.until.map_or(len, |until| count_up_to(Some(until)).min(len));
        let visible = self.events.get(..end).unwrap_or_default();
        read.until = visible.last().map(|event| event.position);

        let mut revision = None;
        let forward = read.direction == Direction::Forward;
        let mut found: Box<dyn DoubleEndedIterator<Item = &Arc<Recorded>>> = match &read.from {
            Start::Log(query, after) => {
                let after = *after;
                let beyond = move |event: &Recorded| match after {
                    None => true,
                    Some(after) if forward => event.position > after,
                    Some(after) => event.position < after,
                };
                Box::new(visible.iter().filter(move |event| beyond(event) && query.matches(event)))
            }
            Start::Stream(stream, after) => {
                let after = *after;
                let beyond = move |event: &Recorded| match after {
                    None => true,
                    Some(after) if forward => event.revision > after,
                    Some(after) => event.revision < after,
                };
                let list = self.streams.get(stream).map_or(&[][..], |list| list);
                let events = list.iter().filter_map(|index| visible.get(*index));
                revision = events.clone().next_back().map(|event| event.revision);
                Box::new(events.filter(move |event| beyond(event)))
            }
        };
        if !forward {
            found = Box::new(found.rev());
        }
        let events: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        drop(found);
        let frontier = read.until;
        let next = events.last().filter(|_| more).map(|last| read.after(last));
        Ok(Page::new(events, frontier, next, revision))
    }
}

/// How many events there are up to a position.
fn count_up_to(position: Option<Position>) -> usize {
    position.map_or(0, |position| usize::try_from(position.get()).unwrap_or(usize::MAX))
}

fn past_frontier(position: Option<Position>) -> String {
    format!("position {position:?} is past the frontier; it is of another store, or of a later one")
}

fn panicked() -> Source {
    Source::new("a thread panicked while it wrote; open the store anew")
}

fn now() -> Timestamp {
    Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
