//! The whole file looked over: everything that carries a checksum, and everything that has to agree.

use crate::append::position;
use crate::error::Fault;
use crate::lists::{self, Entry, List, Sort};
use crate::names::{self, Table};
use crate::query::Range;
use crate::readers::Reader;
use crate::rows::{self, select_events};
use crate::{about_store, chain, checkpoints, key_index, keys, leases, snapshots, verify_rows};
use portolan_kernel::values::{Direction, Tag};
use rusqlite::Connection;
use std::collections::HashSet;

/// So many places are listed, at most.
pub(crate) const MOST_PLACES: usize = 1_000;

/// How many entries of a list are in memory at once.
const CHUNK: i64 = 10_000;

/// The places that are damaged. A part that cannot be read is one of them, and the others are still looked at.
pub(crate) fn places(reader: &mut Reader) -> Vec<String> {
    let mut found = Found { seen: HashSet::new(), places: Vec::new() };
    let conn = &reader.conn;
    let part = |found: &mut Found, look: &mut dyn FnMut(&mut Found) -> Result<(), Fault>| {
        if let Err(fault) = look(found) {
            found.tell(&fault);
        }
    };
    part(&mut found, &mut |found| by_sqlite(conn, found));
    let store = match about_store::load_store(conn) {
        Ok(store) => Some(store),
        Err(fault) => {
            found.tell(&fault);
            None
        }
    };
    let last = store.as_ref().map(|store| store.last_position);
    part(&mut found, &mut |found| log(conn, &mut reader.names, last, found));
    part(&mut found, &mut |found| chain::verify(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| all_lists(conn, found));
    part(&mut found, &mut |found| keys::verify(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| key_index::verify(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| snapshots::verify(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| verify_rows::collections(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| verify_rows::versions(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| verify_rows::checkpoints(conn, |fault| found.tell(&fault)));
    part(&mut found, &mut |found| leases::verify(conn, |fault| found.tell(&fault)));
    if let Some(store) = store {
        part(&mut found, &mut |found| {
            checkpoints::verify(conn, store.identity, position(store.last_position), |fault| found.tell(&fault))
        });
    }
    found.places
}

struct Found {
    seen: HashSet<String>,
    places: Vec<String>,
}

impl Found {
    fn tell(&mut self, fault: &Fault) {
        let place = fault.to_string();
        if self.places.len() < MOST_PLACES && self.seen.insert(place.clone()) {
            self.places.push(place);
        }
    }
}

/// SQLite's own check: pages, the order in them, and every index against its table.
fn by_sqlite(conn: &Connection, found: &mut Found) -> Result<(), Fault> {
    let mut check = conn.prepare(&format!("PRAGMA integrity_check({MOST_PLACES})"))?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let line = row.get_ref(0)?.as_str()?;
        if line != "ok" {
            found.tell(&Fault::Damaged(format!("SQLite: {line}")));
        }
    }
    Ok(())
}

/// Every event: its checksum, no position left out, none past the counter.
fn log(conn: &Connection, names: &mut names::Names, last: Option<i64>, found: &mut Found) -> Result<(), Fault> {
    let mut statement = conn.prepare(select_events!("NOT INDEXED ORDER BY position"))?;
    let mut rows = statement.query([])?;
    let mut expected = 1;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        if position != expected {
            found.tell(&rows::damaged(expected));
        }
        expected = position.saturating_add(1);
        if let Err(fault) = rows::decode(conn, names, row) {
            found.tell(&fault);
        }
    }
    match last {
        Some(last) if expected <= last => found.tell(&rows::damaged(expected)),
        Some(last) if expected > last + 1 => {
            found.tell(&Fault::Damaged(format!(
                "table about_store: the last position is {last}, and the log goes further"
            )));
        }
        _ => {}
    }
    Ok(())
}

/// Every list: its name, that it is whole, that it leads to its own events, and that it has all of them.
fn all_lists(conn: &Connection, found: &mut Found) -> Result<(), Fault> {
    let events = count(conn, "log")?;
    let mut entries = 0;
    for (table, sort) in [(Table::Streams, None), (Table::Tags, Some(()))] {
        let mut names = conn.prepare(match table {
            Table::Streams => "SELECT number, name, last_revision FROM streams NOT INDEXED",
            Table::Tags => "SELECT number, name, last FROM tags NOT INDEXED",
        })?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let list = match (row.get_ref(1)?.as_str(), sort) {
                (Ok(name), None) => lists::of_stream(conn, name),
                (Ok(name), Some(())) => match Tag::new(name) {
                    Ok(tag) => lists::of_tag(conn, tag),
                    Err(_) => Err(table.damaged(number)),
                },
                (Err(_), _) => Err(table.damaged(number)),
            };
            match list {
                // It has no event yet.
                Ok(None) if sort.is_none() && row.get::<_, i64>(2)? == -1 => {}
                // Each event is known to lead to the one before it.
                Ok(Some(List { sort: Sort::Stream(position), number: stream, last })) if stream == number => {
                    match chain::link(conn, stream, last, position) {
                        Ok(_) => entries += last + 1,
                        Err(fault) => found.tell(&fault),
                    }
                }
                Ok(Some(list)) if list.number == number => entries += one_list(conn, &list, found),
                Ok(_) => found.tell(&table.damaged(number)),
                Err(fault) => found.tell(&fault),
            }
        }
        let (what, expected) = match table {
            Table::Streams => ("log", events),
            Table::Tags => ("tag_events", tags_of_all_events(conn)?),
        };
        if core::mem::take(&mut entries) != expected || count(conn, what)? != expected {
            found.tell(&without_all(what));
        }
    }
    let mut kinds = conn.prepare("SELECT number, category, type, last, checksum FROM kinds NOT INDEXED")?;
    let mut rows = kinds.query([])?;
    while let Some(row) = rows.next()? {
        let (number, last) = (row.get(0)?, row.get(3)?);
        let checksum: i64 = row.get(4)?;
        match (row.get_ref(1)?.as_str(), row.get_ref(2)?.as_str()) {
            (Ok(category), Ok(event_type)) if names::kind_checksum(number, category, event_type, last) == checksum => {
                match names::kinds(conn, Some(category), Some(event_type), 1) {
                    Ok(indexed) if indexed.first() == Some(&(number, last)) => {}
                    Ok(_) => found.tell(&names::damaged_kind(number)),
                    Err(fault) => found.tell(&fault),
                }
                entries += one_list(conn, &List { sort: Sort::Kind, number, last }, found);
            }
            _ => found.tell(&names::damaged_kind(number)),
        }
    }
    if entries != events || count(conn, "kind_events")? != events {
        found.tell(&without_all("kind_events"));
    }
    Ok(())
}

fn count(conn: &Connection, table: &str) -> Result<i64, Fault> {
    Ok(conn.query_row(&format!("SELECT count(*) FROM {table} NOT INDEXED"), [], |row| row.get(0))?)
}

fn without_all(table: &str) -> Fault {
    Fault::Damaged(format!("table {table}: its lists do not have every event, or have others"))
}

/// How many entries the list has that lead to events of it.
fn one_list(conn: &Connection, list: &List, found: &mut Found) -> i64 {
    let mut good = 0;
    let mut next = 0;
    let mut before = 0;
    while next <= list.last {
        let range = Range { low: next, high: list.last.min(next + CHUNK - 1) };
        let entries = match list.entries(conn, range, Direction::Forward, usize::MAX) {
            Ok(entries) => entries,
            Err(fault) => {
                found.tell(&fault);
                return good;
            }
        };
        for entry in entries {
            match leads_on(conn, list, entry, before) {
                Ok(true) => good += 1,
                Ok(false) => found.tell(&list.misleads(entry.position)),
                Err(fault) => found.tell(&fault),
            }
            before = entry.position;
        }
        next = range.high + 1;
    }
    good
}

fn leads_on(conn: &Connection, list: &List, entry: Entry, before: i64) -> Result<bool, Fault> {
    Ok(entry.position > before && list.leads_right(conn, entry)?)
}

/// How many different tags all events have together.
fn tags_of_all_events(conn: &Connection) -> Result<i64, Fault> {
    let mut statement = conn.prepare("SELECT tags FROM log NOT INDEXED WHERE tags IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let tags = row.get_ref(0)?.as_str().unwrap_or_default().split('\n').collect::<HashSet<_>>();
        count += i64::try_from(tags.len()).unwrap_or(i64::MAX);
    }
    Ok(count)
}
