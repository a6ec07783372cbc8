//! What the items hold, and how it is written: postcard's encoding, which is close to the bytes themselves.

use crate::error::Fault;
use crate::pieces;
use crate::schema::Space;
use crate::table::{Item, Key};
use alloc::sync::Arc;
use bytes::Bytes;
use portolan_kernel::ports::Snapshot;
use portolan_kernel::values::{
    Appended, EventId, EventType, Format, Name, NewEvent, Position, Recalled, Recorded, Revision, StreamId, Tag,
    Timestamp,
};
use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Identifies one transaction: its `ClientRequestToken`, and how its outcome is recognised afterwards.
pub(crate) type Token = [u8; 16];

/// Bytes, written at once and not one by one.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Raw<'de>, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    // Only a sequence of unknown length or a full buffer could fail, and there is neither.
    postcard::to_allocvec(row).unwrap_or_default()
}

fn decode<'a, T: Deserialize<'a>>(key: &Key, bytes: &'a [u8]) -> Result<T, Fault> {
    postcard::from_bytes(bytes).map_err(|_| Fault::Damaged(key.place()))
}

fn position(number: u64) -> Option<Position> {
    Position::new(number)
}

// ---- events of a stream

#[derive(Serialize, Deserialize)]
struct EventsRow<'a> {
    recorded_at: u64,
    #[serde(borrow)]
    events: Vec<EventRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct EventRow<'a> {
    position: u64,
    id: [u8; 16],
    event_type: &'a str,
    version: u32,
    format: u8,
    payload: Raw<'a>,
    metadata: Raw<'a>,
    tags: Vec<&'a str>,
}

/// Some events of one stream, in order, as one record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Events {
    pub(crate) events: Vec<Arc<Recorded>>,
}

impl Events {
    pub(crate) fn first(&self) -> u64 {
        self.events.first().map_or(0, |event| event.revision.get())
    }

    pub(crate) fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.revision.get())
    }

    /// The record of these events at these positions, under its key.
    pub(crate) fn sealed<'e>(
        key: &Key,
        at: Timestamp,
        events: impl Iterator<Item = (&'e NewEvent, u64)>,
    ) -> Vec<u8> {
        let event = |(event, position): (&'e NewEvent, u64)| EventRow {
            position,
            id: *event.id.as_bytes(),
            event_type: &event.event_type,
            version: event.version,
            format: format_number(event.format),
            payload: Raw(&event.payload),
            metadata: Raw(&event.metadata),
            tags: event.tags.iter().map(|tag| &**tag).collect(),
        };
        let row = EventsRow { recorded_at: at.as_micros(), events: events.map(event).collect() };
        pieces::sealed(key, encode(&row))
    }

    pub(crate) fn decode(key: &Key, stream: &StreamId, first: u64, bytes: Vec<u8>) -> Result<Self, Fault> {
        let damaged = || Fault::Damaged(key.place());
        let bytes = Bytes::from(bytes);
        let row: EventsRow<'_> = decode(key, &bytes)?;
        let at = Timestamp::from_micros(row.recorded_at);
        let event = |(row, revision): (&EventRow<'_>, u64)| {
            let tags = row.tags.iter().map(|tag| Tag::new(*tag).ok()).collect::<Option<Vec<_>>>()?;
            let event = NewEvent::new(stream.clone(), EventType::new(row.event_type).ok()?, bytes.slice_ref(row.payload.0))
                .with_id(EventId::from_bytes(row.id))
                .with_version(row.version)
                .with_format(format_of(row.format)?)
                .with_metadata(bytes.slice_ref(row.metadata.0))
                .with_tags(tags);
            Some(Arc::new(Recorded::new(event, Revision::new(revision), position(row.position)?, at)))
        };
        let events = row.events.iter().zip(first..).map(event).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        if events.is_empty() { Err(damaged()) } else { Ok(Self { events }) }
    }
}

fn format_number(format: Format) -> u8 {
    match format {
        Format::Json => 0,
        _ => 1,
    }
}

fn format_of(number: u8) -> Option<Format> {
    match number {
        0 => Some(Format::Json),
        1 => Some(Format::Binary),
        _ => None,
    }
}

// ---- the log

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

// ---- keys

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

// ---- snapshots

#[derive(Serialize, Deserialize)]
struct SnapshotRow<'a> {
    version: u32,
    format: u8,
    taken_at: u64,
    #[serde(borrow)]
    state: Raw<'a>,
}

pub(crate) fn sealed_snapshot(key: &Key, snapshot: &Snapshot) -> Vec<u8> {
    let row = SnapshotRow {
        version: snapshot.version,
        format: format_number(snapshot.format),
        taken_at: snapshot.taken_at.as_micros(),
        state: Raw(&snapshot.state),
    };
    pieces::sealed(key, encode(&row))
}

pub(crate) fn decode_snapshot(
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
