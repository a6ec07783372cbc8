//! The one writer of a process: takes what waits, makes a group of it, sends it, and answers.
//!
//! It runs as a task while something waits. It owns every request it sends, so a caller that goes away changes nothing.

use crate::checkpoints;
use crate::group::{Frame, Group, Owner, Sealed, Verdict};
use crate::job::{Answer, Job, Need, Order};
use crate::keys::Kept;
use crate::outcome::{Outcome, is_failure};
use crate::schema::Space;
use crate::table::{Backoff, Table};
use crate::tail::Tail;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use aws_sdk_dynamodb::types::CancellationReason;
use core::time::Duration;
use futures::channel::oneshot;
use portolan_kernel::ports::{AppendError, Clock, Source, StoreId};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) appends: usize,
    pub(crate) bytes: u64,
}

pub(crate) struct Writer {
    pub(crate) table: Arc<Table>,
    pub(crate) space: Space,
    identity: StoreId,
    pub(crate) retention: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tail: Arc<Tail>,
    queue: Mutex<Queue>,
    appends: Arc<Semaphore>,
    /// In KiB.
    bytes: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    running: bool,
}

impl Writer {
    pub(crate) fn new(
        table: Arc<Table>,
        space: Space,
        identity: StoreId,
        retention: Option<Duration>,
        clock: Arc<dyn Clock>,
        tail: Arc<Tail>,
        bounds: Bounds,
    ) -> Self {
        let kib = usize::try_from(bounds.bytes >> 10).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            table,
            space,
            identity,
            retention,
            clock,
            tail,
            queue: Mutex::default(),
            appends: Arc::new(Semaphore::new(bounds.appends.min(Semaphore::MAX_PERMITS))),
            bytes: Arc::new(Semaphore::new(kib.clamp(2_048, Semaphore::MAX_PERMITS))),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an order. Its answer comes when it is judged; it is cancelled if the runtime ends before.
    pub(crate) fn submit(self: &Arc<Self>, order: Order) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let full = |_| AppendError::Busy(Source::new("the queue of appends is full"));
        let bytes: u64 = order.append.events.iter().map(|event| event.bytes()).sum();
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        let place = (
            self.appends.clone().try_acquire_owned().map_err(full)?,
            self.bytes.clone().try_acquire_many_owned(kib).map_err(full)?,
        );
        let (answer, answered) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back(Job { order, answer, _place: place });
        if !core::mem::replace(&mut queue.running, true) {
            drop(queue);
            tokio::spawn(Arc::clone(self).run());
        }
        Ok(answered)
    }

    async fn run(self: Arc<Self>) {
        let mut running = Running { writer: &self, done: false };
        let (mut ready, mut alone, mut backoff) = (VecDeque::new(), 0_usize, Backoff::default());
        loop {
            {
                let mut queue = self.queue();
                ready.extend(queue.waiting.drain(..));
                if ready.is_empty() {
                    queue.running = false;
                    running.done = true;
                    return;
                }
            }
            let Some(sealed) = self.group(&mut ready, alone > 0) else { continue };
            alone = alone.saturating_sub(1);
            let answered = self.send(sealed, &mut alone, &mut backoff).await;
            // In the order in which they came: those of the group before those that waited for it.
            for job in answered.into_iter().rev() {
                ready.push_front(job);
            }
            // Those just answered may have more to write, and share the next request with those that wait.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Judges what is ready; takes what can be written together.
    fn group(&self, ready: &mut VecDeque<Job>, alone: bool) -> Option<Sealed> {
        let mut state = self.tail.state();
        let mut group = Group::new(&state, self.clock.now());
        let mut later = VecDeque::new();
        while let Some(mut job) = ready.pop_front() {
            if job.answer.is_canceled() {
                continue;
            }
            if alone && !group.is_empty() {
                later.push_back(job);
                break;
            }
            match group.judge(&mut job, &mut state, &self.space) {
                Verdict::Joins(joining) => group.join(job, joining),
                Verdict::Waits => later.push_back(job),
                Verdict::Answer(answer) => job.answer(answer),
                Verdict::Needs(need) => job.again(need),
                Verdict::Full => {
                    later.push_back(job);
                    break;
                }
            }
        }
        later.append(ready);
        *ready = later;
        drop(state);
        let frame =
            Frame { table: &self.table.name, space: &self.space, identity: self.identity, retention: self.retention };
        (!group.is_empty()).then(|| group.seal(&frame, fastrand::u128(..).to_be_bytes()))
    }

    /// Sends a group and answers it; gives what is to be judged again.
    async fn send(&self, mut sealed: Sealed, alone: &mut usize, backoff: &mut Backoff) -> Vec<Job> {
        if sealed.items.is_empty() {
            done(sealed);
            return Vec::new();
        }
        let began = self.tail.begin();
        let (mut outcome, settled) = self.request_settled(&sealed).await;
        if let Outcome::Unknown(fault) = outcome {
            outcome = self.settle(&sealed, fault).await;
        }
        match outcome {
            Outcome::Committed => {
                *backoff = Backoff::default();
                if let Some(row) = &sealed.row {
                    self.tail.committed(row, began);
                    if let Err(fault) = settled {
                        let source = Source::new(fault);
                        fail(sealed.jobs, &AppendError::Unknown(source));
                        return Vec::new();
                    }
                }
                done(sealed);
                Vec::new()
            }
            Outcome::Cancelled(reasons) => self.cancelled(sealed, &reasons, alone, backoff).await,
            Outcome::Refused(fault) => {
                fail(sealed.jobs, &fault.refuses_append());
                Vec::new()
            }
            Outcome::Unknown(fault) => {
                self.recall(&mut sealed).await;
                fail(sealed.jobs, &AppendError::Unknown(Source::new(fault)));
                Vec::new()
            }
        }
    }

    /// Answers those whose own condition failed, and gives the others back.
    async fn cancelled(
        &self,
        mut sealed: Sealed,
        reasons: &[CancellationReason],
        alone: &mut usize,
        backoff: &mut Backoff,
    ) -> Vec<Job> {
        let mut fate: Vec<Option<Answer>> = sealed.jobs.iter().map(|_| None).collect();
        let (mut learnt, mut conflict, mut strange) = (reasons.is_empty(), false, None);
        for (reason, owner) in reasons.iter().zip(&sealed.owners) {
            match reason.code() {
                None | Some("None") => continue,
                Some("ConditionalCheckFailed") => {}
                Some(_) if !is_failure(reason) => {
                    conflict = true;
                    continue;
                }
                Some(code) => {
                    strange = Some(format!("{code}: {}", reason.message().unwrap_or("no message")));
                    continue;
                }
            }
            match owner {
                Owner::LogHead => learnt = true,
                Owner::Stream(stream) => {
                    learnt = true;
                    self.tail.state().heads.forget(stream);
                    for job in &mut sealed.jobs {
                        job.order.guesses = false;
                    }
                }
                Owner::Key(job) => {
                    let append = &sealed.jobs[*job].order.append;
                    let key = append.key.as_ref().map(|key| self.space.key(&key.scope, &key.id));
                    let item = reason.item.as_ref().filter(|item| !item.is_empty());
                    fate[*job] = match key.zip(item).map(|(key, item)| Kept::decode(&key, item)) {
                        // An earlier request of this very group: all of it is there.
                        Some(Ok(kept)) if kept.token == sealed.token => {
                            done(sealed);
                            return Vec::new();
                        }
                        Some(Ok(kept)) => Some(Answer::Kept(Box::new(kept))),
                        Some(Err(fault)) => Some(Answer::Refused(fault.refuses_append())),
                        None => None,
                    };
                    learnt = true;
                }
                Owner::Checkpoint(job) => {
                    learnt = true;
                    let order = &mut sealed.jobs[*job].order;
                    order.moved = self.moved(order, reason).await;
                }
                Owner::Nobody => {}
            }
        }
        if conflict {
            backoff.pause().await;
        }
        let followed = self.tail.follow().await;
        if !learnt && !conflict {
            if let ([_], Some(strange)) = (&sealed.jobs[..], strange) {
                fail(sealed.jobs, &AppendError::Other(Source::new(strange)));
                return Vec::new();
            }
            // All seem innocent: one by one it will show who is not.
            *alone = sealed.jobs.len();
            backoff.pause().await;
        }
        let mut again = Vec::new();
        for ((number, job), fate) in sealed.jobs.into_iter().enumerate().zip(fate) {
            let of_key =
                sealed.owners.iter().zip(reasons).any(|(owner, reason)| {
                    *owner == Owner::Key(number) && reason.code() == Some("ConditionalCheckFailed")
                });
            match (fate, &followed) {
                (Some(answer), _) => job.answer(answer),
                (None, _) if of_key => job.again(Need::Key),
                (None, Err(fault)) => job.answer(Answer::Refused(fault.clone().refuses_append())),
                (None, Ok(())) if Instant::now() >= job.order.until => {
                    let busy = AppendError::Busy(Source::new("other writers were always faster"));
                    job.answer(Answer::Refused(busy));
                }
                (None, Ok(())) => again.push(job),
            }
        }
        again
    }

    /// The refusal of a move whose condition failed, by what was found in its place.
    async fn moved(&self, order: &Order, reason: &CancellationReason) -> Option<AppendError> {
        let checkpoint = order.append.checkpoint.as_ref()?;
        let key = self.space.checkpoint(&checkpoint.name);
        let found = match reason.item.as_ref().filter(|item| !item.is_empty()) {
            Some(item) => checkpoints::decode(&key, item),
            None => match self.table.get(&key).await {
                Ok(Some(item)) => checkpoints::decode(&key, &item),
                Ok(None) => Ok(Default::default()),
                Err(fault) => Err(fault),
            },
        };
        Some(match found {
            Ok((actual, token)) => AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token },
            Err(fault) => fault.refuses_append(),
        })
    }
}

fn done(sealed: Sealed) {
    for (job, outcome) in sealed.jobs.into_iter().zip(sealed.outcomes) {
        job.answer(Answer::Done(outcome));
    }
}

fn fail(jobs: Vec<Job>, error: &AppendError) {
    for job in jobs {
        job.answer(Answer::Refused(error.clone()));
    }
}

/// Cancels what waits when the task ends before its time: its runtime was shut down.
struct Running<'w> {
    writer: &'w Writer,
    done: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut queue = self.writer.queue();
            queue.running = false;
            let waiting = core::mem::take(&mut queue.waiting);
            drop(queue);
            drop(waiting);
        }
    }
}
