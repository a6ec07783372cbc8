//! The writer: one thread that owns the writing connection and commits whatever waits in one transaction.

use crate::about_store::{self, StoreRow};
use crate::append::{Ledger, Refusal};
use crate::changed::Changes;
use crate::config::SqliteConfig;
use crate::error::{Fault, OpenError};
use crate::file::FileMark;
use crate::heads::Heads;
use crate::inline::Inlines;
use crate::job::{Answer, Done, Job, Jobs};
use crate::key_index::Recent;
use crate::key_ledger::KeyLedger;
use crate::names::Names;
use crate::opening;
use crate::patience::Patience;
use crate::pending::Pending;
use crate::queue::{Bounds, Commit};
use crate::{leases, own_tables, read_models, snapshots};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use core::time::Duration;
use futures::channel::oneshot;
use portolan_kernel::ports::{AppendError, Clock, Inline, Source, StoreId};
use portolan_kernel::values::Recalled;
use rusqlite::{Connection, ErrorCode};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One transaction commits so much at most, so that the first of a long queue does not wait for the last.
const GROUP_REQUESTS: usize = 1_024;
const GROUP_BYTES: u64 = 8 << 20;

/// Pages of write-ahead log after which they are moved into the file, as far as readers allow.
const CHECKPOINT_PAGES: i32 = 4_000;

/// Pages of write-ahead log after which the writer waits for readers to let go of it: else reads that overlap
/// for ever would let it grow for ever.
const RESTART_PAGES: i32 = 16_000;

/// How long it then waits, at most.
const RESTART_TIMEOUT: Duration = Duration::from_millis(500);

/// What a store knows of its writer.
pub(crate) struct Handle {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) shared: Arc<SharedWriter>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) identity: StoreId,
    pub(crate) thread: JoinHandle<()>,
    pub(crate) inline: Vec<Arc<dyn Inline>>,
}

/// Starts the thread, which opens the file and then writes until the queue is closed and empty.
pub(crate) async fn start(config: SqliteConfig, changes: Arc<Changes>) -> Result<Handle, OpenError> {
    let path = config.path.clone();
    let other = |reason: Source| OpenError::Other { path: path.clone(), source: reason };
    let jobs = Arc::new(Jobs::new(Bounds {
        requests: config.queue_capacity,
        bytes: config.queue_bytes,
        group_requests: GROUP_REQUESTS,
        group_bytes: GROUP_BYTES,
    }));
    let (opened, is_open) = oneshot::channel();
    let recent = Arc::new(Recent::new());
    let shared = Arc::new(SharedWriter::default());
    let (serving, mut present, keys) =
        (jobs.clone(), Present { writer: shared.clone(), patience: Patience::new() }, recent.clone());
    let thread = thread::Builder::new()
        .name("portolan-sqlite-writer".into())
        .spawn(move || match Writer::open(config, changes, keys) {
            Err(error) => {
                let _ = opened.send(Err(error));
            }
            // Whoever opened it has gone; then so has the store.
            Ok(writer) => {
                // What waits to move into the index of keys is read here once, and not by each who asks for the first.
                // Whoever meets damage there tells of it.
                let _ = writer.in_snapshot(|writer| writer.ledger.keys.sync(&writer.conn));
                let of_it = (writer.ledger.identity, writer.inlines.projections());
                *present.writer.lock() = Some(writer);
                if opened.send(Ok(of_it)).is_ok() {
                    serving.serve(&mut present);
                }
            }
        })
        .map_err(|error| other(Source::new(error)))?;
    let mut unclaimed = Unclaimed(Some(jobs));
    match is_open.await {
        Ok(opened) => {
            let (identity, inline) = opened?;
            let jobs = unclaimed.0.take().expect("it is taken once, here");
            Ok(Handle { jobs, shared, recent, identity, thread, inline })
        }
        Err(oneshot::Canceled) => Err(other(Source::new("the writer's thread died while opening the file"))),
    }
}

/// The queue of a store that nobody has yet: whoever stops waiting for it ends its thread.
struct Unclaimed(Option<Arc<Jobs>>);

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(jobs) = &self.0 {
            jobs.close();
        }
    }
}

/// The writer, while its thread has one. Between two transactions others may use its connection: the pages that it wrote
/// last are in its cache, while those of every reader are out of date.
#[derive(Default)]
pub(crate) struct SharedWriter {
    writer: Mutex<Option<Writer>>,
    /// Its thread waits for it: others leave it alone.
    is_wanted: AtomicBool,
}

impl SharedWriter {
    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.is_wanted.store(true, Ordering::Relaxed);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_wanted.store(false, Ordering::Relaxed);
        writer
    }

    /// What is recorded under a key; `None` if the writer is at work, or cannot tell: a reader has to be asked.
    pub(crate) fn recall(&self, scope: &str, id: &str) -> Option<Option<Recalled>> {
        if self.is_wanted.load(Ordering::Relaxed) {
            return None;
        }
        self.writer.try_lock().ok()?.as_mut()?.recall(scope, id)
    }
}

/// What the thread has of the writer. However it ends, the connection is closed then.
struct Present {
    writer: Arc<SharedWriter>,
    patience: Patience,
}

impl Drop for Present {
    fn drop(&mut self) {
        let writer = self.writer.lock().take();
        drop(writer);
    }
}

struct Writer {
    conn: Connection,
    path: PathBuf,
    mark: FileMark,
    ledger: Ledger,
    inlines: Inlines,
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    busy_timeout: Duration,
    /// As the connection last saw it; another process's commit changes it.
    data_version: Option<i64>,
    /// The last time another process was seen to write.
    met_others: Option<Instant>,
    /// The last transaction failed. Until one has written, what would write nothing writes too, so that
    /// whoever asks by an append of nothing learns whether the file can be written again.
    has_failed: bool,
    wal_pages: Arc<AtomicI32>,
    next_checkpoint: i32,
}

/// Where in a transaction the file failed.
enum Failure {
    /// Before anything was written.
    Begin(Fault),
    /// While writing; it was rolled back.
    Write(Fault),
    /// While committing.
    Commit(Fault),
}

impl Writer {
    fn open(config: SqliteConfig, changes: Arc<Changes>, recent: Arc<Recent>) -> Result<Self, OpenError> {
        let (mut conn, identity) = opening::open_writer(&config)?;
        let inlines = Inlines::new(config.inline);
        inlines.define(&mut conn).map_err(|fault| fault.refuses_open(&config.path))?;
        let wal_pages = Arc::new(AtomicI32::new(0));
        let seen = wal_pages.clone();
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        let fault = |error: rusqlite::Error| Fault::from(error).refuses_open(&config.path);
        conn.wal_hook(Some(hook)).map_err(fault)?;
        // From here on the writer waits in its own way, see `begin`.
        conn.busy_timeout(Duration::ZERO).map_err(fault)?;
        let mark = FileMark::of(&config.path)
            .map_err(|error| OpenError::Other { path: config.path.clone(), source: Source::new(error) })?;
        Ok(Self {
            conn,
            mark,
            ledger: Ledger {
                identity,
                last_position: 0,
                is_whole: false,
                retention: config.key_retention,
                keys: KeyLedger::new(recent),
                streams: Heads::new(config.cached_heads),
                kinds: Heads::new(config.cached_heads),
                tags: Heads::new(config.cached_heads),
                names: Names::default(),
                key: String::new(),
                last_stream: None,
                last_tag: None,
            },
            inlines,
            clock: config.clock,
            changes,
            busy_timeout: config.busy_timeout,
            data_version: None,
            met_others: None,
            has_failed: false,
            wal_pages,
            next_checkpoint: CHECKPOINT_PAGES,
            path: config.path,
        })
    }

    /// One transaction for these jobs. After a failure nothing of it is known to be there, and nothing of
    /// what was believed is believed any more.
    fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        let outcome = self.try_transact(jobs);
        match &outcome {
            Ok(_) => {
                self.has_failed = false;
                self.changes.committed(self.ledger.last_position);
            }
            Err(failure) => {
                self.has_failed |= !matches!(failure, Failure::Begin(_));
                if !self.conn.is_autocommit() {
                    // What cannot be rolled back now is, at the latest, when the next transaction cannot begin.
                    let _ = self.run("ROLLBACK");
                }
                self.ledger.forget();
                self.data_version = None;
            }
        }
        outcome
    }

    fn try_transact(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Failure> {
        self.begin().map_err(Failure::Begin)?;
        self.look_for_others().map_err(Failure::Begin)?;
        let before = self.ledger.last_position;
        let mut pending = Pending::with_room_for(jobs.len());
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(self.perform(job, &mut pending).map_err(Failure::Write)?);
        }
        self.close_books(before, &mut pending).map_err(Failure::Write)?;
        self.run("COMMIT").map_err(Failure::Commit)?;
        self.ledger.keys.committed();
        Ok(answers)
    }

    /// Takes the write lock. SQLite's own way of waiting sleeps longer and longer, and a busy process would
    /// hardly ever let another in; this one looks often.
    fn begin(&mut self) -> Result<(), Fault> {
        self.mark.check(&self.path)?;
        if self.met_others.is_some_and(|met| met.elapsed() < Duration::from_secs(1)) {
            thread::sleep(Duration::from_micros(50));
        }
        let deadline = Instant::now() + self.busy_timeout;
        loop {
            match self.run("BEGIN IMMEDIATE") {
                Err(fault) if fault.is_busy() && Instant::now() < deadline => {
                    self.met_others = Some(Instant::now());
                    thread::sleep(Duration::from_micros(100 + u64::from(jitter()) % 900));
                }
                outcome => return outcome,
            }
        }
    }

    /// Only inside the transaction is it sure that nobody writes between the question and the answer.
    fn look_for_others(&mut self) -> Result<(), Fault> {
        let version = self.data_version()?;
        if self.data_version == Some(version) {
            return Ok(());
        }
        if self.data_version.is_some() {
            self.met_others = Some(Instant::now());
        }
        self.ledger.forget();
        self.inlines.forget();
        opening::check_version(&self.conn)?;
        let StoreRow { identity, last_position: stored } = about_store::load_store(&self.conn)?;
        if identity != self.ledger.identity {
            return Err(Fault::Unfit("the file was given a new identity, as after a restore; open the store again"));
        }
        let largest: Option<i64> =
            self.conn.prepare_cached("SELECT max(position) FROM log")?.query_row([], |row| row.get(0))?;
        if largest.is_some_and(|largest| largest > stored) {
            return Err(Fault::Damaged(format!(
                "table about_store: the last position is {stored}, and the log goes further"
            )));
        }
        self.ledger.keys.sync(&self.conn)?;
        self.ledger.last_position = stored;
        self.ledger.is_whole = largest.unwrap_or(0) == stored;
        self.data_version = Some(version);
        Ok(())
    }

    /// It changes when another process commits.
    fn data_version(&self) -> Result<i64, Fault> {
        Ok(self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    fn perform<'j>(&mut self, job: &'j Job, pending: &mut Pending<'j>) -> Result<Answer, Fault> {
        match job {
            Job::Append(append) => {
                let now = self.clock.now();
                match self.ledger.append(&self.conn, &mut self.inlines, pending, append, now) {
                    Ok(appended) => Ok(Ok(Done::Appended(appended))),
                    Err(Refusal::Judged(error)) => Ok(Err(error)),
                    Err(Refusal::Failed(fault)) => Err(fault),
                }
            }
            Job::SaveSnapshot(snapshot) => snapshots::save(&self.conn, snapshot).map(|()| Ok(Done::Nothing)),
            Job::DeleteSnapshots { stream, kind, below } => {
                snapshots::delete(&self.conn, stream, kind, *below).map(|()| Ok(Done::Nothing))
            }
            Job::Define(collection) => {
                self.inlines.settle(&self.conn, None, core::iter::once(&collection.name))?;
                read_models::define(&self.conn, collection).map(|done| Ok(Done::Rows(done)))
            }
            Job::CommitRows(batch, limits) => {
                if !batch.beside.is_empty() {
                    // The work may look at whatever the appends before it have made.
                    self.write_all(pending)?;
                }
                let collections = batch.changes.iter().map(|change| &change.collection);
                self.inlines.settle(&self.conn, Some(&batch.checkpoint.name), collections)?;
                own_tables::commit_batch(&mut self.conn, batch, limits).map(|done| Ok(Done::Rows(done)))
            }
            Job::RemoveVersion { collection, version, checkpoint } => {
                self.inlines.settle(&self.conn, Some(&checkpoint.name), core::iter::once(collection))?;
                read_models::remove(&self.conn, collection, *version, checkpoint).map(|done| Ok(Done::Rows(done)))
            }
            Job::CommitWith(checkpoint, work) => {
                // The work may look at whatever the appends before it have made.
                self.write_all(pending)?;
                self.inlines.settle(&self.conn, Some(&checkpoint.name), core::iter::empty())?;
                own_tables::commit(&mut self.conn, checkpoint, work).map(|done| Ok(Done::Rows(done)))
            }
            Job::Lease(change) => leases::change(&self.conn, change).map(|done| Ok(Done::Lease(done))),
        }
    }

    fn write_all(&mut self, pending: &mut Pending<'_>) -> Result<(), Fault> {
        self.ledger.flush(&self.conn, pending)?;
        self.inlines.write(&self.conn)
    }

    fn close_books(&mut self, before: i64, pending: &mut Pending<'_>) -> Result<(), Fault> {
        self.write_all(pending)?;
        if self.ledger.last_position != before {
            about_store::save_last_position(&self.conn, self.ledger.identity, self.ledger.last_position)?;
        } else if self.has_failed {
            opening::write_anything(&self.conn)?;
        }
        self.ledger.keys.tend(&self.conn, self.ledger.retention, self.clock.now())
    }

    /// What is recorded under a key, if that is sure: no other process has written since the last transaction.
    fn recall(&mut self, scope: &str, id: &str) -> Option<Option<Recalled>> {
        let version = self.data_version?;
        let (known, now) = (self.ledger.keys.known(scope, id), self.clock.now());
        let look = |writer: &Self| match writer.data_version() {
            Ok(found) if found == version => writer.ledger.recall(&writer.conn, known, (scope, id), now).ok(),
            _ => None,
        };
        self.in_snapshot(look)?
    }

    /// Reads one moment of the file, outside of a transaction.
    fn in_snapshot<T>(&self, read: impl FnOnce(&Self) -> T) -> Option<T> {
        self.run("BEGIN").ok()?;
        let found = read(self);
        match self.run("COMMIT") {
            Ok(()) => Some(found),
            Err(_) => {
                let _ = self.run("ROLLBACK");
                None
            }
        }
    }

    fn run(&self, sql: &str) -> Result<(), Fault> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// What to answer for jobs whose transaction failed.
    fn refuse(&self, failure: Failure) -> AppendError {
        match failure {
            Failure::Begin(fault) | Failure::Write(fault) => fault.refuses_append(&self.path),
            // A full disk or a lock stops SQLite before the mark that makes a transaction whole. After any
            // other failure that mark may be in the file, and a recovery may find it.
            Failure::Commit(fault) if fault.is_busy() || fault.code() == Some(ErrorCode::DiskFull) => {
                fault.refuses_append(&self.path)
            }
            Failure::Commit(fault) => AppendError::Unknown(Source::new(fault)),
        }
    }
}

impl Writer {
    fn commit_all(&mut self, group: &[Job]) -> Vec<Answer> {
        match self.transact(group) {
            Ok(answers) => answers,
            // Somebody's write failed, and took the others with it. Each alone, they get what is theirs.
            Err(Failure::Write(_)) if group.len() > 1 => {
                // When the file is not to be had for one, the others do not wait for it again.
                let mut not_to_be_had = None;
                let alone = group.iter().map(|job| {
                    if let Some(error) = &not_to_be_had {
                        return Err(AppendError::clone(error));
                    }
                    self.transact(core::slice::from_ref(job)).map_or_else(
                        |failure| {
                            let begun = !matches!(failure, Failure::Begin(_));
                            let error = self.refuse(failure);
                            not_to_be_had = (!begun).then(|| error.clone());
                            Err(error)
                        },
                        |answers| answers.into_iter().next().unwrap_or(Ok(Done::Nothing)),
                    )
                });
                alone.collect()
            }
            Err(failure) => {
                let error = self.refuse(failure);
                group.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}

impl Commit<Job, Answer> for Present {
    fn commit(&mut self, group: &[Job]) -> Vec<Answer> {
        let mut shared = self.writer.lock();
        let Some(writer) = &mut *shared else { return Vec::new() };
        let begun = Instant::now();
        let answers = writer.commit_all(group);
        self.patience.committed(begun);
        answers
    }

    fn answered(&mut self) {
        if let Some(writer) = &mut *self.writer.lock() {
            writer.checkpoint();
        }
        self.patience.begin();
    }

    fn looks_again(&mut self, more: bool) -> bool {
        self.patience.lasts(more)
    }
}

impl Writer {
    /// Moves pages from the write-ahead log into the file. Readers are never kept waiting by it, and what
    /// fails here is tried again later: every acknowledged write is safe in the log.
    fn checkpoint(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < CHECKPOINT_PAGES {
            self.next_checkpoint = CHECKPOINT_PAGES;
            return;
        }
        if pages < self.next_checkpoint {
            return;
        }
        self.next_checkpoint = pages.saturating_add(CHECKPOINT_PAGES);
        let done = |conn: &Connection, sql: &str| conn.query_row(sql, [], |_| Ok(()));
        if pages < RESTART_PAGES {
            let _ = done(&self.conn, "PRAGMA wal_checkpoint(PASSIVE)");
        } else if self.conn.busy_timeout(RESTART_TIMEOUT).is_ok() {
            let _ = done(&self.conn, "PRAGMA wal_checkpoint(RESTART)");
            let _ = self.conn.busy_timeout(Duration::ZERO);
        }
    }
}

/// Enough to keep two processes from waiting in step.
fn jitter() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos() / 7)
}
