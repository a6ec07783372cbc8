//! The events of a stream, found by the links from its last one back.
//!
//! A link has no checksum: it is right if the event that it leads to is of the stream, and of the revision that it has to
//! be. Whoever follows one looks.

use crate::error::Fault;
use crate::heads::Head;
use crate::links::{Link, jump};
use crate::lists::{Entry, gap};
use crate::names::{Names, Table};
use crate::query::Range;
use crate::read::{SHORT, number};
use crate::rows::{self, event_columns};
use alloc::sync::Arc;
use portolan_kernel::values::{Direction, Recorded, StreamId};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

/// A stream by its number, with its last event.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) stream: i64,
    pub(crate) last: i64,
    pub(crate) position: i64,
}

/// The link of an event that has to be there.
pub(crate) fn link(conn: &Connection, stream: i64, revision: i64, position: i64) -> Result<Link, Fault> {
    let mut row = conn.prepare_cached("SELECT stream, revision, previous, jump FROM log WHERE position = ?1")?;
    let found = row
        .query_row([position], |row| {
            let is_it = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?) == (stream, revision);
            Ok(is_it.then_some(Link { previous: row.get(2)?, jump: row.get(3)? }))
        })
        .optional();
    match found.map_err(Fault::from) {
        Err(fault) if fault.is_misread() => Err(rows::damaged(position)),
        found => found?.flatten().ok_or_else(|| gap(conn, stream, revision)),
    }
}

/// Where the event jumps to. Of what comes of it new links are made, so it is looked at too.
pub(crate) fn far_of(conn: &Connection, stream: i64, revision: i64, position: i64) -> Result<i64, Fault> {
    let far = link(conn, stream, revision, position)?.far();
    link(conn, stream, jump(revision), far)?;
    Ok(far)
}

impl Chain {
    /// The stream of this name, if there is one.
    pub(crate) fn of(conn: &Connection, name: &str) -> Result<Option<Self>, Fault> {
        let Head { number, last, trail } = Table::Streams.head(conn, name)?;
        let ends = number.zip(last).zip(trail.last());
        Ok(ends.map(|((stream, last), position)| Self { stream, last, position }))
    }

    /// The position that an event has to have; it is not looked at yet.
    fn find(&self, conn: &Connection, revision: i64) -> Result<i64, Fault> {
        let (mut at, mut position) = (self.last, self.position);
        while at > revision {
            let link = link(conn, self.stream, at, position)?;
            (at, position) = match jump(at) {
                far if far >= revision => (far, link.far()),
                _ => (at - 1, link.previous),
            };
        }
        Ok(position)
    }

    /// The last revision at or below a position.
    pub(crate) fn at(&self, conn: &Connection, position: i64) -> Result<Option<i64>, Fault> {
        let (mut revision, mut stands) = (self.last, self.position);
        loop {
            let link = link(conn, self.stream, revision, stands)?;
            if stands <= position {
                return Ok(Some(revision));
            }
            if revision == 0 {
                return Ok(None);
            }
            (revision, stands) =
                if link.far() > position { (jump(revision), link.far()) } else { (revision - 1, link.previous) };
        }
    }

    /// The positions of these events, or of so many of them, in order; each is there.
    pub(crate) fn entries(
        &self,
        conn: &Connection,
        range: Range,
        direction: Direction,
        count: i64,
    ) -> Result<Vec<Entry>, Fault> {
        let Some(Range { low, high }) = first_of(range, direction, count) else { return Ok(Vec::new()) };
        let mut entries = Vec::with_capacity(usize::try_from(high - low + 1).unwrap_or(0));
        let mut position = self.find(conn, high)?;
        for revision in (low..=high).rev() {
            entries.push(Entry { n: revision, position });
            position = link(conn, self.stream, revision, position)?.previous;
        }
        if direction == Direction::Forward {
            entries.reverse();
        }
        Ok(entries)
    }

    /// These events, `count` of them at most, in order, and as long as they are of less than so many bytes.
    pub(crate) fn events(
        &self,
        conn: &Connection,
        names: &mut Names,
        name: &StreamId,
        (range, direction, count): (Range, Direction, i64),
        bytes: u64,
    ) -> Result<Vec<Arc<Recorded>>, Fault> {
        let Some(range) = first_of(range, direction, count) else { return Ok(Vec::new()) };
        if direction == Direction::Backward {
            return Ok(self.back(conn, names, name, range, bytes)?.0);
        }
        let mut events = Vec::with_capacity(usize::try_from(range.count().min(SHORT)).unwrap_or(0));
        let (mut low, mut taken, mut most) = (range.low, 0, SHORT);
        while low <= range.high && taken < bytes {
            let part = Range { low, high: range.high.min(low + (most - 1)) };
            let (mut found, weigh) = self.back(conn, names, name, part, bytes - taken)?;
            let count = number(found.len() as u64);
            if count < part.count() {
                // They are of too many bytes, and those that were found are the last ones.
                most = count;
                continue;
            }
            found.reverse();
            events.append(&mut found);
            (low, taken, most) = (low + count, taken + weigh, SHORT.min(2 * most));
        }
        Ok(events)
    }

    /// These events from the last one back, as long as they are of less than so many bytes, and of how many they are.
    fn back(
        &self,
        conn: &Connection,
        names: &mut Names,
        name: &StreamId,
        range: Range,
        bytes: u64,
    ) -> Result<(Vec<Arc<Recorded>>, u64), Fault> {
        let mut fetch = conn.prepare_cached(FETCH)?;
        let mut events = Vec::with_capacity(usize::try_from(range.count().min(SHORT)).unwrap_or(0));
        let (mut position, mut taken) = (self.find(conn, range.high)?, 0);
        for revision in (range.low..=range.high).rev() {
            let (event, previous) = self.fetch(conn, names, &mut fetch, name, revision, position)?;
            taken += event.bytes();
            events.push(event);
            if taken >= bytes {
                break;
            }
            position = previous;
        }
        Ok((events, taken))
    }

    /// An event, and where the one before it stands.
    fn fetch(
        &self,
        conn: &Connection,
        names: &mut Names,
        fetch: &mut CachedStatement<'_>,
        name: &StreamId,
        revision: i64,
        position: i64,
    ) -> Result<(Arc<Recorded>, i64), Fault> {
        let mut rows = fetch.query([position])?;
        let row = rows.next()?.ok_or_else(|| gap(conn, self.stream, revision))?;
        let event = rows::decode(conn, names, row)?;
        if number(event.revision.get()) != revision || event.stream != *name {
            return Err(gap(conn, self.stream, revision));
        }
        let previous = row.get_ref(12)?.as_i64().map_err(|_| rows::damaged(position))?;
        Ok((event, previous))
    }
}

/// An event, and where the one before it stands.
const FETCH: &str = concat!("SELECT ", event_columns!(), ", previous FROM log WHERE position = ?1");

/// So many of a range, of those that come first; `None` if there are none.
fn first_of(range: Range, direction: Direction, count: i64) -> Option<Range> {
    let count = range.count().min(count);
    let Range { low, high } = range;
    (count > 0).then_some(match direction {
        Direction::Forward => Range { low, high: low + (count - 1) },
        Direction::Backward => Range { low: high - (count - 1), high },
    })
}

/// Tells of each event that leads elsewhere than to those before it.
pub(crate) fn verify(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut all = conn.prepare("SELECT position, stream, revision, previous, jump FROM log NOT INDEXED")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        let (Ok(stream), Ok(revision), Ok(previous), Ok(far)) = (row.get(1), row.get(2), row.get(3), row.get(4)) else {
            tell(rows::damaged(position));
            continue;
        };
        let of_it: Link = Link { previous, jump: far };
        let leads_right = match revision {
            ..0 => false,
            0 => of_it == Link::default(),
            _ => {
                let far = jump(revision);
                (of_it.jump != 0 || far == revision - 1)
                    && of_it.previous < position
                    && link(conn, stream, revision - 1, of_it.previous).is_ok()
                    && link(conn, stream, far, of_it.far()).is_ok()
            }
        };
        if !leads_right {
            tell(Fault::Damaged(format!("table log, position {position}: it does not lead to the events before it")));
        }
    }
    Ok(())
}
