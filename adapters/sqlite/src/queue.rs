//! The seam of the group commit: writes queue up, one thread takes all that waits, commits it, and answers.
//!
//! Knows nothing of SQLite, so that its schedules can be tried out one by one (see the tests).

use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;
use futures::channel::oneshot;
use std::sync::PoisonError;

#[cfg(not(test))]
use core::sync::atomic::AtomicUsize;
#[cfg(test)]
use shuttle::sync::atomic::AtomicUsize;
#[cfg(test)]
use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(test)]
use shuttle::thread::yield_now;
#[cfg(not(test))]
use std::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(test))]
use std::thread::yield_now;

/// So many that wait are worth a commit, whoever else comes: from there on it is better that they come beside it.
const ENOUGH: usize = 256;

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

    /// Fewer wait than were just answered. Whether to look again, before those who do are taken; `more`: some have
    /// come since the last look.
    fn looks_again(&mut self, more: bool) -> bool;
}

/// A bounded queue of writes `Q` that are answered with `A`.
pub(crate) struct Queue<Q, A> {
    bounds: Bounds,
    state: Mutex<State<Q, A>>,
    filled: Condvar,
    /// How many wait, for who does not hold the lock; it may be late.
    length: AtomicUsize,
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
        Self { bounds, state: Mutex::new(state), filled: Condvar::new(), length: AtomicUsize::new(0) }
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
        self.length.store(state.waiting.len(), Ordering::Relaxed);
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
            let answered = asks.len();
            drop(asks);
            committer.answered();
            self.gather(answered, committer);
        }
    }

    /// Those who were answered mostly ask again at once. The first of them, committed alone, would make all others
    /// wait for one commit more.
    fn gather(&self, answered: usize, committer: &mut impl Commit<Q, A>) {
        let mut seen = 0;
        loop {
            let waiting = self.length.load(Ordering::Relaxed);
            if waiting >= answered.min(ENOUGH) || !committer.looks_again(waiting > seen) {
                return;
            }
            seen = waiting;
            yield_now();
        }
    }

    /// All that waits, up to the bounds of a group and at least one; `None` once closed and empty.
    fn take(&self) -> Option<(Vec<Q>, Vec<oneshot::Sender<A>>)> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let most = state.waiting.len().min(self.bounds.group_requests.max(1));
        let (mut asks, mut answers, mut bytes) = (Vec::with_capacity(most), Vec::with_capacity(most), 0_u64);
        while let Some(next) = state.waiting.front()
            && (asks.is_empty() || bytes + next.bytes <= self.bounds.group_bytes)
            && asks.len() < most
            && let Some(next) = state.waiting.pop_front()
        {
            bytes += next.bytes;
            asks.push(next.ask);
            answers.push(next.answer);
        }
        state.bytes -= bytes;
        self.length.store(state.waiting.len(), Ordering::Relaxed);
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
        let waiting = core::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use shuttle::sync::Arc;
    use shuttle::{future, thread};

    const BOUNDS: Bounds = Bounds { requests: 3, bytes: 100, group_requests: 2, group_bytes: 100 };
    const LOOKS: usize = 3;
    const SCHEDULES: usize = 3_000;

    type Numbers = Queue<u32, u32>;

    /// Commits numbers, not at once, and answers with them.
    struct Log {
        committed: Arc<Mutex<Vec<u32>>>,
        largest_group: usize,
        looks: usize,
    }

    impl Commit<u32, u32> for Log {
        fn commit(&mut self, group: &[u32]) -> Vec<u32> {
            assert!(!group.is_empty());
            self.largest_group = self.largest_group.max(group.len());
            for number in group {
                thread::yield_now();
                self.committed.lock().unwrap().push(*number);
            }
            group.to_vec()
        }

        fn answered(&mut self) {
            self.looks = LOOKS;
        }

        fn looks_again(&mut self, more: bool) -> bool {
            self.looks = if more { LOOKS } else { self.looks.saturating_sub(1) };
            self.looks > 0
        }
    }

    fn served(queue: &Arc<Numbers>) -> (Arc<Mutex<Vec<u32>>>, thread::JoinHandle<usize>) {
        let committed = Arc::new(Mutex::new(Vec::new()));
        let mut log = Log { committed: committed.clone(), largest_group: 0, looks: 0 };
        let queue = queue.clone();
        let server = thread::spawn(move || {
            queue.serve(&mut log);
            log.largest_group
        });
        (committed, server)
    }

    /// Submits each number; gives those that were taken and answered.
    fn submit(queue: &Numbers, numbers: &[u32], committed: &Mutex<Vec<u32>>) -> Vec<u32> {
        let mut answered = Vec::new();
        for number in numbers {
            if let Ok(answer) = queue.submit(*number, 1) {
                assert_eq!(future::block_on(answer), Ok(*number), "a write got no answer, or another's");
                assert!(committed.lock().unwrap().contains(number), "{number} was acknowledged before its commit");
                answered.push(*number);
            }
        }
        answered
    }

    #[test]
    fn every_write_that_is_taken_is_committed_once_and_then_answered() {
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(BOUNDS));
                let (committed, server) = served(&queue);
                let submitters: Vec<_> = [[1, 2], [3, 4], [5, 6]]
                    .into_iter()
                    .map(|numbers| {
                        let (queue, committed) = (queue.clone(), committed.clone());
                        thread::spawn(move || submit(&queue, &numbers, &committed))
                    })
                    .collect();
                let mut answered: Vec<_> = submitters.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                queue.close();
                assert!(server.join().unwrap() <= BOUNDS.group_requests);
                let mut committed = committed.lock().unwrap().clone();
                committed.sort_unstable();
                answered.sort_unstable();
                assert_eq!(committed, answered, "what was committed is not what was answered");
            },
            SCHEDULES,
        );
    }

    #[test]
    fn what_waits_when_the_queue_closes_is_still_answered() {
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(BOUNDS));
                let (committed, server) = served(&queue);
                let submitter = {
                    let (queue, committed) = (queue.clone(), committed.clone());
                    thread::spawn(move || submit(&queue, &[1, 2, 3], &committed))
                };
                queue.close();
                let answered = submitter.join().unwrap();
                server.join().unwrap();
                assert_eq!(*committed.lock().unwrap(), answered);
                assert_eq!(queue.submit(9, 1).err(), Some(Refused::Closed));
            },
            SCHEDULES,
        );
    }

    #[test]
    fn just_as_many_as_there_is_room_for_are_taken() {
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(BOUNDS));
                let submitters: Vec<_> = (0..4)
                    .map(|number| {
                        let queue = queue.clone();
                        thread::spawn(move || queue.submit(number, 1))
                    })
                    .collect();
                let (taken, refused): (Vec<_>, Vec<_>) =
                    submitters.into_iter().map(|thread| thread.join().unwrap()).partition(Result::is_ok);
                assert_eq!((taken.len(), refused.len()), (BOUNDS.requests, 4 - BOUNDS.requests));
                assert!(refused.into_iter().all(|refused| refused.err() == Some(Refused::Full)));
                let (committed, server) = served(&queue);
                queue.close();
                let answers = taken.into_iter().flatten().map(|taken| future::block_on(taken).unwrap());
                let answers: BTreeSet<_> = answers.collect();
                assert_eq!(answers.len(), BOUNDS.requests);
                server.join().unwrap();
                assert_eq!(committed.lock().unwrap().len(), BOUNDS.requests);
            },
            SCHEDULES / 10,
        );
    }

    #[test]
    fn writes_are_committed_in_the_order_in_which_they_came() {
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(BOUNDS));
                let answers: Vec<_> = [1, 2, 3].map(|number| queue.submit(number, 1).unwrap()).into();
                let (committed, server) = served(&queue);
                for (answer, number) in answers.into_iter().zip(1..) {
                    assert_eq!(future::block_on(answer), Ok(number));
                }
                queue.close();
                assert_eq!(server.join().unwrap(), BOUNDS.group_requests);
                assert_eq!(*committed.lock().unwrap(), [1, 2, 3]);
            },
            SCHEDULES / 10,
        );
    }

    #[test]
    fn bytes_are_bounded_too_and_come_free_again() {
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(Bounds { requests: 9, ..BOUNDS }));
                let large = queue.submit(1, 1_000).unwrap();
                assert_eq!(queue.submit(2, 1).err(), Some(Refused::Full));
                let (_, server) = served(&queue);
                assert_eq!(future::block_on(large), Ok(1));
                assert!(queue.submit(3, 60).is_ok(), "the room of an answered write is free");
                assert!(queue.submit(4, 40).is_ok(), "the room of an answered write is free");
                queue.close();
                server.join().unwrap();
            },
            SCHEDULES / 10,
        );
    }

    #[test]
    fn those_who_were_answered_are_waited_for() {
        struct Returning {
            queue: Arc<Numbers>,
            groups: Vec<usize>,
        }
        impl Commit<u32, u32> for Returning {
            fn commit(&mut self, group: &[u32]) -> Vec<u32> {
                self.groups.push(group.len());
                group.to_vec()
            }

            fn answered(&mut self) {
                if self.groups.len() == 1 {
                    drop(self.queue.submit(3, 1).unwrap());
                } else {
                    self.queue.close();
                }
            }

            fn looks_again(&mut self, more: bool) -> bool {
                if self.groups.len() == 1 {
                    assert!(more);
                    drop(self.queue.submit(4, 1).unwrap());
                }
                self.groups.len() == 1
            }
        }
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(BOUNDS));
                let answers = [1, 2].map(|number| queue.submit(number, 1).unwrap());
                let mut returning = Returning { queue: queue.clone(), groups: Vec::new() };
                queue.serve(&mut returning);
                assert_eq!(returning.groups, [2, 2]);
                drop(answers);
            },
            20,
        );
    }

    #[test]
    fn when_the_writer_dies_nobody_waits_for_ever() {
        struct Dies;
        impl Commit<u32, u32> for Dies {
            fn commit(&mut self, _: &[u32]) -> Vec<u32> {
                panic!("on purpose");
            }

            fn looks_again(&mut self, _: bool) -> bool {
                false
            }
        }
        shuttle::check_random(
            || {
                let queue = Arc::new(Numbers::new(Bounds { group_requests: 1, ..BOUNDS }));
                let answers = [queue.submit(1, 1).unwrap(), queue.submit(2, 1).unwrap()];
                let serving = queue.clone();
                let server = thread::spawn(move || {
                    std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| serving.serve(&mut Dies))).is_err()
                });
                for answer in answers {
                    assert_eq!(future::block_on(answer), Err(oneshot::Canceled));
                }
                assert!(server.join().unwrap());
                assert_eq!(queue.submit(3, 1).err(), Some(Refused::Closed));
            },
            20,
        );
    }
}
