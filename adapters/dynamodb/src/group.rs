//! The plan of a group: several appends as one transaction, each judged on what those before it will have written.

use crate::job::{Answer, Job, Need};
use crate::pieces::{self, PIECE_BYTES};
use crate::records::Events;
use crate::request::Request;
use crate::rows::{Entry, Part, Record, Row, Token};
use crate::schema::Space;
use crate::table::Key;
use crate::tail::State;
use alloc::sync::Arc;
use aws_sdk_dynamodb::types::TransactWriteItem;
use bytes::Bytes;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Limits, StoreId, streams_of};
use portolan_kernel::values::{
    Append, Appended, Expected, Move, Name, NewEvent, Position, Query, Revision, StreamId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// What DynamoDB takes in one transaction, and how much of its 4 MiB is used.
const TRANSACTION_ITEMS: usize = 100;
const GROUP_BYTES: u64 = 3 << 20;

/// Events of one stream share a record up to here; a larger one has a record of its own.
const RECORD_BYTES: u64 = 128 << 10;

/// Limits with which every append fits one transaction of 100 items and 4 MiB, whatever it consists of: 50 streams
/// and what their 1.5 MiB and 1,000 events need beside one record each (30), the log's item (6, were all of it names), its
/// head, the key, the checkpoint and the index (1, at worst).
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.append_events, limits.append_bytes, limits.append_streams) = (1_000, 1_536 << 10, 50);
    (limits.event_bytes, limits.page_events) = (1 << 20, 1_000);
    limits
}

/// Whether a job joins the group.
pub(crate) enum Verdict {
    Joins(Joining),
    /// It depends on what the group has yet to write.
    Waits,
    /// There is no room left for it.
    Full,
    Answer(Answer),
    Needs(Need),
}

/// What judging has found out, for joining.
pub(crate) struct Joining {
    lasts: BTreeMap<StreamId, Option<u64>>,
    size: Size,
    terms: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    items: usize,
    bytes: u64,
    log_bytes: u64,
}

struct Written {
    /// The revision of the first event written.
    first: u64,
    /// Job, event and position of each.
    events: Vec<(usize, usize, u64)>,
    bytes: u64,
}

impl Written {
    fn last(&self) -> u64 {
        (self.first + self.events.len() as u64).saturating_sub(1)
    }
}

/// Whose condition failed, if it is that of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    LogHead,
    Stream(StreamId),
    Key(usize),
    Checkpoint(usize),
    Nobody,
}

/// Appends that become one transaction.
pub(crate) struct Group {
    base: u64,
    whole: u64,
    at: Timestamp,
    pub(crate) jobs: Vec<Job>,
    outcomes: Vec<Appended>,
    written: BTreeMap<StreamId, Written>,
    checked: BTreeMap<StreamId, u64>,
    entries: Vec<(StreamId, usize, usize)>,
    terms: BTreeSet<String>,
    keys: BTreeSet<(Name, Name)>,
    checkpoints: BTreeSet<Name>,
    guarded: bool,
    size: Size,
}

/// A group as a request, which can be made again and again.
pub(crate) struct Sealed {
    pub(crate) token: Token,
    pub(crate) items: Vec<TransactWriteItem>,
    pub(crate) owners: Vec<Owner>,
    pub(crate) base: u64,
    pub(crate) row: Option<Arc<Row>>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) outcomes: Vec<Appended>,
}

/// What all groups of one log have in common.
pub(crate) struct Frame<'a> {
    pub(crate) table: &'a str,
    pub(crate) space: &'a Space,
    pub(crate) identity: StoreId,
    pub(crate) retention: Option<Duration>,
}

fn event_bytes(event: &NewEvent) -> u64 {
    event.bytes() + 64 + 4 * event.tags.len() as u64
}

fn log_bytes(event: &NewEvent) -> u64 {
    let tags: usize = event.tags.iter().map(|tag| tag.len() + 4).sum();
    (tags + event.event_type.len() + 24) as u64
}

/// Items that so many bytes of one stream take at most.
fn records(bytes: u64) -> usize {
    usize::try_from(1 + 2 * bytes / RECORD_BYTES).unwrap_or(usize::MAX)
}

impl Group {
    pub(crate) fn new(state: &State, at: Timestamp) -> Self {
        Self {
            base: state.read,
            whole: state.whole,
            at,
            jobs: Vec::new(),
            outcomes: Vec::new(),
            written: BTreeMap::new(),
            checked: BTreeMap::new(),
            entries: Vec::new(),
            terms: BTreeSet::new(),
            keys: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
            guarded: false,
            // The log's head and item.
            size: Size { items: 2, bytes: 1_024, log_bytes: 128 },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Judges a job in the order of the port: expectations, guard, checkpoint. (Limits come before, and the key is asked
    /// again before any refusal.)
    pub(crate) fn judge(&self, job: &mut Job, state: &mut State, space: &Space) -> Verdict {
        let job = &mut job.order;
        let append = job.append.clone();
        let observed = state.is_observed_since(job.since);
        // A refusal stands on what was seen after the append was asked for; what is known may be older.
        let proven = |answer| if observed { Verdict::Answer(answer) } else { Verdict::Needs(Need::End) };
        let refused = |error| proven(Answer::Refused(error));
        if append.key.as_ref().is_some_and(|key| self.keys.contains(&(key.scope.clone(), key.id.clone()))) {
            return Verdict::Waits;
        }

        let (mut lasts, mut unknown) = (BTreeMap::new(), Vec::new());
        let expected: BTreeMap<_, _> = append.expect.iter().map(|(stream, expected)| (stream, *expected)).collect();
        for stream in streams_of(&append) {
            let planned = self.written.get(stream).map(|written| Some(written.last()));
            let guess = job.guesses && expected.get(stream) == Some(&Expected::NoStream);
            let Some(last) = planned.or_else(|| state.heads.get(stream)).or(guess.then_some(None)) else {
                unknown.push(stream.clone());
                continue;
            };
            let actual = last.map(Revision::new);
            match expected.get(stream) {
                Some(expected) if !expected.holds(actual) => {
                    if planned.is_some() {
                        return Verdict::Waits;
                    }
                    return refused(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
                }
                _ => lasts.insert(stream.clone(), last),
            };
        }
        if !unknown.is_empty() {
            return Verdict::Needs(Need::Heads(unknown));
        }

        if let Some(guard) = &append.guard {
            if guard.after.is_some_and(|after| after.get() > state.read) {
                let end = state.read;
                return refused(AppendError::Invalid(format!("the guard's position is past the frontier, {end}")));
            }
            if let Some(position) = job.forbidden {
                return Verdict::Answer(Answer::Refused(AppendError::GuardFailed { position }));
            }
            let Some(since) = job.guarded.and_then(|checked| state.rows_after(checked)) else {
                return Verdict::Needs(Need::Guard);
            };
            let checked = job.guarded.max(guard.after.map(Position::get)).unwrap_or(0);
            if let Some(position) = since.filter_map(|row| first_match(row, checked, &guard.none_of)).next() {
                return refused(AppendError::GuardFailed { position });
            }
            job.guarded = Some(state.read);
            if self.events().any(|event| guard.none_of.matches(event)) {
                return Verdict::Waits;
            }
        }

        if let Some(checkpoint) = &append.checkpoint {
            if self.checkpoints.contains(&checkpoint.name) {
                return Verdict::Waits;
            }
            if let Some(moved) = &job.moved {
                return refused(moved.clone());
            }
            if let Move::At(to) | Move::Reset(Some(to)) = checkpoint.to
                && to.get() > state.read
            {
                let name = &checkpoint.name;
                let error = AppendError::Invalid(format!("checkpoint {name} would move past the frontier"));
                return proven(Answer::Beyond(error));
            }
        }

        let terms: BTreeSet<String> = append
            .events
            .iter()
            .flat_map(|event| space.terms(event))
            .filter(|term| !self.terms.contains(term))
            .collect();
        let size = self.size_with(&append, &terms);
        let fits = size.items <= TRANSACTION_ITEMS && size.bytes <= GROUP_BYTES;
        if fits || self.is_empty() { Verdict::Joins(Joining { lasts, size, terms }) } else { Verdict::Full }
    }

    fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.jobs.iter().flat_map(|job| &job.order.append.events)
    }

    /// The size of the group with this append in it, at most.
    fn size_with(&self, append: &Append, terms: &BTreeSet<String>) -> Size {
        let mut size = self.size;
        let mut streams: BTreeMap<&StreamId, u64> = BTreeMap::new();
        for event in &append.events {
            *streams.entry(&event.stream).or_default() += event_bytes(event);
            size.log_bytes += log_bytes(event);
        }
        for (stream, bytes) in &streams {
            let before = self.written.get(*stream).map(|written| written.bytes);
            size.items += records(before.unwrap_or(0) + bytes) - before.map_or(0, records);
            size.bytes += bytes + 200 + stream.len() as u64;
            size.log_bytes += if before.is_none() { 16 + stream.len() as u64 } else { 0 };
        }
        let checked = append.expect.iter().map(|(stream, _)| stream).filter(|stream| !streams.contains_key(stream));
        size.items += checked.count();
        size.items += terms.len() + usize::from(append.key.is_some()) + usize::from(append.checkpoint.is_some());
        size.bytes += terms.iter().map(|term| term.len() as u64 + 60).sum::<u64>();
        if let Some(key) = &append.key {
            let names: usize = streams_of(append).iter().map(|stream| stream.len() + 12).sum();
            size.bytes += (key.note.len() + names + key.scope.len() + key.id.len() + 200) as u64;
        }
        let pieces = |bytes: u64| usize::try_from(bytes / PIECE_BYTES as u64).unwrap_or(0);
        size.items += pieces(size.log_bytes) - pieces(self.size.log_bytes);
        size.bytes += size.log_bytes - self.size.log_bytes;
        size
    }

    /// Takes a job in, which gets the next positions and revisions.
    pub(crate) fn join(&mut self, job: Job, joining: Joining) {
        let append = job.order.append.clone();
        let (number, Joining { mut lasts, size, terms }) = (self.jobs.len(), joining);
        let first = self.base + self.entries.len() as u64 + 1;
        for (at, event) in append.events.iter().enumerate() {
            let last = lasts.entry(event.stream.clone()).or_default();
            let revision = last.map_or(0, |last| last + 1);
            *last = Some(revision);
            let written = self.written.entry(event.stream.clone()).or_insert_with(|| Written {
                first: revision,
                events: Vec::new(),
                bytes: 0,
            });
            written.events.push((number, at, first + at as u64));
            written.bytes += event_bytes(event);
            self.entries.push((event.stream.clone(), number, at));
            // What is put under the key of a check is the check.
            self.checked.remove(&event.stream);
        }
        for (stream, _) in &append.expect {
            if !self.written.contains_key(stream) {
                self.checked.insert(stream.clone(), lasts[stream].map_or(0, |last| last + 1));
            }
        }
        let at = |number| (!append.events.is_empty()).then(|| Position::new(number)).flatten();
        let last_of = |stream: &StreamId| (stream.clone(), lasts.get(stream).copied().flatten().map(Revision::new));
        let streams = streams_of(&append).into_iter().map(last_of).collect();
        let mut outcome = Appended::new(at(first), at(self.base + self.entries.len() as u64), streams);
        if let Some(key) = &append.key {
            outcome = outcome.with_note(key.note.clone());
            self.keys.insert((key.scope.clone(), key.id.clone()));
        }
        self.checkpoints.extend(append.checkpoint.as_ref().map(|checkpoint| checkpoint.name.clone()));
        self.guarded |= append.guard.is_some();
        self.terms.extend(terms);
        self.size = size;
        self.outcomes.push(outcome);
        self.jobs.push(job);
    }

    /// The request.
    pub(crate) fn seal(self, frame: &Frame<'_>, token: Token) -> Sealed {
        let mut request = Request::new(frame);
        let end = self.base + self.entries.len() as u64;
        let row = if self.entries.is_empty() {
            if self.guarded {
                request.check_head(self.base);
            }
            None
        } else {
            request.move_head(self.base, end);
            Some(self.put_events(&mut request, token, end))
        };
        for (stream, revision) in &self.checked {
            request.check_absent(&frame.space.stream_at(stream, *revision), Owner::Stream(stream.clone()));
        }
        for (number, (job, outcome)) in self.jobs.iter().zip(&self.outcomes).enumerate() {
            if let Some(key) = &job.order.append.key {
                request.put_key(key, outcome, token, self.at, number);
            }
            if let Some(checkpoint) = &job.order.append.checkpoint {
                request.put_checkpoint(checkpoint, number);
            }
        }
        let Request { items, owners, .. } = request;
        Sealed { token, items, owners, base: self.base, row, jobs: self.jobs, outcomes: self.outcomes }
    }

    /// Puts the streams' records, the log's row and the index's items; gives the row.
    fn put_events(&self, request: &mut Request<'_>, token: Token, end: u64) -> Arc<Row> {
        let space = request.frame.space;
        let event = |job: usize, at: usize| &self.jobs[job].order.append.events[at];
        let (mut parts, mut number) = (Vec::new(), BTreeMap::new());
        for (stream, written) in &self.written {
            let mut first = written.first;
            let mut records = Vec::new();
            let mut left = &written.events[..];
            while !left.is_empty() {
                let (mut count, mut bytes) = (0, 0);
                while let Some((job, at, _)) = left.get(count)
                    && (count == 0 || bytes + event_bytes(event(*job, *at)) <= RECORD_BYTES)
                {
                    bytes += event_bytes(event(*job, *at));
                    count += 1;
                }
                let (events, rest) = left.split_at(count);
                let key = space.stream_at(stream, first);
                let sealed = Events::sealed(&key, self.at, events.iter().map(|(job, at, p)| (event(*job, *at), *p)));
                let (further, bytes) = (pieces::further(sealed.len()), sealed.len());
                request.put_record(&key, &sealed, events[0].2, Owner::Stream(stream.clone()));
                records.push(Record { events: narrow(count), further, bytes: narrow(bytes) });
                first += count as u64;
                left = rest;
            }
            number.insert(stream, parts.len());
            parts.push(Part { stream: stream.clone(), first: written.first, records });
        }
        let mut next: Vec<u64> = parts.iter().map(|part| part.first).collect();
        let entry = |(stream, job, at): &(StreamId, usize, usize)| {
            let (event, part) = (event(*job, *at), number[stream]);
            next[part] += 1;
            let mut names = NewEvent::new(event.stream.clone(), event.event_type.clone(), Bytes::new());
            names.tags = event.tags.clone();
            Entry { names, part, revision: next[part] - 1 }
        };
        let entries: Vec<Entry> = self.entries.iter().map(entry).collect();
        let mut row = Row {
            first: self.base + 1,
            last: end,
            whole: self.whole,
            token,
            wide: false,
            parts,
            entries,
            further: 0,
            bytes: usize::try_from(2 * self.size.log_bytes).unwrap_or(0),
        };
        let others = request.items.len() + self.checked.len() + self.keys.len() + self.checkpoints.len();
        let of_log = 1 + usize::try_from(self.size.log_bytes / PIECE_BYTES as u64).unwrap_or(0);
        row.wide = self.terms.len() + others + of_log > TRANSACTION_ITEMS;
        let key = space.log_at(end);
        let sealed = row.sealed(&key);
        row.further = pieces::further(sealed.len());
        request.put_record(&key, &sealed, row.first, Owner::Nobody);
        for partition in row.terms(space) {
            request.put_plain(Key { partition, sort: key.sort.clone() }.item());
        }
        Arc::new(row)
    }
}

/// The first event of the row after a position that matches.
pub(crate) fn first_match(row: &Row, after: u64, query: &Query) -> Option<Position> {
    let entries = row.entries.iter().enumerate().map(|(at, entry)| (row.position(at), entry));
    let found = entries.filter(|(position, _)| *position > after).find(|(_, entry)| query.matches(&entry.names));
    found.and_then(|(position, _)| Position::new(position))
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
