//! What the stores say, as the registry says it.

use crate::ports::{ProjectionError, ReadError, RowError, Source, WaitError};

/// What a store of rows says.
pub(super) fn rows(error: RowError) -> ProjectionError {
    match error {
        RowError::TooLarge { what, size, limit } => ProjectionError::TooLarge { what, size, limit },
        RowError::Invalid(reason) => ProjectionError::Invalid(reason),
        RowError::Busy(source) => ProjectionError::Busy(source),
        RowError::Unknown(source) => ProjectionError::Unknown(source),
        RowError::Corrupt { place } => ProjectionError::Corrupt { place },
        other => ProjectionError::Other(Source::new(other)),
    }
}

/// What a log says.
pub(super) fn log(error: ReadError) -> ProjectionError {
    match error {
        ReadError::Busy(source) => ProjectionError::Busy(source),
        other => ProjectionError::Other(Source::new(other)),
    }
}

/// What a store of rows says to somebody who waits.
pub(super) fn rows_waited(error: RowError) -> WaitError {
    match error {
        RowError::Busy(source) => WaitError::Busy(source),
        other => WaitError::Other(Source::new(other)),
    }
}

/// What a log says to somebody who waits.
pub(super) fn log_waited(error: ReadError) -> WaitError {
    match error {
        ReadError::Busy(source) => WaitError::Busy(source),
        other => WaitError::Other(Source::new(other)),
    }
}
