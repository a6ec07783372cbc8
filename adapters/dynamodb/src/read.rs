//! Reads of the log: rows by the index or by the log itself, matched by the names in them, and then the events.
//!
//! An index only proposes rows; [`Query::matches`] decides. So no plan can change what a query means.

use crate::Inner;
use crate::error::Fault;
use crate::pieces;
use crate::rows::{Row, take_rows};
use crate::schema::{sort, up_to};
use crate::streams::Streams;
use crate::table::{Key, Range};
use alloc::sync::Arc;
use futures::future::try_join_all;
use portolan_kernel::values::{Direction, Page, Position, Query, Read, Recorded, Start, StreamId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What one page may hold, in bytes of records; one record may be larger.
const PAGE_BYTES: usize = 4 << 20;

/// Rows that one page looks at: one whose query matches hardly anything ends early, and is continued.
const PAGE_ROWS: usize = 2_000;

/// Items that one request of the log or the index gives.
const REQUEST_ITEMS: i32 = 256;

/// Partitions of the index that one read goes along; with more, the log itself is read.
const LANES: usize = 16;

/// A search of the log within `(over, to]`.
pub(crate) struct Search<'q> {
    pub(crate) query: &'q Query,
    pub(crate) over: u64,
    /// At most what is known to be whole.
    pub(crate) to: u64,
    pub(crate) direction: Direction,
    pub(crate) limit: usize,
}

/// An event that matches, in the log.
pub(crate) struct Match {
    row: Arc<Row>,
    entry: usize,
    pub(crate) position: u64,
}

/// What a search found, in its direction.
pub(crate) struct Found {
    pub(crate) matches: Vec<Match>,
    /// The position after which it goes on; `None` when it has come to its end.
    pub(crate) edge: Option<u64>,
}

/// Where rows that may hold a match are listed.
enum Plan {
    Log,
    Index(BTreeSet<String>),
}

/// Rows in the direction of a search, and the position beyond which there may be more.
struct Rows {
    rows: Vec<Arc<Row>>,
    edge: Option<u64>,
}

impl Search<'_> {
    fn backward(&self) -> bool {
        self.direction == Direction::Backward
    }

    /// The partitions of the index to read: for each item of the query the list that is narrowest by nature.
    fn plan(&self, store: &Inner) -> Plan {
        let (space, mut lanes) = (&store.space, BTreeSet::from([store.space.wide()]));
        for item in &self.query.any_of {
            if let Some(tag) = item.tags.first() {
                lanes.insert(space.tag(tag));
            } else if !item.types.is_empty() {
                lanes.extend(item.types.iter().map(|event_type| space.event_type(event_type)));
            } else if !item.streams.is_empty() {
                lanes.extend(item.streams.iter().map(|stream| space.category(stream.category())));
            } else if !item.categories.is_empty() {
                lanes.extend(item.categories.iter().map(|category| space.category(category)));
            } else {
                return Plan::Log;
            }
        }
        if lanes.len() == 1 || lanes.len() > LANES { Plan::Log } else { Plan::Index(lanes) }
    }

    /// One page of matches.
    pub(crate) async fn matches(&self, store: &Inner) -> Result<Found, Fault> {
        let (mut matches, mut records, mut looks, mut bytes) = (Vec::new(), BTreeSet::new(), 0, 0);
        let (mut over, mut to) = (self.over, self.to);
        let plan = self.plan(store);
        while over < to {
            let Rows { rows, edge } = self.rows(store, &plan, over, to).await?;
            for row in &rows {
                looks += 1;
                let entries = 0..row.entries.len();
                let in_order: Box<dyn Iterator<Item = usize> + Send> =
                    if self.backward() { Box::new(entries.rev()) } else { Box::new(entries) };
                for entry in in_order {
                    let position = row.position(entry);
                    let names = &row.entries[entry];
                    if position <= over || position > to || !self.query.matches(&names.names) {
                        continue;
                    }
                    if matches.len() >= self.limit || bytes >= PAGE_BYTES {
                        let edge = matches.last().map(|last: &Match| last.position);
                        return Ok(Found { matches, edge });
                    }
                    if let Some((_, first, record)) = row.record_of(names)
                        && records.insert((row.last, names.part, first))
                    {
                        bytes += record.bytes as usize;
                    }
                    matches.push(Match { row: row.clone(), entry, position });
                }
            }
            let Some(edge) = edge else { break };
            if looks >= PAGE_ROWS || matches.len() >= self.limit {
                return Ok(Found { matches, edge: Some(edge) });
            }
            if self.backward() { to = edge.saturating_sub(1) } else { over = edge }
        }
        Ok(Found { matches, edge: None })
    }

    async fn rows(&self, store: &Inner, plan: &Plan, over: u64, to: u64) -> Result<Rows, Fault> {
        // Rows that are here cost nothing, and are taken whatever the plan.
        if let Some(since) = store.tail.state().rows_after(over) {
            let mut rows: Vec<_> = since.take_while(|row| row.first <= to).cloned().collect();
            if self.backward() {
                rows.reverse();
            }
            return Ok(Rows { rows, edge: None });
        }
        let end = store.row_end(to).await?;
        match plan {
            Plan::Log => self.log(store, over, to, end).await,
            Plan::Index(lanes) => self.index(store, lanes, over, end).await,
        }
    }

    /// Rows of the log itself, without a gap.
    async fn log(&self, store: &Inner, over: u64, to: u64, end: u64) -> Result<Rows, Fault> {
        let (from, upper, partition) = (sort(over + 1), up_to(end), store.space.log());
        let limit = Some(REQUEST_ITEMS);
        let range = Range { partition, from, to: upper, backward: self.backward(), limit, keys_only: false };
        let answer = store.table.query(&range, None).await?;
        let (mut items, mut more) = (answer.items, answer.next.is_some());
        if self.backward() {
            items.reverse();
            while items.first().and_then(Key::of).is_some_and(|key| crate::rows::is_piece(&key)) {
                items.remove(0);
                more = true;
            }
        }
        let mut rows = take_rows(&store.space, &mut items)?;
        if rows.is_empty() {
            // One row larger than an answer, or damage.
            let last = if self.backward() { end } else { store.row_end(over + 1).await? };
            rows = store.fetch_rows(&BTreeSet::from([sort(last)])).await?;
            more = if self.backward() { rows[0].first > over + 1 } else { rows[0].last < to };
        } else if !items.is_empty() {
            more = true;
        }
        let gap = rows.windows(2).find(|two| two[0].last + 1 != two[1].first).map(|two| two[0].last + 1);
        let ends = if self.backward() {
            rows.last().map(|row| row.last).filter(|last| *last != end)
        } else {
            rows.first().map(|row| row.first).filter(|first| *first > over + 1)
        };
        if let Some(at) = gap.or(ends) {
            return Err(Fault::Damaged(format!("the log's item of position {at}")));
        }
        if self.backward() {
            rows.reverse();
        }
        let edge = rows.last().map(|row| if self.backward() { row.first } else { row.last }).filter(|_| more);
        Ok(Rows { rows, edge })
    }

    /// Rows that the index lists.
    async fn index(&self, store: &Inner, lanes: &BTreeSet<String>, over: u64, end: u64) -> Result<Rows, Fault> {
        let back = self.backward();
        let ranges = lanes.iter().map(|partition| Range {
            partition: partition.clone(),
            from: sort(over + 1),
            to: up_to(end),
            backward: back,
            limit: Some(REQUEST_ITEMS),
            keys_only: true,
        });
        let ranges: Vec<_> = ranges.collect();
        let answers = try_join_all(ranges.iter().map(|range| store.table.query(range, None))).await?;
        let (mut keys, mut horizon): (BTreeSet<String>, Option<String>) = (BTreeSet::new(), None);
        for answer in answers {
            let sorts: Vec<_> = answer.items.iter().filter_map(|item| Some(Key::of(item)?.sort)).collect();
            // Beyond the last of a lane that goes on, the others are not taken yet.
            if let (Some(_), Some(last)) = (&answer.next, sorts.last()) {
                let nearer = horizon.as_ref().is_none_or(|horizon| (last < horizon) != back);
                horizon = if nearer { Some(last.clone()) } else { horizon };
            }
            keys.extend(sorts);
        }
        if let Some(horizon) = &horizon {
            keys.retain(|key| if back { key >= horizon } else { key <= horizon });
        }
        let mut rows = store.fetch_rows(&keys).await?;
        if back {
            rows.reverse();
        }
        let edge = rows.last().filter(|_| horizon.is_some()).map(|row| if back { row.first } else { row.last });
        Ok(Rows { rows, edge })
    }
}

impl Inner {
    /// The end of the row that holds this position, which is whole.
    async fn row_end(&self, position: u64) -> Result<u64, Fault> {
        {
            let state = self.tail.state();
            let row = state.rows.get(state.rows.partition_point(|row| row.last < position));
            match row.filter(|row| row.first <= position) {
                Some(row) => return Ok(row.last),
                None if state.whole == position => return Ok(position),
                None => {}
            }
        }
        let (from, to, partition) = (sort(position), up_to(u64::MAX), self.space.log());
        let range = Range { partition, from, to, backward: false, limit: Some(1), keys_only: true };
        let found = self.table.query(&range, None).await?.items;
        let last = found.first().and_then(Key::of).and_then(|key| key.sort.parse().ok());
        last.ok_or_else(|| Fault::Damaged(format!("the log's item of position {position}")))
    }

    /// The rows under these sort keys of the log, all of which have to be there, in order.
    async fn fetch_rows(&self, sorts: &BTreeSet<String>) -> Result<Vec<Arc<Row>>, Fault> {
        let key = |sort: &String| Key { partition: self.space.log(), sort: sort.clone() };
        let mut found = self.table.batch_get(sorts.iter().map(key).collect(), false).await?;
        let further = found.iter().filter(|(_, item)| pieces::further_of(item) > 0);
        let further: Vec<_> = further.flat_map(|(key, item)| pieces::keys(key, pieces::further_of(item))).collect();
        if !further.is_empty() {
            found.extend(self.table.batch_get(further, false).await?);
        }
        let row = |sort| {
            let key = key(sort);
            let bytes = pieces::joined(&key, |key| found.get(key)).ok_or_else(|| Fault::Damaged(key.place()))??;
            Ok(Arc::new(Row::decode(&key, pieces::further_of(&found[&key]), &bytes)?))
        };
        sorts.iter().map(row).collect()
    }

    /// How far a read sees: as far as the log is whole, which is asked anew unless the read wants less.
    pub(crate) async fn frontier(&self, until: Option<Position>) -> Result<u64, Fault> {
        let whole = self.tail.state().whole;
        match until {
            Some(until) if until.get() <= whole => Ok(whole),
            _ => self.tail.frontier().await,
        }
    }

    pub(crate) async fn page(&self, read: &Read) -> Result<Page, Fault> {
        match &read.from {
            Start::Stream(stream, after) => self.stream_page(read, stream, *after).await,
            Start::Log(query, after) => self.log_page(read, query, *after).await,
        }
    }

    async fn log_page(&self, read: &Read, query: &Query, after: Option<Position>) -> Result<Page, Fault> {
        let whole = self.frontier(read.until).await?;
        let shown = shown(whole, read.until);
        let frontier = shown.map_or(0, Position::get);
        let (over, to) = match (read.direction, after) {
            (Direction::Forward, after) => (after.map_or(0, Position::get), frontier),
            (Direction::Backward, None) => (0, frontier),
            (Direction::Backward, Some(before)) => (0, frontier.min(before.get().saturating_sub(1))),
        };
        let limit = read.limit.min(self.capabilities.limits.page_events) as usize;
        let found = Search { query, over, to, direction: read.direction, limit }.matches(self).await?;
        let events = self.events(&found.matches).await?;
        let next = found.edge.map(|edge| {
            let mut next = read.clone().until(shown);
            next.from = Start::Log(query.clone(), Position::new(edge));
            next
        });
        Ok(Page::new(events, shown, next, None))
    }

    /// The events themselves.
    async fn events(&self, matches: &[Match]) -> Result<Vec<Arc<Recorded>>, Fault> {
        let damaged = |at: u64| Fault::Damaged(format!("the event at position {at}"));
        let mut wanted: BTreeMap<Key, (StreamId, u64, u32)> = BTreeMap::new();
        let mut places = Vec::with_capacity(matches.len());
        for found in matches {
            let entry = &found.row.entries[found.entry];
            let (part, first, record) = found.row.record_of(entry).ok_or_else(|| damaged(found.position))?;
            let key = self.space.stream_at(&part.stream, first);
            wanted.entry(key.clone()).or_insert_with(|| (part.stream.clone(), first, record.further));
            places.push((key, entry.revision, found.position));
        }
        let wanted = wanted.into_iter().map(|(key, (stream, first, further))| (key, stream, first, further)).collect();
        let records: HashMap<_, _> = Streams { table: &self.table, space: &self.space }.fetch(wanted).await?;
        let event = |(key, revision, position): (Key, u64, u64)| {
            let events = &records.get(&key).ok_or_else(|| damaged(position))?.events;
            let found = events.iter().find(|event| event.revision.get() == revision);
            found.filter(|event| event.position.get() == position).cloned().ok_or_else(|| damaged(position))
        };
        places.into_iter().map(event).collect()
    }
}

/// The frontier that a page shows.
pub(crate) fn shown(whole: u64, until: Option<Position>) -> Option<Position> {
    let whole = Position::new(whole).filter(|whole| whole.get() > 0)?;
    Some(until.map_or(whole, |until| until.min(whole)))
}
