//! The events of the log that match a query, found by the lists that fit it best.
//!
//! A list only proposes candidates; [`Query::matches`] decides. So no plan can change what a query means.

use crate::candidates::{Candidates, Plan};
use crate::error::Fault;
use crate::lists::List;
use crate::names::Names;
use crate::rows::{self, select_events};
use alloc::sync::Arc;
use portolan_kernel::values::{Direction, Query, Recorded};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

/// What one page may hold, in bytes of events; one event may be larger.
pub(crate) const PAGE_BYTES: u64 = 4 << 20;

/// How many events one page looks at: one whose query matches hardly anything ends early, and is continued.
const PAGE_LOOKS: usize = 20_000;

/// The least bytes an event is taken to weigh, so that pages of empty events are bounded too.
const EVENT_BYTES: u64 = 64;

/// Positions from `low` to `high`, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Range {
    pub(crate) fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub(crate) fn count(self) -> i64 {
        (self.high.saturating_add(1) - self.low).max(0)
    }

    pub(crate) fn holds(self, number: i64) -> bool {
        self.low <= number && number <= self.high
    }
}

/// One page of a search.
pub(crate) struct Scan<'q> {
    pub(crate) query: &'q Query,
    pub(crate) direction: Direction,
    pub(crate) limit: usize,
    pub(crate) bytes: u64,
}

/// What a page found.
pub(crate) struct Found {
    pub(crate) events: Vec<Arc<Recorded>>,
    /// The position after which the search goes on; `None` when it has come to its end.
    pub(crate) examined: Option<i64>,
}

impl Scan<'_> {
    pub(crate) fn page(&self, conn: &Connection, names: &mut Names, range: Range) -> Result<Found, Fault> {
        // Where all match, it is known how many there will be.
        let sure = if self.query.any_of.is_empty() { self.limit } else { 0 };
        let found = Vec::with_capacity(usize::try_from(range.count()).unwrap_or(0).min(sure));
        let mut page = Page { scan: self, found, bytes: 0, looks: 0 };
        if range.is_empty() {
            return Ok(page.done(None));
        }
        match Plan::of(conn, self.query, range)? {
            Plan::Log => page.by_log(conn, names, range),
            Plan::Lists(lists) => page.by_lists(conn, names, Candidates::new(lists, self.direction, self.limit, range)),
        }
    }
}

struct Page<'s, 'q> {
    scan: &'s Scan<'q>,
    found: Vec<Arc<Recorded>>,
    bytes: u64,
    looks: usize,
}

impl Page<'_, '_> {
    fn by_log(mut self, conn: &Connection, names: &mut Names, range: Range) -> Result<Found, Fault> {
        let (sql, mut expected, step) = match self.scan.direction {
            Direction::Forward => (select_events!("WHERE position BETWEEN ?1 AND ?2 ORDER BY position"), range.low, 1),
            Direction::Backward => {
                (select_events!("WHERE position BETWEEN ?1 AND ?2 ORDER BY position DESC"), range.high, -1)
            }
        };
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([range.low, range.high])?;
        // This store leaves no position out, so one that is not there is lost, and not a silent end.
        while range.holds(expected) {
            let row = rows.next()?.ok_or_else(|| rows::damaged(expected))?;
            let event = rows::decode(conn, names, row)?;
            if event.position.get().cast_signed() != expected {
                return Err(rows::damaged(expected));
            }
            let is_full = self.take(event);
            let next = expected + step;
            if is_full && range.holds(next) {
                return Ok(self.done(Some(expected)));
            }
            expected = next;
        }
        Ok(self.done(None))
    }

    fn by_lists(mut self, conn: &Connection, names: &mut Names, mut candidates: Candidates) -> Result<Found, Fault> {
        let mut fetch = conn.prepare_cached(select_events!("WHERE position = ?1"))?;
        while let Some((position, list)) = candidates.next(conn)? {
            let event = fetch_one(conn, names, &mut fetch, position, list)?;
            if self.take(event) {
                return Ok(self.done(Some(position)));
            }
        }
        Ok(self.done(None))
    }

    /// Takes the event if it matches; true when the page is full.
    fn take(&mut self, event: Arc<Recorded>) -> bool {
        self.looks += 1;
        // What is only looked at was read from the disk too, and counts.
        self.bytes += event.bytes() + EVENT_BYTES;
        if self.scan.query.matches(&event) {
            self.found.push(event);
        }
        self.found.len() >= self.scan.limit || self.bytes >= self.scan.bytes || self.looks >= PAGE_LOOKS
    }

    fn done(&mut self, examined: Option<i64>) -> Found {
        Found { events: core::mem::take(&mut self.found), examined }
    }
}

fn fetch_one(
    conn: &Connection,
    names: &mut Names,
    fetch: &mut CachedStatement<'_>,
    position: i64,
    list: &List,
) -> Result<Arc<Recorded>, Fault> {
    let found = fetch.query_row([position], |row| {
        Ok(rows::decode(conn, names, row).and_then(|event| Ok((list.holds(row, &event)?, event))))
    });
    // A list names it, so it has to be there, and to be of that list.
    match found.optional()? {
        None => Err(rows::damaged(position)),
        Some(Ok((false, _))) => Err(list.misleads(position)),
        Some(decoded) => decoded.map(|(_, event)| event),
    }
}
