//! How a log is opened.

use crate::{DynamoStore, OpenError};
use alloc::sync::Arc;
use aws_sdk_dynamodb::Client;
use core::fmt;
use core::time::Duration;
use portolan_kernel::ports::Clock;
use portolan_kernel::values::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// How to open a [`DynamoStore`]: what is not set here has a sensible value.
#[derive(Clone)]
#[must_use = "nothing is opened before `open` is called"]
pub struct DynamoConfig {
    pub(crate) client: Option<Client>,
    #[cfg_attr(not(feature = "connect"), allow(dead_code, reason = "only `connect` takes one"))]
    pub(crate) endpoint: Option<String>,
    pub(crate) table: String,
    pub(crate) log: String,
    pub(crate) create: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key_retention: Option<Duration>,
    pub(crate) queue_capacity: usize,
    pub(crate) queue_bytes: u64,
    pub(crate) cached_heads: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) busy_timeout: Duration,
}

impl DynamoConfig {
    pub(crate) fn new(client: Option<Client>, table: String) -> Self {
        Self {
            client,
            endpoint: None,
            table,
            log: "main".to_string(),
            create: false,
            clock: Arc::new(SystemClock),
            key_retention: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            queue_capacity: 4_096,
            queue_bytes: 64 << 20,
            cached_heads: 100_000,
            request_timeout: Duration::from_secs(3),
            busy_timeout: Duration::from_secs(10),
        }
    }

    /// The log's name: a table can hold many, each a store of its own. `main` unless set.
    pub fn log(self, log: impl Into<String>) -> Self {
        Self { log: log.into(), ..self }
    }

    /// Makes the table where there is none: billed on demand, and deleting expired keys by the attribute `ttl`. The log in
    /// it is made in any case.
    pub fn create_if_missing(self) -> Self {
        Self { create: true, ..self }
    }

    /// The clock that events are stamped and keys expire by; the system's unless set.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long idempotency keys are kept; 7 days unless set. `None`: for ever.
    pub fn key_retention(self, key_retention: Option<Duration>) -> Self {
        Self { key_retention, ..self }
    }

    /// How many appends may wait; one more is answered with `Busy`. 4,096 unless set, at least 1.
    pub fn queue_capacity(self, appends: usize) -> Self {
        Self { queue_capacity: appends.max(1), ..self }
    }

    /// How many bytes of appends may wait; past them one more is answered with `Busy`. 64 MiB unless set, at least 2 MiB.
    pub fn queue_bytes(self, bytes: u64) -> Self {
        Self { queue_bytes: bytes, ..self }
    }

    /// How many streams' last revisions are kept in memory; 100,000 unless set.
    pub fn cached_heads(self, streams: usize) -> Self {
        Self { cached_heads: streams, ..self }
    }

    /// How long one request may take before it counts as unanswered, with what the SDK repeats by itself; 3 seconds unless
    /// set.
    pub fn request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// How long is tried, when requests find no answer, no capacity, or another process always first; 10 seconds unless
    /// set. Then a read and an append of which nothing was written are `Busy`, and an append that may have been written
    /// is `Unknown`.
    pub fn busy_timeout(self, busy_timeout: Duration) -> Self {
        Self { busy_timeout, ..self }
    }

    /// Another endpoint than the region's, such as an emulator's. Where the environment names no credentials or region,
    /// there are some that an emulator takes. Only for what [`DynamoStore::connect`] gave: a client has its endpoint.
    #[cfg(feature = "connect")]
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        Self { endpoint: Some(url.into()), ..self }
    }

    /// Opens the log; makes it where there is none.
    ///
    /// It stands on tokio, as the SDK does: call it, and use the store, within a runtime with time enabled.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn open(self) -> Result<DynamoStore, OpenError> {
        DynamoStore::open_with(self).await
    }
}

impl fmt::Debug for DynamoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoConfig")
            .field("table", &self.table)
            .field("log", &self.log)
            .field("create", &self.create)
            .field("key_retention", &self.key_retention)
            .field("queue_capacity", &self.queue_capacity)
            .field("request_timeout", &self.request_timeout)
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
