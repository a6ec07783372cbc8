//! Records of one stream: items keyed by the revision of their first event.

use crate::error::Fault;
use crate::pieces;
use crate::records::Events;
use crate::rows::is_piece;
use crate::schema::{POSITION, Space, sort, up_to};
use crate::table::{Item, Key, Range, Table};
use portolan_kernel::values::StreamId;
use std::collections::HashMap;

/// Records in order of the read, and whether there are more.
pub(crate) struct Records {
    pub(crate) records: Vec<Events>,
    pub(crate) more: bool,
    /// The position of a record that is not all there, at which the rest ends.
    pub(crate) torn: Option<u64>,
}

/// Reads a stream's records.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a> {
    pub(crate) table: &'a Table,
    pub(crate) space: &'a Space,
}

impl Streams<'_> {
    /// Records whose first revision lies within both bounds, as many as one request gives, and at least one if there
    /// is one.
    pub(crate) async fn records(
        &self,
        stream: &StreamId,
        from: u64,
        to: u64,
        backward: bool,
        limit: Option<u32>,
    ) -> Result<Records, Fault> {
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX).max(1));
        let (from, to) = (sort(from), up_to(to));
        let range = Range { partition: self.space.stream(stream), from, to, backward, limit, keys_only: false };
        let answer = self.table.query(&range, None).await?;
        let mut more = answer.next.is_some();
        let keyed: Vec<(Key, Item)> =
            answer.items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))).collect();
        // Further pieces come after their first, or before it when read backward; either may be cut off.
        let mut firsts: Vec<Key> = Vec::new();
        for (key, _) in &keyed {
            let first = Key {
                partition: key.partition.clone(),
                sort: key.sort.split('.').next().unwrap_or_default().to_string(),
            };
            if firsts.last() != Some(&first) {
                firsts.push(first);
            }
        }
        let mut found: HashMap<Key, Item> = keyed.into_iter().collect();
        let (mut records, mut torn) = (Vec::with_capacity(firsts.len()), None);
        for (n, key) in firsts.iter().enumerate() {
            if pieces::joined(key, |key| found.get(key)).is_none() {
                if n > 0 {
                    more = true;
                    break;
                }
                self.complete(key, &mut found).await?;
            }
            let Some(bytes) = pieces::joined(key, |key| found.get(key)) else {
                // Of a transaction that is not wholly visible yet, or damaged: its position tells.
                let pieces = found.iter().filter(|(piece, _)| piece.sort.starts_with(&key.sort));
                let position = pieces.filter_map(|(_, item)| item.get(POSITION)?.as_n().ok()?.parse().ok()).next();
                (more, torn) = (false, Some(position.unwrap_or(u64::MAX)));
                break;
            };
            records.push(Events::decode(key, stream, revision(key)?, bytes?)?);
        }
        Ok(Records { records, more, torn })
    }

    /// Fetches the pieces of one record that an answer cut off.
    async fn complete(&self, key: &Key, found: &mut HashMap<Key, Item>) -> Result<(), Fault> {
        if !found.contains_key(key)
            && let Some(first) = self.table.get(key).await?
        {
            found.insert(key.clone(), first);
        }
        if let Some(first) = found.get(key) {
            let keys = pieces::keys(key, pieces::further_of(first)).collect();
            found.extend(self.table.batch_get(keys, false).await?);
        }
        Ok(())
    }

    /// The record that holds this revision, or the last one if the stream ends before it.
    pub(crate) async fn at(&self, stream: &StreamId, revision: u64) -> Result<Option<Events>, Fault> {
        Ok(self.records(stream, 0, revision, true, Some(1)).await?.records.into_iter().next())
    }

    /// These records, each by the key of its first item and the revision of its first event.
    pub(crate) async fn fetch(&self, wanted: Vec<(Key, StreamId, u64, u32)>) -> Result<HashMap<Key, Events>, Fault> {
        let keys = wanted.iter().flat_map(|(key, _, _, further)| pieces::keys(key, *further)).collect();
        let found = self.table.batch_get(keys, false).await?;
        let record = |(key, stream, first, _): (Key, StreamId, u64, u32)| {
            // The log tells of it, and all of the log up to there is visible: so it has to be there.
            let bytes = pieces::joined(&key, |key| found.get(key)).ok_or_else(|| Fault::Damaged(key.place()))??;
            let events = Events::decode(&key, &stream, first, bytes)?;
            Ok((key, events))
        };
        wanted.into_iter().map(record).collect()
    }
}

fn revision(key: &Key) -> Result<u64, Fault> {
    debug_assert!(!is_piece(key));
    key.sort.parse().map_err(|_| Fault::Damaged(key.place()))
}
