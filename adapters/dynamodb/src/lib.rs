//! Portolan's storage on a DynamoDB table.

extern crate alloc;

mod append;
mod changed;
mod checkpoints;
mod config;
#[cfg(feature = "connect")]
mod connect;
mod error;
mod group;
mod guard;
mod heads;
mod keys;
mod pieces;
mod read;
mod read_stream;
mod rows;
mod schema;
mod snapshots;
mod streams;
mod table;
mod tail;
mod writer;

pub use config::DynamoConfig;
pub use error::OpenError;

use crate::error::Fault;
use crate::schema::Space;
use crate::table::Table;
use crate::tail::Tail;
use crate::writer::{Bounds, Writer};
use alloc::sync::Arc;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use core::fmt;
use core::time::Duration;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{
    AppendError, Capabilities, Clock, EventStore, ReadError, Snapshot, SnapshotError, SnapshotStore,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled, Revision, StreamId,
};

/// A store on one log of a DynamoDB table. A clone is another handle on the same store.
#[derive(Clone)]
pub struct DynamoStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    table: Arc<Table>,
    space: Space,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    retention: Option<Duration>,
    tail: Arc<Tail>,
    writer: Arc<Writer>,
}

impl DynamoStore {
    /// Settings to open a log of this table with, by a client that is configured already.
    pub fn builder(client: Client, table: impl Into<String>) -> DynamoConfig {
        DynamoConfig::new(Some(client), table.into())
    }

    /// Settings to open a log of this table with, by a client as the environment configures it: region, credentials,
    /// TLS.
    ///
    /// Without the feature `aws-config` there is none of that but credentials and region in the usual variables, and an
    /// [`endpoint`](DynamoConfig::endpoint) over plain HTTP has to be named.
    #[cfg(feature = "connect")]
    pub fn connect(table: impl Into<String>) -> DynamoConfig {
        DynamoConfig::new(None, table.into())
    }

    async fn open_with(config: DynamoConfig) -> Result<Self, OpenError> {
        let space = Space::new(&config.log)?;
        let client = match config.client {
            Some(client) => client,
            #[cfg(feature = "connect")]
            None => connect::client(&config.table, config.endpoint).await?,
            #[cfg(not(feature = "connect"))]
            None => unreachable!("without the feature `connect` every configuration begins with a client"),
        };
        let (name, request_timeout, patience) = (config.table, config.request_timeout, config.busy_timeout);
        let table = Arc::new(Table { client, name, request_timeout, patience });
        let (identity, _) = schema::open(&table, &space, config.create).await?;
        let tail = Arc::new(Tail::new(table.clone(), space.clone(), config.cached_heads));
        tail.start().await.map_err(|fault| fault.refuses_open(&table.name))?;
        let (clock, retention) = (config.clock, config.key_retention);
        let bounds = Bounds { appends: config.queue_capacity, bytes: config.queue_bytes };
        let writer =
            Writer::new(table.clone(), space.clone(), identity, retention, clock.clone(), tail.clone(), bounds);
        let capabilities = Capabilities::new(identity)
            .with_key_retention(retention)
            .with_hint_latency(changed::LATENCY)
            .with_limits(group::limits());
        let writer = Arc::new(writer);
        Ok(Self { inner: Arc::new(Inner { table, space, capabilities, clock, retention, tail, writer }) })
    }
}

#[async_trait]
impl EventStore for DynamoStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.capabilities.check(&append)?;
        self.inner.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.inner.capabilities.check_read(&read)?;
        self.inner.page(&read).await.map_err(Fault::refuses_read)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let Inner { table, space, retention, clock, .. } = &*self.inner;
        let kept = keys::read(table, &space.key(&scope, &id), *retention, clock.now()).await;
        Ok(kept.map_err(Fault::refuses_read)?.map(|kept| kept.recalled))
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let key = self.inner.space.checkpoint(&name);
        let (position, token) = match self.inner.table.get(&key).await.map_err(Fault::refuses_read)? {
            Some(item) => checkpoints::decode(&key, &item).map_err(Fault::refuses_read)?,
            None => Default::default(),
        };
        Ok(CheckpointState::new(self.inner.capabilities.identity, position, token))
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        changed::wait(&self.inner, &query, after).await.map_err(Fault::refuses_read)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities.clone()
    }
}

#[async_trait]
impl SnapshotStore for DynamoStore {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        self.inner.load_snapshot(&stream, &kind, at_most).await.map_err(Fault::refuses_snapshot)
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        let size = snapshot.state.len() as u64;
        if size > snapshots::MAX_STATE_BYTES {
            return Err(SnapshotError::TooLarge { size, limit: snapshots::MAX_STATE_BYTES });
        }
        self.inner.save_snapshot(&snapshot).await.map_err(Fault::refuses_snapshot)
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        self.inner.delete_snapshots(&stream, &kind, below).await.map_err(Fault::refuses_snapshot)
    }
}

impl From<DynamoStore> for Storage {
    fn from(store: DynamoStore) -> Self {
        Self::new(Arc::new(store.clone()), Arc::new(store))
    }
}

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore").field("table", &self.inner.table.name).finish_non_exhaustive()
    }
}
