//! One page of events, from one snapshot of the file.

use crate::about_store;
use crate::append::position;
use crate::chain::Chain;
use crate::error::Fault;
use crate::query::{Found, Range, Scan};
use crate::readers::Reader;
use portolan_kernel::values::{Direction, Page, Position, Query, Read, Revision, Start, StreamId};

/// So many events are looked at faster than another thread is asked to.
pub(crate) const SHORT: i64 = 256;

/// What one page may be.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The most events it holds.
    pub(crate) events: u32,
    /// The most it may have to look at.
    pub(crate) looks: i64,
    /// What it may hold, in bytes of events; one event may be larger.
    pub(crate) bytes: u64,
}

/// That a read may have to look at more events than it may, and the last position that it sees.
pub(crate) struct Long {
    pub(crate) frontier: i64,
}

/// Answers a read that `check_read` has passed.
pub(crate) fn page(reader: &mut Reader, read: &Read, bounds: Bounds) -> Result<Result<Page, Long>, Fault> {
    // The counter is committed with the events it counts, so in one snapshot it is the frontier.
    let stored = about_store::load_store(&reader.conn)?.last_position;
    let frontier = read.until.map_or(stored, |until| number(until.get()).min(stored));
    match &read.from {
        Start::Stream(stream, after) => stream_page(reader, read, stream, *after, (frontier, stored), bounds),
        Start::Log(query, after) => log_page(reader, read, query, *after, frontier, bounds),
    }
}

impl Bounds {
    fn limit(self, read: &Read) -> usize {
        usize::try_from(read.limit.min(self.events)).unwrap_or(usize::MAX)
    }
}

/// As SQLite has it; what is larger than any it could hold is the largest.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn log_page(
    reader: &mut Reader,
    read: &Read,
    query: &Query,
    after: Option<Position>,
    frontier: i64,
    bounds: Bounds,
) -> Result<Result<Page, Long>, Fault> {
    let limit = bounds.limit(read);
    let after = after.map(|after| number(after.get()));
    let range = match read.direction {
        Direction::Forward => Range { low: after.map_or(1, |after| after.saturating_add(1)), high: frontier },
        Direction::Backward => Range { low: 1, high: after.map_or(frontier, |after| frontier.min(after - 1)) },
    };
    // How many events a query looks at until it has found as many as are asked for, nobody knows before.
    let looks = if query.any_of.is_empty() { range.count().min(number(limit as u64)) } else { range.count() };
    if looks > bounds.looks {
        return Ok(Err(Long { frontier }));
    }
    let scan = Scan { query, direction: read.direction, limit, bytes: bounds.bytes };
    let Found { events, examined } = scan.page(&reader.conn, &mut reader.names, range)?;
    let next = examined.map(|examined| {
        let mut next = Read::log_after(query.clone(), position(examined)).limit(read.limit).until(position(frontier));
        next.direction = read.direction;
        next
    });
    Ok(Ok(Page::new(events, position(frontier), next, None)))
}

fn stream_page(
    reader: &mut Reader,
    read: &Read,
    stream: &StreamId,
    after: Option<Revision>,
    (frontier, stored): (i64, i64),
    bounds: Bounds,
) -> Result<Result<Page, Long>, Fault> {
    let limit = bounds.limit(read);
    let Reader { conn, names } = reader;
    let chain = Chain::of(conn, stream)?;
    let last = match &chain {
        // In one snapshot, a frontier that was not held back has all of the stream below it.
        Some(chain) if frontier < stored => chain.at(conn, frontier)?,
        chain => chain.as_ref().map(|chain| chain.last),
    };
    let (Some(chain), Some(last)) = (chain, last) else {
        return Ok(Ok(Page::new(Vec::new(), position(frontier), None, None)));
    };
    names.keep_stream(chain.stream, stream.clone());
    let after = after.map(|after| number(after.get()));
    let range = match read.direction {
        Direction::Forward => Range { low: after.map_or(0, |after| after.saturating_add(1)), high: last },
        Direction::Backward => Range { low: 0, high: after.map_or(last, |after| last.min(after - 1)) },
    };
    let wanted = range.count().min(number(limit as u64));
    if wanted > bounds.looks {
        return Ok(Err(Long { frontier }));
    }
    let events = chain.events(conn, names, stream, (range, read.direction, wanted), bounds.bytes)?;
    let is_more = number(events.len() as u64) < range.count();
    let next = events.last().filter(|_| is_more).map(|event| read.clone().after(event).until(position(frontier)));
    Ok(Ok(Page::new(events, position(frontier), next, Some(Revision::new(last.cast_unsigned())))))
}
