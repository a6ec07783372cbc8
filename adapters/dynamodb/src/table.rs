//! Requests to one table: strongly consistent reads that are repeated while DynamoDB has no answer, and transactions
//! that are not.

use crate::error::{Fault, NotWritten, fault};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, KeysAndAttributes, TransactWriteItem, WriteRequest};
use core::error::Error;
use core::time::Duration;
use futures::stream::{self, StreamExt, TryStreamExt};
use portolan_kernel::ports::Source;
use std::collections::HashMap;
use tokio::time::Instant;

/// An item, as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// Names of the attributes of every item's key.
pub(crate) const PARTITION: &str = "pk";
pub(crate) const SORT: &str = "sk";

/// Keys of one `BatchGetItem`, and writes of one `BatchWriteItem`.
const BATCH_GETS: usize = 100;
const BATCH_WRITES: usize = 25;
/// Batches that are asked for at once.
const PARALLEL: usize = 8;

/// Partition key and sort key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) partition: String,
    pub(crate) sort: String,
}

impl Key {
    pub(crate) fn item(&self) -> Item {
        HashMap::from([
            (PARTITION.to_string(), AttributeValue::S(self.partition.clone())),
            (SORT.to_string(), AttributeValue::S(self.sort.clone())),
        ])
    }

    pub(crate) fn of(item: &Item) -> Option<Self> {
        let text = |name| item.get(name)?.as_s().ok().cloned();
        Some(Self { partition: text(PARTITION)?, sort: text(SORT)? })
    }

    /// As an error names it: a place that a person can look up.
    pub(crate) fn place(&self) -> String {
        format!("item {:?}, {:?}", self.partition, self.sort)
    }
}

/// Items of one partition with sort keys from one to another, both included.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) partition: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) backward: bool,
    /// Items that one request gives at most.
    pub(crate) limit: Option<i32>,
    pub(crate) keys_only: bool,
}

/// What one request gave, and where the next goes on.
pub(crate) struct Answer {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Item>,
}

/// One table, by one client.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// How long one request may take.
    pub(crate) request_timeout: Duration,
    /// How long a request is repeated that finds no answer or no room.
    pub(crate) patience: Duration,
}

/// Pauses between repetitions: they double, and half of each is by chance, so that many do not come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) async fn pause(&mut self) {
        let most = 4_000_u64 << self.0.min(7);
        self.0 += 1;
        tokio::time::sleep(Duration::from_micros(most / 2 + fastrand::u64(..most / 2))).await;
    }
}

impl Table {
    /// One request, which has to answer in time.
    async fn once<T, E>(&self, request: impl Future<Output = Result<T, SdkError<E>>>) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match tokio::time::timeout(self.request_timeout, request).await {
            Ok(answer) => answer.map_err(fault),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> Fault {
        Fault::NoAnswer(Source::new(format!("no answer within {:?}", self.request_timeout)))
    }

    /// A request that does no harm twice, repeated until it is answered or patience ends.
    pub(crate) async fn patiently<T, E, F>(&self, request: impl Fn() -> F) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let (until, mut backoff) = (Instant::now() + self.patience, Backoff::default());
        loop {
            // The SDK's futures are large: on the heap they cost the callers' tasks nothing.
            match self.once(Box::pin(request())).await {
                Err(fault) if fault.is_passing() && Instant::now() < until => backoff.pause().await,
                answer => return answer,
            }
        }
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        let get = || {
            let get = self.client.get_item().table_name(&self.name).consistent_read(true);
            get.set_key(Some(key.item())).send()
        };
        Ok(self.patiently(get).await?.item)
    }

    /// One answer's worth of a range: at least one item, if there is one. An answer may be empty and go on all the same.
    pub(crate) async fn query(&self, range: &Range, mut start: Option<Item>) -> Result<Answer, Fault> {
        loop {
            let query = || {
                let query = self.client.query().table_name(&self.name).consistent_read(true);
                let query = query
                    .key_condition_expression("pk = :p AND sk BETWEEN :f AND :t")
                    .expression_attribute_values(":p", AttributeValue::S(range.partition.clone()))
                    .expression_attribute_values(":f", AttributeValue::S(range.from.clone()))
                    .expression_attribute_values(":t", AttributeValue::S(range.to.clone()))
                    .scan_index_forward(!range.backward)
                    .set_limit(range.limit)
                    .set_exclusive_start_key(start.clone());
                if range.keys_only { query.projection_expression("pk, sk") } else { query }.send()
            };
            let output = self.patiently(query).await?;
            let next = output.last_evaluated_key.filter(|key| !key.is_empty());
            let items = output.items.unwrap_or_default();
            if !items.is_empty() || next.is_none() {
                return Ok(Answer { items, next });
            }
            start = next;
        }
    }

    /// All of a range.
    pub(crate) async fn query_all(&self, range: &Range) -> Result<Vec<Item>, Fault> {
        let mut answer = self.query(range, None).await?;
        let mut items = answer.items;
        while let Some(start) = answer.next {
            answer = self.query(range, Some(start)).await?;
            items.append(&mut answer.items);
        }
        Ok(items)
    }

    /// The items under these keys that are there.
    pub(crate) async fn batch_get(&self, mut keys: Vec<Key>, keys_only: bool) -> Result<HashMap<Key, Item>, Fault> {
        keys.sort_unstable();
        keys.dedup();
        let batches: Vec<Vec<Item>> =
            keys.chunks(BATCH_GETS).map(|keys| keys.iter().map(Key::item).collect()).collect();
        let batches = stream::iter(batches.into_iter().map(|batch| self.batch(batch, keys_only)));
        let items: Vec<Vec<Item>> = batches.buffer_unordered(PARALLEL).try_collect().await?;
        Ok(items.into_iter().flatten().filter_map(|item| Some((Key::of(&item)?, item))).collect())
    }

    async fn batch(&self, mut keys: Vec<Item>, keys_only: bool) -> Result<Vec<Item>, Fault> {
        let (mut items, mut backoff, until) = (Vec::new(), Backoff::default(), Instant::now() + self.patience);
        loop {
            let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys.clone()));
            let request = if keys_only { request.projection_expression("pk, sk") } else { request };
            let request = request.build().map_err(|error| Fault::Refused(Source::new(error)))?;
            let get = || self.client.batch_get_item().request_items(&self.name, request.clone()).send();
            let output = self.patiently(get).await?;
            let mut answers = output.responses.unwrap_or_default();
            items.append(&mut answers.remove(&self.name).unwrap_or_default());
            let left = output.unprocessed_keys.unwrap_or_default().remove(&self.name);
            match left.map(|left| left.keys).filter(|left| !left.is_empty()) {
                None => return Ok(items),
                Some(_) if Instant::now() >= until => {
                    return Err(Fault::Throttled(Source::new("BatchGetItem leaves keys unprocessed")));
                }
                Some(left) => keys = left,
            }
            backoff.pause().await;
        }
    }

    /// Deletes what is under these keys, one by one as far as readers are concerned.
    pub(crate) async fn delete_keys(&self, keys: impl IntoIterator<Item = Key>) -> Result<(), Fault> {
        let delete = |key: Key| {
            let delete = DeleteRequest::builder().set_key(Some(key.item())).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        };
        let deletes = keys.into_iter().map(delete).collect::<Result<Vec<_>, _>>();
        self.batch_write(deletes.map_err(|error| Fault::Refused(Source::new(error)))?).await
    }

    /// Deletes or puts items, one by one as far as readers are concerned.
    async fn batch_write(&self, writes: Vec<WriteRequest>) -> Result<(), Fault> {
        for batch in writes.chunks(BATCH_WRITES) {
            let (mut batch, mut backoff, until) = (batch.to_vec(), Backoff::default(), Instant::now() + self.patience);
            while !batch.is_empty() {
                let write = || self.client.batch_write_item().request_items(&self.name, batch.clone()).send();
                let output = self.patiently(write).await?;
                batch = output.unprocessed_items.unwrap_or_default().remove(&self.name).unwrap_or_default();
                if !batch.is_empty() {
                    if Instant::now() >= until {
                        return Err(Fault::Throttled(Source::new("BatchWriteItem leaves items unprocessed")));
                    }
                    backoff.pause().await;
                }
            }
        }
        Ok(())
    }

    /// One `TransactWriteItems` under a `ClientRequestToken`. Asked again under the same token, it is carried out once.
    pub(crate) async fn transact(&self, token: &str, items: Vec<TransactWriteItem>) -> Result<(), NotWritten> {
        let request = self.client.transact_write_items().client_request_token(token).set_transact_items(Some(items));
        let answer = match tokio::time::timeout(self.request_timeout, Box::pin(request.send())).await {
            Ok(answer) => answer,
            Err(_) => return Err(NotWritten::Fault(self.late())),
        };
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    Err(NotWritten::Cancelled(cancelled.cancellation_reasons.clone().unwrap_or_default()))
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => Err(NotWritten::InProgress),
                _ => Err(NotWritten::Fault(fault(error))),
            },
        }
    }
}
