//! Parked events that are tried again: those an operator wants to be, and those that wait for nothing any more.

use super::super::reading::EventStoreExt;
use super::batch::{RESERVED, of_log};
use super::caught::caught;
use super::claim::{Shift, shortened};
use super::engine::{Halt, Terms};
use super::parking::{self, Held};
use super::worker::End;
use crate::ports::RowError;
use crate::values::{Position, Read, Recorded};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use futures::StreamExt;

/// How trying a parked event ended.
enum Tried {
    Applied,
    Failed(String),
    /// There is no room in the batch.
    Full,
}

impl Shift<'_> {
    /// Tries parked events in their order: those that are `wanted`, and those that wait for nothing any more. With the
    /// last of them the request is done.
    ///
    /// An event that is applied is parked no more in the same batch. So each is applied once, and if the worker dies
    /// between two batches, the rest is found again.
    pub(super) async fn revisit(&mut self, wanted: impl Fn(Position) -> bool, request: Option<u64>) -> Result<(), End> {
        let mut tried = BTreeSet::new();
        loop {
            // The sequences of those that stay parked so far.
            let mut ahead = Held::default();
            let (mut done, mut failed, mut is_full) = (Vec::new(), Vec::new(), false);
            let positions: Vec<_> = self.parked.keys().copied().collect();
            for position in positions {
                let Some(event) = self.parked.get(&position) else { continue };
                let is_due = (event.waits || wanted(position)) && !tried.contains(&position);
                if !is_due || ahead.holds(&event.sequences, &event.stream) {
                    ahead.hold(&event.sequences);
                    continue;
                }
                if self.hunt.is_one_by_one && done.len() + failed.len() == 1 {
                    is_full = true;
                    break;
                }
                let count = done.len() + failed.len();
                match self.try_again(position, count).await? {
                    Tried::Applied => done.push(position),
                    Tried::Full => {
                        is_full = true;
                        break;
                    }
                    Tried::Failed(reason) => {
                        self.fail(Some(position), reason.clone());
                        let at = self.env.clock.now();
                        if let Some(event) = self.parked.get_mut(&position) {
                            (event.waits, event.reason, event.at) = (false, shortened(reason), at);
                            ahead.hold(&event.sequences);
                        }
                        tried.insert(position);
                        failed.push(position);
                    }
                }
            }
            self.commit_revisit(&done, &failed, request.filter(|_| !is_full)).await?;
            if !is_full {
                self.hunt.is_one_by_one = false;
                self.is_release_due = false;
                return Ok(());
            }
        }
    }

    /// Applies a parked event, as often as its policy says.
    async fn try_again(&mut self, position: Position, before: usize) -> Result<Tried, End> {
        if let Some(reason) = self.hunt.bad.get(&position) {
            return Ok(Tried::Failed(reason.clone()));
        }
        let Some(event) = self.find_event(position).await? else {
            return Ok(Tried::Failed(String::from("it is not among the events that the projection follows")));
        };
        let most = self.env.rows.limits().batch_changes as usize;
        // Each of those before takes a row of the system's, and so does this one.
        let room = most.saturating_sub(RESERVED + before + 1);
        let nothing = Held::default();
        let retries = self.engine.model().policy.retries;
        loop {
            let terms = Terms { held: &nothing, room, replayed: self.replayed };
            let applied = self.overlay.apply(core::slice::from_ref(&event), terms).await;
            match applied.halt {
                None | Some(Halt::Held) => {
                    self.applied += 1;
                    self.skip(applied.skipped);
                    return Ok(Tried::Applied);
                }
                Some(Halt::Store(error)) => return Err(self.end(error)),
                Some(Halt::Unfit(reason)) => return Err(End::Stopped(reason)),
                Some(Halt::Panicked { reason, .. }) => {
                    self.hunt.bad.insert(position, reason);
                    return Err(End::Moved);
                }
                Some(Halt::Full) if before > 0 => return Ok(Tried::Full),
                Some(Halt::Full) => {
                    return Ok(Tried::Failed(format!("it changes more rows than the store takes, which is {room}")));
                }
                Some(Halt::Failed { reason, may_help }) => {
                    let failures = self.hunt.failed.filter(|(at, ..)| *at == position).map_or(0, |(_, n, _)| n);
                    if !may_help || failures >= retries {
                        self.hunt.failed = None;
                        return Ok(Tried::Failed(reason));
                    }
                    self.hunt.failed = Some((position, failures + 1, true));
                    self.pause_before_retry().await;
                }
            }
        }
    }

    async fn find_event(&self, position: Position) -> Result<Option<Arc<Recorded>>, End> {
        let query = self.engine.model().query.clone();
        let read = Read::log(query).backward().until(Some(position)).limit(1);
        let found = self.env.events.read_all(read).next().await.transpose().map_err(of_log)?;
        Ok(found.filter(|event| event.position == position))
    }

    async fn commit_revisit(
        &mut self,
        done: &[Position],
        failed: &[Position],
        request: Option<u64>,
    ) -> Result<(), End> {
        if done.is_empty() && failed.is_empty() && request.is_none() {
            return Ok(());
        }
        let changes = match caught(&*self.env.spawn, || self.overlay.changes()).flatten() {
            Ok(changes) => changes,
            Err(reason) => return Err(self.refused_again(done, reason)),
        };
        let mut batch = self.with_changes(self.begin_batch(self.state.position), changes);
        let (name, edition) = (&self.engine.model().name, self.edition);
        for position in done {
            batch = parking::release(batch, name, edition, *position).map_err(|error| self.end(error))?;
            self.parked.remove(position);
        }
        for position in failed {
            let Some(event) = self.parked.get(position) else { continue };
            batch = parking::park(batch, name, edition, *position, event).map_err(|error| self.end(error))?;
        }
        self.hold_parked();
        self.record.parked = self.parked.len() as u64;
        self.record.requests_done = request.unwrap_or(self.record.requests_done);
        self.is_unsaid = true;
        match self.commit(batch).await {
            Ok(()) => {}
            Err(error @ (RowError::NotUnique { .. } | RowError::Invalid(_) | RowError::TooLarge { .. })) => {
                return Err(self.refused_again(done, error.to_string()));
            }
            Err(error) => return Err(self.end(error)),
        }
        self.overlay.committed();
        self.hunt.troubles = 0;
        self.hunt.bad.retain(|bad, _| !done.contains(bad) && !failed.contains(bad));
        Ok(())
    }

    /// A batch was refused for what is in it: then they are tried one by one.
    fn refused_again(&mut self, done: &[Position], reason: String) -> End {
        match done {
            [] => return End::Stopped(reason),
            [bad] => drop(self.hunt.bad.insert(*bad, reason)),
            _ => self.hunt.is_one_by_one = true,
        }
        End::Moved
    }
}
