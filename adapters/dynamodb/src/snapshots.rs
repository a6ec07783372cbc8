//! Snapshots: records beside the log, keyed by revision.

use crate::Inner;
use crate::encoding::{Raw, decode, encode, format_number, format_of};
use crate::error::{Fault, NotWritten};
use crate::pieces;
use crate::rows::is_piece;
use crate::schema::{sort, up_to};
use crate::table::{Backoff, Key, Range};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use bytes::Bytes;
use portolan_kernel::ports::{Snapshot, Source};
use portolan_kernel::values::{Name, Revision, StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The largest state that is kept: it is written as one transaction, of 4 MiB at most.
pub(crate) const MAX_STATE_BYTES: u64 = 3 << 20;

/// How often a snapshot is read again that was being overwritten.
const ATTEMPTS: u32 = 5;

#[derive(Serialize, Deserialize)]
struct SnapshotRow<'a> {
    version: u32,
    format: u8,
    taken_at: u64,
    #[serde(borrow)]
    state: Raw<'a>,
}

fn sealed_snapshot(key: &Key, snapshot: &Snapshot) -> Vec<u8> {
    let row = SnapshotRow {
        version: snapshot.version,
        format: format_number(snapshot.format),
        taken_at: snapshot.taken_at.as_micros(),
        state: Raw(&snapshot.state),
    };
    pieces::sealed(key, encode(&row))
}

fn decode_snapshot(
    key: &Key,
    stream: StreamId,
    kind: Name,
    revision: Revision,
    bytes: &[u8],
) -> Result<Snapshot, Fault> {
    let row: SnapshotRow<'_> = decode(key, bytes)?;
    let format = format_of(row.format).ok_or_else(|| Fault::Damaged(key.place()))?;
    let (state, taken_at) = (Bytes::copy_from_slice(row.state.0), Timestamp::from_micros(row.taken_at));
    Ok(Snapshot::new(stream, kind, revision, row.version, state, taken_at).with_format(format))
}

impl Inner {
    pub(crate) async fn load_snapshot(
        &self,
        stream: &StreamId,
        kind: &Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, Fault> {
        let partition = self.space.snapshots(stream, kind);
        let to = up_to(at_most.map_or(u64::MAX, Revision::get));
        let range = Range { partition, from: sort(0), to, backward: true, limit: Some(1), keys_only: true };
        let mut backoff = Backoff::default();
        for attempt in 1.. {
            let found = self.table.query(&range, None).await?.items;
            let Some(newest) = found.first().and_then(Key::of) else { return Ok(None) };
            let first = newest.sort.split('.').next().unwrap_or_default().to_string();
            let key = Key { partition: newest.partition.clone(), sort: first };
            match self.read_snapshot(&key, stream, kind).await {
                Ok(Some(snapshot)) => return Ok(Some(snapshot)),
                Err(Fault::Damaged(_)) | Ok(None) if attempt < ATTEMPTS => backoff.pause().await,
                Ok(None) => return Err(Fault::Damaged(key.place())),
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    async fn read_snapshot(&self, key: &Key, stream: &StreamId, kind: &Name) -> Result<Option<Snapshot>, Fault> {
        let damaged = || Fault::Damaged(key.place());
        let Some(first) = self.table.get(key).await? else { return Ok(None) };
        let mut found = std::collections::HashMap::from([(key.clone(), first)]);
        let keys: Vec<_> = pieces::keys(key, pieces::further_of(&found[key])).skip(1).collect();
        if !keys.is_empty() {
            found.extend(self.table.batch_get(keys, false).await?);
        }
        let bytes = pieces::joined(key, |key| found.get(key)).ok_or_else(damaged)??;
        let revision = Revision::new(key.sort.parse().map_err(|_| damaged())?);
        decode_snapshot(key, stream.clone(), kind.clone(), revision, &bytes).map(Some)
    }

    pub(crate) async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let partition = self.space.snapshots(&snapshot.stream, &snapshot.kind);
        let key = Key { partition, sort: sort(snapshot.revision.get()) };
        let items = pieces::cut(&key, &sealed_snapshot(&key, snapshot));
        if let [item] = &items[..] {
            let put = || self.table.client.put_item().table_name(&self.table.name).set_item(Some(item.clone())).send();
            return self.table.patiently(put).await.map(drop);
        }
        let put = |item| {
            let put = Put::builder().table_name(&self.table.name).set_item(Some(item)).build();
            put.map(|put| TransactWriteItem::builder().put(put).build())
        };
        let puts = items.into_iter().map(put).collect::<Result<Vec<_>, _>>();
        let puts = puts.map_err(|error| Fault::Refused(Source::new(error)))?;
        let (token, mut backoff) = (format!("{:032x}", fastrand::u128(..)), Backoff::default());
        let until = Instant::now() + self.table.patience;
        loop {
            let fault = match self.table.transact(&token, puts.clone()).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Fault(fault)) if !fault.is_passing() => return Err(fault),
                Err(NotWritten::Fault(fault)) => fault,
                Err(NotWritten::InProgress | NotWritten::Cancelled(_)) => {
                    Fault::Throttled(Source::new("another transaction writes the same snapshot"))
                }
            };
            if Instant::now() >= until {
                return Err(fault);
            }
            backoff.pause().await;
        }
    }

    pub(crate) async fn delete_snapshots(
        &self,
        stream: &StreamId,
        kind: &Name,
        below: Option<Revision>,
    ) -> Result<(), Fault> {
        let to = match below {
            None => up_to(u64::MAX),
            Some(below) => match below.get().checked_sub(1) {
                Some(last) => up_to(last),
                None => return Ok(()),
            },
        };
        let partition = self.space.snapshots(stream, kind);
        let range = Range { partition, from: sort(0), to, backward: false, limit: None, keys_only: true };
        let mut keys: Vec<Key> = self.table.query_all(&range).await?.iter().filter_map(Key::of).collect();
        // Pieces go before their first, so that what is left of a deletion cut short is not taken for damage.
        keys.sort_by_key(|key| (key.sort.split('.').next().map(str::to_string), !is_piece(key)));
        self.table.delete_keys(keys).await
    }
}
