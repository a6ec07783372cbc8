//! Stream names and event types, interned: a number in the log, one shared text in memory.

use crate::error::Fault;
use portolan_kernel::values::{EventType, StreamId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// How many names of a sort one connection keeps. Past them it starts afresh.
const KEPT: usize = 50_000;

/// The names behind numbers, for readers. A number once committed never changes its name.
#[derive(Default)]
pub(crate) struct Names {
    streams: HashMap<i64, StreamId>,
    types: HashMap<i64, EventType>,
}

impl Names {
    pub(crate) fn stream(&mut self, conn: &Connection, number: i64) -> Result<StreamId, Fault> {
        if let Some(name) = self.streams.get(&number) {
            return Ok(name.clone());
        }
        let text = text_of(conn, "SELECT name FROM streams WHERE number = ?1", number)?;
        let name = text.and_then(|text| StreamId::new(text).ok());
        let name = name.ok_or_else(|| Fault::Damaged(format!("table streams, number {number}")))?;
        keep(&mut self.streams, number, name.clone());
        Ok(name)
    }

    pub(crate) fn event_type(&mut self, conn: &Connection, kind: i64) -> Result<EventType, Fault> {
        if let Some(name) = self.types.get(&kind) {
            return Ok(name.clone());
        }
        let text = text_of(conn, "SELECT type FROM kinds WHERE number = ?1", kind)?;
        let name = text.and_then(|text| EventType::new(text).ok());
        let name = name.ok_or_else(|| Fault::Damaged(format!("table kinds, number {kind}")))?;
        keep(&mut self.types, kind, name.clone());
        Ok(name)
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.types.clear();
    }
}

fn text_of(conn: &Connection, sql: &str, number: i64) -> Result<Option<String>, Fault> {
    Ok(conn.prepare_cached(sql)?.query_row([number], |row| row.get(0)).optional()?)
}

fn keep<K: core::hash::Hash + Eq, V>(names: &mut HashMap<K, V>, key: K, value: V) {
    if names.len() >= KEPT {
        names.clear();
    }
    names.insert(key, value);
}

/// The number of a stream, if it has one.
pub(crate) fn stream_number(conn: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    let mut statement = conn.prepare_cached("SELECT number FROM streams WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Gives a stream its number.
pub(crate) fn new_stream(conn: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(conn.prepare_cached("INSERT INTO streams (name) VALUES (?1)")?.insert([name])?)
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
        let known = conn
            .prepare_cached("SELECT number FROM kinds WHERE category = ?1 AND type = ?2")?
            .query_row([category, event_type], |row| row.get(0))
            .optional()?;
        let number = match known {
            Some(number) => number,
            None => conn
                .prepare_cached("INSERT INTO kinds (category, type) VALUES (?1, ?2)")?
                .insert(params![category, event_type])?,
        };
        keep(&mut self.numbers, self.key.clone(), number);
        Ok(number)
    }

    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
    }
}
