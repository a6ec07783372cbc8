//! Reads of one stream: its own records, as far as the log is whole.

use crate::Inner;
use crate::error::Fault;
use crate::read::shown;
use crate::records::Events;
use crate::streams::{Records, Streams};
use alloc::sync::Arc;
use portolan_kernel::values::{Direction, Page, Position, Read, Recorded, Revision, Start, StreamId};
use tokio::time::Instant;

/// The most records that one request asks for, where the read's limit is larger.
const REQUEST_RECORDS: u32 = 1_000;

/// A stream as one or two requests found it.
struct Glance {
    /// Records in the direction of the read.
    records: Vec<Events>,
    /// The last record of the stream.
    last: Option<Events>,
    /// The position of a record of which only parts were there.
    torn: Option<u64>,
}

impl Glance {
    /// A position past everything that was found.
    fn reaches(&self) -> u64 {
        let last = self.last.iter().flat_map(|last| &last.events).map(|event| event.position.get()).max();
        last.max(self.torn).unwrap_or(0)
    }

    /// Whether no record is missing where the read begins, nor between those that were found.
    fn is_gapless(&self, direction: Direction, after: Option<Revision>) -> bool {
        let is_backward = direction == Direction::Backward;
        let begins = |first: &Events| match after.map(Revision::get) {
            after if !is_backward => first.first() <= after.map_or(0, |after| after.saturating_add(1)),
            Some(before) => first.last().saturating_add(1) >= before,
            None => true,
        };
        let follows = |pair: &[Events]| {
            let (earlier, later) = if is_backward { (&pair[1], &pair[0]) } else { (&pair[0], &pair[1]) };
            earlier.last().saturating_add(1) == later.first()
        };
        self.records.first().is_none_or(begins) && self.records.windows(2).all(follows)
    }
}

impl Inner {
    fn streams(&self) -> Streams<'_> {
        Streams { table: &self.table, space: &self.space }
    }

    pub(crate) async fn stream_page(
        &self,
        read: &Read,
        stream: &StreamId,
        after: Option<Revision>,
    ) -> Result<Page, Fault> {
        // What the read wants beyond what is known to be whole is looked for first: `until` may be another's frontier.
        let known = self.tail.state().whole;
        let mut whole = match read.until {
            Some(until) if until.get() > known => self.tail.frontier().await?,
            _ => known,
        };
        let mut asked = read.until.is_some();
        let glance = loop {
            let glance = self.glance(read, stream, after).await?;
            self.tail.learn(stream, glance.last.as_ref().map(Events::last), whole);
            let beyond = glance.reaches() > whole;
            if glance.torn.is_some_and(|torn| torn <= whole) {
                return Err(Fault::Damaged(format!("a record of stream {stream}")));
            }
            // Most streams have nothing that is not known to be whole; then one request was all. Else the log tells how
            // far it can be shown, and the stream is looked at again unless all of that was there.
            if !beyond || asked {
                break glance;
            }
            let before = whole;
            whole = self.tail.frontier().await?;
            asked = true;
            let state = self.tail.state();
            let since = state.rows_after(before).map(|rows| {
                let parts = rows.take_while(|row| row.last <= whole).flat_map(|row| &row.parts);
                parts.filter(|part| part.stream == *stream).map(|part| part.last()).max()
            });
            if let Some(last) = since
                && glance.torn.is_none()
                && glance.is_gapless(read.direction, after)
                && last <= glance.last.as_ref().map(Events::last)
            {
                break glance;
            }
        };
        let frontier = shown(whole, read.until);
        let end = self.revision(stream, glance.last.as_ref(), frontier.map_or(0, Position::get)).await?;
        self.cut(read, stream, after, glance.records, frontier, end).await
    }

    /// What is there of a stream, where the read begins.
    async fn glance(&self, read: &Read, stream: &StreamId, after: Option<Revision>) -> Result<Glance, Fault> {
        let limit = Some(read.limit.min(REQUEST_RECORDS));
        let streams = self.streams();
        let last = || streams.records(stream, 0, u64::MAX, true, Some(1));
        if read.direction == Direction::Backward {
            let found = match after {
                None => streams.records(stream, 0, u64::MAX, true, limit).await?,
                Some(before) => {
                    let to = before.get().saturating_sub(1);
                    let (found, last) = futures::try_join!(streams.records(stream, 0, to, true, limit), last())?;
                    let torn = found.torn.max(last.torn);
                    return Ok(Glance { records: found.records, last: last.records.into_iter().next(), torn });
                }
            };
            return Ok(Glance { last: found.records.first().cloned(), records: found.records, torn: found.torn });
        }
        let from = after.map_or(0, |after| after.get().saturating_add(1));
        let Records { mut records, more, torn } = streams.records(stream, from, u64::MAX, false, limit).await?;
        // The record that begins before and reaches to where the read begins, or is the last one of all.
        if from > 0 && records.first().is_none_or(|first| first.first() > from) {
            let before = streams.at(stream, from).await?;
            records.splice(0..0, before);
        }
        if !more && torn.is_none() {
            return Ok(Glance { last: records.last().cloned(), records, torn });
        }
        let found = last().await?;
        Ok(Glance { records, last: found.records.into_iter().next(), torn: torn.max(found.torn) })
    }

    /// The last revision of the stream at or below a position. A stream is ordered by revision, so where its last record
    /// is newer, it is found by halves.
    async fn revision(&self, stream: &StreamId, last: Option<&Events>, frontier: u64) -> Result<Option<u64>, Fault> {
        let within = |events: &Events| {
            events.events.iter().rev().find(|event| event.position.get() <= frontier).map(|event| event.revision.get())
        };
        let Some(last) = last else { return Ok(None) };
        if let Some(revision) = within(last) {
            return Ok(Some(revision));
        }
        let (mut low, mut high) = (0, last.first());
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.before(stream, middle, last).await?;
            match within(&record) {
                None => high = record.first(),
                Some(revision) if revision < record.last() => return Ok(Some(revision)),
                Some(revision) => low = revision + 1,
            }
        }
        Ok(low.checked_sub(1))
    }

    /// The record that holds this revision, which is before a later one that was found.
    async fn before(&self, stream: &StreamId, revision: u64, later: &Events) -> Result<Events, Fault> {
        let holds = |record: &Events| record.last() >= revision;
        if let Some(record) = self.streams().at(stream, revision).await?.filter(holds) {
            return Ok(record);
        }
        // Transactions become visible item by item: only what is missing once the later one is whole is missing for good.
        let position = later.events.iter().map(|event| event.position.get()).max().unwrap_or(0);
        self.tail.reached(position, Instant::now() + self.table.patience).await?;
        let record = self.streams().at(stream, revision).await?.filter(holds);
        record.ok_or_else(|| Fault::Damaged(format!("revision {revision} of stream {stream}")))
    }

    /// The page of these records.
    async fn cut(
        &self,
        read: &Read,
        stream: &StreamId,
        after: Option<Revision>,
        mut records: Vec<Events>,
        frontier: Option<Position>,
        end: Option<u64>,
    ) -> Result<Page, Fault> {
        let backward = read.direction == Direction::Backward;
        let revision = end.map(Revision::new);
        let empty = || Ok(Page::new(Vec::new(), frontier, None, revision));
        let Some(end) = end else { return empty() };
        let (from, to) = match (backward, after) {
            (false, after) => (after.map_or(0, |after| after.get().saturating_add(1)), end),
            (true, None) => (0, end),
            (true, Some(before)) => match before.get().checked_sub(1) {
                Some(to) => (0, to.min(end)),
                None => return empty(),
            },
        };
        if from > to {
            return empty();
        }
        if backward && records.last().is_none_or(|last| last.first() > to) {
            // All that was found is newer than the read wants.
            let limit = Some(read.limit.min(REQUEST_RECORDS));
            records = self.streams().records(stream, 0, to, true, limit).await?.records;
        }
        let limit = read.limit.min(self.capabilities.limits.page_events) as usize;
        let mut events: Vec<Arc<Recorded>> = Vec::new();
        let mut expected = if backward { to } else { from };
        'records: for record in &records {
            let in_order: Box<dyn Iterator<Item = &Arc<Recorded>> + Send> =
                if backward { Box::new(record.events.iter().rev()) } else { Box::new(record.events.iter()) };
            for event in in_order.filter(|event| (from..=to).contains(&event.revision.get())) {
                if events.len() == limit {
                    break 'records;
                }
                if event.revision.get() != expected {
                    break 'records;
                }
                expected = if backward { expected.wrapping_sub(1) } else { expected + 1 };
                events.push(event.clone());
            }
        }
        let Some(last) = events.last().map(|event| event.revision) else {
            return Err(Fault::Damaged(format!("revision {expected} of stream {stream}")));
        };
        let more = last.get() != if backward { from } else { to };
        let next = more.then(|| {
            let mut next = read.clone().until(frontier);
            next.from = Start::Stream(stream.clone(), Some(last));
            next
        });
        Ok(Page::new(events, frontier, next, revision))
    }
}
