//! A file of ours: how it is told from others, opened, and made or brought up to date.

use crate::about_store;
use crate::config::{Durability, SqliteConfig};
use crate::error::{Fault, OpenError};
use crate::schema::{self, VERSION};
use core::time::Duration;
use portolan_kernel::ports::StoreId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::Path;
use std::thread;
use std::time::Instant;

/// `PTLN`, in the header of every file of ours.
const APPLICATION_ID: i32 = 0x5054_4C4E;

/// Opens the writing connection and brings the file up to date.
pub(crate) fn open_writer(config: &SqliteConfig) -> Result<(Connection, StoreId), OpenError> {
    let path = config.path.as_path();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fault = |error: rusqlite::Error| Fault::from(error).refuses_open(path);
    let mut conn = Connection::open_with_flags(path, flags).map_err(fault)?;
    if conn.is_readonly("main").map_err(fault)? {
        return Err(OpenError::ReadOnly { path: path.into() });
    }
    conn.busy_timeout(config.busy_timeout).map_err(fault)?;
    let found = judge(&conn, path)?;
    configure(&conn, config).map_err(|fault| fault.refuses_open(path))?;
    if found < VERSION {
        migrate(&mut conn, path)?;
        // What it wrote need not wait in the write-ahead log for the first who appends; what fails is tried again later.
        let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    // From here on: what a migration sorts may be more than fits.
    conn.pragma_update(None, "temp_store", "MEMORY").map_err(fault)?;
    if let Some(pages) = config.max_pages {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(fault)?;
    }
    if config.restored {
        about_store::rename_store(&mut conn, path)?;
    }
    let identity = about_store::load_store(&conn).map_err(|fault| fault.refuses_open(path))?.identity;
    Ok((conn, identity))
}

/// Opens a connection that reads, so many bytes of the file by mapping them into memory.
pub(crate) fn open_reader(path: &Path, busy_timeout: Duration, mapped_bytes: u64) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(busy_timeout)?;
    keep_plans(&conn)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -8_192)?;
    let mapped_bytes = i64::try_from(mapped_bytes).unwrap_or(i64::MAX);
    conn.query_row(&format!("PRAGMA mmap_size = {mapped_bytes}"), [], |_| Ok(())).optional()?;
    conn.set_prepared_statement_cache_capacity(48);
    Ok(conn)
}

/// Statements stay prepared. Otherwise SQLite plans a range anew for each pair of values that is bound to it, which
/// takes longer than to load a stream.
fn keep_plans(conn: &Connection) -> Result<(), Fault> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The version of a file that is ours, 0 for an empty one. Writes nothing.
fn judge(conn: &Connection, path: &Path) -> Result<i64, OpenError> {
    let (application_id, version, tables) = header(conn).map_err(|fault| fault.refuses_open(path))?;
    if application_id == APPLICATION_ID {
        if version > VERSION {
            return Err(OpenError::NewerVersion { path: path.into(), found: version, supported: VERSION });
        }
        return Ok(version.max(0));
    }
    if application_id == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    Err(OpenError::OtherApplication { path: path.into(), application_id })
}

/// The application's id, the format's version, and how many tables there are.
fn header(conn: &Connection) -> Result<(i32, i64, i64), Fault> {
    let look = |conn: &Connection| -> Result<_, Fault> {
        let application_id = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((application_id, version, tables))
    };
    if !conn.is_autocommit() {
        return look(conn);
    }
    // All of one moment: another process may be making the file meanwhile.
    let moment = conn.unchecked_transaction()?;
    look(&moment)
}

fn configure(conn: &Connection, config: &SqliteConfig) -> Result<(), Fault> {
    keep_plans(conn)?;
    // The change to WAL needs the file for itself and does not wait for it: another process may be making the
    // same file.
    let deadline = Instant::now() + config.busy_timeout;
    let mode: String = loop {
        match conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)) {
            Ok(mode) => break mode,
            Err(error) => {
                let fault = Fault::from(error);
                if !fault.is_busy() || Instant::now() >= deadline {
                    return Err(fault);
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
    };
    if mode != "wal" {
        return Err(Fault::Unfit("SQLite cannot keep a write-ahead log beside the file"));
    }
    let synchronous = match config.durability {
        Durability::Full => "FULL",
        Durability::SurvivesProcessCrashOnly => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    // On Apple systems a plain fsync does not reach the disk; elsewhere these two do nothing.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.pragma_update(None, "cache_size", -65_536)?;
    conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_KEPT_BYTES}"), [], |_| Ok(()))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The size the write-ahead log is cut back to when it starts over.
const WAL_KEPT_BYTES: u32 = 64 << 20;

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let fault = |error: rusqlite::Error| Fault::from(error).refuses_open(path);
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
    // Another process may have come first.
    let found = judge(&transaction, path)?;
    schema::migrate(&transaction, found).map_err(|fault| fault.refuses_open(path))?;
    if found == 0 {
        about_store::create_store(&transaction, path)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fault)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(fault)?;
    transaction.commit().map_err(fault)
}

/// Refuses a file that has another format by now than when it was opened.
pub(crate) fn check_version(conn: &Connection) -> Result<(), Fault> {
    let version: i64 = conn.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    Err(Fault::Unfit("a newer program has brought the file to another format; open it with that"))
}

/// Changes nothing, and writes a page: to see whether that can be done. A row that is given the values it has would
/// not be written.
pub(crate) fn write_anything(conn: &Connection) -> Result<(), Fault> {
    Ok(conn.pragma_update(None, "user_version", VERSION)?)
}
