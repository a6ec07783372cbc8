//! Consistency on dispatch: a receipt is handed out once named projections have applied the command's events.

use super::backoff::Backoff;
use super::gate::Gate;
use super::progress::Progress;
use crate::ports::{CommandError, IdSource, ProjectionRegistry, Receipt, Sleep, Violation, WaitError};
use crate::values::{Name, Position};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::pin::pin;
use core::time::Duration;
use futures::FutureExt;
use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};

/// Waits for projections (CB-09).
#[derive(Clone)]
pub(super) struct CatchUp {
    pub(super) projections: Arc<dyn ProjectionRegistry>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) sleep: Arc<dyn Sleep>,
    /// How long without a deadline, and after the bus was shut.
    pub(super) most: Duration,
}

impl fmt::Debug for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchUp").field("most", &self.most).finish_non_exhaustive()
    }
}

impl CatchUp {
    /// Refuses what cannot be waited for, before anything is done.
    pub(super) fn check(&self, wait_for: &[Name]) -> Result<(), CommandError> {
        let violations: Vec<_> = wait_for
            .iter()
            .filter(|name| self.projections.knows(name) == Some(false))
            .map(|name| Violation::new("wait_for", "unknown-projection", format!("there is no projection {name}")))
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(CommandError::Invalid(violations)) }
    }

    /// The receipt, once all of them have applied its events.
    pub(super) async fn wait(
        &self,
        receipt: Receipt,
        mut wait_for: Vec<Name>,
        has_deadline: bool,
        progress: &Progress,
        gate: &Gate,
    ) -> Result<Receipt, CommandError> {
        let Some(position) = receipt.position else { return Ok(receipt) };
        wait_for.sort_unstable();
        wait_for.dedup();
        let mut waits: FuturesUnordered<_> =
            wait_for.iter().map(|name| self.wait_for_one(name.clone(), position)).collect();
        let mut waiting = wait_for.clone();
        let all = async {
            while let Some((name, outcome)) = waits.next().await {
                if outcome.is_err() {
                    // One will not come; who has come already is not said to be missing.
                    while let Some(Some((name, outcome))) = waits.next().now_or_never() {
                        waiting.retain(|other| outcome.is_err() || *other != name);
                    }
                    return false;
                }
                waiting.retain(|other| *other != name);
            }
            true
        };
        let end = async {
            if has_deadline {
                // Who has much time does not hold a shutdown up.
                let shut = async {
                    gate.shutting().await;
                    self.sleep.sleep(self.most).await;
                };
                select(pin!(progress.over()), pin!(shut)).await;
            } else {
                self.sleep.sleep(self.most).await;
            }
        };
        let has_caught_up = matches!(select(pin!(all), pin!(end)).await, Either::Left((true, _)));
        if has_caught_up {
            return Ok(receipt);
        }
        Err(CommandError::NotCaughtUp { receipt: Box::new(receipt), waiting })
    }

    async fn wait_for_one(&self, name: Name, position: Position) -> (Name, Result<(), WaitError>) {
        let mut busy = Backoff::new(&*self.ids, &*self.sleep, u32::MAX);
        loop {
            match self.projections.wait_for(name.clone(), position).await {
                Err(WaitError::Busy(_)) if busy.pause().await => {}
                outcome => return (name, outcome),
            }
        }
    }
}
