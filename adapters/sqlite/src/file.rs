//! Whether the file under a path is still the one that was opened.

use crate::error::Fault;
use std::io;
use std::path::{Path, PathBuf};

/// What tells a file from another of the same name.
///
/// SQLite writes on into a file that somebody has deleted, and all of it is lost when the process ends. So the
/// writer looks before each transaction.
pub(crate) struct FileMark {
    file: Identity,
    wal: PathBuf,
    wal_file: Option<Identity>,
}

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

// Elsewhere an open file cannot be deleted, or not so that it matters.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|_| ())
}

impl FileMark {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut wal = path.as_os_str().to_os_string();
        wal.push("-wal");
        Ok(Self { file: identity(path)?, wal: wal.into(), wal_file: None })
    }

    pub(crate) fn check(&mut self, path: &Path) -> Result<(), Fault> {
        if identity(path).ok() != Some(self.file) {
            return Err(Fault::Gone);
        }
        // SQLite makes the write-ahead log with the first transaction, and keeps it while a connection is open.
        match (identity(&self.wal).ok(), self.wal_file) {
            (found, Some(known)) if found != Some(known) => Err(Fault::Gone),
            (found, None) => {
                self.wal_file = found;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
