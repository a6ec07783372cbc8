//! The connections that read: read-only, never in the writer's way.

use crate::config::SqliteConfig;
use crate::error::Fault;
use crate::names::Names;
use crate::opening;
use core::time::Duration;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Idle connections. A read takes one, or opens one more: it never waits for another read.
pub(crate) struct Readers {
    path: PathBuf,
    busy_timeout: Duration,
    kept: usize,
    mapped_bytes: u64,
    idle: Mutex<Vec<Reader>>,
}

/// A connection and what it knows.
pub(crate) struct Reader {
    pub(crate) conn: Connection,
    pub(crate) names: Names,
}

impl Readers {
    pub(crate) fn new(config: &SqliteConfig) -> Self {
        let SqliteConfig { busy_timeout, readers: kept, mapped_bytes, .. } = *config;
        Self { path: config.path.clone(), busy_timeout, kept, mapped_bytes, idle: Mutex::new(Vec::new()) }
    }

    /// Runs a read on one snapshot of the file.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => {
                let conn = opening::open_reader(&self.path, self.busy_timeout, self.mapped_bytes)?;
                Reader { conn, names: Names::default() }
            }
        };
        let outcome = snapshot(&mut reader, read)?;
        // A connection that has failed is closed with what it may have half done.
        let mut idle = self.idle();
        if idle.len() < self.kept {
            idle.push(reader);
        }
        Ok(outcome)
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        let idle = core::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn snapshot<T>(reader: &mut Reader, read: impl FnOnce(&mut Reader) -> Result<T, Fault>) -> Result<T, Fault> {
    reader.conn.prepare_cached("BEGIN")?.execute([])?;
    let outcome = read(reader)?;
    reader.conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(outcome)
}
