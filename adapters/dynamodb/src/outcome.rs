//! What came of a group's request, found out also where no answer came.

use crate::error::{Fault, NotWritten};
use crate::group::Sealed;
use crate::job::Answer;
use crate::keys;
use crate::rows::{self, Row};
use crate::schema::{sort, up_to};
use crate::table::{Backoff, Range};
use crate::writer::Writer;
use alloc::sync::Arc;
use aws_sdk_dynamodb::types::CancellationReason;
use futures::future::{self, Either};
use portolan_kernel::ports::Source;
use tokio::time::Instant;

/// What came of a request.
pub(crate) enum Outcome {
    Committed,
    /// Nothing was written, for these reasons.
    Cancelled(Vec<CancellationReason>),
    /// Nothing was written.
    Refused(Fault),
    /// It may have been written, and may yet be.
    Unknown(Fault),
}

impl Writer {
    /// The request, and that what others wrote before it is visible: else readers would stop before it, and it could not be
    /// acknowledged. The latter is waited for only if the former succeeds.
    pub(crate) async fn request_settled(&self, sealed: &Sealed) -> (Outcome, Result<(), Fault>) {
        let until = Instant::now() + self.table.patience;
        let settled = core::pin::pin!(self.tail.settled(sealed.base, until));
        let request = core::pin::pin!(self.request(sealed, until));
        match future::select(request, settled).await {
            Either::Left((Outcome::Committed, settled)) => (Outcome::Committed, settled.await),
            Either::Left((outcome, _)) => (outcome, Ok(())),
            Either::Right((settled, request)) => (request.await, settled),
        }
    }

    /// The request, repeated under its token until its outcome is told.
    async fn request(&self, sealed: &Sealed, until: Instant) -> Outcome {
        let token = format!("{:032x}", u128::from_be_bytes(sealed.token));
        let (mut unsure, mut backoff) = (None, Backoff::default());
        loop {
            let fault = match self.table.transact(&token, sealed.items.clone()).await {
                Ok(()) => return Outcome::Committed,
                Err(NotWritten::Cancelled(reasons)) => {
                    // A request without an answer may still be on its way. While nothing but others stood in the way
                    // of this one, that one could succeed later: so both are settled under their token.
                    let passing = !reasons.is_empty() && reasons.iter().all(|reason| !is_failure(reason));
                    if unsure.is_none() || !passing || Instant::now() >= until {
                        if unsure.is_some()
                            && let Some(true) = self.is_written(sealed).await
                        {
                            return Outcome::Committed;
                        }
                        return Outcome::Cancelled(reasons);
                    }
                    Fault::Throttled(Source::new("other transactions stand in the way"))
                }
                Err(NotWritten::InProgress) => {
                    let fault = Fault::NoAnswer(Source::new("the transaction is in progress"));
                    unsure = Some(fault.clone());
                    fault
                }
                Err(NotWritten::Fault(fault)) => fault,
            };
            match fault {
                Fault::NoAnswer(_) => unsure = Some(fault),
                Fault::Throttled(_) if Instant::now() < until => {}
                fault => return unsure.map_or_else(|| Outcome::Refused(fault), Outcome::Unknown),
            }
            if Instant::now() >= until
                && let Some(fault) = unsure
            {
                return Outcome::Unknown(fault);
            }
            backoff.pause().await;
        }
    }

    /// Whether the log holds this group: `None` while its place in the log is empty, or cannot be read.
    async fn is_written(&self, sealed: &Sealed) -> Option<bool> {
        sealed.row.as_ref()?;
        let row = self.row_after(sealed.base).await.ok()??;
        Some(row.token == sealed.token)
    }

    /// The row that begins after this position.
    async fn row_after(&self, position: u64) -> Result<Option<Arc<Row>>, Fault> {
        self.tail.follow().await?;
        if let Some(mut since) = self.tail.state().rows_after(position) {
            return Ok(since.next().cloned());
        }
        let (from, to) = (sort(position + 1), up_to(u64::MAX));
        let partition = self.space.log();
        let range = Range { partition, from, to, backward: false, limit: Some(16), keys_only: false };
        let mut items = self.table.query(&range, None).await?.items;
        Ok(rows::take_rows(&self.space, &mut items)?.into_iter().next().filter(|row| row.first == position + 1))
    }

    /// Finds out what came of a group whose request was not answered. The place that it would take in the log tells:
    /// once another has it, this one cannot come any more.
    pub(crate) async fn settle(&self, sealed: &Sealed, fault: Fault) -> Outcome {
        match self.is_written(sealed).await {
            Some(true) => Outcome::Committed,
            Some(false) => Outcome::Cancelled(Vec::new()),
            None => Outcome::Unknown(fault),
        }
    }

    /// Answers those of an unsettled group whose key tells what came of them.
    pub(crate) async fn recall(&self, sealed: &mut Sealed) {
        let (jobs, outcomes) = (core::mem::take(&mut sealed.jobs), core::mem::take(&mut sealed.outcomes));
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let kept = match &job.order.append.key {
                None => None,
                Some(key) => {
                    let key = self.space.key(&key.scope, &key.id);
                    keys::read(&self.table, &key, self.retention, self.clock.now()).await.ok().flatten()
                }
            };
            match kept {
                Some(kept) if kept.token == sealed.token => job.answer(Answer::Done(outcome)),
                Some(kept) => job.answer(Answer::Kept(Box::new(kept))),
                None => sealed.jobs.push(job),
            }
        }
    }
}

/// Whether the reason is a failure of the transaction's own, and not another's that stands in its way.
pub(crate) fn is_failure(reason: &CancellationReason) -> bool {
    const PASSING: &[&str] =
        &["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
    reason.code().is_some_and(|code| !PASSING.contains(&code))
}
