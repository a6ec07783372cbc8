//! What can go wrong: opening a log, and DynamoDB's errors in the words of the ports.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::CancellationReason;
use core::error::Error;
use portolan_kernel::ports::{AppendError, LeaseError, ReadError, RowError, SnapshotError, Source};

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such table.
    #[error(
        "there is no table {table}; create it (partition key `pk` and sort key `sk`, both strings), or open it with `create_if_missing`"
    )]
    NoTable {
        /// The table.
        table: String,
    },
    /// The table's keys are not those of a log.
    #[error(
        "table {table} is not made for a log: its keys have to be `pk` (partition) and `sk` (sort), both strings; name another table"
    )]
    OtherTable {
        /// The table.
        table: String,
        /// What DynamoDB said.
        source: Source,
    },
    /// The log was written by a newer version of this crate.
    #[error(
        "log {log} in table {table} has format version {found}, and this program knows versions up to {supported}; use a newer program"
    )]
    NewerVersion {
        /// The table.
        table: String,
        /// The log.
        log: String,
        /// The version of its format.
        found: u64,
        /// The newest version that this program knows.
        supported: u64,
    },
    /// The feature `aws-config` is missing for what was asked.
    #[error(
        "table {table} cannot be reached: this program was built without `aws-config` of portolan-dynamodb (`dynamodb` of \
         portolan), so it needs an endpoint that begins with `http://`, and not {endpoint:?}"
    )]
    NoConfiguration {
        /// The table.
        table: String,
        /// The endpoint, if one was named.
        endpoint: Option<String>,
    },
    /// The log's name is no name, or too long for DynamoDB's keys.
    #[error("{log:?} cannot name a log: {why}")]
    LogName {
        /// The name.
        log: String,
        /// What is wrong with it.
        why: String,
    },
    /// The head of the log is damaged.
    #[error("the log is damaged at {place}")]
    Corrupt {
        /// The item.
        place: String,
    },
    /// DynamoDB did not answer in time, or has no room. Try again.
    #[error("table {table} cannot be reached now: {source}; try again")]
    Busy {
        /// The table.
        table: String,
        /// What the SDK said.
        source: Source,
    },
    /// Anything else: missing rights, credentials, a region.
    #[error("table {table} cannot be opened: {source}")]
    Other {
        /// The table.
        table: String,
        /// What DynamoDB said.
        source: Source,
    },
}

/// A failed request or a damaged item, before it is told in the words of one port.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// Not carried out for want of capacity.
    #[error("{0}")]
    Throttled(Source),
    /// There was no answer: it may have been carried out.
    #[error("{0}")]
    NoAnswer(Source),
    /// There is no such table, or no longer.
    #[error("{0}")]
    NoTable(Source),
    /// Refused, and would be again.
    #[error("{0}")]
    Refused(Source),
    /// Our own finding: an item that does not fit its checksum, or is not there.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Why a transaction was not acknowledged.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// A reason for each of its items, in order. Nothing was written.
    Cancelled(Vec<CancellationReason>),
    /// The same request is being carried out.
    InProgress,
    Fault(Fault),
}

impl Fault {
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::NoAnswer(_))
    }

    /// For an append of which nothing was written.
    pub(crate) fn refuses_append(self) -> AppendError {
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => AppendError::Busy(source),
            Self::NoTable(source) | Self::Refused(source) => AppendError::Other(source),
            Self::Damaged(place) => AppendError::Corrupt { place },
        }
    }

    pub(crate) fn refuses_read(self) -> ReadError {
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => ReadError::Busy(source),
            Self::NoTable(source) | Self::Refused(source) => ReadError::Other(source),
            Self::Damaged(place) => ReadError::Corrupt { place },
        }
    }

    pub(crate) fn refuses_snapshot(self) -> SnapshotError {
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => SnapshotError::Busy(source),
            Self::NoTable(source) | Self::Refused(source) => SnapshotError::Other(source),
            Self::Damaged(place) => SnapshotError::Corrupt { place },
        }
    }

    /// For what wrote nothing, or was to write nothing.
    pub(crate) fn refuses_rows(self) -> RowError {
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => RowError::Busy(source),
            Self::NoTable(source) | Self::Refused(source) => RowError::Other(source),
            Self::Damaged(place) => RowError::Corrupt { place },
        }
    }

    pub(crate) fn refuses_lease(self) -> LeaseError {
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => LeaseError::Busy(source),
            Self::NoTable(source) | Self::Refused(source) => LeaseError::Other(source),
            Self::Damaged(place) => LeaseError::Corrupt { place },
        }
    }

    pub(crate) fn refuses_open(self, table: &str) -> OpenError {
        let table = table.to_string();
        match self {
            Self::Throttled(source) | Self::NoAnswer(source) => OpenError::Busy { table, source },
            Self::NoTable(_) => OpenError::NoTable { table },
            Self::Refused(source) => OpenError::Other { table, source },
            Self::Damaged(place) => OpenError::Corrupt { place },
        }
    }
}

/// Codes of answers that say: not now, and not carried out.
const THROTTLED: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "LimitExceededException",
    // A single request that met a transaction on its item.
    "TransactionConflictException",
    "ReplicatedWriteConflictException",
];

/// Codes of answers that leave open whether it was carried out.
const OPEN: &[&str] =
    &["InternalServerError", "InternalFailure", "ServiceUnavailable", "TransactionInProgressException"];

/// The SDK's error under one line of text: what DynamoDB said, or else what the SDK met.
#[derive(Debug)]
struct Told {
    text: String,
    error: Box<dyn Error + Send + Sync>,
}

impl Told {
    fn new<E, R>(error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: core::fmt::Debug + Send + Sync + 'static,
    {
        let text = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_string(),
            _ => {
                let (mut text, mut source) = (error.to_string(), error.source());
                while let Some(error) = source {
                    text = format!("{text}: {error}");
                    source = error.source();
                }
                text
            }
        };
        Self { text, error: Box::new(error) }
    }
}

impl core::fmt::Display for Told {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

/// What the failure of one request says.
pub(crate) fn fault<E, R>(error: SdkError<E, R>) -> Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: core::fmt::Debug + Send + Sync + 'static,
{
    let told = |error: SdkError<E, R>| Source::new(Told::new(error));
    match &error {
        SdkError::ConstructionFailure(_) => Fault::Refused(told(error)),
        SdkError::ServiceError(context) => match context.err().code() {
            Some(code) if THROTTLED.contains(&code) => Fault::Throttled(told(error)),
            Some("ResourceNotFoundException") => Fault::NoTable(told(error)),
            Some(code) if OPEN.contains(&code) => Fault::NoAnswer(told(error)),
            None => Fault::NoAnswer(told(error)),
            Some(_) => Fault::Refused(told(error)),
        },
        _ => Fault::NoAnswer(told(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;

    fn service_error(code: Option<&str>) -> Fault {
        let mut metadata = ErrorMetadata::builder();
        metadata = if let Some(code) = code { metadata.code(code) } else { metadata };
        fault::<_, ()>(SdkError::service_error(GetItemError::generic(metadata.build()), ()))
    }

    #[test]
    fn answers_are_told_apart_by_what_a_caller_can_do() {
        for code in THROTTLED {
            assert!(matches!(service_error(Some(code)), Fault::Throttled(_)), "{code}");
        }
        for code in OPEN.iter().map(|code| Some(*code)).chain([None]) {
            assert!(matches!(service_error(code), Fault::NoAnswer(_)), "{code:?}");
        }
        assert!(matches!(service_error(Some("ResourceNotFoundException")), Fault::NoTable(_)));
        for code in ["ValidationException", "AccessDeniedException", "UnrecognizedClientException"] {
            assert!(matches!(service_error(Some(code)), Fault::Refused(_)), "{code}");
        }
        let late = SdkError::<GetItemError, ()>::timeout_error("late");
        assert!(matches!(fault(late), Fault::NoAnswer(_)));
        let unsent = SdkError::<GetItemError, ()>::construction_failure("unfit");
        assert!(matches!(fault(unsent), Fault::Refused(_)));
    }
}
