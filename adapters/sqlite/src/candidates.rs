//! Which events may match a query, by lists: positions in order, from several lists at once.

use crate::error::Fault;
use crate::lists::{self, Entry, List, Sort};
use crate::names;
use crate::query::Range;
use alloc::collections::{BTreeSet, VecDeque};
use portolan_kernel::values::{Direction, Item, Query};
use rusqlite::Connection;

/// A query that needs more lists than this is answered from the log itself: merging them would cost
/// more than it saves.
const MAX_LANES: usize = 64;

/// So few events are looked at faster than a list is.
const SHORT: i64 = 64;

/// How entries are fetched from a list.
const CHUNK: usize = 256;

/// How a query is answered.
pub(crate) enum Plan {
    /// By looking at every event.
    Log,
    /// By looking at those that these name.
    Lists(BTreeSet<List>),
}

impl Plan {
    pub(crate) fn of(conn: &Connection, query: &Query, range: Range) -> Result<Self, Fault> {
        if query.any_of.is_empty() || range.high - range.low < SHORT {
            return Ok(Self::Log);
        }
        let mut lists = BTreeSet::new();
        for item in &query.any_of {
            match lists_of(conn, item)? {
                Some(more) => lists.extend(more),
                None => return Ok(Self::Log),
            }
            if lists.len() > MAX_LANES {
                return Ok(Self::Log);
            }
        }
        Ok(Self::Lists(lists))
    }
}

/// Lists that hold every match of the item; `None` if none do, or too many would be needed.
fn lists_of(conn: &Connection, item: &Item) -> Result<Option<Vec<List>>, Fault> {
    if !item.streams.is_empty() && item.streams.len() <= MAX_LANES {
        let streams = item.streams.iter().map(|stream| lists::of_stream(conn, stream));
        let streams = streams.collect::<Result<Vec<_>, _>>()?;
        return Ok(Some(streams.into_iter().flatten().collect()));
    }
    if !item.tags.is_empty() {
        let tags = item.tags.iter().map(|tag| lists::of_tag(conn, tag.clone()));
        let tags = tags.collect::<Result<Option<Vec<_>>, _>>()?;
        // The shortest holds all that have every tag; one that is not there holds none.
        return Ok(Some(tags.into_iter().flatten().min_by_key(|list| list.last).into_iter().collect()));
    }
    if item.types.is_empty() && item.categories.is_empty() {
        return Ok(None);
    }
    let kinds = kinds_of(conn, item)?;
    Ok((kinds.len() <= MAX_LANES).then(|| kinds.into_iter().collect()))
}

/// The kinds an item with types or categories is about; more than [`MAX_LANES`] when there are too many.
fn kinds_of(conn: &Connection, item: &Item) -> Result<BTreeSet<List>, Fault> {
    let mut kinds = BTreeSet::new();
    let mut add = |category: Option<&str>, event_type: Option<&str>| -> Result<bool, Fault> {
        let found = names::kinds(conn, category, event_type, MAX_LANES + 1)?;
        kinds.extend(found.into_iter().map(|(number, last)| List { sort: Sort::Kind, number, last }));
        Ok(kinds.len() > MAX_LANES)
    };
    'all: {
        if item.categories.is_empty() {
            for event_type in &item.types {
                if add(None, Some(event_type))? {
                    break 'all;
                }
            }
        } else if item.types.is_empty() {
            for category in &item.categories {
                if add(Some(category), None)? {
                    break 'all;
                }
            }
        } else {
            for category in &item.categories {
                for event_type in &item.types {
                    if add(Some(category), Some(event_type))? {
                        break 'all;
                    }
                }
            }
        }
    }
    Ok(kinds)
}

/// The positions of all candidates, in order and each once.
pub(crate) struct Candidates {
    lanes: Vec<Lane>,
    direction: Direction,
    last: Option<i64>,
}

/// One list, read a chunk at a time.
struct Lane {
    list: List,
    ready: VecDeque<Entry>,
    /// The numbers of the entries that are still to be read; `None`: not yet known.
    rest: Option<Range>,
    within: Range,
    chunk: usize,
}

impl Candidates {
    pub(crate) fn new(lists: BTreeSet<List>, direction: Direction, limit: usize, within: Range) -> Self {
        let chunk = limit.clamp(4, CHUNK);
        let lanes =
            lists.into_iter().map(|list| Lane { list, ready: VecDeque::new(), rest: None, within, chunk }).collect();
        Self { lanes, direction, last: None }
    }

    /// The next position, and a list that names it.
    pub(crate) fn next(&mut self, conn: &Connection) -> Result<Option<(i64, &List)>, Fault> {
        loop {
            let mut best: Option<(i64, usize)> = None;
            for (index, lane) in self.lanes.iter_mut().enumerate() {
                let Some(position) = lane.peek(conn, self.direction)? else {
                    continue;
                };
                let is_better = best.is_none_or(|(other, _)| match self.direction {
                    Direction::Forward => position < other,
                    Direction::Backward => position > other,
                });
                if is_better {
                    best = Some((position, index));
                }
            }
            let Some((position, index)) = best else {
                return Ok(None);
            };
            self.lanes[index].ready.pop_front();
            let has_passed = self.last.is_some_and(|last| match self.direction {
                Direction::Forward => position < last,
                Direction::Backward => position > last,
            });
            if has_passed {
                return Err(self.lanes[index].list.misleads(position));
            }
            // Two lists may name the same event.
            if self.last != Some(position) {
                self.last = Some(position);
                return Ok(Some((position, &self.lanes[index].list)));
            }
        }
    }
}

impl Lane {
    fn peek(&mut self, conn: &Connection, direction: Direction) -> Result<Option<i64>, Fault> {
        if self.ready.is_empty() {
            self.fill(conn, direction)?;
        }
        Ok(self.ready.front().map(|entry| entry.position))
    }

    fn fill(&mut self, conn: &Connection, direction: Direction) -> Result<(), Fault> {
        let rest = match self.rest {
            Some(rest) => rest,
            None => self.numbers_within(conn)?,
        };
        if !rest.is_empty() {
            self.ready.extend(self.list.entries(conn, rest, direction, self.chunk)?);
            self.chunk = CHUNK;
        }
        self.rest = Some(match (self.ready.back(), direction) {
            (Some(last), Direction::Forward) => Range { low: last.n + 1, ..rest },
            (Some(last), Direction::Backward) => Range { high: last.n - 1, ..rest },
            (None, _) => rest,
        });
        Ok(())
    }

    /// The numbers of the list's entries whose positions are in the range.
    fn numbers_within(&self, conn: &Connection) -> Result<Range, Fault> {
        let before = if self.within.low <= 1 { None } else { self.list.at(conn, self.within.low - 1)? };
        let high = self.list.at(conn, self.within.high)?;
        Ok(Range { low: before.map_or(0, |before| before + 1), high: high.unwrap_or(-1) })
    }
}
