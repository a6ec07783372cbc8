//! What can go wrong: opening a file, and SQLite's errors in the words of the ports.

use portolan_kernel::ports::{AppendError, LeaseError, ReadError, RowError, SnapshotError, Source};
use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use std::path::{Path, PathBuf};

/// Why a store was not opened. The file is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file was written by a newer version of this crate.
    #[error(
        "{path} has format version {found}, and this program knows versions up to {supported}; use a newer program",
        path = path.display()
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: i64,
        /// The newest version that this program knows.
        supported: i64,
    },
    /// The file is an SQLite database of some other application.
    #[error(
        "{path} is a database of another application (its application_id is {application_id:#010x}); name another file",
        path = path.display()
    )]
    OtherApplication {
        /// The file.
        path: PathBuf,
        /// The `application_id` in its header; 0 for none.
        application_id: i32,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{path} is no SQLite database, or a damaged one; restore it or name another file", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        source: Source,
    },
    /// The file can be read and not written.
    #[error("{path} is read-only; a store needs to write it and its folder", path = path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the file locked for longer than the busy time-out.
    #[error("{path} is locked by another process; try again, or allow a longer busy time-out", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        source: Source,
    },
    /// The folder of the file is missing. A file is made, a folder is not.
    #[error("{path} cannot be opened: there is no folder {folder}; make it, or name another file", path = path.display(), folder = folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// Anything else: missing rights, a full disk.
    #[error("{path} cannot be opened: {source}", path = path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Source,
    },
}

/// A failure of the file, before it is told in the words of one port.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Our own finding: a row that does not fit its checksum, or is not there.
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("the database file was moved or deleted while the store was open; put it back and open the store again")]
    Gone,
    #[error("{0}")]
    Unfit(&'static str),
    #[error("the log is full: no position is left")]
    NoPosition,
}

impl From<FromSqlError> for Fault {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

/// What a caller can do about a [`Fault`].
enum Class {
    Busy,
    Corrupt(String),
    Other,
}

impl Fault {
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    fn class(&self, path: &Path) -> Class {
        match (self, self.code()) {
            (Self::Damaged(place), _) => Class::Corrupt(format!("{}: {place}", path.display())),
            (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => {
                Class::Corrupt(format!("{}: {self}", path.display()))
            }
            _ if self.is_busy() => Class::Busy,
            _ if self.is_misread() => Class::Corrupt(format!("{}: {self}", path.display())),
            _ => Class::Other,
        }
    }

    /// A column holds another type than the one that was written there.
    pub(crate) fn is_misread(&self) -> bool {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        matches!(
            self,
            Self::Sqlite(
                FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
            )
        )
    }

    /// For an append of which nothing was written.
    pub(crate) fn refuses_append(self, path: &Path) -> AppendError {
        match self.class(path) {
            Class::Busy => AppendError::Busy(Source::new(self)),
            Class::Corrupt(place) => AppendError::Corrupt { place },
            Class::Other => AppendError::Other(Source::new(self)),
        }
    }

    pub(crate) fn refuses_read(self, path: &Path) -> ReadError {
        match self.class(path) {
            Class::Busy => ReadError::Busy(Source::new(self)),
            Class::Corrupt(place) => ReadError::Corrupt { place },
            Class::Other => ReadError::Other(Source::new(self)),
        }
    }

    pub(crate) fn refuses_snapshot(self, path: &Path) -> SnapshotError {
        match self.class(path) {
            Class::Busy => SnapshotError::Busy(Source::new(self)),
            Class::Corrupt(place) => SnapshotError::Corrupt { place },
            Class::Other => SnapshotError::Other(Source::new(self)),
        }
    }

    pub(crate) fn refuses_rows(self, path: &Path) -> RowError {
        match self.class(path) {
            Class::Busy => RowError::Busy(Source::new(self)),
            Class::Corrupt(place) => RowError::Corrupt { place },
            Class::Other => RowError::Other(Source::new(self)),
        }
    }

    pub(crate) fn refuses_open(self, path: &Path) -> OpenError {
        let path_buf = path.to_path_buf();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            return OpenError::NoFolder { folder: folder.into(), path: path_buf };
        }
        match self.class(path) {
            _ if self.code() == Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path: path_buf },
            Class::Busy => OpenError::Busy { path: path_buf, source: Source::new(self) },
            Class::Corrupt(_) => OpenError::Corrupt { path: path_buf, source: Source::new(self) },
            Class::Other => OpenError::Other { path: path_buf, source: Source::new(self) },
        }
    }
}

/// A write that the file did not take, in the words of read models.
pub(crate) fn rows_refused(error: AppendError) -> RowError {
    match error {
        AppendError::Busy(source) => RowError::Busy(source),
        AppendError::Unknown(source) => RowError::Unknown(source),
        AppendError::Corrupt { place } => RowError::Corrupt { place },
        AppendError::Other(source) => RowError::Other(source),
        error => RowError::Other(Source::new(error)),
    }
}

/// A write that the file did not take, in the words of leases.
pub(crate) fn lease_refused(error: AppendError) -> LeaseError {
    match error {
        AppendError::Busy(source) => LeaseError::Busy(source),
        AppendError::Unknown(source) => LeaseError::Unknown(source),
        AppendError::Corrupt { place } => LeaseError::Corrupt { place },
        AppendError::Other(source) => LeaseError::Other(source),
        error => LeaseError::Other(Source::new(error)),
    }
}
