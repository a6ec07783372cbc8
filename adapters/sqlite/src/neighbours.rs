//! Whether what an index does not name is really not there.
//!
//! An entry of an index carries no checksum, but it leads to a row that does. So an entry that is found is
//! compared with its row. One that is damaged is not found under what it was, and still stands where it stood:
//! between the entries that come before and after it. So where a search ends, the entries on both sides of the
//! gap are compared with their rows too: whatever stood there and was changed is one of the two. This costs a
//! step to each side.

use crate::error::Fault;
use crate::names;
use rusqlite::{Connection, OptionalExtension, params};

/// For a stream name that was not found.
pub(crate) fn of_missing_stream(conn: &Connection, name: &str) -> Result<(), Fault> {
    const SIDES: [&str; 2] = [
        "SELECT name, number FROM streams WHERE name < ?1 ORDER BY name DESC LIMIT 1",
        "SELECT name, number FROM streams WHERE name > ?1 ORDER BY name LIMIT 1",
    ];
    for sql in SIDES {
        let found: Option<(Vec<u8>, i64)> = conn
            .prepare_cached(sql)?
            .query_row([name], |row| Ok((row.get_ref(0)?.as_bytes()?.to_vec(), row.get(1)?)))
            .optional()?;
        if let Some((found, number)) = found {
            // From the table, and not from the index that is in question.
            let mut row = conn.prepare_cached("SELECT name FROM streams NOT INDEXED WHERE number = ?1")?;
            let stored = row.query_row([number], |row| Ok(row.get_ref(0)?.as_bytes()? == found)).optional()?;
            if stored != Some(true) {
                return Err(Fault::Damaged(format!("index of table streams, by name, near number {number}")));
            }
        }
    }
    Ok(())
}

/// Which index of the kinds.
#[derive(Clone, Copy)]
pub(crate) enum KindIndex {
    Category,
    Type,
}

/// For kinds of a category or a type, after all of them that the index names: those from `ends.0` to `ends.1`, by
/// the other half of the key.
pub(crate) fn of_kinds(conn: &Connection, index: KindIndex, name: &str, ends: (&str, &str)) -> Result<(), Fault> {
    let (sides, place) = match index {
        KindIndex::Category => (
            [
                "SELECT category, type, number FROM kinds WHERE (category, type) < (?1, ?2) \
                 ORDER BY category DESC, type DESC LIMIT 1",
                "SELECT category, type, number FROM kinds WHERE (category, type) > (?1, ?2) \
                 ORDER BY category, type LIMIT 1",
            ],
            "category",
        ),
        KindIndex::Type => (
            [
                "SELECT category, type, number FROM kinds INDEXED BY kinds_by_type WHERE (type, category) < (?1, ?2) \
                 ORDER BY type DESC, category DESC LIMIT 1",
                "SELECT category, type, number FROM kinds INDEXED BY kinds_by_type WHERE (type, category) > (?1, ?2) \
                 ORDER BY type, category LIMIT 1",
            ],
            "type",
        ),
    };
    for (sql, end) in sides.into_iter().zip([ends.0, ends.1]) {
        let found: Option<(String, String, i64)> = conn
            .prepare_cached(sql)?
            .query_row([name, end], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        if let Some((category, event_type, number)) = found {
            let stored: Option<i64> = conn
                .prepare_cached("SELECT checksum FROM kinds NOT INDEXED WHERE number = ?1")?
                .query_row([number], |row| row.get(0))
                .optional()?;
            if stored != Some(names::kind_checksum(number, &category, &event_type)) {
                return Err(Fault::Damaged(format!("index of table kinds, by {place}, near number {number}")));
            }
        }
    }
    Ok(())
}

/// For events of a tag, on both sides of those at positions from `ends.0` to `ends.1`.
pub(crate) fn of_tag(conn: &Connection, tag: &str, ends: (i64, i64)) -> Result<(), Fault> {
    const SIDES: [&str; 2] = [
        "SELECT tag, position FROM tags WHERE (tag, position) < (?1, ?2) ORDER BY tag DESC, position DESC LIMIT 1",
        "SELECT tag, position FROM tags WHERE (tag, position) > (?1, ?2) ORDER BY tag, position LIMIT 1",
    ];
    for (sql, end) in SIDES.into_iter().zip([ends.0, ends.1]) {
        let found: Option<(String, i64)> =
            conn.prepare_cached(sql)?.query_row(params![tag, end], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((tag, position)) = found
            && !has_tag(conn, &tag, position)?
        {
            return Err(damaged_tag(position));
        }
    }
    Ok(())
}

/// For events of a kind, on both sides of those at positions from `ends.0` to `ends.1`.
pub(crate) fn of_kind(conn: &Connection, kind: i64, ends: (i64, i64)) -> Result<(), Fault> {
    const SIDES: [&str; 2] = [
        "SELECT kind, position FROM kind_positions WHERE (kind, position) < (?1, ?2) \
         ORDER BY kind DESC, position DESC LIMIT 1",
        "SELECT kind, position FROM kind_positions WHERE (kind, position) > (?1, ?2) ORDER BY kind, position LIMIT 1",
    ];
    for (sql, end) in SIDES.into_iter().zip([ends.0, ends.1]) {
        let found: Option<(i64, i64)> =
            conn.prepare_cached(sql)?.query_row([kind, end], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((kind, position)) = found
            && !is_of_kind(conn, kind, position)?
        {
            return Err(damaged_kind_position(position));
        }
    }
    Ok(())
}

/// Whether the event there has the tag, by its own row.
pub(crate) fn has_tag(conn: &Connection, tag: &str, position: i64) -> Result<bool, Fault> {
    let mut row = conn.prepare_cached("SELECT tags FROM log WHERE position = ?1")?;
    let found = row
        .query_row([position], |row| Ok(row.get_ref(0)?.as_str_or_null()?.is_some_and(|tags| lists(tags, tag))))
        .optional()?;
    Ok(found == Some(true))
}

/// Whether these tags, one a line, have this one.
fn lists(tags: &str, tag: &str) -> bool {
    tags.split('\n').any(|line| line == tag)
}

/// Whether the event there is of the kind, by its own row.
pub(crate) fn is_of_kind(conn: &Connection, kind: i64, position: i64) -> Result<bool, Fault> {
    let mut row = conn.prepare_cached("SELECT kind FROM log WHERE position = ?1")?;
    Ok(row.query_row([position], |row| row.get(0)).optional()? == Some(kind))
}

pub(crate) fn damaged_tag(position: i64) -> Fault {
    Fault::Damaged(format!("table tags, position {position}: the event there is of other tags"))
}

pub(crate) fn damaged_kind_position(position: i64) -> Fault {
    Fault::Damaged(format!("table kind_positions, position {position}: the event there is of another kind"))
}
