//! What a file says of the store itself: who it is, and the last position it gave out.

use crate::checksum::Checksum;
use crate::error::{Fault, OpenError};
use crate::{read_models, snapshots};
use portolan_kernel::ports::{Source, StoreId};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// The one row about the store itself.
pub(crate) struct StoreRow {
    pub(crate) identity: StoreId,
    /// The last position given out; 0 for none.
    pub(crate) last_position: i64,
}

fn store_checksum(identity: &[u8], last_position: i64) -> i64 {
    Checksum::of("store").bytes(identity).number(last_position).get()
}

pub(crate) fn load_store(conn: &Connection) -> Result<StoreRow, Fault> {
    let damaged = || Fault::Damaged("table about_store".into());
    let mut statement = conn.prepare_cached("SELECT identity, last_position, checksum FROM about_store")?;
    let (identity, last_position, checksum): (Vec<u8>, i64, i64) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?.ok_or_else(damaged)?;
    let bytes = <[u8; 16]>::try_from(identity.as_slice()).map_err(|_| damaged())?;
    if store_checksum(&identity, last_position) != checksum || last_position < 0 {
        return Err(damaged());
    }
    Ok(StoreRow { identity: StoreId::from_bytes(bytes), last_position })
}

pub(crate) fn save_last_position(conn: &Connection, identity: StoreId, last_position: i64) -> Result<(), Fault> {
    let checksum = store_checksum(identity.as_bytes(), last_position);
    conn.prepare_cached("UPDATE about_store SET last_position = ?1, checksum = ?2 WHERE only_row = 1")?
        .execute([last_position, checksum])?;
    Ok(())
}

/// Makes the row of a new store, which has an identity of its own.
pub(crate) fn create_store(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let identity = new_identity().map_err(|source| OpenError::Other { path: path.into(), source })?;
    let row = params![identity, store_checksum(&identity, 0)];
    conn.execute("INSERT INTO about_store VALUES (1, ?1, 0, ?2)", row)
        .map_err(|error| Fault::from(error).refuses_open(path))?;
    Ok(())
}

fn new_identity() -> Result<[u8; 16], Source> {
    let mut identity = [0; 16];
    getrandom::fill(&mut identity).map_err(|error| Source::new(error.to_string()))?;
    Ok(uuid::Builder::from_random_bytes(identity).into_uuid().into_bytes())
}

/// Gives the store a new identity. What is of the same moment as the log goes on with it.
pub(crate) fn rename_store(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let identity = new_identity().map_err(|source| OpenError::Other { path: path.into(), source })?;
    let mut renamed = || -> Result<(), Fault> {
        let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let StoreRow { identity: former, last_position } = load_store(&transaction)?;
        let checksum = store_checksum(&identity, last_position);
        transaction.execute("UPDATE about_store SET identity = ?1, checksum = ?2", params![identity, checksum])?;
        read_models::hand_over(&transaction, former, StoreId::from_bytes(identity))?;
        snapshots::delete_of_log(&transaction, former)?;
        Ok(transaction.commit()?)
    };
    renamed().map_err(|fault| fault.refuses_open(path))
}
