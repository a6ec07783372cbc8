//! Stream names and event types, interned: a number in the log, one shared text in memory.
//!
//! A row of names carries a checksum over its number and its names, verified when it is loaded. A name that is
//! not found is not yet missing: see [`neighbours`](crate::neighbours).

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::heads::Head;
use crate::neighbours;
use portolan_kernel::values::{EventType, Name, StreamId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// How many names of a sort one connection keeps. Past them it starts afresh.
const KEPT: usize = 50_000;

/// The names behind numbers, for readers. A number once committed never changes its name.
#[derive(Default)]
pub(crate) struct Names {
    streams: HashMap<i64, StreamId>,
    kinds: HashMap<i64, Kind>,
}

/// A category and a type, which share a number.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) category: Name,
    pub(crate) event_type: EventType,
}

impl Names {
    pub(crate) fn stream(&mut self, conn: &Connection, number: i64) -> Result<StreamId, Fault> {
        if let Some(name) = self.streams.get(&number) {
            return Ok(name.clone());
        }
        let mut statement =
            conn.prepare_cached("SELECT name, last_revision, checksum FROM streams WHERE number = ?1")?;
        let name = statement
            .query_row([number], |row| {
                let name = row.get_ref(0)?.as_str().ok().and_then(|name| StreamId::new(name).ok());
                let (last, checksum): (i64, i64) = (row.get(1)?, row.get(2)?);
                Ok(name.filter(|name| stream_checksum(number, name, last) == checksum))
            })
            .optional()?;
        let name = name.flatten().ok_or_else(|| damaged_stream(number))?;
        self.keep_stream(number, name.clone());
        Ok(name)
    }

    /// Keeps a stream's name that is known to stand behind the number.
    pub(crate) fn keep_stream(&mut self, number: i64, name: StreamId) {
        keep(&mut self.streams, number, name);
    }

    pub(crate) fn kind(&mut self, conn: &Connection, number: i64) -> Result<&Kind, Fault> {
        // Looked up twice for the borrow checker's sake alone; kinds are few, and nearly always there.
        if !self.kinds.contains_key(&number) {
            let kind = load_kind(conn, number)?;
            keep(&mut self.kinds, number, kind);
        }
        self.kinds.get(&number).ok_or_else(|| damaged_kind(number))
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.kinds.clear();
    }
}

fn load_kind(conn: &Connection, number: i64) -> Result<Kind, Fault> {
    let mut statement = conn.prepare_cached("SELECT category, type, checksum FROM kinds WHERE number = ?1")?;
    let kind = statement
        .query_row([number], |row| {
            let (Ok(category), Ok(event_type)) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str()) else {
                return Ok(None);
            };
            let is_whole = kind_checksum(number, category, event_type) == row.get::<_, i64>(2)?;
            let names = Name::new(category).ok().zip(EventType::new(event_type).ok());
            Ok(names.filter(|_| is_whole).map(|(category, event_type)| Kind { category, event_type }))
        })
        .optional()?;
    kind.flatten().ok_or_else(|| damaged_kind(number))
}

pub(crate) fn damaged_stream(number: i64) -> Fault {
    Fault::Damaged(format!("table streams, number {number}"))
}

pub(crate) fn damaged_kind(number: i64) -> Fault {
    Fault::Damaged(format!("table kinds, number {number}"))
}

pub(crate) fn stream_checksum(number: i64, name: &str, last_revision: i64) -> i64 {
    Checksum::of("streams").number(number).bytes(name.as_bytes()).number(last_revision).get()
}

pub(crate) fn kind_checksum(number: i64, category: &str, event_type: &str) -> i64 {
    Checksum::of("kinds").number(number).bytes(category.as_bytes()).bytes(event_type.as_bytes()).get()
}

fn keep<K: core::hash::Hash + Eq, V>(names: &mut HashMap<K, V>, key: K, value: V) {
    if names.len() >= KEPT {
        names.clear();
    }
    names.insert(key, value);
}

/// A stream's number and last revision, if there is such a stream.
pub(crate) fn stream_head(conn: &Connection, name: &str) -> Result<Head, Fault> {
    let mut statement = conn.prepare_cached("SELECT number, last_revision, checksum FROM streams WHERE name = ?1")?;
    let row: Option<(i64, i64, i64)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    match row {
        Some((number, last, checksum)) if stream_checksum(number, name, last) == checksum => {
            Ok(Head { number: Some(number), last: (last >= 0).then_some(last) })
        }
        Some((number, ..)) => Err(damaged_stream(number)),
        None => neighbours::of_missing_stream(conn, name).map(|()| Head::default()),
    }
}

/// Gives a stream its number.
pub(crate) fn new_stream(conn: &Connection, name: &str) -> Result<i64, Fault> {
    // Sealed with its last revision, once that is known: see `save_head`.
    let number = conn
        .prepare_cached("INSERT INTO streams (name, last_revision, checksum) VALUES (?1, -1, 0)")?
        .insert([name])?;
    Ok(number)
}

/// Records the last revision of a stream.
pub(crate) fn save_head(conn: &Connection, number: i64, name: &str, last_revision: i64) -> Result<(), Fault> {
    conn.prepare_cached("UPDATE streams SET last_revision = ?2, checksum = ?3 WHERE number = ?1")?.execute([
        number,
        last_revision,
        stream_checksum(number, name, last_revision),
    ])?;
    Ok(())
}

/// The numbers of kinds (category and event type together), for the writer.
#[derive(Default)]
pub(crate) struct Kinds {
    /// By category, a control character (names have none), and type.
    numbers: HashMap<String, i64>,
    key: String,
}

impl Kinds {
    /// The number of a kind, which gets one now if it has none.
    pub(crate) fn number(&mut self, conn: &Connection, category: &str, event_type: &str) -> Result<i64, Fault> {
        self.key.clear();
        self.key.extend([category, "\n", event_type]);
        if let Some(number) = self.numbers.get(&self.key) {
            return Ok(*number);
        }
        let number = match known_kinds(conn, Some(category), Some(event_type), 1)?.first() {
            Some(number) => *number,
            None => new_kind(conn, category, event_type)?,
        };
        keep(&mut self.numbers, self.key.clone(), number);
        Ok(number)
    }

    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
    }
}

fn new_kind(conn: &Connection, category: &str, event_type: &str) -> Result<i64, Fault> {
    let number = conn
        .prepare_cached("INSERT INTO kinds (category, type, checksum) VALUES (?1, ?2, 0)")?
        .insert([category, event_type])?;
    let checksum = kind_checksum(number, category, event_type);
    conn.prepare_cached("UPDATE kinds SET checksum = ?2 WHERE number = ?1")?.execute([number, checksum])?;
    Ok(number)
}

/// The numbers of the kinds of a category, a type, or both; up to `limit` of them.
pub(crate) fn known_kinds(
    conn: &Connection,
    category: Option<&str>,
    event_type: Option<&str>,
    limit: usize,
) -> Result<Vec<i64>, Fault> {
    const BY_CATEGORY: &str = "SELECT number, category, type, checksum FROM kinds WHERE category = ?1 AND ?2 IS NULL \
         ORDER BY category, type LIMIT ?3";
    const BY_TYPE: &str = "SELECT number, category, type, checksum FROM kinds INDEXED BY kinds_by_type \
         WHERE type = ?2 AND ?1 IS NULL ORDER BY type, category LIMIT ?3";
    const BY_BOTH: &str =
        "SELECT number, category, type, checksum FROM kinds WHERE category = ?1 AND type = ?2 LIMIT ?3";
    let sql = match (category, event_type) {
        (Some(_), Some(_)) => BY_BOTH,
        (Some(_), None) => BY_CATEGORY,
        _ => BY_TYPE,
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![category, event_type, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let (mut numbers, mut ends) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        let (its_category, its_type) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        let is_asked =
            category.is_none_or(|asked| asked == its_category) && event_type.is_none_or(|asked| asked == its_type);
        if !is_asked || kind_checksum(number, its_category, its_type) != row.get::<_, i64>(3)? {
            return Err(damaged_kind(number));
        }
        // The other half of the index's key, from the first row to the last.
        let other = if category.is_some() { its_type } else { its_category };
        let first = ends.take().map_or_else(|| other.to_owned(), |(first, _)| first);
        ends = Some((first, other.to_owned()));
        numbers.push(number);
    }
    if numbers.len() < limit {
        let ends = ends.as_ref().map(|(first, last)| (first.as_str(), last.as_str()));
        match (category, event_type) {
            (Some(category), Some(event_type)) if numbers.is_empty() => {
                neighbours::of_kinds(conn, neighbours::KindIndex::Category, category, (event_type, event_type))?;
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(category), None) => {
                neighbours::of_kinds(conn, neighbours::KindIndex::Category, category, ends.unwrap_or_default())?;
            }
            (None, Some(event_type)) => {
                neighbours::of_kinds(conn, neighbours::KindIndex::Type, event_type, ends.unwrap_or_default())?;
            }
        }
    }
    Ok(numbers)
}
