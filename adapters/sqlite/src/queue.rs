//! The seam of the group commit: writes queue up, one thread takes all that waits, commits it, and answers.
//!
//! Knows nothing of SQLite, so that its schedules can be tried out one by one (see the tests).

use futures::channel::oneshot;
use std::collections::VecDeque;
use std::sync::PoisonError;

#[cfg(test)]
use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(test))]
use std::sync::{Condvar, Mutex, MutexGuard};

/// How much may wait, and how much is committed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) requests: usize,
    pub(crate) bytes: u64,
    pub(crate) group_requests: usize,
    pub(crate) group_bytes: u64,
}

/// Why a write was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// What commits a group.
pub(crate) trait Commit<Q, A> {
    /// Commits the group, and only then returns: an answer for each, in order. Nobody is answered before.
    fn commit(&mut self, group: &[Q]) -> Vec<A>;

    /// Everybody is answered: the time for what nobody waits for.
    fn answered(&mut self) {}
}

/// A bounded queue of writes `Q` that are answered with `A`.
pub(crate) struct Queue<Q, A> {
    bounds: Bounds,
    state: Mutex<State<Q, A>>,
    filled: Condvar,
}

struct State<Q, A> {
    waiting: VecDeque<Request<Q, A>>,
    bytes: u64,
    closed: bool,
}

struct Request<Q, A> {
    ask: Q,
    bytes: u64,
    answer: oneshot::Sender<A>,
}

impl<Q, A> Queue<Q, A> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let state = State { waiting: VecDeque::new(), bytes: 0, closed: false };
        Self { bounds, state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Queues a write of this size. Its answer comes when it is committed; it is cancelled if the committing
    /// thread died, and then the outcome is unknown.
    pub(crate) fn submit(&self, ask: Q, bytes: u64) -> Result<oneshot::Receiver<A>, Refused> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let too_many = state.waiting.len() >= self.bounds.requests;
        // What is larger than all the room gets in alone: else it never would.
        let too_large = !state.waiting.is_empty() && state.bytes.saturating_add(bytes) > self.bounds.bytes;
        if too_many || too_large {
            return Err(Refused::Full);
        }
        state.bytes += bytes;
        state.waiting.push_back(Request { ask, bytes, answer });
        self.filled.notify_one();
        Ok(answered)
    }

    /// Takes no more writes. What waits is still committed and answered.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Commits groups until the queue is closed and empty. If `commit` panics, the queue closes and all that
    /// waits is cancelled.
    pub(crate) fn serve(&self, committer: &mut impl Commit<Q, A>) {
        let _abandon = Abandon(self);
        while let Some((asks, answers)) = self.take() {
            let outcomes = committer.commit(&asks);
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever asked may have stopped waiting (ES-12).
                let _ = answer.send(outcome);
            }
            committer.answered();
        }
    }

    /// All that waits, up to the bounds of a group and at least one; `None` once closed and empty.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn take(&self) -> Option<(Vec<Q>, Vec<oneshot::Sender<A>>)> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut asks, mut answers, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
        while let Some(next) = state.waiting.front()
            && (asks.is_empty() || bytes + next.bytes <= self.bounds.group_bytes)
            && asks.len() < self.bounds.group_requests.max(1)
            && let Some(next) = state.waiting.pop_front()
        {
            bytes += next.bytes;
            asks.push(next.ask);
            answers.push(next.answer);
        }
        state.bytes -= bytes;
        Some((asks, answers))
    }

    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue and cancels what waits when the serving thread ends, whatever ended it.
struct Abandon<'q, Q, A>(&'q Queue<Q, A>);

impl<Q, A> Drop for Abandon<'_, Q, A> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.bytes = 0;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}
