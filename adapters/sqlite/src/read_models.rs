//! Read models: collections, their versions, and the batches that change them.

use crate::checksum::Checksum;
use crate::error::Fault;
use crate::finding::{Seek, seeks};
use crate::tables::{Sql, Table, definition};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use portolan_kernel::ports::{RowError, RowLimits, StoreId, judge_checkpoint};
use portolan_kernel::values::{
    Batch, By, Cell, Checkpoint, CheckpointState, Collection, Cursor, Find, KeyedRow, Name, Position, RowKey, Rowset,
    Token, Versions,
};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

/// An answer that the store gives, or a failure of its file.
pub(crate) type Judged<T> = Result<Result<T, RowError>, Fault>;

/// The row of a collection.
pub(crate) struct Kept {
    pub(crate) number: i64,
    pub(crate) active: Option<u32>,
}

pub(crate) fn kept(conn: &Connection, collection: &str) -> Result<Option<Kept>, Fault> {
    let mut statement = conn.prepare_cached("SELECT number, active, checksum FROM collections WHERE name = ?1")?;
    let row: Option<(i64, Option<u32>, i64)> =
        statement.query_row([collection], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((number, active, checksum)) = row else { return Ok(None) };
    if checksum == collection_checksum(number, collection, active) {
        Ok(Some(Kept { number, active }))
    } else {
        Err(Fault::Damaged(format!("table collections, name {collection}")))
    }
}

fn collection_checksum(number: i64, name: &str, active: Option<u32>) -> i64 {
    Checksum::of("collections").number(number).bytes(name.as_bytes()).maybe(active.map(Into::into)).get()
}

fn save_kept(conn: &Connection, number: i64, name: &str, active: Option<u32>) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR REPLACE INTO collections VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        number,
        name,
        active,
        collection_checksum(number, name, active)
    ])?;
    Ok(())
}

fn version_checksum(number: i64, version: u32, definition: &str) -> i64 {
    Checksum::of("versions").number(number).number(version.into()).bytes(definition.as_bytes()).get()
}

/// The table of a version.
pub(crate) fn table(conn: &Connection, name: &Name, number: i64, version: u32) -> Result<Option<Table>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT definition, checksum FROM collection_versions WHERE collection = ?1 AND version = ?2",
    )?;
    let row: Option<(String, i64)> =
        statement.query_row(params![number, version], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((text, checksum)) = row else { return Ok(None) };
    let collection = definition::read(name.clone(), version, &text);
    match collection {
        Some(collection) if checksum == version_checksum(number, version, &text) => {
            Ok(Some(Table::new(collection, number)))
        }
        _ => Err(Fault::Damaged(format!("table collection_versions, version {version} of {name}"))),
    }
}

/// The table of a version (`None`: the active one), or the error that there is none.
fn table_of(conn: &Connection, collection: &Name, version: Option<u32>) -> Judged<Table> {
    let unknown = || RowError::UnknownCollection { collection: collection.clone(), version };
    let Some(kept) = kept(conn, collection)? else { return Ok(Err(unknown())) };
    let Some(wanted) = version.or(kept.active) else { return Ok(Err(unknown())) };
    Ok(table(conn, collection, kept.number, wanted)?.ok_or_else(unknown))
}

pub(crate) fn define(conn: &Connection, collection: &Collection) -> Judged<()> {
    let number = match kept(conn, &collection.name)? {
        Some(kept) => kept.number,
        None => {
            let last: Option<i64> = conn.query_row("SELECT max(number) FROM collections", [], |row| row.get(0))?;
            let number = last.unwrap_or(0) + 1;
            save_kept(conn, number, &collection.name, None)?;
            number
        }
    };
    if let Some(defined) = table(conn, &collection.name, number, collection.version)? {
        let (name, version) = (collection.name.clone(), collection.version);
        let otherwise = || RowError::DefinedOtherwise { collection: name, version };
        return Ok(if defined.collection == *collection { Ok(()) } else { Err(otherwise()) });
    }
    let text = definition::write(collection);
    conn.execute(
        "INSERT INTO collection_versions VALUES (?1, ?2, ?3, ?4)",
        params![number, collection.version, text, version_checksum(number, collection.version, &text)],
    )?;
    conn.execute_batch(&Table::new(collection.clone(), number).create())?;
    Ok(Ok(()))
}

pub(crate) fn versions(conn: &Connection, collection: &Name) -> Result<Versions, Fault> {
    let active = kept(conn, collection)?.and_then(|kept| kept.active);
    let defined = tables(conn, collection)?.into_iter().map(|table| table.collection);
    Ok(Versions::new(defined.collect(), active))
}

/// The tables of all versions, rising.
pub(crate) fn tables(conn: &Connection, collection: &Name) -> Result<Vec<Table>, Fault> {
    let Some(kept) = kept(conn, collection)? else { return Ok(Vec::new()) };
    let mut statement =
        conn.prepare_cached("SELECT version FROM collection_versions WHERE collection = ?1 ORDER BY version")?;
    let numbers = statement.query_map([kept.number], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?;
    let tables = numbers.into_iter().map(|version| table(conn, collection, kept.number, version));
    tables.filter_map(Result::transpose).collect()
}

pub(crate) fn checkpoint(conn: &Connection, name: &str) -> Result<Option<CheckpointState>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT store, position, token, checksum FROM read_model_checkpoints WHERE name = ?1")?;
    let row: Option<(Vec<u8>, Option<i64>, i64, i64)> =
        statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()?;
    let Some((store, position, token, checksum)) = row else { return Ok(None) };
    match <[u8; 16]>::try_from(store.as_slice()) {
        Ok(store) if checksum == checkpoint_checksum(name, &store, position, token) => {
            let position = position.and_then(|position| Position::new(position.cast_unsigned()));
            Ok(Some(CheckpointState::new(StoreId::from_bytes(store), position, Token(token.cast_unsigned()))))
        }
        _ => Err(Fault::Damaged(format!("table read_model_checkpoints, name {name}"))),
    }
}

fn checkpoint_checksum(name: &str, store: &[u8; 16], position: Option<i64>, token: i64) -> i64 {
    Checksum::of("read_model_checkpoints").bytes(name.as_bytes()).bytes(store).maybe(position).number(token).get()
}

pub(crate) fn save_checkpoint(conn: &Connection, name: &str, state: CheckpointState) -> Result<(), Fault> {
    let position = state.position.map(|position| position.get().cast_signed());
    let (store, token) = (state.store.as_bytes(), state.token.0.cast_signed());
    let checksum = checkpoint_checksum(name, store, position, token);
    conn.prepare_cached("INSERT OR REPLACE INTO read_model_checkpoints VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![name, store, position, token, checksum])?;
    Ok(())
}

/// The rows of this store's own log stay its own under another identity. A damaged checkpoint stays as it is.
pub(crate) fn hand_over(conn: &Connection, former: StoreId, identity: StoreId) -> Result<(), Fault> {
    let mut names = conn.prepare("SELECT name FROM read_model_checkpoints")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for name in names {
        match checkpoint(conn, &name) {
            Ok(Some(state)) if state.store == former => {
                save_checkpoint(conn, &name, CheckpointState::new(identity, state.position, state.token))?;
            }
            Ok(_) | Err(Fault::Damaged(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// The last change of each key.
pub(crate) type Final<'a> = BTreeMap<&'a RowKey, Option<&'a [Cell]>>;

/// Judges all of the batch, then writes all of it.
pub(crate) fn commit(conn: &Connection, batch: &Batch, limits: &RowLimits) -> Judged<()> {
    let checkpoint = &batch.checkpoint;
    let moved = match judge_checkpoint(checkpoint, self::checkpoint(conn, &checkpoint.name)?) {
        Ok(moved) => moved,
        Err(error) => return Ok(Err(error)),
    };
    let mut changed: BTreeMap<(&Name, u32), (Table, Final<'_>)> = BTreeMap::new();
    for change in &batch.changes {
        let (table, changes) = match changed.entry((&change.collection, change.version)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match table_of(conn, &change.collection, Some(change.version))? {
                Ok(table) => entry.insert((table, Final::new())),
                Err(error) => return Ok(Err(error)),
            },
        };
        if let Err(error) = limits.check_change(&table.collection, change) {
            return Ok(Err(error));
        }
        changes.insert(&change.key, change.cells.as_deref());
    }
    for (table, changes) in changed.values() {
        if let Err(error) = judge_unique(conn, table, changes)? {
            return Ok(Err(error));
        }
    }
    let mut activated = Vec::new();
    for (collection, version) in &batch.activate {
        match table_of(conn, collection, Some(*version))? {
            Ok(table) => activated.push(table),
            Err(error) => return Ok(Err(error)),
        }
    }

    for (table, changes) in changed.values() {
        write(conn, table, changes)?;
    }
    for table in activated {
        let name = &table.collection.name;
        if let Some(Kept { number, .. }) = kept(conn, name)? {
            save_kept(conn, number, name, Some(table.collection.version))?;
            conn.execute_batch(&table.show(number))?;
        }
    }
    save_checkpoint(conn, &checkpoint.name, moved)?;
    Ok(Ok(()))
}

pub(crate) fn write(conn: &Connection, table: &Table, changes: &Final<'_>) -> Result<(), Fault> {
    let mut put = conn.prepare_cached(&table.put())?;
    let mut delete = conn.prepare_cached(&table.delete())?;
    for (key, cells) in changes {
        let Some(cells) = cells else {
            delete.execute([key.as_str()])?;
            continue;
        };
        put.raw_bind_parameter(1, key.as_str())?;
        for (at, cell) in cells.iter().enumerate() {
            put.raw_bind_parameter(at + 2, Sql(cell))?;
        }
        put.raw_bind_parameter(cells.len() + 2, table.checksum(key, cells))?;
        put.raw_execute()?;
    }
    Ok(())
}

/// Judges whether two rows would have the same values in a unique index.
pub(crate) fn judge_unique(conn: &Connection, table: &Table, changes: &Final<'_>) -> Judged<()> {
    let collection = &table.collection;
    for index in collection.indexes.iter().filter(|index| index.unique) {
        let equal: Vec<_> =
            table.columns_of(index).iter().enumerate().map(|(n, column)| format!("{column} = ?{}", n + 1)).collect();
        let sql = format!("SELECT _key FROM {} WHERE {}", table.name(), equal.join(" AND "));
        let mut stored = conn.prepare_cached(&sql)?;
        let mut put: BTreeMap<Vec<Cell>, &RowKey> = BTreeMap::new();
        for (key, cells) in changes {
            let Some(cells) = cells else { continue };
            let values = collection.index_values(index, cells);
            if values.contains(&Cell::Null) {
                continue;
            }
            // What the batch changes is judged by what it puts, and not by what is there.
            let mut rows = stored.query(params_from_iter(values.iter().map(Sql)))?;
            let mut other = None;
            while let Some(row) = rows.next()? {
                let text = row.get_ref(0)?.as_str()?;
                let key =
                    RowKey::new(text).map_err(|_| Fault::Damaged(format!("table {}, row {text}", table.name())))?;
                if !changes.contains_key(&key) {
                    other = Some(key);
                    break;
                }
            }
            let other = put.insert(values, *key).cloned().or(other);
            if let Some(one) = other {
                let (collection, index) = (collection.name.clone(), index.name.clone());
                return Ok(Err(RowError::NotUnique { collection, index, one, other: (*key).clone() }));
            }
        }
    }
    Ok(Ok(()))
}

pub(crate) fn remove(conn: &Connection, collection: &Name, version: u32, checkpoint: &Checkpoint) -> Judged<()> {
    let moved = match judge_checkpoint(checkpoint, self::checkpoint(conn, &checkpoint.name)?) {
        Ok(moved) => moved,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(Kept { number, active }) = kept(conn, collection)? {
        if active == Some(version) {
            return Ok(Err(RowError::Invalid(format!(
                "version {version} of {collection} is active; activate another one first"
            ))));
        }
        if let Some(table) = table(conn, collection, number, version)? {
            conn.execute_batch(&format!("DROP TABLE {}", table.name()))?;
            conn.execute(
                "DELETE FROM collection_versions WHERE collection = ?1 AND version = ?2",
                params![number, version],
            )?;
        }
    }
    save_checkpoint(conn, &checkpoint.name, moved)?;
    Ok(Ok(()))
}

pub(crate) fn get(
    conn: &Connection,
    collection: &Name,
    version: Option<u32>,
    keys: &[RowKey],
    limits: &RowLimits,
) -> Judged<Rowset> {
    let table = match table_of(conn, collection, version)? {
        Ok(table) => table,
        Err(error) => return Ok(Err(error)),
    };
    let mut statement = conn.prepare_cached(&format!("{} WHERE _key = ?1", table.select()))?;
    let mut found = Vec::new();
    let mut bytes = 0;
    for key in keys {
        let mut rows = statement.query([key.as_str()])?;
        if let Some(row) = rows.next()? {
            let row = table.row(row)?;
            bytes += row.bytes();
            if let Err(error) = limits.check_got(bytes) {
                return Ok(Err(error));
            }
            found.push(row);
        }
    }
    Ok(Ok(Rowset::new(table.collection.version, found, None)))
}

pub(crate) fn find(conn: &Connection, find: &Find, limits: &RowLimits) -> Judged<Rowset> {
    let version = find.after.as_ref().map(|cursor| cursor.version).or(find.version);
    let table = match (table_of(conn, &find.collection, version)?, &find.after) {
        (Ok(table), _) => table,
        (Err(_), Some(cursor)) => {
            return Ok(Err(RowError::Gone { collection: find.collection.clone(), version: cursor.version }));
        }
        (Err(error), None) => return Ok(Err(error)),
    };
    if let Err(error) = limits.check_find(&table.collection, find) {
        return Ok(Err(error));
    }
    let limit = find.limit.min(limits.page_rows) as usize;
    let mut rows: Vec<KeyedRow> = Vec::new();
    let (mut bytes, mut more) = (0, false);
    'page: for Seek { condition, values, order } in seeks(&table, find) {
        // One more than is asked for tells whether there is more.
        let left = limit + 1 - rows.len();
        let sql = format!("{} {condition} ORDER BY {order} LIMIT {left}", table.select());
        let mut statement = conn.prepare(&sql)?;
        let mut found = statement.query(params_from_iter(values.iter().map(Sql)))?;
        while let Some(row) = found.next()? {
            if rows.len() == limit || bytes >= limits.page_bytes {
                more = true;
                break 'page;
            }
            let row = table.row(row)?;
            bytes += row.bytes();
            rows.push(row);
        }
    }
    let next = rows.last().filter(|_| more).map(|last| {
        let values = match &find.by {
            By::Index { name, .. } => table.collection.find_index(name),
            By::Key(..) => None,
        };
        let values = values.map_or_else(Vec::new, |index| table.collection.index_values(index, &last.cells));
        Cursor::new(table.collection.version, values, last.key.clone())
    });
    Ok(Ok(Rowset::new(table.collection.version, rows, next)))
}
