//! Idempotency keys: one item each (ES-09).

use crate::encoding::{Raw, decode, encode, position};
use crate::error::{Fault, NotWritten};
use crate::pieces;
use crate::rows::Token;
use crate::table::{Backoff, Item, Key, Table};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use bytes::Bytes;
use core::time::Duration;
use portolan_kernel::ports::Source;
use portolan_kernel::values::{Appended, Position, Recalled, Revision, StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

#[derive(Serialize, Deserialize)]
struct KeyRow<'a> {
    token: Token,
    recorded_at: u64,
    digest: [u8; 32],
    note: Raw<'a>,
    first: Option<u64>,
    last: Option<u64>,
    #[serde(borrow)]
    streams: Vec<(&'a str, Option<u64>)>,
}

/// What is recorded under an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// The transaction that recorded it.
    pub(crate) token: Token,
    pub(crate) recorded_at: Timestamp,
    pub(crate) recalled: Recalled,
}

impl Kept {
    pub(crate) fn sealed(&self, key: &Key) -> Vec<u8> {
        let appended = &self.recalled.appended;
        let row = KeyRow {
            token: self.token,
            recorded_at: self.recorded_at.as_micros(),
            digest: self.recalled.digest,
            note: Raw(&appended.note),
            first: appended.first.map(Position::get),
            last: appended.last.map(Position::get),
            streams: appended.streams.iter().map(|(name, last)| (&**name, last.map(Revision::get))).collect(),
        };
        pieces::sealed(key, encode(&row))
    }

    pub(crate) fn decode(key: &Key, item: &Item) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged(key.place());
        let bytes = pieces::joined(key, |asked| (asked == key).then_some(item)).ok_or_else(damaged)??;
        let row: KeyRow<'_> = decode(key, &bytes)?;
        let at = |number: Option<u64>| number.map_or(Some(None), |number| position(number).map(Some));
        let stream = |(name, last): &(&str, Option<u64>)| Some((StreamId::new(*name).ok()?, last.map(Revision::new)));
        let appended = (|| {
            let streams = row.streams.iter().map(stream).collect::<Option<Vec<_>>>()?;
            Some(Appended::new(at(row.first)?, at(row.last)?, streams))
        })();
        let appended = appended.ok_or_else(damaged)?.with_note(Bytes::copy_from_slice(row.note.0)).as_repeated();
        Ok(Self {
            token: row.token,
            recorded_at: Timestamp::from_micros(row.recorded_at),
            recalled: Recalled::new(appended, row.digest),
        })
    }
}

/// That nothing is recorded under the key, or only what has expired, deleted or not.
pub(crate) const FREE: &str = "attribute_not_exists(pk) OR r <= :e";

/// What DynamoDB waits beyond the retention before it deletes: its clock is not the store's.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The value of `:e`: what was recorded by then is expired.
pub(crate) fn expired_if_recorded_by(retention: Option<Duration>, now: Timestamp) -> AttributeValue {
    let micros = |retention: Duration| u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
    let by = retention.and_then(|retention| now.as_micros().checked_sub(micros(retention)));
    AttributeValue::N(by.map_or_else(|| "-1".to_string(), |by| by.to_string()))
}

pub(crate) fn is_expired(recorded_at: Timestamp, retention: Option<Duration>, now: Timestamp) -> bool {
    retention.is_some_and(|retention| now >= recorded_at.plus(retention))
}

/// When DynamoDB may delete a key that is recorded now, in seconds since the Unix epoch. By the machine's time, since
/// that is what DynamoDB goes by, whatever the store's clock says.
pub(crate) fn time_to_live(retention: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_add(retention).saturating_add(GRACE).as_secs()
}

/// What is recorded under a key, as a plain read finds it: enough unless a transaction is just being carried out.
pub(crate) async fn read(
    table: &Table,
    key: &Key,
    retention: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Kept>, Fault> {
    let Some(item) = table.get(key).await? else { return Ok(None) };
    let kept = Kept::decode(key, &item)?;
    Ok((!is_expired(kept.recorded_at, retention, now)).then_some(kept))
}

/// What is recorded under a key, by a condition: a plain read may see the events of an append before its key.
pub(crate) async fn look_up(
    table: &Table,
    key: &Key,
    retention: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Kept>, Fault> {
    let check = ConditionCheck::builder()
        .table_name(&table.name)
        .set_key(Some(key.item()))
        .condition_expression(FREE)
        .expression_attribute_values(":e", expired_if_recorded_by(retention, now))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|error| Fault::Refused(Source::new(error)))?;
    let items = vec![TransactWriteItem::builder().condition_check(check).build()];
    let (until, mut backoff) = (Instant::now() + table.patience, Backoff::default());
    loop {
        // A check leaves nothing behind, so each is a request of its own.
        let token = format!("{:032x}", fastrand::u128(..));
        let reasons = match table.transact(&token, items.clone()).await {
            Ok(()) => return Ok(None),
            Err(NotWritten::Cancelled(reasons)) => reasons,
            Err(NotWritten::Fault(fault)) if !fault.is_passing() || Instant::now() >= until => return Err(fault),
            Err(NotWritten::Fault(_) | NotWritten::InProgress) => Vec::new(),
        };
        if let Some(reason) = reasons.iter().find(|reason| reason.code() == Some("ConditionalCheckFailed")) {
            return match &reason.item {
                Some(item) if !item.is_empty() => Kept::decode(key, item).map(Some),
                _ => read(table, key, retention, now).await,
            };
        }
        if Instant::now() >= until {
            let source = Source::new("the key is busy in other transactions");
            return Err(Fault::Throttled(source));
        }
        backoff.pause().await;
    }
}
