//! Read models looked over: collections, versions, rows and checkpoints. SQLite's own check compares their indexes.

use crate::error::Fault;
use crate::read_models::{self, Kept};
use crate::tables::Table;
use portolan_kernel::values::{Collection, Name};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

/// Tells of every collection whose row is damaged, or whose active version is not there.
pub(crate) fn collections(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut all = conn.prepare("SELECT number, name FROM collections NOT INDEXED")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (number, text): (i64, _) = (row.get(0)?, row.get_ref(1)?.as_str()?);
        let damaged = |what: &str| Fault::Damaged(format!("table collections, name {text}{what}"));
        let Ok(name) = Name::new(text) else {
            tell(damaged(""));
            continue;
        };
        match read_models::kept(conn, &name) {
            Ok(Some(Kept { number: indexed, active })) if indexed == number => match active {
                Some(version) if !is_defined(conn, number, version)? => {
                    tell(damaged(": its active version is not there"));
                }
                _ => {}
            },
            Ok(_) => tell(damaged("")),
            Err(fault) => tell(fault),
        }
    }
    Ok(())
}

fn is_defined(conn: &Connection, number: i64, version: u32) -> Result<bool, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT 1 FROM collection_versions WHERE collection = ?1 AND version = ?2")?;
    Ok(statement.exists((number, version))?)
}

/// Tells of every version whose definition or table is damaged, of every damaged row, and of tables that belong to
/// no version.
pub(crate) fn versions(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut defined = HashSet::new();
    let mut all = conn.prepare("SELECT collection, version FROM collection_versions")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (number, version): (i64, u32) = (row.get(0)?, row.get(1)?);
        let Some(name) = name_of(conn, number)? else {
            tell(Fault::Damaged(format!(
                "table collection_versions, version {version} of collection {number}: there is no such collection"
            )));
            continue;
        };
        defined.insert(Table::new(Collection::new(name.clone(), version), number).name().to_owned());
        let looked = read_models::table(conn, &name, number, version);
        let looked = looked.and_then(|table| table.map_or(Ok(()), |table| all_rows(conn, &table, &mut tell)));
        if let Err(fault) = looked {
            tell(fault);
        }
    }
    let mut tables =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 3) = 'rm_'")?;
    let mut rows = tables.query([])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        if !defined.contains(&table) {
            tell(Fault::Damaged(format!("table {table}: no version of a collection is kept in it")));
        }
    }
    Ok(())
}

fn name_of(conn: &Connection, number: i64) -> Result<Option<Name>, Fault> {
    let mut statement = conn.prepare_cached("SELECT name FROM collections WHERE number = ?1")?;
    let name: Option<String> = statement.query_row([number], |row| row.get(0)).optional()?;
    Ok(name.and_then(|name| Name::new(name).ok()))
}

fn all_rows(conn: &Connection, table: &Table, tell: &mut impl FnMut(Fault)) -> Result<(), Fault> {
    let mut all = conn.prepare(&format!("{} NOT INDEXED", table.select()))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(fault) = table.row(row) {
            tell(fault);
        }
    }
    Ok(())
}

/// Tells of every checkpoint of a read model whose row is damaged.
pub(crate) fn checkpoints(conn: &Connection, mut tell: impl FnMut(Fault)) -> Result<(), Fault> {
    let mut names = conn.prepare("SELECT name FROM read_model_checkpoints")?;
    let mut rows = names.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(fault) = read_models::checkpoint(conn, row.get_ref(0)?.as_str()?) {
            tell(fault);
        }
    }
    Ok(())
}
