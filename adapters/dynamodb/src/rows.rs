//! Rows of the log: what one transaction wrote, by names and places, without payloads.

use crate::encoding::{decode, encode};
use crate::error::Fault;
use crate::pieces;
use crate::schema::Space;
use crate::table::{Item, Key};
use alloc::sync::Arc;
use bytes::Bytes;
use portolan_kernel::values::{EventType, NewEvent, StreamId, Tag};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Identifies one transaction: its `ClientRequestToken`, and how its outcome is recognised afterwards.
pub(crate) type Token = [u8; 16];

#[derive(Serialize, Deserialize)]
struct LogRow<'a> {
    first: u64,
    whole: u64,
    token: Token,
    wide: bool,
    /// Each name once; what follows points here.
    #[serde(borrow)]
    names: Vec<&'a str>,
    parts: Vec<PartRow>,
    entries: Vec<EntryRow>,
}

#[derive(Serialize, Deserialize)]
struct PartRow {
    stream: u32,
    first: u64,
    records: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
struct EntryRow {
    part: u32,
    event_type: u32,
    tags: Vec<u32>,
}

/// A record of a stream's events, as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) events: u32,
    /// Pieces beside its first.
    pub(crate) further: u32,
    pub(crate) bytes: u32,
}

/// What one transaction wrote into one stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) stream: StreamId,
    /// The revision of the first event.
    pub(crate) first: u64,
    pub(crate) records: Vec<Record>,
}

impl Part {
    pub(crate) fn last(&self) -> u64 {
        let events: u64 = self.records.iter().map(|record| u64::from(record.events)).sum();
        (self.first + events).saturating_sub(1)
    }

    /// Each record with the revision of its first event.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, Record)> + '_ {
        self.records.iter().scan(self.first, |next, record| {
            let first = *next;
            *next += u64::from(record.events);
            Some((first, *record))
        })
    }
}

/// An event in the log: names only, and where the event itself is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Stream, type and tags.
    pub(crate) names: NewEvent,
    pub(crate) part: usize,
    pub(crate) revision: u64,
}

/// What one transaction wrote into the log: positions from `first` on, one for each entry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Up to here its writer knew every item of every transaction to be visible.
    pub(crate) whole: u64,
    pub(crate) token: Token,
    /// Listed under `wide` instead of under each term.
    pub(crate) wide: bool,
    pub(crate) parts: Vec<Part>,
    pub(crate) entries: Vec<Entry>,
    /// Pieces of the log's own item beside its first.
    pub(crate) further: u32,
    /// About what it takes in memory and in an answer.
    pub(crate) bytes: usize,
}

impl Row {
    pub(crate) fn position(&self, entry: usize) -> u64 {
        self.first + entry as u64
    }

    /// The record that holds an entry's event: its key, and the revision of its first event.
    pub(crate) fn record_of(&self, entry: &Entry) -> Option<(&Part, u64, Record)> {
        let part = self.parts.get(entry.part)?;
        let found = part.records().take_while(|(first, _)| *first <= entry.revision).last();
        found.map(|(first, record)| (part, first, record))
    }

    /// The keys of all items that the transaction wrote for readers: the log's, the streams', the index's.
    pub(crate) fn keys(&self, space: &Space) -> Vec<Key> {
        let mut keys: Vec<Key> = pieces::keys(&space.log_at(self.last), self.further).collect();
        for part in &self.parts {
            for (first, record) in part.records() {
                keys.extend(pieces::keys(&space.stream_at(&part.stream, first), record.further));
            }
        }
        let sort = space.log_at(self.last).sort;
        keys.extend(self.terms(space).into_iter().map(|partition| Key { partition, sort: sort.clone() }));
        keys
    }

    /// The partitions of the index that list it.
    pub(crate) fn terms(&self, space: &Space) -> BTreeSet<String> {
        if self.wide {
            return BTreeSet::from([space.wide()]);
        }
        self.entries.iter().flat_map(|entry| space.terms(&entry.names)).collect()
    }

    pub(crate) fn sealed(&self, key: &Key) -> Vec<u8> {
        let mut names = Names::default();
        let part = |part: &'_ Part, stream| PartRow { stream, first: part.first, records: part.records.clone() };
        let parts = self.parts.iter().map(|of| part(of, names.number(&of.stream))).collect();
        let mut entries = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let event_type = names.number(&entry.names.event_type);
            let tags = entry.names.tags.iter().map(|tag| names.number(tag)).collect();
            entries.push(EntryRow { part: narrow(entry.part), event_type, tags });
        }
        let names = names.names;
        let (first, whole, token, wide) = (self.first, self.whole, self.token, self.wide);
        pieces::sealed(key, encode(&LogRow { first, whole, token, wide, names, parts, entries }))
    }

    pub(crate) fn decode(key: &Key, further: u32, bytes: &[u8]) -> Result<Self, Fault> {
        Self::read(key, further, bytes)?.ok_or_else(|| Fault::Damaged(key.place()))
    }

    fn read(key: &Key, further: u32, bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let row: LogRow<'_> = decode(key, bytes)?;
        Ok((|| {
            let text = |number: u32| row.names.get(number as usize).copied();
            let part = |part: &PartRow| {
                let stream = StreamId::new(text(part.stream)?).ok()?;
                Some(Part { stream, first: part.first, records: part.records.clone() })
            };
            let parts = row.parts.iter().map(part).collect::<Option<Vec<_>>>()?;
            let mut next: Vec<u64> = parts.iter().map(|part| part.first).collect();
            let mut entry = |entry: &EntryRow| {
                let part = parts.get(entry.part as usize)?;
                let tags = entry.tags.iter().map(|tag| Tag::new(text(*tag)?).ok()).collect::<Option<Vec<_>>>()?;
                let event_type = EventType::new(text(entry.event_type)?).ok()?;
                let revision = next.get_mut(entry.part as usize)?;
                *revision += 1;
                let names = NewEvent::new(part.stream.clone(), event_type, Bytes::new()).with_tags(tags);
                Some(Entry { names, part: entry.part as usize, revision: *revision - 1 })
            };
            let entries = row.entries.iter().map(&mut entry).collect::<Option<Vec<_>>>()?;
            let last = (row.first + entries.len() as u64).checked_sub(1)?;
            (key.sort == crate::schema::sort(last)).then_some(Self {
                first: row.first,
                last,
                whole: row.whole,
                token: row.token,
                wide: row.wide,
                parts,
                entries,
                further,
                bytes: 2 * bytes.len(),
            })
        })())
    }
}

/// Names with numbers, each name once.
#[derive(Default)]
struct Names<'a> {
    names: Vec<&'a str>,
    numbers: BTreeMap<&'a str, u32>,
}

impl<'a> Names<'a> {
    fn number(&mut self, name: &'a str) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            narrow(self.names.len() - 1)
        })
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Takes the whole rows off the front of these items of the log, in their order. A row of which a piece is missing
/// stays, with all that follow.
pub(crate) fn take_rows(space: &Space, items: &mut Vec<Item>) -> Result<Vec<Arc<Row>>, Fault> {
    let keyed: Vec<(Key, &Item)> = items.iter().filter_map(|item| Some((Key::of(item)?, item))).collect();
    let found: HashMap<&Key, &Item> = keyed.iter().map(|(key, item)| (key, *item)).collect();
    let (mut rows, mut taken) = (Vec::new(), 0);
    for (key, item) in &keyed {
        if is_piece(key) {
            continue;
        }
        debug_assert_eq!(key.partition, space.log());
        let Some(bytes) = pieces::joined(key, |key| found.get(key).copied()) else { break };
        let further = pieces::further_of(item);
        rows.push(Arc::new(Row::decode(key, further, &bytes?)?));
        taken += 1 + further as usize;
    }
    items.drain(..taken.min(items.len()));
    Ok(rows)
}

/// Whether the item is a further piece of another.
pub(crate) fn is_piece(key: &Key) -> bool {
    key.sort.contains('.')
}
