//! How a store is opened.

use crate::{OpenError, SqliteStore};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use portolan_kernel::ports::{Clock, Inline};
use portolan_kernel::values::Timestamp;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// What was acknowledged survives the power going out: a sync precedes each acknowledgement
    /// (`synchronous=FULL`).
    #[default]
    Full,
    /// What was acknowledged survives the death of the process, and not that of the machine: the last
    /// seconds may be lost then, the file stays whole (`synchronous=NORMAL`). Not enough for ES-24.
    SurvivesProcessCrashOnly,
}

/// How to open a [`SqliteStore`]: what is not set here has a sensible value.
///
/// ```
/// # use portolan_sqlite::SqliteStore;
/// # use core::time::Duration;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bank.db");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = SqliteStore::builder(path).key_retention(Some(Duration::from_secs(86_400))).open().await.unwrap();
/// # drop(store);
/// # });
/// ```
#[derive(Clone)]
#[must_use = "nothing is opened before `open` is called"]
pub struct SqliteConfig {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key_retention: Option<Duration>,
    pub(crate) queue_capacity: usize,
    pub(crate) queue_bytes: u64,
    pub(crate) cached_heads: usize,
    pub(crate) readers: usize,
    pub(crate) mapped_bytes: u64,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_pages: Option<u32>,
    pub(crate) restored: bool,
    pub(crate) inline: Vec<Arc<dyn Inline>>,
}

impl SqliteConfig {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            durability: Durability::Full,
            clock: Arc::new(SystemClock),
            key_retention: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            queue_capacity: 4_096,
            queue_bytes: 256 << 20,
            cached_heads: 100_000,
            readers: 8,
            mapped_bytes: 0,
            busy_timeout: Duration::from_secs(5),
            max_pages: None,
            restored: false,
            inline: Vec::new(),
        }
    }

    /// What an acknowledgement promises; [`Durability::Full`] unless set.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The clock that events are stamped and keys expire by; the system's unless set.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long idempotency keys are kept; 7 days unless set. `None`: for ever.
    pub fn key_retention(self, key_retention: Option<Duration>) -> Self {
        Self { key_retention, ..self }
    }

    /// How many writes may wait; one more is answered with `Busy`. 4,096 unless set, at least 1.
    pub fn queue_capacity(self, writes: usize) -> Self {
        Self { queue_capacity: writes.max(1), ..self }
    }

    /// How many bytes of writes may wait; past them one more is answered with `Busy`. 256 MiB unless set. A
    /// write that finds the queue empty always gets in.
    pub fn queue_bytes(self, bytes: u64) -> Self {
        Self { queue_bytes: bytes, ..self }
    }

    /// How many streams, and as many kinds and tags, the writer knows the ends of by heart; 100,000 unless set.
    pub fn cached_heads(self, streams: usize) -> Self {
        Self { cached_heads: streams, ..self }
    }

    /// How many idle reading connections are kept; 8 unless set. More are opened while more threads read at
    /// once.
    pub fn readers(self, connections: usize) -> Self {
        Self { readers: connections, ..self }
    }

    /// How many bytes of the file, from its start on, reads take from a mapping into memory; none unless set. A page
    /// that the operating system has cached then costs no call of it: loading a short stream takes about half as long.
    ///
    /// A mapped page that the disk cannot read, or that another program has cut off the file, ends the process
    /// (`SIGBUS`), where an unmapped one is answered with an error. SQLite maps at most 2 GiB, and nothing on systems
    /// whose mappings it does not trust.
    pub fn mapped_bytes(self, bytes: u64) -> Self {
        Self { mapped_bytes: bytes, ..self }
    }

    /// How long a write waits for another process that holds the file; 5 seconds unless set.
    pub fn busy_timeout(self, busy_timeout: Duration) -> Self {
        Self { busy_timeout, ..self }
    }

    /// The most pages (4,096 bytes each) the file may have, for this handle; past them the store answers as
    /// on a full disk. Not limited unless set.
    pub fn max_pages(self, pages: Option<u32>) -> Self {
        Self { max_pages: pages, ..self }
    }

    /// The file was put back from a copy: opening it gives it a new identity. What was written after the copy is
    /// gone, and its positions will be given out again, to other events; so checkpoints that others keep
    /// for this store must not go on. They are refused as
    /// [`WrongStore`](portolan_kernel::ports::AppendError::WrongStore) from then on (ES-27). Those that are kept in
    /// the file were put back with it, and go on. So do read models in the file that are made of its own log: their
    /// checkpoints are of the new identity from then on. Those of other logs stay as they are, and snapshots of the
    /// former life are deleted.
    ///
    /// Leases go back with the file, and a token that was granted after the copy is granted again: let every former
    /// holder end before.
    ///
    /// Say so once, the first time that the file is opened after it was put back, and with no other handle on it:
    /// one that is open meanwhile writes no more.
    ///
    /// ```
    /// # use portolan_sqlite::SqliteStore;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("bank.db");
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// // After `cp backup.db bank.db`, and without the `-wal` and `-shm` of the file it replaces:
    /// drop(SqliteStore::builder(path).restored().open().await.unwrap());
    /// # });
    /// ```
    pub fn restored(self) -> Self {
        Self { restored: true, ..self }
    }

    /// A projection to run inside of each append of this handle (PR-08). One of the same name and version takes the
    /// place of the one before. Every process that appends should be given the same: what another appends without it
    /// leaves its rows behind, until a worker, or over a small gap the next append here, has caught them up.
    pub fn inline(mut self, projection: Arc<dyn Inline>) -> Self {
        self.inline.push(projection);
        self
    }

    /// Opens the file; makes it where there is none, and brings an older format up to date.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the file is then as it was.
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open_with(self).await
    }
}

impl fmt::Debug for SqliteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConfig")
            .field("path", &self.path)
            .field("durability", &self.durability)
            .field("key_retention", &self.key_retention)
            .field("queue_capacity", &self.queue_capacity)
            .field("busy_timeout", &self.busy_timeout)
            .finish_non_exhaustive()
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}
