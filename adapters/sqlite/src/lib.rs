//! Portolan's storage on one SQLite file.
//!
//! [`SqliteStore`] is an [`EventStore`], a [`SnapshotStore`], a [`ReadModelStore`] and a [`LeaseStore`]; it keeps all
//! their laws and lacks nothing. Several handles and several processes may open one file at once.
//!
//! ```
//! use portolan_kernel::ports::EventStore;
//! use portolan_kernel::values::*;
//! use portolan_sqlite::SqliteStore;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("bank.db");
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = SqliteStore::open(path).await.unwrap();
//! let ann = StreamId::new("account-ann").unwrap();
//! let opened = NewEvent::new(ann.clone(), EventType::new("account.opened").unwrap(), r#"{"owner":"Ann"}"#);
//! store.append(Append::new([opened]).expect(ann.clone(), Expected::NoStream)).await.unwrap();
//! assert_eq!(store.read(Read::stream(ann)).await.unwrap().events.len(), 1);
//! # });
//! ```
//!
//! # How it works
//!
//! One thread owns the connection that writes. It takes all that waits and commits it in one transaction, so
//! that many writers share one sync; nobody is answered before that. A bounded queue stands before it. Those whom it
//! has just answered mostly ask again at once: before the next transaction it looks for them, for tens of
//! microseconds after the last who came.
//!
//! A key is looked for on the writer's connection while it rests, and by a reader otherwise. Keys stand in the order in which
//! they came; the index of their hashes takes them in by batches, and each handle has in memory those that it lacks. Expired
//! keys are deleted from the oldest on: one that was recorded while the clock was ahead keeps those after it in the file
//! (and not in force) until it expires itself.
//!
//! Inline projections ([`SqliteConfig::inline`]) are run by it: judged by rows in memory before an append is written, so
//! that a refusal leaves the group as it is, and written once a transaction.
//!
//! Other reads have read-only connections of their own and never wait for the writer. Short ones, such as loading an
//! aggregate, run **on the calling thread**: handing them to another would cost more than the read. One that may
//! look at more than 256 events goes to a small pool of threads, for a long page keeps its thread for
//! milliseconds; where two of them are free, each makes half of a long page of everything. Rows of read models are
//! read so too: a question for more than 256 of them goes to the pool. With a hundred readers of long pages on the
//! calling threads of an async runtime, that runtime, and so every append that waits in it, came to a turn hundreds of
//! times later than with the pool.
//!
//! # The file
//!
//! `sqlite3 bank.db "SELECT * FROM events"` shows the log: view `events` is made for people. Payloads are TEXT
//! where they are JSON, BLOB otherwise. Each version of a read model has a table of its own, `rm_balances_v1`, and the
//! view `active_balances` shows the active one; a name with other signs than `a` to `z`, digits and `_` has a number
//! in its place. Leases are in `leases`, one row a name for good.
//!
//! An application may have tables of its own in the file, written beside a checkpoint by
//! [`commit_with`](SqliteStore::commit_with).
//!
//! This is format 5. A file of an older format is brought up to date when it is opened, and older programs refuse it
//! then. That may take twice the room that the log has, half of which stays in the file for what comes, and indexes and
//! triggers that someone made on the log by hand are gone after it. A handle that is open while a newer program does so
//! writes no more: it is refused as [`Other`](AppendError::Other). Nor does it read streams any more.
//!
//! Beside the file stand `-wal` and `-shm`, which belong to it: copy a live
//! store with `sqlite3 bank.db ".backup copy.db"`.
//!
//! After a copy was put back, open it once with [`SqliteConfig::restored`]: the store then has a new identity, and
//! checkpoints kept elsewhere for its former life are refused. Read models that were made of this file's log, and are
//! kept in it, go on.
//!
//! # Damage
//!
//! A checksum, verified whenever the row is read, is in each row of: an event, a key, a checkpoint, a snapshot; a
//! collection, a version of one, a row of a read model, the checkpoint of one; a lease. So it is in each name of a
//! stream, a kind (category and type) and a tag, and with the name stands where its list of events ends. The entries
//! of a list are numbered without a gap, their positions rise, and each leads to an event that has to be of
//! that list; those of a stream are its events themselves, each of which leads to those before it. So an entry that was
//! lost or changed is an error that names the place, and not a shorter answer; a name that is not found is compared with
//! its neighbours in the index before it is called missing.
//!
//! What a read or a write cannot notice:
//!
//! - A row that is gone, or whose name was changed, and that no list leads to looks like one that never was: a
//!   checkpoint, a snapshot, a row of a read model, a lease. So does a key that the index of keys has lost, or that is gone
//!   before the index had it.
//! - The indexes of read models are SQLite's own, which have no checksums. One that lost entries finds fewer rows, and
//!   a unique one may then let a second row in.
//! - A page that the disk gives back as it was some time ago is right in itself.
//! - A checksum of 32 bits misses one change in four billion.
//!
//! [`SqliteStore::verify`] looks the whole file over, indexes against rows and lists against the log. It finds damaged
//! and renamed rows of every kind, indexes that lost entries, versions without their tables and tables without their
//! versions, and old pages that fit no others. Rows that are gone as a whole, and that no list leads to, leave no
//! trace. It is not part of opening a store, for it reads the whole file: run it after a restore, and now and then.

extern crate alloc;

mod about_store;
mod append;
mod candidates;
mod chain;
mod changed;
mod checkpoints;
mod checksum;
mod config;
mod error;
mod file;
mod finding;
mod guard;
mod halves;
mod heads;
mod inline;
mod job;
mod key_index;
mod key_ledger;
mod keys;
mod leases;
mod links;
mod lists;
mod names;
mod opening;
mod own_tables;
mod patience;
mod pending;
mod pool;
mod query;
mod queue;
mod read;
mod read_models;
mod readers;
mod rows;
mod schema;
mod snapshots;
mod tables;
mod verify;
mod verify_rows;
mod writer;

pub use config::{Durability, SqliteConfig};
pub use error::OpenError;
pub use own_tables::Sql;
/// As [`SqliteStore::commit_with`] takes it.
pub use rusqlite;

use crate::changed::Changes;
use crate::error::{Fault, lease_refused, rows_refused};
use crate::halves::Halves;
use crate::job::{Answer, Done, Job, Jobs};
use crate::key_index::Recent;
use crate::leases::LeaseChange;
use crate::pool::Pool;
use crate::queue::Refused;
use crate::read::Bounds;
use crate::readers::Readers;
use crate::writer::{Handle, SharedWriter};
use alloc::sync::Arc;
use async_trait::async_trait;
use core::fmt;
use core::time::Duration;
use futures::channel::oneshot;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{
    AppendError, Capabilities, Clock, EventStore, Inline, Lease, LeaseError, LeaseStore, ReadError, ReadModelStore,
    RowError, RowLimits, Snapshot, SnapshotError, SnapshotStore, Source,
};
use portolan_kernel::values::{
    Append, Appended, Batch, Checkpoint, CheckpointState, Collection, Find, Name, Page, Position, Query, Read,
    Recalled, Revision, RowKey, Rowset, StreamId, Versions,
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// A store on one SQLite file. A clone is another handle on the same store.
///
/// Dropping the last handle lets the writer finish what is queued, and waits for that.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    retention: Option<Duration>,
    jobs: Arc<Jobs>,
    shared: Arc<SharedWriter>,
    recent: Arc<Recent>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    pool: Arc<Pool>,
    changes: Arc<Changes>,
    inline: Vec<Arc<dyn Inline>>,
}

impl SqliteStore {
    /// Opens the file with the usual settings; makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the file is then as it was.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open().await
    }

    /// Settings to open the file with.
    pub fn builder(path: impl AsRef<Path>) -> SqliteConfig {
        SqliteConfig::new(path.as_ref().to_path_buf())
    }

    /// Looks the whole file over, and lists the places that are damaged; none, if all is well. It reads every row:
    /// checksums, that no position, revision or entry of a list is missing, that lists and log agree, where lists
    /// and log end, keys, checkpoints and snapshots, read models and leases, and what `PRAGMA integrity_check` finds
    /// in tables and indexes. At most 1,000 places are listed.
    ///
    /// It sees one moment of the store, and runs on a thread of its own beside reads and writes. While it does,
    /// the write-ahead log only grows; a file of 1,000,000 events takes some seconds.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the file could not be looked at.
    ///
    /// # Cancellation
    ///
    /// Safe: the thread then ends when it is done, and tells nobody.
    pub async fn verify(&self) -> Result<Vec<String>, ReadError> {
        let (answer, found) = oneshot::channel();
        let readers = self.inner.readers.clone();
        let verify = move || answer.send(readers.read(|reader| Ok(verify::places(reader))));
        thread::Builder::new()
            .name("portolan-sqlite-verify".into())
            .spawn(verify)
            .map_err(|error| ReadError::Other(Source::new(error)))?;
        let found = found.await.map_err(|_| ReadError::Other(Source::new("the verifying thread died")))?;
        found.map_err(|fault| fault.refuses_read(&self.inner.path))
    }

    async fn open_with(mut config: SqliteConfig) -> Result<Self, OpenError> {
        // Later openings find the same file wherever the process has gone, and none is taken for a URI.
        config.path = std::path::absolute(&config.path)
            .map_err(|error| OpenError::Other { path: config.path.clone(), source: Source::new(error) })?;
        let readers = Arc::new(Readers::new(&config));
        let changes = Arc::new(Changes::new(readers.clone()));
        let (path, clock, retention) = (config.path.clone(), config.clock.clone(), config.key_retention);
        let Handle { jobs, shared, recent, identity, thread, inline } = writer::start(config, changes.clone()).await?;
        let capabilities =
            Capabilities::new(identity).with_key_retention(retention).with_hint_latency(changed::LATENCY);
        let writer = Some(thread);
        let pool = Arc::new(Pool::new());
        let inner = Inner {
            path,
            capabilities,
            clock,
            retention,
            jobs,
            shared,
            recent,
            writer,
            readers,
            pool,
            changes,
            inline,
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl Inner {
    async fn write(&self, job: Job) -> Answer {
        let bytes = job.bytes();
        let answer = self.jobs.submit(job, bytes).map_err(|refused| match refused {
            Refused::Full => AppendError::Busy(Source::new("the queue of writes is full")),
            Refused::Closed => AppendError::Other(Source::new("the writer has stopped; open the store again")),
        })?;
        answer.await.unwrap_or_else(|_| Err(AppendError::Unknown(Source::new("the writer died before it answered"))))
    }

    fn read<T>(&self, read: impl FnOnce(&mut readers::Reader) -> Result<T, Fault>) -> Result<T, ReadError> {
        self.readers.read(read).map_err(|fault| fault.refuses_read(&self.path))
    }

    /// A page that is made on a thread of the pool; begun before the answer is waited for.
    fn long_page(&self, read: Read, bounds: Bounds) -> impl Future<Output = Result<Page, ReadError>> + use<'_> {
        let readers = self.readers.clone();
        let page = self.pool.run(move || readers.read(|reader| read::page(reader, &read, bounds)));
        async move {
            let page = page.await.map_err(|_| ReadError::Other(Source::new("the reading thread died")))?;
            let page = page.map_err(|fault| fault.refuses_read(&self.path))?;
            page.map_err(|_| ReadError::Other(Source::new("the page has more events than there are numbers")))
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.changes.close();
        self.pool.close();
        // The writer's connection is to be the last one: then closing it moves all of the log into the file.
        self.readers.close();
        self.jobs.close();
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != thread::current().id()
        {
            // If it panicked, those who waited have been told.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.capabilities.check(&append)?;
        match self.inner.write(Job::Append(append)).await? {
            Done::Appended(appended) => Ok(appended),
            _ => Err(AppendError::Unknown(Source::new("the writer gave another answer"))),
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.inner.capabilities.check_read(&read)?;
        let events = self.inner.capabilities.limits.page_events;
        let short = Bounds { events, looks: read::SHORT, bytes: query::PAGE_BYTES };
        let long = match self.inner.read(|reader| read::page(reader, &read, short))? {
            Ok(page) => return Ok(page),
            Err(long) => long,
        };
        let halves = if self.inner.pool.has_two_free() { Halves::of(&read, &long, events) } else { None };
        let Some(halves) = halves else {
            return self.inner.long_page(read, Bounds { looks: i64::MAX, ..short }).await;
        };
        let [first, second] = halves.parts.clone().map(|half| self.inner.long_page(half, halves.bounds));
        halves.join(first.await?, second).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let Inner { clock, retention, shared, recent, .. } = &*self.inner;
        if let Some(told) = shared.recall(&scope, &id) {
            return Ok(told);
        }
        let known = recent.of(key_index::hash(scope.as_bytes(), id.as_bytes()));
        self.inner.read(|reader| {
            let rows = known.rows(&reader.conn, recent)?;
            keys::find(&reader.conn, (&scope, &id), rows, *retention, clock.now())
        })
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let identity = self.inner.capabilities.identity;
        self.inner.read(|reader| checkpoints::load(&reader.conn, identity, &name))
    }

    // The query is not asked: an event that does not match costs one page that says so.
    async fn changed(&self, _: Query, after: Option<Position>) -> Result<(), ReadError> {
        let after = after.map_or(0, |after| after.get().cast_signed());
        let written = self.inner.read(|reader| about_store::load_store(&reader.conn))?.last_position;
        if written <= after {
            self.inner.changes.after(after).await;
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities.clone()
    }
}

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let loaded = self.inner.readers.read(|reader| snapshots::load(&reader.conn, &stream, &kind, at_most));
        loaded.map_err(|fault| fault.refuses_snapshot(&self.inner.path))
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let size = snapshot.state.len() as u64;
        if size > snapshots::MAX_STATE_BYTES {
            return Err(SnapshotError::TooLarge { size, limit: snapshots::MAX_STATE_BYTES });
        }
        self.inner.write(Job::SaveSnapshot(snapshot)).await.map(drop).map_err(snapshot_error)
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        self.inner.write(Job::DeleteSnapshots { stream, kind, below }).await.map(drop).map_err(snapshot_error)
    }
}

fn snapshot_error(error: AppendError) -> SnapshotError {
    match error {
        AppendError::Busy(source) => SnapshotError::Busy(source),
        AppendError::Corrupt { place } => SnapshotError::Corrupt { place },
        AppendError::Other(source) => SnapshotError::Other(source),
        error => SnapshotError::Other(Source::new(error)),
    }
}

impl SqliteStore {
    async fn write_rows(&self, job: Job) -> Result<(), RowError> {
        match self.inner.write(job).await.map_err(rows_refused)? {
            Done::Rows(judged) => judged,
            _ => Err(RowError::Unknown(Source::new("the writer gave another answer"))),
        }
    }

    /// Reads so many rows at most: many on the pool, as events.
    async fn read_rows<T: Send + 'static>(
        &self,
        rows: u64,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, RowError> {
        let readers = self.inner.readers.clone();
        let read = move || readers.read(|reader| read(&reader.conn));
        let read = if rows > read::SHORT.unsigned_abs() {
            let read = self.inner.pool.run(read).await;
            read.map_err(|_| RowError::Other(Source::new("the reading thread died")))?
        } else {
            read()
        };
        read.map_err(|fault| fault.refuses_rows(&self.inner.path))
    }

    async fn change_lease(&self, change: LeaseChange) -> Result<Lease, LeaseError> {
        match self.inner.write(Job::Lease(change)).await.map_err(lease_refused)? {
            Done::Lease(judged) => judged,
            _ => Err(LeaseError::Unknown(Source::new("the writer gave another answer"))),
        }
    }
}

#[async_trait]
impl ReadModelStore for SqliteStore {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        ReadModelStore::limits(self).check_collection(&collection)?;
        self.write_rows(Job::Define(collection)).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.read_rows(1, move |conn| read_models::versions(conn, &collection)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        let limits = ReadModelStore::limits(self);
        limits.check_batch(&batch)?;
        self.write_rows(Job::CommitRows(batch, limits)).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        let limits = ReadModelStore::limits(self);
        limits.check_get(&keys)?;
        let rows = keys.len() as u64;
        self.read_rows(rows, move |conn| read_models::get(conn, &collection, version, &keys, &limits)).await?
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        let limits = ReadModelStore::limits(self);
        let rows = find.limit.min(limits.page_rows).into();
        self.read_rows(rows, move |conn| read_models::find(conn, &find, &limits)).await?
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.read_rows(1, move |conn| read_models::checkpoint(conn, &name)).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.write_rows(Job::RemoveVersion { collection, version, checkpoint }).await
    }

    fn limits(&self) -> RowLimits {
        let mut limits = RowLimits::default();
        limits.beside = true;
        limits
    }
}

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.change_lease(LeaseChange::Grant { name, holder, time_to_live, over: None }).await
    }

    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        let name = seen.name.clone();
        self.change_lease(LeaseChange::Grant { name, holder, time_to_live, over: Some(seen) }).await
    }

    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.change_lease(LeaseChange::Renew(lease)).await
    }

    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.change_lease(LeaseChange::Release(lease)).await.map(drop)
    }
}

impl From<SqliteStore> for Storage {
    fn from(store: SqliteStore) -> Self {
        let (inline, store) = (store.inner.inline.clone(), Arc::new(store));
        Self::new(store.clone(), store.clone()).with_read_models(store.clone()).with_leases(store).with_inline(inline)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}
