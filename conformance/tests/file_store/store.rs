//! A store in one file, as plainly as it can be written: a journal of appends, replayed into the model. Right
//! unless it is told to be wrong.

use crate::journal::{self, Found};
use async_trait::async_trait;
use core::time::Duration;
use portolan_conformance::{Judgment, Model, Place};
use portolan_kernel::ports::{AppendError, Capabilities, Clock, EventStore, Limits, ReadError, Source, StoreId};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Timestamp,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a store is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is right.
    None,
    /// Appends are acknowledged at once and written later, at the latest when the store is closed.
    AcknowledgesBeforeWriting,
    /// Appends are written event by event, and what is there after a kill is taken for whole.
    TearsAppends,
    /// Keys are kept in memory alone.
    LosesKeysOnRestart,
    /// Checkpoints are kept in memory alone.
    LosesCheckpointsOnRestart,
    /// The last record is taken for torn.
    ForgetsTheLastOnRestart,
    /// Positions are counted from 1 again.
    PositionsStartAnew,
    /// Damaged records are served as they are.
    IgnoresChecksums,
    /// The log ends before a damaged record.
    EndsAtDamage,
    /// The log ends where a block of zeros is, as if nothing had been written there.
    EndsAtZeros,
    /// A damaged record is left out.
    SkipsDamage,
    /// Each handle makes up an identity.
    NewIdentityAtEachOpening,
    /// All stores have one identity.
    OneIdentityForAll,
    /// Checkpoints of other stores are taken.
    TakesCheckpointsOfOthers,
    /// Appends of several processes run into each other.
    LocksNobodyOut,
    /// Appends are judged by what this handle has seen.
    JudgesByAnOldView,
    /// Only what this handle wrote is hinted at.
    HintsAtItsOwnOnly,
    /// Appends are written event by event; readers see what is there, and whoever writes next cuts off a part.
    TakesBackWhatItShowed,
    /// Nothing is synced.
    NeverSyncs,
    /// The sync is begun once the append is acknowledged.
    SyncsAfterAcknowledging,
    /// The first append of each life is synced, the others are not.
    SyncsTheFirstAppendAlone,
    /// A file beside the journal is synced.
    SyncsAnotherFile,
    /// The sync comes before the write.
    SyncsBeforeWriting,
    /// A sync that fails is taken for one that succeeds.
    IgnoresFailedSyncs,
    /// A sync that fails is a refusal, though the append is written.
    RefusesWhatItWrote,
    /// Only large appends are synced.
    SyncsLargeAppendsAlone,
}

pub(crate) struct FileStore {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    flaw: Flaw,
}

struct State {
    file: File,
    /// How far the file has been replayed.
    read: u64,
    model: Model,
    /// Acknowledged and not written.
    late: Vec<u8>,
    /// Where the file is damaged.
    damage: Option<String>,
    /// A sync has failed: what was written is there, or not.
    in_doubt: bool,
    flaw: Flaw,
    /// For the flaw that syncs the wrong file.
    beside: File,
    /// Where a part was found that nobody goes on with: at the start, before anything was read.
    dead_part: u64,
    /// Appends of this life.
    written: u32,
}

/// The path of the journal at a place.
pub(crate) fn path(place: &Place) -> std::path::PathBuf {
    place.dir().join("journal")
}

/// Small enough that encoding in hexadecimal takes no time.
fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.append_events, limits.append_bytes, limits.event_bytes) = (200, 400_000, 150_000);
    limits
}

impl FileStore {
    pub(crate) fn open(place: &Place, flaw: Flaw) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path(place))?;
        file.lock()?;
        if file.metadata()?.len() == 0 {
            let identity: [u8; 16] = core::array::from_fn(|_| fastrand::u8(..));
            file.write_all(&journal::record(&journal::identity(identity)))?;
            file.sync_all()?;
        }
        let model = Model::new(Capabilities::new(StoreId::from_bytes([0; 16])).with_limits(limits()));
        let beside = OpenOptions::new().append(true).create(true).open(place.dir().join("beside"))?;
        let mut state = State {
            file,
            beside,
            read: 0,
            model,
            late: Vec::new(),
            damage: None,
            in_doubt: false,
            flaw,
            dead_part: 0,
            written: 0,
        };
        if flaw == Flaw::ForgetsTheLastOnRestart {
            state.forget_the_last()?;
        }
        state.catch_up(flaw)?;
        if let Some(damage) = &state.damage {
            return Err(io::Error::other(format!("damaged at {damage}")));
        }
        match flaw {
            Flaw::LosesKeysOnRestart => state.model.keys.clear(),
            Flaw::LosesCheckpointsOnRestart => state.model.checkpoints.clear(),
            Flaw::PositionsStartAnew => state.model.next_position = 1,
            Flaw::NewIdentityAtEachOpening => {
                let identity = StoreId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)));
                state.model.capabilities.identity = identity;
            }
            Flaw::OneIdentityForAll => state.model.capabilities.identity = StoreId::from_bytes([1; 16]),
            _ => {}
        }
        state.file.unlock()?;
        Ok(Self { state: Mutex::new(state), clock: place.clock(), flaw })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with all that is written, whoever wrote it.
    fn current(&self) -> Result<MutexGuard<'_, State>, ReadError> {
        let mut state = self.state();
        state.catch_up(self.flaw).map_err(|error| ReadError::Other(Source::new(error)))?;
        match &state.damage {
            Some(place) => Err(ReadError::Corrupt { place: place.clone() }),
            None => Ok(state),
        }
    }

    fn append_locked(&self, state: &mut State, append: &Append) -> Result<Appended, AppendError> {
        let other = |error| AppendError::Other(Source::new(error));
        if self.flaw != Flaw::JudgesByAnOldView {
            state.catch_up_as(self.flaw, true).map_err(other)?;
        }
        if let Some(place) = &state.damage {
            return Err(AppendError::Corrupt { place: place.clone() });
        }
        let mut append = append.clone();
        if let (Flaw::TakesCheckpointsOfOthers, Some(checkpoint)) = (self.flaw, &mut append.checkpoint) {
            checkpoint.store = state.model.capabilities.identity;
        }
        let now = self.clock.now();
        match state.model.judge(&append, now)? {
            Judgment::Repeat(appended) => Ok(appended),
            Judgment::Write => {
                if let Err(error) = state.write(&append, now, self.flaw) {
                    let in_doubt = state.in_doubt && self.flaw != Flaw::RefusesWhatItWrote;
                    let error = Source::new(error);
                    return Err(if in_doubt { AppendError::Unknown(error) } else { AppendError::Other(error) });
                }
                Ok(state.model.write(&append, now))
            }
        }
    }
}

impl State {
    /// Replays what has been written since the last time.
    fn catch_up(&mut self, flaw: Flaw) -> io::Result<()> {
        self.catch_up_as(flaw, false)
    }

    fn catch_up_as(&mut self, flaw: Flaw, is_writer: bool) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        let mut parts: Option<(Append, Timestamp)> = None;
        let mut whole = self.read;
        loop {
            let from = self.read + (bytes.len() - rest.len()) as u64;
            let content = match journal::next(&mut rest, flaw == Flaw::IgnoresChecksums) {
                Found::Torn => break,
                Found::Whole(content) => content,
                Found::Damaged if flaw == Flaw::SkipsDamage => continue,
                Found::Damaged if flaw == Flaw::EndsAtDamage => break,
                Found::Damaged if flaw == Flaw::EndsAtZeros && bytes.windows(64).any(|some| *some == [0; 64]) => break,
                Found::Damaged => {
                    self.damage = Some(format!("byte {from} of the journal"));
                    return Ok(());
                }
            };
            match journal::content(content) {
                Some(journal::Content::Identity(identity)) => {
                    self.model.capabilities.identity = StoreId::from_bytes(identity);
                }
                Some(journal::Content::Part(append, at)) => join(&mut parts, append, at),
                Some(journal::Content::Append(append, at)) => {
                    join(&mut parts, append, at);
                    self.replay(parts.take());
                    whole = self.read + (bytes.len() - rest.len()) as u64;
                }
                None => {
                    self.damage = Some(format!("byte {from} of the journal"));
                    return Ok(());
                }
            }
        }
        let before = self.read;
        self.read += (bytes.len() - rest.len()) as u64;
        if flaw == Flaw::TakesBackWhatItShowed && parts.is_some() && (is_writer || before == self.dead_part) {
            (self.read, self.dead_part) = (whole, whole);
            return Ok(());
        }
        self.replay(parts);
        Ok(())
    }

    fn replay(&mut self, append: Option<(Append, Timestamp)>) {
        if let Some((mut append, at)) = append {
            if let Some(checkpoint) = &mut append.checkpoint {
                checkpoint.store = self.model.capabilities.identity;
            }
            self.model.write(&append, at);
        }
    }

    /// Writes an append behind all whole records; a torn one is overwritten.
    fn write(&mut self, append: &Append, at: Timestamp, flaw: Flaw) -> io::Result<()> {
        match flaw {
            Flaw::AcknowledgesBeforeWriting => {
                self.late.extend(journal::record(&journal::append(append, at)));
                if self.late.len() > 20_000 { self.write_late() } else { Ok(()) }
            }
            Flaw::TearsAppends | Flaw::TakesBackWhatItShowed => {
                let (last, parts) =
                    append.events.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
                for event in parts {
                    self.put(&journal::record(&journal::part(event.clone(), at)))?;
                    if parts.len() < 8 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
                let mut rest = append.clone();
                rest.events = last.cloned().into_iter().collect();
                self.put(&journal::record(&journal::append(&rest, at)))
            }
            _ => {
                if flaw == Flaw::JudgesByAnOldView {
                    self.read = self.file.metadata()?.len();
                }
                if flaw == Flaw::LocksNobodyOut {
                    std::thread::sleep(Duration::from_micros(200));
                    self.read = self.file.metadata()?.len();
                }
                self.put(&journal::record(&journal::append(append, at)))
            }
        }
    }

    fn put(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.set_len(self.read)?;
        self.file.seek(SeekFrom::Start(self.read))?;
        self.sync_if(self.flaw == Flaw::SyncsBeforeWriting)?;
        self.file.write_all(record)?;
        self.written += 1;
        let wanted = match self.flaw {
            Flaw::NeverSyncs | Flaw::SyncsBeforeWriting => false,
            Flaw::SyncsTheFirstAppendAlone => self.written == 1,
            Flaw::SyncsLargeAppendsAlone => record.len() > 600,
            Flaw::SyncsAnotherFile => {
                self.in_doubt |= self.beside.sync_data().is_err();
                false
            }
            Flaw::SyncsAfterAcknowledging => {
                let file = self.file.try_clone()?;
                std::thread::spawn(move || file.sync_data());
                false
            }
            _ => true,
        };
        self.sync_if(wanted)?;
        self.read += record.len() as u64;
        Ok(())
    }

    fn sync_if(&mut self, wanted: bool) -> io::Result<()> {
        if !wanted {
            return Ok(());
        }
        let synced = self.file.sync_data();
        self.in_doubt |= synced.is_err();
        if self.flaw == Flaw::IgnoresFailedSyncs { Ok(()) } else { synced }
    }

    fn write_late(&mut self) -> io::Result<()> {
        let late = core::mem::take(&mut self.late);
        self.put(&late)
    }

    fn forget_the_last(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let (mut rest, mut ends) = (&bytes[..], vec![]);
        while matches!(journal::next(&mut rest, false), Found::Whole(_)) {
            ends.push((bytes.len() - rest.len()) as u64);
        }
        // The identity stays.
        match ends[..] {
            [.., _, before, _] => self.file.set_len(before),
            _ => Ok(()),
        }
    }
}

fn join(parts: &mut Option<(Append, Timestamp)>, append: Append, at: Timestamp) {
    match parts {
        None => *parts = Some((append, at)),
        Some((joined, _)) => {
            joined.events.extend(append.events);
            (joined.expect, joined.checkpoint, joined.key) = (append.expect, append.checkpoint, append.key);
        }
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        let mut state = self.state();
        if !state.late.is_empty() {
            // A store that acknowledges early has nobody left to tell.
            let _ = state.write_late();
        }
    }
}

#[async_trait]
impl EventStore for FileStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut state = self.state();
        let other = |error| AppendError::Other(Source::new(error));
        if self.flaw != Flaw::LocksNobodyOut {
            state.file.lock().map_err(other)?;
        }
        let appended = self.append_locked(&mut state, &append);
        state.file.unlock().map_err(other)?;
        appended
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.current()?.model.read(&read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        Ok(self.current()?.model.recall(&scope, &id, self.clock.now()))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        Ok(self.current()?.model.checkpoint(&name))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        let next = Read::log_after(query, after).limit(1);
        let is_there = || {
            let state = if self.flaw == Flaw::HintsAtItsOwnOnly { self.state() } else { self.current()? };
            Ok(!state.model.read(&next)?.events.is_empty())
        };
        while !is_there()? {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.state().model.capabilities.clone()
    }
}
