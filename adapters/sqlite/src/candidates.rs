//! Which events may match a query, by the indexes: positions in order, from several indexes at once.

use crate::error::Fault;
use crate::heads::Head;
use crate::names::{self, Names};
use crate::neighbours;
use crate::query::Range;
use alloc::collections::{BTreeSet, VecDeque};
use portolan_kernel::values::{Direction, Item, Query, Tag};
use rusqlite::{Connection, OptionalExtension, params};

/// A query that needs more index ranges than this is answered from the log itself: merging them would cost
/// more than it saves.
const MAX_LANES: usize = 64;

/// So few events are looked at faster than an index is.
const SHORT: i64 = 64;

/// How many entries of a tag are counted to find the rarest.
const PROBE: i64 = 100;

/// How positions are fetched from an index.
const CHUNK: usize = 256;

/// One range of one index that holds candidates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// By number, with its last revision.
    Stream(i64, i64),
    Kind(i64),
    Tag(Tag),
}

/// How a query is answered.
pub(crate) enum Plan {
    /// By looking at every event.
    Log,
    /// By looking at those that these name.
    Indexes(BTreeSet<Source>),
}

impl Plan {
    pub(crate) fn of(conn: &Connection, query: &Query, range: Range) -> Result<Self, Fault> {
        if query.any_of.is_empty() || range.high - range.low < SHORT {
            return Ok(Self::Log);
        }
        let mut sources = BTreeSet::new();
        for item in &query.any_of {
            match sources_of(conn, item, range)? {
                Some(more) => sources.extend(more),
                None => return Ok(Self::Log),
            }
            if sources.len() > MAX_LANES {
                return Ok(Self::Log);
            }
        }
        Ok(Self::Indexes(sources))
    }
}

/// Index ranges that hold every match of the item; `None` if none do, or too many would be needed.
fn sources_of(conn: &Connection, item: &Item, range: Range) -> Result<Option<Vec<Source>>, Fault> {
    if !item.streams.is_empty() && item.streams.len() <= MAX_LANES {
        let heads = item.streams.iter().map(|stream| names::stream_head(conn, stream));
        let heads = heads.collect::<Result<Vec<_>, _>>()?;
        let stream = |head: Head| Some(Source::Stream(head.number?, head.last?));
        return Ok(Some(heads.into_iter().filter_map(stream).collect()));
    }
    if !item.tags.is_empty() {
        return Ok(Some(rarest(conn, &item.tags, range)?.into_iter().collect()));
    }
    if item.types.is_empty() && item.categories.is_empty() {
        return Ok(None);
    }
    let kinds = kinds_of(conn, item)?;
    Ok((kinds.len() <= MAX_LANES).then(|| kinds.into_iter().map(Source::Kind).collect()))
}

fn rarest(conn: &Connection, tags: &[Tag], range: Range) -> Result<Option<Source>, Fault> {
    let [_, _, ..] = tags else {
        return Ok(tags.first().cloned().map(Source::Tag));
    };
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM tags WHERE tag = ?1 AND position BETWEEN ?2 AND ?3 LIMIT ?4)",
    )?;
    let mut counted = Vec::with_capacity(tags.len());
    for tag in tags {
        let count: i64 = statement.query_row(params![tag.as_str(), range.low, range.high, PROBE], |row| row.get(0))?;
        counted.push((count, tag));
    }
    Ok(counted.into_iter().min_by_key(|(count, _)| *count).map(|(_, tag)| Source::Tag(tag.clone())))
}

/// The kinds an item with types or categories is about; more than [`MAX_LANES`] when there are too many.
fn kinds_of(conn: &Connection, item: &Item) -> Result<BTreeSet<i64>, Fault> {
    let mut kinds = BTreeSet::new();
    let mut add = |category: Option<&str>, event_type: Option<&str>| -> Result<bool, Fault> {
        kinds.extend(names::known_kinds(conn, category, event_type, MAX_LANES + 1)?);
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

/// One source, read a chunk at a time.
struct Lane {
    source: Source,
    ready: VecDeque<i64>,
    /// What is still to be read: revisions for a stream, positions for the others. `None`: not yet known.
    rest: Option<Range>,
    within: Range,
    chunk: usize,
}

impl Candidates {
    pub(crate) fn new(sources: BTreeSet<Source>, direction: Direction, limit: usize, within: Range) -> Self {
        let chunk = limit.clamp(4, CHUNK);
        let lanes = sources
            .into_iter()
            .map(|source| Lane { source, ready: VecDeque::new(), rest: None, within, chunk })
            .collect();
        Self { lanes, direction, last: None }
    }

    /// The next position, and one index that names it.
    pub(crate) fn next(&mut self, conn: &Connection) -> Result<Option<(i64, &Source)>, Fault> {
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
            // Two indexes may name the same event.
            if self.last != Some(position) {
                self.last = Some(position);
                return Ok(Some((position, &self.lanes[index].source)));
            }
        }
    }
}

impl Lane {
    fn peek(&mut self, conn: &Connection, direction: Direction) -> Result<Option<i64>, Fault> {
        if self.ready.is_empty() {
            self.fill(conn, direction)?;
        }
        Ok(self.ready.front().copied())
    }

    fn fill(&mut self, conn: &Connection, direction: Direction) -> Result<(), Fault> {
        let rest = match (self.rest, &self.source) {
            (Some(rest), _) => rest,
            (None, Source::Stream(stream, last)) => revisions_within(conn, *stream, *last, self.within)?,
            (None, _) => self.within,
        };
        self.rest = Some(rest);
        if rest.is_empty() {
            return Ok(());
        }
        let (order, forward) = match direction {
            Direction::Forward => ("ASC", true),
            Direction::Backward => ("DESC", false),
        };
        // First what the rest is counted in, then the position.
        let sql = match &self.source {
            Source::Stream(..) => format!(
                "SELECT revision, position FROM log WHERE stream = ?1 AND revision BETWEEN ?2 AND ?3 \
                 ORDER BY revision {order} LIMIT ?4"
            ),
            Source::Kind(_) => format!(
                "SELECT position, position FROM kind_positions WHERE kind = ?1 AND position BETWEEN ?2 AND ?3 \
                 ORDER BY position {order} LIMIT ?4"
            ),
            Source::Tag(_) => format!(
                "SELECT position, position FROM tags WHERE tag = ?1 AND position BETWEEN ?2 AND ?3 \
                 ORDER BY position {order} LIMIT ?4"
            ),
        };
        let mut statement = conn.prepare_cached(&sql)?;
        let limit = i64::try_from(self.chunk).unwrap_or(i64::MAX);
        let mut rows = match &self.source {
            Source::Stream(number, _) | Source::Kind(number) => {
                statement.query(params![number, rest.low, rest.high, limit])?
            }
            Source::Tag(tag) => statement.query(params![tag.as_str(), rest.low, rest.high, limit])?,
        };
        let mut last = None;
        // The positions it has come by, the smallest and the largest; none, before the first.
        let mut ends = (rest.low, rest.low - 1);
        while let Some(row) = rows.next()? {
            let (at, position) = (row.get::<_, i64>(0)?, row.get(1)?);
            if let Source::Stream(number, _) = self.source {
                let expected =
                    last.map_or(
                        if forward { rest.low } else { rest.high },
                        |last: i64| {
                            if forward { last + 1 } else { last - 1 }
                        },
                    );
                if at != expected {
                    return Err(gap(conn, number, expected));
                }
            }
            ends = match last {
                None => (position, position),
                Some(_) => (ends.0.min(position), ends.1.max(position)),
            };
            last = Some(at);
            self.ready.push_back(position);
        }
        let is_done = self.ready.len() < self.chunk;
        match &self.source {
            Source::Stream(number, _) if is_done => {
                // Revisions are dense, so as many had to come as were asked for.
                let (end, seen) = if forward {
                    (rest.high, last.unwrap_or(rest.low - 1))
                } else {
                    (rest.low, last.unwrap_or(rest.high + 1))
                };
                if seen != end {
                    return Err(gap(conn, *number, if forward { seen + 1 } else { seen - 1 }));
                }
            }
            Source::Stream(..) => {}
            Source::Kind(number) => neighbours::of_kind(conn, *number, ends)?,
            Source::Tag(tag) => neighbours::of_tag(conn, tag, ends)?,
        }
        self.chunk = CHUNK;
        self.rest = Some(match last {
            Some(last) if !is_done && forward => Range { low: last + 1, ..rest },
            Some(last) if !is_done => Range { high: last - 1, ..rest },
            _ => Range { low: 1, high: 0 },
        });
        Ok(())
    }
}

/// The revisions of a stream, up to its last, whose positions are in the range.
fn revisions_within(conn: &Connection, stream: i64, last: i64, within: Range) -> Result<Range, Fault> {
    let before = revision_at(conn, stream, last, within.low - 1)?;
    let high = revision_at(conn, stream, last, within.high)?;
    Ok(Range { low: before.map_or(0, |before| before + 1), high: high.unwrap_or(-1) })
}

/// The last revision of a stream at or below a position. Revisions and positions of a stream rise together,
/// so it is found by halving.
pub(crate) fn revision_at(conn: &Connection, stream: i64, last: i64, position: i64) -> Result<Option<i64>, Fault> {
    let is_at_or_below =
        |revision: i64| -> Result<bool, Fault> { Ok(position_of(conn, stream, revision)? <= position) };
    if is_at_or_below(last)? {
        return Ok(Some(last));
    }
    if !is_at_or_below(0)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, last);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_at_or_below(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(low))
}

fn position_of(conn: &Connection, stream: i64, revision: i64) -> Result<i64, Fault> {
    let mut statement = conn.prepare_cached("SELECT position FROM log WHERE stream = ?1 AND revision = ?2")?;
    let position = statement.query_row([stream, revision], |row| row.get(0)).optional()?;
    position.ok_or_else(|| gap(conn, stream, revision))
}

/// A revision that has to be there and is not.
pub(crate) fn gap(conn: &Connection, stream: i64, revision: i64) -> Fault {
    let name =
        Names::default().stream(conn, stream).map_or_else(|_| format!("number {stream}"), |name| name.to_string());
    Fault::Damaged(format!("table log, stream {name}, revision {revision}: the event is missing"))
}
