//! Names, interned: a number in the log, one shared text in memory. Streams, kinds (category and type together) and
//! tags each have a table of them.
//!
//! A row carries a checksum over its number, its name and its head, verified when it is loaded. A name that is not
//! found is not yet missing: an entry of the index on names whose bytes have changed is not found under what it was,
//! and still stands where it stood. So the entries on both sides of the gap are compared with their rows.

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::heads::{Head, Moved};
use crate::links::Trail;
use core::borrow::Borrow;
use core::hash::{BuildHasherDefault, Hasher};
use portolan_kernel::values::{EventType, Name, StreamId};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How many bytes of names one connection keeps, each with what it takes to keep it. Past them it starts afresh.
const KEPT_BYTES: usize = 16 << 20;
const OVERHEAD_BYTES: usize = 80;

/// The names behind numbers, for readers. A number once committed never changes its name.
#[derive(Default)]
pub(crate) struct Names {
    streams: Numbered<Stream>,
    kinds: Numbered<Kind>,
    bytes: usize,
}

struct Stream {
    name: StreamId,
    category_bytes: usize,
}

/// A category and a type, which share a number.
struct Kind {
    category: Name,
    event_type: EventType,
}

impl Names {
    /// The stream and the type of an event; `None` when its kind is of another category than its stream.
    pub(crate) fn of_event(
        &mut self,
        conn: &Connection,
        stream: i64,
        kind: i64,
    ) -> Result<Option<(StreamId, EventType)>, Fault> {
        self.make_room();
        let stream = match self.streams.entry(stream) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let stream = Stream::from(load_stream(conn, stream)?);
                self.bytes += stream.name.len() + OVERHEAD_BYTES;
                place.insert(stream)
            }
        };
        let kind = match self.kinds.entry(kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let kind = load_kind(conn, kind)?;
                self.bytes += kind.category.len() + kind.event_type.len() + OVERHEAD_BYTES;
                place.insert(kind)
            }
        };
        let are_one = kind.category.as_bytes() == &stream.name.as_bytes()[..stream.category_bytes];
        Ok(are_one.then(|| (stream.name.clone(), kind.event_type.clone())))
    }

    /// Keeps a stream's name that is known to stand behind the number.
    pub(crate) fn keep_stream(&mut self, number: i64, name: StreamId) {
        self.make_room();
        let bytes = name.len() + OVERHEAD_BYTES;
        if self.streams.insert(number, name.into()).is_none() {
            self.bytes += bytes;
        }
    }

    /// Starts afresh when it is full.
    fn make_room(&mut self) {
        if self.bytes > KEPT_BYTES {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.kinds.clear();
        self.bytes = 0;
    }
}

impl From<StreamId> for Stream {
    fn from(name: StreamId) -> Self {
        Self { category_bytes: name.category().len(), name }
    }
}

/// What is looked up for every event.
type Numbered<T> = HashMap<i64, T, BuildHasherDefault<Neighbours>>;

/// Hashes numbers so that neighbours stay neighbours: those that were given out one after another are mostly read so
/// too, and a table of many, each in a place of its own, would miss the processor's cache with each.
#[derive(Default)]
struct Neighbours(u64);

impl Hasher for Neighbours {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i64((self.0 << 8 | u64::from(*byte)).cast_signed());
        }
    }

    fn write_i64(&mut self, number: i64) {
        // The table takes the place from the low bits, and from the highest what it compares before the keys.
        let number = number.cast_unsigned();
        self.0 = number ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & !(u64::MAX >> 7);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Selects entries of the index on names, each beside the row it leads to: from the table, and not from the index
/// that is in question.
macro_rules! neighbour {
    ($table:literal, $end:literal, $index:literal) => {
        concat!(
            "SELECT i.name, i.number, t.name, t.checksum, ",
            $end,
            " FROM ",
            $table,
            " AS i INDEXED BY ",
            $index,
            " LEFT JOIN ",
            $table,
            " AS t NOT INDEXED ON t.number = i.number "
        )
    };
}

/// The tables whose names are one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Streams,
    Tags,
}

impl Table {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Tags => "tags",
        }
    }

    /// Of a row: with the position of the last entry, if the table has it.
    pub(crate) fn checksum(self, number: i64, name: &str, last: i64, position: Option<i64>) -> i64 {
        let mut checksum = Checksum::of(self.name());
        checksum.number(number).bytes(name.as_bytes()).number(last);
        if let Some(position) = position {
            checksum.number(position);
        }
        checksum.get()
    }

    pub(crate) fn damaged(self, number: i64) -> Fault {
        Fault::Damaged(format!("table {}, number {number}", self.name()))
    }

    fn sql(self, streams: &'static str, tags: &'static str) -> &'static str {
        match self {
            Self::Streams => streams,
            Self::Tags => tags,
        }
    }

    /// The head of the list of this name; an empty one where there is no such list.
    pub(crate) fn head(self, conn: &Connection, name: &str) -> Result<Head, Fault> {
        // In one step down the index: its entry, or else the one that follows the gap.
        let mut above = conn.prepare_cached(self.sql(
            concat!(
                neighbour!("streams", "t.last_revision, t.position", "sqlite_autoindex_streams_1"),
                "WHERE i.name >= ?1 ORDER BY i.name LIMIT 1"
            ),
            concat!(
                neighbour!("tags", "t.last, NULL", "sqlite_autoindex_tags_1"),
                "WHERE i.name >= ?1 ORDER BY i.name LIMIT 1"
            ),
        ))?;
        let mut rows = above.query([name])?;
        if let Some(row) = rows.next()? {
            let number = self.agreed(row)?;
            if row.get_ref(0)? == ValueRef::Text(name.as_bytes()) {
                let (checksum, last, position): (i64, i64, Option<i64>) = (row.get(3)?, row.get(4)?, row.get(5)?);
                if self.checksum(number, name, last, position) != checksum {
                    return Err(self.damaged(number));
                }
                // A stream of the first version may have a name before it has an event.
                let (last, trail) = (Some(last).filter(|last| *last >= 0), Trail::from(position.unwrap_or(0)));
                if self == Self::Streams && last.is_some() != trail.last().is_some() {
                    return Err(self.damaged(number));
                }
                return Ok(Head { number: Some(number), last, trail });
            }
        }
        let mut below = conn.prepare_cached(self.sql(
            concat!(
                neighbour!("streams", "t.last_revision, t.position", "sqlite_autoindex_streams_1"),
                "WHERE i.name < ?1 ORDER BY i.name DESC LIMIT 1"
            ),
            concat!(
                neighbour!("tags", "t.last, NULL", "sqlite_autoindex_tags_1"),
                "WHERE i.name < ?1 ORDER BY i.name DESC LIMIT 1"
            ),
        ))?;
        let mut rows = below.query([name])?;
        if let Some(row) = rows.next()? {
            self.agreed(row)?;
        }
        Ok(Head::default())
    }

    /// The number of an entry of the index, if the row that it leads to has the same name.
    fn agreed(self, row: &Row<'_>) -> Result<i64, Fault> {
        let number = row.get(1)?;
        if row.get_ref(0)? == row.get_ref(2)? {
            return Ok(number);
        }
        Err(Fault::Damaged(format!("index of table {} by name, at number {number}", self.name())))
    }

    /// The number of a new name, which [`save`](Self::save) writes in the same transaction. `last` is the largest one
    /// given out, once that is known.
    pub(crate) fn next_number(self, conn: &Connection, last: &mut Option<i64>) -> Result<i64, Fault> {
        let largest = match *last {
            Some(largest) => largest,
            None => {
                let sql = self.sql("SELECT max(number) FROM streams", "SELECT max(number) FROM tags");
                conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0)
            }
        };
        let next = largest.checked_add(1).ok_or_else(|| self.damaged(largest))?;
        Ok(*last.insert(next))
    }

    /// Writes names with the ends of their lists.
    pub(crate) fn save<K: Borrow<str>>(self, conn: &Connection, moved: &[Moved<K>]) -> Result<(), Fault> {
        let mut insert = None;
        let mut update = None;
        for Moved { name, head, is_new, stands } in moved {
            let (Some(number), Some(last)) = (head.number, head.last) else { continue };
            let name = name.borrow();
            let position = head.trail.last().filter(|_| self == Self::Streams);
            let checksum = self.checksum(number, name, last, position);
            if *is_new {
                let insert = match &mut insert {
                    Some(insert) => insert,
                    None => insert.insert(conn.prepare_cached(self.sql(
                        "INSERT INTO streams (number, name, last_revision, checksum, position) VALUES (?1, ?2, ?3, ?4, ?5)",
                        "INSERT INTO tags (number, name, last, checksum) VALUES (?1, ?2, ?3, ?4)",
                    ))?),
                };
                match position {
                    Some(position) => insert.execute((number, name, last, checksum, position))?,
                    None => insert.execute((number, name, last, checksum))?,
                };
            } else {
                let update = match &mut update {
                    Some(update) => update,
                    None => update.insert(conn.prepare_cached(self.sql(
                        "UPDATE streams SET last_revision = ?2, checksum = ?3, position = ?4 WHERE number = ?1 AND position = ?5",
                        "UPDATE tags SET last = ?2, checksum = ?3 WHERE number = ?1",
                    ))?),
                };
                // No revision is given twice: the row has to be what it was when those after it were given.
                let updated = match position {
                    Some(position) => update.execute((number, last, checksum, position, stands.unwrap_or(0)))?,
                    None => update.execute((number, last, checksum))?,
                };
                if updated != 1 {
                    return Err(self.damaged(number));
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn kind_checksum(number: i64, category: &str, event_type: &str, last: i64) -> i64 {
    Checksum::of("kinds").number(number).bytes(category.as_bytes()).bytes(event_type.as_bytes()).number(last).get()
}

pub(crate) fn damaged_kind(number: i64) -> Fault {
    Fault::Damaged(format!("table kinds, number {number}"))
}

/// The name of the stream with this number.
pub(crate) fn load_stream(conn: &Connection, number: i64) -> Result<StreamId, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT name, last_revision, checksum, position FROM streams WHERE number = ?1")?;
    let name = statement
        .query_row([number], |row| {
            let name = row.get_ref(0)?.as_str().ok().and_then(|name| StreamId::new(name).ok());
            let (last, checksum, position): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(name.filter(|name| Table::Streams.checksum(number, name, last, Some(position)) == checksum))
        })
        .optional()?;
    name.flatten().ok_or_else(|| Table::Streams.damaged(number))
}

fn load_kind(conn: &Connection, number: i64) -> Result<Kind, Fault> {
    let mut statement = conn.prepare_cached("SELECT category, type, last, checksum FROM kinds WHERE number = ?1")?;
    let kind = statement
        .query_row([number], |row| {
            let (Ok(category), Ok(event_type)) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str()) else {
                return Ok(None);
            };
            let is_whole = kind_checksum(number, category, event_type, row.get(2)?) == row.get::<_, i64>(3)?;
            let names = Name::new(category).ok().zip(EventType::new(event_type).ok());
            Ok(names.filter(|_| is_whole).map(|(category, event_type)| Kind { category, event_type }))
        })
        .optional()?;
    kind.flatten().ok_or_else(|| damaged_kind(number))
}

/// Gives a kind its number. The row is sealed by [`save_kind`], in the same transaction.
pub(crate) fn new_kind(conn: &Connection, category: &str, event_type: &str) -> Result<i64, Fault> {
    let mut statement =
        conn.prepare_cached("INSERT INTO kinds (category, type, last, checksum) VALUES (?1, ?2, -1, 0)")?;
    Ok(statement.insert([category, event_type])?)
}

/// Writes where a kind's list ends.
pub(crate) fn save_kind(conn: &Connection, category: &str, event_type: &str, head: Head) -> Result<(), Fault> {
    if let Head { number: Some(number), last: Some(last), .. } = head {
        let checksum = kind_checksum(number, category, event_type, last);
        conn.prepare_cached("UPDATE kinds SET last = ?2, checksum = ?3 WHERE number = ?1")?
            .execute([number, last, checksum])?;
    }
    Ok(())
}

/// The numbers and last entries of the kinds of a category, a type, or both; at most `limit` of them.
pub(crate) fn kinds(
    conn: &Connection,
    category: Option<&str>,
    event_type: Option<&str>,
    limit: usize,
) -> Result<Vec<(i64, i64)>, Fault> {
    const BY_CATEGORY: &str = "SELECT number, category, type, last, checksum FROM kinds \
         WHERE category = ?1 AND type >= coalesce(?2, '') AND type <= coalesce(?2, type) \
         ORDER BY category, type LIMIT ?3";
    const BY_TYPE: &str = "SELECT number, category, type, last, checksum FROM kinds INDEXED BY kinds_by_type \
         WHERE ?1 IS NULL AND type = ?2 ORDER BY type, category LIMIT ?3";
    let mut statement = conn.prepare_cached(if category.is_some() { BY_CATEGORY } else { BY_TYPE })?;
    let mut rows = statement.query(params![category, event_type, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    // The other half of the index's key, of the first row and of the last.
    let mut ends = (event_type.filter(|_| category.is_some()).unwrap_or_default().to_owned(), None);
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let (its_category, its_type) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        let is_asked =
            category.is_none_or(|asked| asked == its_category) && event_type.is_none_or(|asked| asked == its_type);
        let last = row.get(3)?;
        if !is_asked || kind_checksum(number, its_category, its_type, last) != row.get::<_, i64>(4)? {
            return Err(damaged_kind(number));
        }
        let other = if category.is_some() { its_type } else { its_category };
        if found.is_empty() {
            other.clone_into(&mut ends.0);
        }
        ends.1 = Some(other.to_owned());
        found.push((number, last));
    }
    if found.len() < limit {
        let last = ends.1.as_deref().unwrap_or(&ends.0);
        match (category, event_type) {
            (Some(category), _) => are_all_kinds(conn, &BY_CATEGORY_SIDES, category, (&ends.0, last))?,
            (None, Some(event_type)) => are_all_kinds(conn, &BY_TYPE_SIDES, event_type, (&ends.0, last))?,
            (None, None) => {}
        }
    }
    Ok(found)
}

const BY_CATEGORY_SIDES: [&str; 2] = [
    "SELECT category, type, number FROM kinds WHERE (category, type) < (?1, ?2) \
     ORDER BY category DESC, type DESC LIMIT 1",
    "SELECT category, type, number FROM kinds WHERE (category, type) > (?1, ?2) ORDER BY category, type LIMIT 1",
];
const BY_TYPE_SIDES: [&str; 2] = [
    "SELECT category, type, number FROM kinds INDEXED BY kinds_by_type WHERE (type, category) < (?1, ?2) \
     ORDER BY type DESC, category DESC LIMIT 1",
    "SELECT category, type, number FROM kinds INDEXED BY kinds_by_type WHERE (type, category) > (?1, ?2) \
     ORDER BY type, category LIMIT 1",
];

/// Compares the neighbours of the kinds that were found under a name, from one end to the other by the other
/// half of the key, with their rows.
fn are_all_kinds(conn: &Connection, sides: &[&str; 2], name: &str, ends: (&str, &str)) -> Result<(), Fault> {
    for (side, end) in sides.iter().zip([ends.0, ends.1]) {
        let mut entry = conn.prepare_cached(side)?;
        let found: Option<(Value, Value, i64)> =
            entry.query_row([name, end], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let Some((category, event_type, number)) = found else { continue };
        let mut row = conn.prepare_cached("SELECT category, type FROM kinds NOT INDEXED WHERE number = ?1")?;
        let agrees =
            row.query_row([number], |row| Ok((row.get(0), row.get(1)) == (Ok(category), Ok(event_type)))).optional()?;
        if agrees != Some(true) {
            return Err(Fault::Damaged(format!("index of table kinds, at number {number}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::BuildHasher;

    #[test]
    fn a_stream_that_ends_elsewhere_than_was_believed_is_not_written() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE streams (number INTEGER PRIMARY KEY, name TEXT UNIQUE, last_revision INTEGER, checksum INTEGER, \
             position INTEGER)",
        )
        .unwrap();
        let ends = |last, position| Head { number: Some(1), last: Some(last), trail: Trail::from(position) };
        let save = |head, stands: Option<i64>| {
            let moved = Moved { name: "s-1", head, is_new: stands.is_none(), stands };
            Table::Streams.save(&conn, &[moved])
        };
        save(ends(0, 3), None).unwrap();
        save(ends(1, 7), Some(3)).unwrap();
        // A revision 1 was given already, at position 7.
        assert!(save(ends(1, 9), Some(3)).is_err());
        assert_eq!(Table::Streams.head(&conn, "s-1").unwrap(), ends(1, 7));
    }

    #[test]
    fn neighbours_have_places_side_by_side_and_what_tells_them_apart() {
        let hash = |number: i64| BuildHasherDefault::<Neighbours>::default().hash_one(number);
        for first in [1, 1 << 20, 3 << 40] {
            let (mut places, mut tags) = (Vec::new(), std::collections::HashSet::new());
            for number in first..first + 16 {
                places.push(hash(number) << 32 >> 32);
                tags.insert(hash(number) >> 57);
            }
            assert!(places.windows(2).all(|pair| pair[1] == pair[0] + 1), "{places:?}");
            assert!(tags.len() > 8, "{tags:?}");
        }
    }
}
