//! Portolan's storage on a DynamoDB table.
//!
//! [`DynamoStore`] is an [`EventStore`], a [`SnapshotStore`], a [`ReadModelStore`](portolan_kernel::ports::ReadModelStore) and
//! a [`LeaseStore`](portolan_kernel::ports::LeaseStore); it keeps all their laws and lacks nothing. Any number of processes on
//! any number of machines may write and read one log.
//!
//! ```no_run
//! # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), portolan_dynamodb::OpenError> {
//! use portolan_dynamodb::DynamoStore;
//!
//! let store = DynamoStore::builder(client, "bank").create_if_missing().open().await?;
//! # Ok(()) }
//! ```
//!
//! With the feature `aws-config`, `DynamoStore::connect("bank")` takes region, credentials and TLS from the environment.
//! The store stands on tokio, as the SDK does: it starts one task while appends wait, and measures time-outs.
//!
//! # The items
//!
//! One table with a partition key `pk` and a sort key `sk`, both strings; it can hold many logs, and every `pk` begins with
//! the log's name. Parts of a key are separated by line breaks, which no name has. Numbers in sort keys are padded to 20
//! digits. No secondary index is used, and every read is strongly consistent.
//!
//! | item | `pk` | `sk` | what it holds |
//! |---|---|---|---|
//! | head | `log⏎head` | `-` | the last position `p`, the identity `i`, the format's version `v` |
//! | row | `log⏎log` | its last position | what one transaction wrote: positions, streams, revisions, types, tags, no payload |
//! | record | `log⏎stream⏎NAME` | the revision of its first event | events of one stream, by one transaction |
//! | index | `log⏎tag⏎NAME`, `log⏎type⏎NAME`, `log⏎category⏎NAME` | the row's | nothing: the row is listed there |
//! | wide | `log⏎wide` | the row's | the same, for an append of more terms than a transaction has room for |
//! | key | `log⏎key⏎SCOPE⏎ID` | `-` | digest, note and outcome; `r`, when it was recorded; `ttl` |
//! | checkpoint | `log⏎checkpoint⏎NAME` | `-` | position `p`, token `t` |
//! | snapshot | `log⏎snapshot⏎STREAM⏎KIND` | its revision | the state |
//! | version | `log⏎collection⏎NAME` | the version of a collection | its columns and indexes |
//! | active | `log⏎collection⏎NAME` | `-` | the version that readers see |
//! | model row | `log⏎rows⏎NAME⏎VERSION⏎ID` | the row's key | its cells |
//! | entry | `log⏎entries⏎NAME⏎VERSION⏎ID⏎INDEX` | the row's values, then its key | the row's key |
//! | progress | `log⏎progress⏎NAME` | `-` | where the checkpoint of a read model stands |
//! | journal | `log⏎progress⏎NAME` | `journal` | what the last batch under the checkpoint changes |
//! | removed | `log⏎removed` | `ID` | a removed version of which there may be rows |
//! | lease | `log⏎lease⏎NAME` | `-` | the largest token, and who has the lease |
//!
//! What an item holds is in `b`: postcard's encoding with a CRC-32C at its end, which covers the item's key too. What is
//! larger than an item may be continues in further ones (`sk` and `.001`, `.002`, …), and the first says how many.
//!
//! Rows, records and index items are written once and never changed.
//!
//! # An append is one transaction
//!
//! Appends that wait together become one `TransactWriteItems`. It moves the head from the last position H to a later one, on
//! the condition that it is still H and of this store; it puts the row, the records, and the index, key and checkpoint
//! items. So positions are dense, and every transaction of the log is ordered by its head.
//!
//! A stream has no item of its own for its last revision, as the plan of this adapter first had it. A record is keyed by its
//! first revision and put on the condition that there is none under that key; whoever goes on from an older end of
//! the stream would have to take the very key that the next record took. That is the expectation, and it costs neither two
//! more write units nor one of the hundred places of a transaction, which groups are short of. An expectation of a
//! stream that is not written is a check of the key that its next record would have.
//!
//! What a writer has to know it keeps in memory: each process follows the rows of the log (see below), and so knows the
//! last revisions of the streams it deals with. In the usual case an append is therefore one request. Nothing rests on it:
//! what is known too late is refused by the conditions.
//!
//! # How far the log is shown
//!
//! A read may see one item of a committed transaction before another. Two numbers, kept by each process, deal with that:
//!
//! - *read*: all rows up to here were read, without a gap. A row's first position follows the last of the row before
//!   it; where a later one is seen and an earlier one is not yet, reading stops at the gap. It always fills. (Writers
//!   move the head only from an end that they have read, so a gap lasts no longer than one request that crossed them.)
//! - *whole*: every item of every transaction up to here is visible, to everyone, from now on. It is at most *read*, and
//!   both are ends of transactions.
//!
//! *Whole* rises in three ways. DynamoDB has answered a transaction of this process, and all before it was whole. Or each of
//! the items that a row names has been seen: the row itself, its records, its index items; what a strongly consistent
//! read has seen, all later ones see. Or a row says how far its writer knew the log to be whole when it wrote it.
//!
//! **The frontier is *whole*, and nothing past it is shown, by log or by stream.** An append is acknowledged once it is
//! whole: DynamoDB has answered, and what others wrote before it has been seen. (In the meantime no request is lost: it
//! is looked for while the transaction is on its way.) From this follow the laws:
//!
//! - *No event appears at or below a frontier that was shown* (ES-03). Up to *whole*, every row, record and index item is
//!   visible to every later read, and rows leave no position out. So no later read finds more there.
//! - *What was acknowledged is shown.* When it was, the log was whole up to its end. A read that begins later sees all
//!   these rows and items, so its *whole* is at or above that.
//! - *No part of an append is shown* (ES-17). An append is one transaction, and *whole* never lies inside one. Two
//!   reads, of two streams, agree: what the first one showed was whole, and so the second one finds it.
//! - *A read of a stream is a gapless prefix.* Its records up to *whole* are all visible; what lies beyond is cut off. If
//!   the stream holds nothing past what the process knows to be whole, that was one request. Otherwise the log is
//!   asked how far it is whole by now. A stream's frontier is the same *whole* as the log's, and never ahead of it.
//! - *The index can be trusted* up to *whole*, since index items are among those that have to be visible. What a writer has
//!   to judge beyond it, it judges by the rows it has read.
//!
//! What a log-wide order costs is that all writers meet at its head. DynamoDB allows about 500 transactions a second on one
//! item; with the appends that share them, several thousand appends a second are the end of one log.
//!
//! # Judging an append
//!
//! Within the writer appends are judged in the order in which they come, each on the log as it is known and on what those
//! before it in the same group will write. One that would be refused because of the latter waits until that is written. A
//! refusal is given only on what was observed after the append was asked for: where the process knows less, it reads on
//! first. So no one is told of a conflict by old knowledge.
//!
//! - **Expectations** hold by the conditions named above.
//! - **A guard is exact.** It is searched up to *whole*, by the index, then up to H in the rows in memory; and the
//!   transaction takes place only if the log still ends at H. When another was faster, only the rows between are searched.
//! - **A key** is put on the condition that there is none, or one that has expired by the store's clock, whether or not
//!   DynamoDB has deleted it. Time to live runs by DynamoDB's clock, so it is set a day later than the retention. Before an
//!   append under a key is refused, the key is looked up once more by a `ConditionCheck`: a plain read might not see
//!   it yet.
//! - **A checkpoint** is put on the condition that position and token are as they have to be; `ALL_OLD` tells what was
//!   there instead.
//!
//! # When a group fails
//!
//! One failed condition cancels a transaction. Then those appends are answered whose own key or checkpoint is the proven
//! cause; the process reads on, the others are judged again and sent under a new token. If none seems to be the cause, they
//! are sent one by one. Where others stand in the way (a moved head, `TransactionConflict`, throttling), the group is tried
//! again after a pause that grows and is partly random, and answered with `Busy` when
//! [`busy_timeout`](DynamoConfig::busy_timeout) has passed.
//!
//! A request without an answer is repeated under the same `ClientRequestToken`, which DynamoDB carries out once. If that
//! does not settle it, the log does: each row carries the token of its transaction, and at H + 1 stands either this one
//! or another, after which this one cannot come any more. If the place is still empty, keys are asked, and what remains is
//! answered with `Unknown`.
//!
//! The writer's task owns all of this: a caller that goes away changes nothing.
//!
//! # Read models
//!
//! Versions, active versions, checkpoints and leases are items that change. Each carries the id of the transaction that
//! wrote it last, in `e`; whoever writes it next does so on the condition that it still carries the id that was read. No id
//! comes twice, so a condition that has failed fails for good.
//!
//! **A batch is committed by one transaction**: on the condition that all is as it was judged, it moves the checkpoint,
//! counts up the versions that it changes, switches the active ones, and puts a journal of all its changes in the place of
//! the checkpoint's last one. What it has written is *open* then. Afterwards the batch is carried through: rows and entries are
//! written, in as many transactions as that takes, each on the condition that the batch is open; a last one closes it. A
//! process may end at any moment of this: whoever writes next under the checkpoint, or to one of the versions, finds the
//! batch open and goes on with the journal. So batches to one version come one after another, and none comes late.
//!
//! **Readers lay the journal over what they find.** They read a version's item before and after rows and entries. If it is
//! open, or has been counted up once meanwhile, they know from the journals what may be written or not, and put that in its
//! place: the answer is the rows as of one moment. If more has come, they begin again. A reader writes nothing and waits for no
//! one who carries a batch through; it waits only for the committing transaction itself, until all of its items are
//! visible, of which the journal has a list. So no answer is of an earlier batch than one before it, by rows or by
//! checkpoint, of whatever collection.
//!
//! An entry's place is its values as text in their order, then the row's key. Where no two rows may have the values, the key
//! is left out: so the entry is found by the values alone, and a batch is judged by two requests.
//!
//! Each definition has an id of its own (`ID`), which is part of the keys of its rows. A removal deletes the version and lists
//! its id in one transaction; the rows are deleted afterwards, by the same call or by the next removal or definition.
//!
//! [`RowLimits`](portolan_kernel::ports::RowLimits) are such that everything fits, whatever it holds: 100 changes and 1 MiB a
//! batch, 256 KiB a row, 320 bytes an index entry, 16 columns an index, 20 indexes and 100 columns a collection. Besides, a
//! batch changes at most 16 versions of collections; more is `TooLarge`.
//!
//! # What it costs
//!
//! In DynamoDB's units: a write unit is 1 KB, twice in a transaction; a read unit is 4 KB, strongly consistent. Small items
//! are rounded up.
//!
//! | | units |
//! |---|---|
//! | an append of one small event, alone | 10 write: head, row, record, type, category |
//! | … each tag, each further stream, its key, its checkpoint | 2 write more, each |
//! | an append in a group | 2 write for its record, and 2 for each tag, key or checkpoint; the rest is shared |
//! | an append refused | what its transaction would have cost, if it came to one; 2 to look its key up |
//! | another process was faster | what the transaction would have cost, and 1 read |
//! | an append after another process's | 1 read for its row, 1 for each of its items that is looked for |
//! | a read of a stream | 1 read for every 4 KB of it |
//! | a page of the log | 1 read to see its end, 1 for every 4 KB of rows, 1 for every record of up to 4 KB |
//! | a page by tag, type or category | the same, and 1 read for each term of the query, and 1 more |
//! | a guard | nothing where the log ends at its position; else as a page of one event |
//! | recall, a checkpoint, a look for changes | 1 read |
//! | a batch of row changes | 2 write for each row, 2 for each place in an index that it comes to, 2 for each it leaves; 12 for the batch, and its journal |
//! | rows by key, by index | 2 read, and 1 for every 4 KB; by index, 1 for every row of up to 4 KB besides |
//! | a change of a lease | 2 write, 1 read |
//!
//! `changed` looks every 10 ms at first and every 200 ms at last, for a process as a whole where its subscriptions share
//! one reader, as the kernel's do.

extern crate alloc;

mod append;
mod batches;
mod carrying;
mod cells;
mod changed;
mod checkpoints;
mod config;
#[cfg(feature = "connect")]
mod connect;
mod encoding;
mod error;
mod finding;
mod group;
mod guard;
mod heads;
mod job;
mod journal;
mod keys;
mod leases;
mod marks;
mod order;
mod outcome;
mod pieces;
mod read;
mod read_models;
mod read_stream;
mod records;
mod request;
mod rows;
mod schema;
mod snapshots;
mod streams;
mod table;
mod tail;
mod transactions;
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
        let store = Arc::new(store);
        Self::new(store.clone(), store.clone()).with_read_models(store.clone()).with_leases(store)
    }
}

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore").field("table", &self.inner.table.name).finish_non_exhaustive()
    }
}
