//! Lists: where the events of a stream, a kind or a tag stand in the log.
//!
//! All three are alike. The entries of a list are numbered from 0 without a gap (for a stream, these are its
//! revisions), each names a position, and positions rise. Where a list ends stands in the row of its name, under a
//! checksum. So an entry that was lost or changed is noticed: as a gap, a short end, a position out of order, or an
//! event that is another than the list says. Those of a kind or a tag have a table; those of a stream are the events
//! themselves, each of which leads to those before it (see [`chain`](crate::chain)).

use crate::chain::Chain;
use crate::error::Fault;
use crate::heads::Head;
use crate::names::{self, Table};
use crate::query::Range;
use portolan_kernel::values::{Direction, Recorded, Tag};
use rusqlite::{Connection, OptionalExtension, Row};

/// What the events of a list have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// With the position of its last event.
    Stream(i64),
    Kind,
    Tag(Tag),
}

/// One list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct List {
    pub(crate) sort: Sort,
    pub(crate) number: i64,
    /// The number of its last entry.
    pub(crate) last: i64,
}

/// The n-th of a list, and its position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) n: i64,
    pub(crate) position: i64,
}

impl List {
    fn chain(&self, position: i64) -> Chain {
        Chain { stream: self.number, last: self.last, position }
    }

    /// The entries of these numbers, or so many of them, in order; each is there.
    pub(crate) fn entries(
        &self,
        conn: &Connection,
        range: Range,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let count = range.count().min(i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = match (&self.sort, direction) {
            (Sort::Stream(position), _) => return self.chain(*position).entries(conn, range, direction, count),
            (Sort::Kind, Direction::Forward) => {
                "SELECT n, position FROM kind_events WHERE kind = ?1 AND n BETWEEN ?2 AND ?3 ORDER BY n LIMIT ?4"
            }
            (Sort::Kind, Direction::Backward) => {
                "SELECT n, position FROM kind_events WHERE kind = ?1 AND n BETWEEN ?2 AND ?3 ORDER BY n DESC LIMIT ?4"
            }
            (Sort::Tag(_), Direction::Forward) => {
                "SELECT n, position FROM tag_events WHERE tag = ?1 AND n BETWEEN ?2 AND ?3 ORDER BY n LIMIT ?4"
            }
            (Sort::Tag(_), Direction::Backward) => {
                "SELECT n, position FROM tag_events WHERE tag = ?1 AND n BETWEEN ?2 AND ?3 ORDER BY n DESC LIMIT ?4"
            }
        };
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([self.number, range.low, range.high, count])?;
        let mut entries: Vec<Entry> = Vec::new();
        for place in 0..count {
            let expected = match direction {
                Direction::Forward => range.low + place,
                Direction::Backward => range.high - place,
            };
            let entry = rows.next()?.map(|row| Ok::<_, Fault>(Entry { n: row.get(0)?, position: row.get(1)? }));
            let rises = |entry: &Entry| {
                entries.last().is_none_or(|before| match direction {
                    Direction::Forward => before.position < entry.position,
                    Direction::Backward => before.position > entry.position,
                })
            };
            match entry.transpose()? {
                Some(entry) if entry.n == expected && rises(&entry) => entries.push(entry),
                _ => return Err(self.lacks(conn, expected)),
            }
        }
        Ok(entries)
    }

    /// The last entry at or below a position. Found by halving, from the end in growing steps, or along the links of a
    /// stream: who asks is mostly interested in what came last.
    pub(crate) fn at(&self, conn: &Connection, position: i64) -> Result<Option<i64>, Fault> {
        if let Sort::Stream(last) = self.sort {
            return self.chain(last).at(conn, position);
        }
        let is_above = |n: i64| -> Result<bool, Fault> {
            let entry = self.entries(conn, Range { low: n, high: n }, Direction::Forward, 1)?;
            Ok(entry.first().is_some_and(|entry| entry.position > position))
        };
        // Entries from `above` on are above; `below` is not, or is before the first.
        let (mut below, mut above, mut step) = (-1, self.last + 1, 1);
        while below < above - 1 {
            let n = if step > 0 { (above - step).max(below + 1) } else { below + (above - below) / 2 };
            if is_above(n)? {
                above = n;
                step *= 2;
            } else {
                below = n;
                step = 0;
            }
        }
        self.is_boundary(conn, below)?;
        Ok((below >= 0).then_some(below))
    }

    /// A changed position can lead the halving astray, and only to where it stands: so those on both sides of
    /// the boundary have to be in order with their neighbours, and to lead to events of this list.
    fn is_boundary(&self, conn: &Connection, below: i64) -> Result<(), Fault> {
        let around = Range { low: (below - 1).max(0), high: (below + 2).min(self.last) };
        for entry in self.entries(conn, around, Direction::Forward, usize::MAX)? {
            if (entry.n == below || entry.n == below + 1) && !self.leads_right(conn, entry)? {
                return Err(self.misleads(entry.position));
            }
        }
        Ok(())
    }

    /// Whether the event there is of this list, by its own row.
    pub(crate) fn leads_right(&self, conn: &Connection, entry: Entry) -> Result<bool, Fault> {
        let mut row = conn.prepare_cached("SELECT stream, revision, kind, tags FROM log WHERE position = ?1")?;
        let leads_right = row
            .query_row([entry.position], |row| {
                Ok(match &self.sort {
                    Sort::Stream(_) => row.get::<_, i64>(0)? == self.number && row.get::<_, i64>(1)? == entry.n,
                    Sort::Kind => row.get::<_, i64>(2)? == self.number,
                    Sort::Tag(tag) => row
                        .get_ref(3)?
                        .as_str_or_null()?
                        .is_some_and(|tags| tags.split('\n').any(|line| line == &**tag)),
                })
            })
            .optional()?;
        Ok(leads_right == Some(true))
    }

    /// Whether the event is of this list; `row` is its row, as [`select_events`](crate::rows::select_events) has it.
    pub(crate) fn holds(&self, row: &Row<'_>, event: &Recorded) -> Result<bool, Fault> {
        Ok(match &self.sort {
            Sort::Stream(_) => row.get::<_, i64>(1)? == self.number,
            Sort::Kind => row.get::<_, i64>(3)? == self.number,
            Sort::Tag(tag) => event.tags.contains(tag),
        })
    }

    /// An entry that has to be there and is not, or is out of order.
    pub(crate) fn lacks(&self, conn: &Connection, n: i64) -> Fault {
        match &self.sort {
            Sort::Stream(_) => gap(conn, self.number, n),
            Sort::Kind => Fault::Damaged(format!("table kind_events, kind {}, n {n}", self.number)),
            Sort::Tag(tag) => Fault::Damaged(format!("table tag_events, tag {tag}, n {n}")),
        }
    }

    pub(crate) fn misleads(&self, position: i64) -> Fault {
        let what = match &self.sort {
            Sort::Stream(_) => "table log",
            Sort::Kind => "table kind_events",
            Sort::Tag(_) => "table tag_events",
        };
        Fault::Damaged(format!("{what}: it names position {position}, where another event stands"))
    }
}

/// A revision that has to be there and is not.
pub(crate) fn gap(conn: &Connection, stream: i64, revision: i64) -> Fault {
    let name = names::load_stream(conn, stream).map_or_else(|_| format!("number {stream}"), |name| name.to_string());
    Fault::Damaged(format!(
        "table log, stream {name}, revision {revision}: the event is missing, or not where the stream leads to"
    ))
}

/// The list of a stream, if there is one.
pub(crate) fn of_stream(conn: &Connection, name: &str) -> Result<Option<List>, Fault> {
    let chain = Chain::of(conn, name)?;
    Ok(chain.map(|Chain { stream, last, position }| List { sort: Sort::Stream(position), number: stream, last }))
}

/// The list of a tag, if there is one.
pub(crate) fn of_tag(conn: &Connection, tag: Tag) -> Result<Option<List>, Fault> {
    let Head { number, last, .. } = Table::Tags.head(conn, &tag)?;
    Ok(number.zip(last).map(|(number, last)| List { sort: Sort::Tag(tag), number, last }))
}
