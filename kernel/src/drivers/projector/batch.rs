//! One batch: events of a page, applied and committed together.

use super::super::backoff::share_of;
use super::super::subscription::{page, reached, yield_now};
use super::caught::caught;
use super::claim::{Feed, Shift, shortened};
use super::engine::{Changed, Halt, Terms};
use super::parking::{self, ParkedEvent, Sequence};
use super::record;
use super::worker::{End, chain};
use crate::domain::OnFailure;
use crate::ports::{ProjectionState, ReadError, RowError};
use crate::values::{Batch, Change, Checkpoint, Move, Page, Position, Read, Recorded};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use futures::future::join;

/// Room in each batch for the two rows of what a worker says, and for an activation.
pub(super) const RESERVED: usize = 3;

/// After how long something is said again.
const SAY: Duration = Duration::from_secs(1);

/// What becomes of an event that was not applied.
enum Verdict {
    /// It is left out of the rows: skipped or parked.
    Passed,
    /// What is before it is committed first.
    Cut,
    /// Nothing more for now: it is tried again later, or an operator has to look.
    Waits,
}

impl Shift<'_> {
    /// Applies what is next in the log, and commits it.
    pub(super) async fn batch(&mut self) -> Result<(), End> {
        let mut feed = match self.feed.take() {
            Some(feed) => feed,
            None => Feed { page: self.next_page().await?, done: 0 },
        };
        let events = &feed.page.events[feed.done..];
        if let Some(first) = events.first()
            && self.is_pause_due(first.position)
        {
            self.pause_before_retry().await;
            self.feed = Some(feed);
            return Ok(());
        }
        let window = self.window(events);
        let (mut at, mut parked) = (0, Vec::new());
        while at < window {
            let halt = self.apply(events, &mut at, window, parked.len()).await?;
            let Some(halt) = halt else { continue };
            match self.judge(&events[at], at, halt, &mut parked) {
                Verdict::Passed => at += 1,
                Verdict::Cut => break,
                Verdict::Waits => {
                    self.feed = Some(feed);
                    return self.say().await;
                }
            }
        }
        let last = at.checked_sub(1).map(|last| events[last].position);
        feed.done += at;
        let is_done = feed.done == feed.page.events.len();
        let to = if is_done { reached(&feed.page) } else { last }.max(self.state.position);
        let is_last = is_done && feed.page.next.is_none();
        if is_last && !self.record.is_ready {
            self.record.is_ready = true;
            self.is_unsaid = true;
            self.activates = self.is_to_be_active().await?;
        }
        self.set_state(if is_last { ProjectionState::CaughtUp } else { ProjectionState::CatchingUp });
        let next = feed.page.next.clone().filter(|_| is_done);
        let page = self.commit_events(at, last, to, &parked, next).await?;
        self.feed = match page {
            Some(page) => Some(Feed { page, done: 0 }),
            None => (!is_done).then_some(feed),
        };
        self.is_caught_up = is_last;
        Ok(())
    }

    /// The next page of the log, from the checkpoint on.
    async fn next_page(&mut self) -> Result<Page, End> {
        if self.is_inline() {
            // The store moves the checkpoint too, and changes rows.
            let stands = self.env.rows.checkpoint(self.name.clone()).await.map_err(|error| self.end(error))?;
            match stands {
                Some(stands) if stands.token > self.token => return Err(End::Superseded),
                Some(stands) if stands.position != self.state.position => {
                    self.state.position = stands.position;
                    self.overlay.discard();
                }
                _ => {}
            }
        }
        let position = self.state.position;
        let read = Read::log_after(self.engine.model().query.clone(), position);
        let page = page(&*self.env.events, read.limit(self.env.options.page_events.max(1))).await.map_err(of_log)?;
        if page.frontier < position {
            let frontier = page.frontier.map_or(0, Position::get);
            let position = position.map_or(0, Position::get);
            return Err(End::Stopped(format!(
                "its rows are made of events up to {position}, and the log ends at {frontier}: it was restored; reset \
                 the projection"
            )));
        }
        self.replayed = self.find_replayed().await?;
        Ok(page)
    }

    /// How many of the events are tried together.
    fn window(&mut self, events: &[Arc<Recorded>]) -> usize {
        if let Some(suspect) = self.hunt.suspect {
            let suspects = events.iter().take_while(|event| event.position <= suspect).count();
            if suspects > 0 {
                return suspects.div_ceil(2);
            }
            self.hunt.suspect = None;
        }
        self.hunt.window.unwrap_or(usize::MAX).min(events.len())
    }

    /// Applies events from the one at `at` on, and tells why not all.
    async fn apply(
        &mut self,
        events: &[Arc<Recorded>],
        at: &mut usize,
        window: usize,
        parked: usize,
    ) -> Result<Option<Halt>, End> {
        let mut end = window;
        if !self.hunt.bad.is_empty()
            && let Some(ahead) = events[*at..window].iter().position(|it| self.hunt.bad.contains_key(&it.position))
        {
            end = *at + ahead;
        }
        if let Some(reason) = events.get(*at).filter(|_| end == *at).and_then(|it| self.hunt.bad.get(&it.position)) {
            return Ok(Some(Halt::never(reason.clone())));
        }
        let most = self.env.rows.limits().batch_changes as usize;
        let room = most.saturating_sub(RESERVED + parked);
        let terms = Terms { held: &self.held, room, replayed: self.replayed };
        let applied = self.overlay.apply(&events[*at..end], terms).await;
        *at += applied.count;
        self.applied += applied.count as u64;
        self.skip(applied.skipped);
        match applied.halt {
            Some(Halt::Store(error)) => Err(self.end(error)),
            Some(Halt::Unfit(reason)) => Err(End::Stopped(reason)),
            Some(Halt::Panicked { ahead, reason }) => {
                if let Some(event) = events[*at..end].get(ahead) {
                    self.hunt.bad.insert(event.position, reason);
                }
                Err(End::Moved)
            }
            Some(Halt::Full) if *at == 0 => {
                Ok(Some(Halt::never(format!("it changes more rows than the store takes at once, which is {room}"))))
            }
            halt => Ok(halt),
        }
    }

    /// What becomes of an event that was not applied, after `at` that were.
    fn judge(&mut self, event: &Arc<Recorded>, at: usize, halt: Halt, parked: &mut Vec<Position>) -> Verdict {
        let position = event.position;
        let policy = self.env.policy(self.engine.model());
        let (reason, waits) = match halt {
            Halt::Failed { reason, may_help } => {
                let failures = self.failures(position);
                if may_help && failures < policy.retries {
                    self.hunt.failed = Some((position, failures + 1, true));
                    self.fail(Some(position), reason);
                    return if at > 0 { Verdict::Cut } else { Verdict::Waits };
                }
                (reason, false)
            }
            Halt::Held => (String::from("it waits for an earlier event of its sequence"), true),
            _ => return Verdict::Cut,
        };
        let stop = match policy.then {
            // A store would not wait.
            _ if waits && !self.is_inline() => None,
            OnFailure::Park => None,
            OnFailure::Skip if !waits => {
                self.fail(Some(position), reason);
                self.skip(1);
                return Verdict::Passed;
            }
            OnFailure::Skip | OnFailure::Stop => Some(reason.clone()),
        };
        let most = self.env.options.parked as usize;
        let stop = stop.or_else(|| {
            let is_full = self.parked.len() >= most;
            is_full.then(|| format!("{most} events are parked, and it parks no more; retry or drop them ({reason})"))
        });
        if let Some(stop) = stop {
            if at > 0 {
                if !waits {
                    self.hunt.bad.insert(position, reason);
                }
                return Verdict::Cut;
            }
            self.stop(Some(position), stop);
            return Verdict::Waits;
        }
        if !waits {
            self.fail(Some(position), reason.clone());
        }
        let sequences = caught(&*self.env.spawn, || self.engine.sequences(&self.env.upcasters, event));
        let sequences = sequences.unwrap_or_else(|_| vec![Sequence::Stream(event.stream.clone())]);
        self.held.hold(&sequences);
        let (stream, reason, at) = (event.stream.clone(), shortened(reason), self.env.clock.now());
        self.parked.insert(position, ParkedEvent { stream, sequences, waits, reason, at });
        parked.push(position);
        Verdict::Passed
    }

    /// So many events are left out of the rows for good. It is said in the batch that commits the others.
    pub(super) fn skip(&mut self, count: u64) {
        self.record.skipped = self.record.skipped.saturating_add(count);
        self.is_unsaid |= count > 0;
    }

    /// How often this event has failed.
    fn failures(&self, position: Position) -> u32 {
        self.hunt.failed.filter(|(failed, ..)| *failed == position).map_or(0, |(_, failures, _)| failures)
    }

    fn is_pause_due(&self, position: Position) -> bool {
        self.hunt.failed.is_some_and(|(failed, _, is_due)| failed == position && is_due)
    }

    /// Pauses before an event is tried again: longer each time, by a random share.
    pub(super) async fn pause_before_retry(&mut self) {
        let Some((_, failures, is_due)) = &mut self.hunt.failed else { return };
        *is_due = false;
        let policy = self.engine.model().policy;
        let growth = 1_u32 << failures.saturating_sub(1).min(20);
        let most = policy.first_pause.saturating_mul(growth).min(policy.longest_pause);
        self.env.sleep.sleep(share_of(&*self.env.ids, most)).await;
        yield_now().await;
    }

    /// Commits what was applied, while the next page is read.
    async fn commit_events(
        &mut self,
        count: usize,
        last: Option<Position>,
        to: Option<Position>,
        parked: &[Position],
        next: Option<Read>,
    ) -> Result<Option<Page>, End> {
        let refused = |shift: &mut Self, reason, is_large| shift.refused(count, last, reason, is_large);
        let changes = match caught(&*self.env.spawn, || self.overlay.changes()).flatten() {
            Ok(changes) => changes,
            Err(reason) => return Err(refused(self, reason, false)),
        };
        let env = self.env;
        let read = async {
            match next {
                Some(read) => page(&*env.events, read).await.map(Some).map_err(of_log),
                None => Ok(None),
            }
        };
        if changes.is_empty() && parked.is_empty() && to == self.state.position && !self.is_unsaid {
            self.overlay.committed();
            return read.await;
        }
        self.record.parked = self.parked.len() as u64;
        self.is_unsaid |= !parked.is_empty();
        let batch = self.with_changes(self.begin_batch(to), changes);
        let name = &self.engine.model().name;
        let with_parked = parked.iter().filter_map(|position| Some((*position, self.parked.get(position)?)));
        let batch = with_parked
            .into_iter()
            .try_fold(batch, |batch, (position, event)| parking::park(batch, name, self.edition, position, event));
        let batch = batch.map_err(|error| self.end(error))?;
        let batch = self.with_record(batch).map_err(|error| self.end(error))?;
        let checkpoint = batch.checkpoint.clone();
        let (committed, page) = join(env.rows.commit(batch), read).await;
        match committed {
            Ok(()) => {}
            Err(error @ RowError::TooLarge { .. }) => return Err(refused(self, error.to_string(), true)),
            Err(error @ (RowError::NotUnique { .. } | RowError::Invalid(_))) => {
                return Err(refused(self, error.to_string(), false));
            }
            Err(error) => return Err(self.end(error)),
        }
        self.committed(&checkpoint);
        self.overlay.committed();
        self.passed(to);
        page
    }

    /// A batch was refused for what is in it: it is cut smaller, until the event is found that is to blame.
    fn refused(&mut self, count: usize, last: Option<Position>, reason: String, is_large: bool) -> End {
        match (count, last) {
            (0, _) | (_, None) => return End::Trouble(reason),
            (1, Some(bad)) => {
                if self.hunt.bad.contains_key(&bad) {
                    // It is refused although the event is left out.
                    return End::Stopped(reason);
                }
                self.hunt.bad.insert(bad, reason);
            }
            _ if is_large => self.hunt.window = Some(count / 2),
            _ => self.hunt.suspect = last,
        }
        End::Moved
    }

    /// Everything up to there has been dealt with.
    fn passed(&mut self, to: Option<Position>) {
        let hunt = &mut *self.hunt;
        hunt.troubles = 0;
        hunt.bad.retain(|bad, _| Some(*bad) > to);
        hunt.failed.take_if(|(failed, ..)| Some(*failed) <= to);
        if let Some(window) = hunt.window
            && hunt.suspect.is_none()
        {
            let larger = window + window / 4 + 1;
            hunt.window = (larger < self.env.options.page_events as usize).then_some(larger);
        }
    }

    /// An empty batch that moves the checkpoint there.
    pub(super) fn begin_batch(&self, to: Option<Position>) -> Batch {
        let to = match to {
            Some(to) if Some(to) != self.state.position => Move::At(to),
            _ => Move::Claim,
        };
        let mut batch = Batch::new(Checkpoint::new(self.name.clone(), self.state, self.token, to));
        if self.activates {
            batch = batch.activate(self.engine.model().name.clone(), self.edition.to_stored());
        }
        batch
    }

    /// The batch, with changes of the rows.
    pub(super) fn with_changes(&self, mut batch: Batch, changes: Vec<Changed>) -> Batch {
        let (collection, version) = (&self.engine.model().name, self.edition.to_stored());
        let change = |(key, cells)| Change { collection: collection.clone(), version, key, cells };
        batch.changes.extend(changes.into_iter().map(change));
        // Rows are made of what stands there: if the checkpoint has moved, they are not.
        if let (Move::Claim, Some(position), false) =
            (batch.checkpoint.to, self.state.position, batch.changes.is_empty())
        {
            batch.checkpoint.to = Move::At(position);
        }
        batch.beside.extend(self.overlay.beside());
        batch
    }

    /// The batch, with what is said in it, if it is time to say something.
    pub(super) fn with_record(&mut self, batch: Batch) -> Result<Batch, RowError> {
        let now = self.env.clock.now();
        let is_time = now >= self.record.said_at.plus(SAY) || now < self.record.said_at;
        if !self.is_unsaid && !is_time {
            return Ok(batch);
        }
        let micros = now.as_micros().saturating_sub(self.counted_from.as_micros());
        if micros >= 1_000 && self.applied > 0 {
            self.record.events_per_second = self.applied.saturating_mul(1_000_000) / micros;
        }
        (self.applied, self.counted_from) = (0, now);
        self.record.said_at = now;
        if matches!(batch.checkpoint.to, Move::At(_)) {
            self.record.moved_at = now;
        }
        record::say(batch, &self.engine.model().name, self.edition, &self.record)
    }

    /// A batch with this checkpoint was committed.
    pub(super) fn committed(&mut self, checkpoint: &Checkpoint) {
        if let Move::At(to) = checkpoint.to {
            self.state.position = Some(to);
        }
        self.is_unsaid = false;
        self.activates = false;
        self.env.moved.notify(usize::MAX);
    }
}

/// What is done about an error of the log.
pub(super) fn of_log(error: ReadError) -> End {
    match error {
        ReadError::Busy(_) | ReadError::Other(_) => End::Trouble(chain(&error)),
        other => End::Stopped(chain(&other)),
    }
}
