//! Appending: one decision as one append, settled as far as it can be; and what was appended before.

use super::backoff::Backoff;
use super::execution::Execution;
use super::loading::LoadError;
use super::order::Order;
use super::progress::Appends;
use crate::ports::{AppendError, CommandError, ReadError, Receipt, Source};
use crate::values::{Append, Appended, Timestamp};
use alloc::boxed::Box;
use core::time::Duration;

/// How often a busy store is asked again.
const BUSY: u32 = 4;
/// For how long: a store that has itself waited for a lock is not asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an append of unknown outcome is repeated under its key.
const UNKNOWN: u32 = 6;

impl Execution {
    /// Appends, asks a busy store again, and settles an unknown outcome by repeating the append under its key:
    /// a store answers a repetition with what it has recorded. What is repeated is made `again`.
    pub(super) fn append<'f>(
        &'f self,
        append: Append,
        again: impl Fn() -> Result<Append, CommandError> + Send + 'f,
        order: &'f Order<'_>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send + 'f {
        let begun = self.clock().now();
        let mut appends = order.progress.appends();
        appends.begin();
        let first = self.loader().events().append(append);
        async move {
            match first.await {
                Ok(appended) => {
                    order.progress.committed();
                    Ok(appended)
                }
                Err(error) => Box::pin(self.append_again(error, begun, again, appends, order)).await,
            }
        }
    }

    /// What is true after this error of the first attempt, or after further ones.
    async fn append_again(
        &self,
        error: AppendError,
        begun: Timestamp,
        again: impl Fn() -> Result<Append, CommandError>,
        mut appends: Appends<'_>,
        order: &Order<'_>,
    ) -> Result<Appended, AppendError> {
        let (mut busy, mut unsettled) = (self.busy_since(begun), self.backoff(UNKNOWN));
        let mut unknown = None;
        let mut outcome = Err(error);
        loop {
            match outcome {
                Err(AppendError::Busy(source)) => {
                    appends.not_written();
                    if !busy.pause().await {
                        return Err(unknown.map_or(AppendError::Busy(source), AppendError::Unknown));
                    }
                }
                Err(AppendError::Unknown(source)) => {
                    if order.key.is_none() || !unsettled.pause().await {
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
            let append = match again() {
                Ok(append) => append,
                Err(error) => {
                    let error = AppendError::Other(Source::new(error));
                    return Err(unknown.map_or(error, AppendError::Unknown));
                }
            };
            appends.begin();
            outcome = self.loader().events().append(append).await;
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
        self.busy_since(self.clock().now())
    }

    fn busy_since(&self, begun: Timestamp) -> Backoff<'_> {
        self.backoff(BUSY).until(self.clock(), begun.plus(PATIENCE))
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
