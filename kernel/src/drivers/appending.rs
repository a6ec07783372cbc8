//! Appending: one decision as one append, settled as far as it can be; and what was appended before.

use super::backoff::Backoff;
use super::execution::Execution;
use super::loading::LoadError;
use super::order::Order;
use crate::ports::{AppendError, CommandError, ReadError, Receipt, Source};
use crate::values::{Append, Appended};
use core::time::Duration;

/// How often a busy store is asked again.
const BUSY: u32 = 4;
/// For how long: a store that has itself waited for a lock is not asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an append of unknown outcome is repeated under its key.
const UNKNOWN: u32 = 6;

impl Execution {
    /// Appends, asks a busy store again, and settles an unknown outcome by repeating the append under its key:
    /// a store answers a repetition with what it has recorded.
    pub(super) async fn append(&self, append: Append, order: &Order<'_>) -> Result<Appended, AppendError> {
        let (mut busy, mut unsettled) = (self.while_busy(), self.backoff(UNKNOWN));
        let mut appends = order.progress.appends();
        let mut unknown = None;
        loop {
            appends.begin();
            match self.loader().events().append(append.clone()).await {
                Err(AppendError::Busy(source)) => {
                    appends.not_written();
                    if !busy.pause().await {
                        return Err(unknown.map_or(AppendError::Busy(source), AppendError::Unknown));
                    }
                }
                Err(AppendError::Unknown(source)) => {
                    if append.key.is_none() || !unsettled.pause().await {
                        return Err(AppendError::Unknown(source));
                    }
                    unknown = Some(source);
                }
                Ok(appended) => {
                    order.progress.committed();
                    return Ok(appended);
                }
                // These are judged after the key, or on it: the append of unknown outcome was not written, and
                // can no longer be, because it is on the same conditions and takes the same key.
                Err(
                    settled @ (AppendError::Conflict { .. }
                    | AppendError::GuardFailed { .. }
                    | AppendError::KeyReused { .. }),
                ) => {
                    appends.refused();
                    return Err(settled);
                }
                Err(other) => {
                    appends.not_written();
                    return Err(unknown.map_or(other, AppendError::Unknown));
                }
            }
        }
    }

    /// The receipt of an earlier command under the same id, if there was one.
    pub(super) async fn recall(&self, order: &Order<'_>) -> Result<Option<Receipt>, CommandError> {
        let Some(key) = &order.key else { return Ok(None) };
        let mut busy = self.while_busy();
        let recalled = loop {
            match self.loader().events().recall(key.scope.clone(), key.id.clone()).await {
                Err(ReadError::Busy(source)) => {
                    if !busy.pause().await {
                        return Err(CommandError::Busy(source));
                    }
                }
                other => break other.map_err(|error| CommandError::Other(Source::new(error)))?,
            }
        };
        match recalled {
            None => Ok(None),
            Some(recalled) if recalled.digest != key.digest => Err(CommandError::KeyReused),
            Some(recalled) => {
                order.progress.committed();
                order.original(recalled.appended).map(Some)
            }
        }
    }

    pub(super) fn while_busy(&self) -> Backoff<'_> {
        self.backoff(BUSY).within(self.clock(), PATIENCE)
    }
}

/// Pauses when a busy store is the error and may be asked again.
///
/// # Errors
///
/// The error, when it is another, or the last.
pub(super) async fn unless_busy(error: LoadError, busy: &mut Backoff<'_>) -> Result<(), LoadError> {
    match error {
        LoadError::Read(ReadError::Busy(_)) if busy.pause().await => Ok(()),
        error => Err(error),
    }
}

/// What a caller is told of an append that was not acknowledged, except after a conflict.
pub(super) fn told(error: AppendError) -> CommandError {
    match error {
        AppendError::KeyReused { .. } => CommandError::KeyReused,
        AppendError::Busy(source) => CommandError::Busy(source),
        AppendError::Unknown(source) => CommandError::Unknown(source),
        other => CommandError::Other(Source::new(other)),
    }
}
