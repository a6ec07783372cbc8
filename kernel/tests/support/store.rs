//! A store of one mutex: the smallest that the drivers can be tested on, with faults on demand.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use async_trait::async_trait;
use portolan_kernel::Bytes;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{
    AppendError, Capabilities, EventStore, ReadError, Snapshot, SnapshotError, SnapshotStore, Source, StoreId,
};
use portolan_kernel::values::*;
use std::sync::{Mutex, MutexGuard};

/// What goes wrong with the next append.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing is written.
    Busy,
    /// Nothing is written, and the caller cannot know.
    LostRequest,
    /// All is written, and the caller cannot know.
    LostAnswer,
}

/// Where the store does not answer any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stall {
    Read,
    /// Before anything is written.
    Append,
    /// After all is written.
    Answer,
}

type Hook = Box<dyn FnOnce(&TestStore) + Send>;

#[derive(Default)]
struct Log {
    events: Vec<Arc<Recorded>>,
    keys: BTreeMap<(Name, Name), Recalled>,
    snapshots: BTreeMap<(StreamId, Name, Revision), Snapshot>,
    faults: VecDeque<Fault>,
    before_read: Option<Hook>,
    before_append: VecDeque<Hook>,
    reads: Vec<Read>,
    appends: Vec<Append>,
    recalls: usize,
    stall: Option<Stall>,
    snapshots_broken: bool,
}

#[derive(Default)]
pub struct TestStore {
    log: Mutex<Log>,
    /// How many events a page holds at most; 0: as many as are asked for.
    page: usize,
    changed: event_listener::Event,
}

impl TestStore {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn with_pages_of(page: usize) -> Arc<Self> {
        Arc::new(Self { page, ..Self::default() })
    }

    pub fn storage(self: &Arc<Self>) -> Storage {
        Storage::new(self.clone(), self.clone())
    }

    pub fn fail_with(&self, faults: impl IntoIterator<Item = Fault>) {
        self.log().faults.extend(faults);
    }

    /// From now on, or no longer.
    pub fn stall(&self, stall: impl Into<Option<Stall>>) {
        self.log().stall = stall.into();
    }

    async fn unless_stalled(&self, here: Stall) {
        let stalled = self.log().stall == Some(here);
        if stalled {
            core::future::pending::<()>().await;
        }
    }

    pub fn break_snapshots(&self) {
        self.log().snapshots_broken = true;
    }

    /// Runs before the next read is answered.
    pub fn before_read(&self, hook: impl FnOnce(&Self) + Send + 'static) {
        self.log().before_read = Some(Box::new(hook));
    }

    /// Runs before the next append is judged; several run before one append each.
    pub fn before_append(&self, hook: impl FnOnce(&Self) + Send + 'static) {
        self.log().before_append.push_back(Box::new(hook));
    }

    /// What another process writes.
    pub fn write(&self, append: Append) -> Appended {
        let appended = append_to(&mut self.log(), append).expect("the rival's append is in order");
        self.changed.notify(usize::MAX);
        appended
    }

    pub fn write_event(&self, stream: &str, event_type: &str, payload: &'static str) {
        let stream = StreamId::new(stream).expect("a stream");
        let event_type = EventType::new(event_type).expect("a type");
        self.write(Append::new([NewEvent::new(stream, event_type, payload)]));
    }

    pub fn events(&self) -> Vec<Arc<Recorded>> {
        self.log().events.clone()
    }

    /// Breaks the laws: the event is gone.
    pub fn lose(&self, event: usize) {
        self.log().events.remove(event);
    }

    pub fn reads(&self) -> Vec<Read> {
        core::mem::take(&mut self.log().reads)
    }

    pub fn appends(&self) -> usize {
        self.log().appends.len()
    }

    pub fn recalls(&self) -> usize {
        self.log().recalls
    }

    /// The last append, and how many there were of it one after another.
    pub fn repeated(&self) -> (Append, usize) {
        let log = self.log();
        let last = log.appends.last().expect("something was appended");
        (last.clone(), log.appends.iter().rev().take_while(|append| *append == last).count())
    }

    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.log().snapshots.values().cloned().collect()
    }

    /// Changes every stored snapshot.
    pub fn change_snapshots(&self, change: impl Fn(&mut Snapshot)) {
        let mut log = self.log();
        let snapshots = core::mem::take(&mut log.snapshots);
        for (_, mut snapshot) in snapshots {
            change(&mut snapshot);
            log.snapshots.insert(key_of(&snapshot), snapshot);
        }
    }

    fn judge(&self, append: Append) -> Result<Appended, AppendError> {
        let mut log = self.log();
        match log.faults.pop_front() {
            None => append_to(&mut log, append),
            Some(Fault::Busy) => Err(AppendError::Busy(Source::new("a full queue"))),
            Some(Fault::LostRequest) => Err(AppendError::Unknown(Source::new("a cut line"))),
            Some(Fault::LostAnswer) => {
                append_to(&mut log, append)?;
                Err(AppendError::Unknown(Source::new("a cut line")))
            }
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no test panics while it holds the log")
    }
}

fn key_of(snapshot: &Snapshot) -> (StreamId, Name, Revision) {
    (snapshot.stream.clone(), snapshot.kind.clone(), snapshot.revision)
}

fn last_revision(log: &Log, stream: &StreamId) -> Option<Revision> {
    log.events.iter().rev().find(|event| event.stream == *stream).map(|event| event.revision)
}

fn append_to(log: &mut Log, append: Append) -> Result<Appended, AppendError> {
    if let Some(key) = &append.key
        && let Some(recalled) = log.keys.get(&(key.scope.clone(), key.id.clone()))
    {
        if recalled.digest == key.digest {
            return Ok(recalled.appended.clone());
        }
        return Err(AppendError::KeyReused { scope: key.scope.clone(), id: key.id.clone() });
    }
    if let Some(guard) = &append.guard {
        assert!(guard.after <= log.events.last().map(|event| event.position), "a guard past the frontier");
        let in_the_way = |event: &&Arc<Recorded>| Some(event.position) > guard.after && guard.none_of.matches(event);
        if let Some(event) = log.events.iter().find(in_the_way) {
            return Err(AppendError::GuardFailed { position: event.position });
        }
    }
    for (stream, expected) in &append.expect {
        let actual = last_revision(log, stream);
        if !expected.holds(actual) {
            return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
        }
    }
    let mut streams: Vec<StreamId> = Vec::new();
    let (mut first, mut last) = (None, None);
    let written = append.events.iter().map(|event| &event.stream);
    for stream in written.chain(append.expect.iter().map(|(stream, _)| stream)) {
        if !streams.contains(stream) {
            streams.push(stream.clone());
        }
    }
    for event in append.events {
        let revision = Revision::after(last_revision(log, &event.stream));
        let position = Position::new(10 * (log.events.len() as u64 + 1)).expect("a test's log is short");
        first = first.or(Some(position));
        last = Some(position);
        log.events.push(Arc::new(Recorded::new(event, revision, position, super::NOW)));
    }
    let streams = streams.into_iter().map(|stream| (stream.clone(), last_revision(log, &stream))).collect();
    let appended = Appended::new(first, last, streams);
    match append.key {
        None => Ok(appended),
        Some(key) => {
            let appended = appended.with_note(key.note);
            let recalled = Recalled::new(appended.clone().as_repeated(), key.digest);
            log.keys.insert((key.scope, key.id), recalled);
            Ok(appended)
        }
    }
}

#[async_trait]
impl EventStore for TestStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        // Others run between a read and the append that follows it.
        tokio::task::yield_now().await;
        let hook = self.log().before_append.pop_front();
        if let Some(hook) = hook {
            hook(self);
        }
        self.log().appends.push(append.clone());
        self.unless_stalled(Stall::Append).await;
        let outcome = self.judge(append);
        self.changed.notify(usize::MAX);
        self.unless_stalled(Stall::Answer).await;
        outcome
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.unless_stalled(Stall::Read).await;
        let hook = self.log().before_read.take();
        if let Some(hook) = hook {
            hook(self);
        }
        let mut log = self.log();
        log.reads.push(read.clone());
        let matches = |event: &&Arc<Recorded>| match &read.from {
            Start::Stream(stream, after) => event.stream == *stream && Some(event.revision) > *after,
            Start::Log(query, after) => query.matches(event) && Some(event.position) > *after,
        };
        let limit = if self.page == 0 { read.limit as usize } else { self.page };
        let mut events: Vec<_> = log.events.iter().filter(matches).take(limit + 1).cloned().collect();
        let more = events.len() > limit;
        events.truncate(limit);
        let next = events.last().filter(|_| more).map(|last| read.clone().after(last));
        let revision = match &read.from {
            Start::Stream(stream, _) => last_revision(&log, stream),
            _ => None,
        };
        Ok(Page::new(events, log.events.last().map(|event| event.position), next, revision))
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let mut log = self.log();
        log.recalls += 1;
        Ok(log.keys.get(&(scope, id)).cloned())
    }

    async fn checkpoint(&self, _: Name) -> Result<CheckpointState, ReadError> {
        Ok(CheckpointState::new(self.capabilities().identity, None, Token(0)))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        loop {
            let changed = self.changed.listen();
            let new = |event: &Arc<Recorded>| Some(event.position) > after && query.matches(event);
            if self.events().iter().any(new) {
                return Ok(());
            }
            changed.await;
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(StoreId::from_bytes([7; 16]))
    }
}

#[async_trait]
impl SnapshotStore for TestStore {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let log = self.log();
        if log.snapshots_broken {
            return Err(SnapshotError::Corrupt { place: "the whole store".into() });
        }
        let of_it = log.snapshots.values().filter(|s| s.stream == stream && s.kind == kind);
        Ok(of_it.filter(|s| at_most.is_none_or(|most| s.revision <= most)).last().cloned())
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let mut log = self.log();
        if log.snapshots_broken {
            return Err(SnapshotError::Other(Source::new("broken")));
        }
        log.snapshots.insert(key_of(&snapshot), snapshot);
        Ok(())
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        self.log()
            .snapshots
            .retain(|(s, k, revision), _| *s != stream || *k != kind || below.is_some_and(|below| *revision >= below));
        Ok(())
    }
}

/// Bytes that are no state.
pub const GARBAGE: Bytes = Bytes::from_static(b"\xff{");
