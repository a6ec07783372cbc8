//! The run: events are read, made into those of now, and written batch by batch.

use super::batch::{Batch, Room};
use super::keys::Keyed;
use super::standing::Standing;
use super::{Migration, MigrationError, MigrationProgress, MigrationReason};
use crate::ports::{AppendError, StoreId};
use crate::values::{Append, NewEvent, Position, Recorded, Timestamp};
use alloc::vec::Vec;

/// How often it looks anew at what the target holds, without a success in between.
const LOOKS: u32 = 8;

/// After so many events of the source comes a record: the next run compares no more than these.
const RECORD_AFTER: u64 = 10_000;

impl Migration {
    /// Copies what the target does not have yet, up to the frontier of the source as it is now, and tells of each append.
    ///
    /// An append of unknown outcome is settled by looking at what the target holds, some times over. What is busy is told to
    /// the caller, who pauses and runs again.
    ///
    /// # Errors
    ///
    /// [`MigrationError`]. The next run goes on from what is copied.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the target as an end of the process does: the next run goes on from there (MG-04).
    pub async fn run(
        &self,
        mut told: impl FnMut(&MigrationProgress) + Send,
    ) -> Result<MigrationProgress, MigrationError> {
        let source = self.judge_stores()?;
        let mut left = LOOKS;
        loop {
            let error = match self.standing().await {
                Ok(standing) => match self.copy(source, standing, &mut told, &mut left).await {
                    Ok(progress) => return Ok(progress),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let is_unsettled = matches!(
                error,
                MigrationError::Rivals
                    | MigrationError::Append(
                        AppendError::Unknown(_) | AppendError::GuardFailed { .. } | AppendError::Conflict { .. }
                    )
            );
            match left.checked_sub(1) {
                Some(fewer) if is_unsettled => left = fewer,
                _ => {
                    return Err(match error {
                        MigrationError::Append(AppendError::GuardFailed { .. } | AppendError::Conflict { .. }) => {
                            MigrationError::Rivals
                        }
                        error => error,
                    });
                }
            }
        }
    }

    async fn copy(
        &self,
        source: StoreId,
        standing: Standing,
        told: &mut (dyn FnMut(&MigrationProgress) + Send),
        left: &mut u32,
    ) -> Result<MigrationProgress, MigrationError> {
        let room = Room::new(&self.to.capabilities(), self.batch);
        let mut events = self.source(standing.through);
        let mut run =
            Run { migration: self, source, standing, batch: Batch::default(), is_clock_judged: false, told, left };
        while let Some(recorded) = events.next().await? {
            let (belongs, judged) = self.judge_next(&mut run.batch, &room, &recorded);
            let events_of_now = match judged {
                Ok(events) => events,
                Err(reason) => {
                    // Of a command that cannot be copied whole, nothing is.
                    if !belongs {
                        run.flush(events.frontier).await?;
                    }
                    run.record().await?;
                    return Err(MigrationError::event(&recorded, reason));
                }
            };
            let time = self.times.as_ref().map(|_| recorded.recorded_at);
            if !belongs {
                let keyed = self.key_of(&recorded).await?;
                if keyed.is_some() || run.batch.keyed.is_some() || !run.batch.has_room(&room, &events_of_now, time) {
                    run.flush(events.frontier).await?;
                }
                run.batch.keyed = keyed;
            }
            run.batch.add(events_of_now, recorded.position, time);
        }
        run.flush(events.frontier).await?;
        // Past its last event may stand others that are not copied.
        run.standing.through = events.frontier;
        if !run.standing.whole || run.standing.read != run.standing.recorded {
            run.write_record(true).await?;
        }
        Ok(run.standing.progress(events.frontier))
    }

    /// What comes of the event after those of the batch, and whether it is of the command that is gathered there.
    pub(super) fn judge_next(
        &self,
        batch: &mut Batch,
        room: &Room,
        recorded: &Recorded,
    ) -> (bool, Result<Vec<NewEvent>, MigrationReason>) {
        let belongs = batch.keyed.as_mut().is_some_and(|keyed| keyed.is_next(recorded.id));
        let judged = self.chain.convert(recorded).and_then(|events| {
            room.judge(&events)?;
            if belongs {
                batch.judge_together(room, &events)?;
            }
            Ok(events)
        });
        (belongs, judged)
    }

    pub(super) async fn key_of(&self, recorded: &Recorded) -> Result<Option<Keyed>, MigrationError> {
        if self.commands.is_empty() {
            return Ok(None);
        }
        Keyed::find(&*self.from, &self.commands, recorded).await
    }
}

/// A run that has begun.
struct Run<'a> {
    migration: &'a Migration,
    source: StoreId,
    standing: Standing,
    batch: Batch,
    /// Whether the target has told the time of the clock that it was to be opened with.
    is_clock_judged: bool,
    told: &'a mut (dyn FnMut(&MigrationProgress) + Send),
    left: &'a mut u32,
}

impl Run<'_> {
    /// Writes the batch.
    async fn flush(&mut self, frontier: Option<Position>) -> Result<(), MigrationError> {
        let batch = core::mem::take(&mut self.batch);
        if batch.read == 0 {
            return Ok(());
        }
        let written = batch.events.len();
        if batch.is_append() {
            if let (Some(clock), Some(time)) = (&self.migration.times, batch.time) {
                clock.set(time);
                self.judge_clock(time).await?;
            }
            if self.standing.whole {
                self.write_record(false).await?;
            }
            let append = Append::new(batch.events).guard(self.migration.alone_since(self.standing.target));
            let append = match batch.keyed {
                Some(keyed) => append.key(keyed.into_key(written)),
                None => append,
            };
            let appended = self.migration.to.append(append).await.map_err(MigrationError::Append)?;
            if appended.repeated && written > 0 {
                // Under its key it was there before; what else is there has to be looked at.
                return Err(MigrationError::Rivals);
            }
            self.standing.target = appended.last.or(self.standing.target);
        }
        self.standing.read += batch.read;
        self.standing.through = batch.through;
        self.standing.written += written as u64;
        *self.left = LOOKS;
        (self.told)(&self.standing.progress(frontier));
        if self.standing.read - self.standing.recorded >= RECORD_AFTER {
            self.record().await?;
        }
        Ok(())
    }

    /// Whether the target tells the time of the clock: seen by a record, so that nothing is copied where it does not.
    async fn judge_clock(&mut self, time: Timestamp) -> Result<(), MigrationError> {
        if self.is_clock_judged {
            return Ok(());
        }
        self.write_record(false).await?;
        let Some(record) = self.migration.last_record().await? else { return Err(MigrationError::Rivals) };
        if Some(record.position) != self.standing.target {
            return Err(MigrationError::Rivals);
        }
        if record.recorded_at != time {
            return Err(MigrationError::OtherClock);
        }
        self.is_clock_judged = true;
        Ok(())
    }

    /// Writes down how far it has come, unless that is written.
    async fn record(&mut self) -> Result<(), MigrationError> {
        if self.standing.read == self.standing.recorded {
            return Ok(());
        }
        self.write_record(false).await
    }

    /// Writes it down, and whether that is all there was to copy.
    async fn write_record(&mut self, whole: bool) -> Result<(), MigrationError> {
        self.standing.whole = whole;
        let record = self.migration.record(self.source, &self.standing);
        let appended = self.migration.to.append(record).await.map_err(MigrationError::Append)?;
        self.standing.target = appended.last.or(self.standing.target);
        self.standing.recorded = self.standing.read;
        Ok(())
    }
}
