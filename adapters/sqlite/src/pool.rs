//! A few threads for reads that take long.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use futures::channel::oneshot;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// So many threads, at most; fewer where there are fewer cores.
const MOST_THREADS: usize = 4;

type Task = Box<dyn FnOnce() + Send>;

/// Threads that are started as they are needed, and take tasks in the order in which they came.
pub(crate) struct Pool {
    most: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    threads: Vec<JoinHandle<()>>,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let most = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        Self { most, state: Mutex::default(), filled: Condvar::new() }
    }

    /// What the task gives; cancelled if it panicked. A task that nobody waits for any more is not begun.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, answered) = oneshot::channel();
        let task = move || {
            if !answer.is_canceled() {
                let _ = answer.send(task());
            }
        };
        let mut state = self.lock();
        state.waiting.push_back(Box::new(task));
        state.threads.retain(|thread| !thread.is_finished());
        if state.waiting.len() > state.idle && state.threads.len() < self.most {
            let pool = self.clone();
            let thread = thread::Builder::new().name("portolan-sqlite-reader".into());
            match thread.spawn(move || pool.serve()) {
                Ok(thread) => state.threads.push(thread),
                Err(_) if !state.threads.is_empty() => {}
                // Better late here than never.
                Err(_) => {
                    let task = state.waiting.pop_back();
                    drop(state);
                    task.into_iter().for_each(perform);
                }
            }
        }
        self.filled.notify_one();
        answered
    }

    /// Whether two tasks would be begun at once.
    pub(crate) fn has_two_free(&self) -> bool {
        let state = self.lock();
        state.idle + (self.most - state.threads.len()) >= state.waiting.len() + 2
    }

    fn serve(&self) {
        loop {
            let mut state = self.lock();
            let task = loop {
                if let Some(task) = state.waiting.pop_front() {
                    break task;
                }
                if state.closed {
                    return;
                }
                state.idle += 1;
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            perform(task);
        }
    }

    /// Ends the threads, after what waits, and waits for them.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let threads = core::mem::take(&mut state.threads);
        drop(state);
        self.filled.notify_all();
        for thread in threads {
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever waits for a task that panics is told so; its thread goes on, for it may be the only one.
fn perform(task: Task) {
    // What a panic leaves half done is a connection, which is closed then.
    let _ = catch_unwind(AssertUnwindSafe(task));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_task_is_answered_and_a_panic_hurts_no_other() {
        let pool = Arc::new(Pool::new());
        let answers: Vec<_> =
            (0..100).map(|n| pool.run(move || if n == 7 { panic!("on purpose") } else { n })).collect();
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.ok(), (n != 7).then_some(n));
        }
        assert!(pool.lock().threads.len() <= MOST_THREADS);
        pool.close();
    }

    #[test]
    fn what_nobody_waits_for_is_not_begun() {
        let pool = Arc::new(Pool { most: 1, ..Pool::new() });
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let first = pool.run(move || held.recv());
        drop(pool.run(|| panic!("it was begun")));
        let last = pool.run(|| 1);
        drop(hold);
        pool.close();
        drop((first, last));
        assert!(pool.lock().waiting.is_empty());
    }

    #[test]
    fn a_panic_leaves_nobody_asleep() {
        let pool = Arc::new(Pool { most: 1, ..Pool::new() });
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let mut first = pool.run(move || {
            let _ = held.recv();
            panic!("on purpose")
        });
        let mut second = pool.run(|| 1);
        drop(hold);
        pool.close();
        assert!(matches!(first.try_recv(), Err(oneshot::Canceled)), "{:?}", first.try_recv().map(|_: Option<()>| ()));
        assert_eq!(second.try_recv(), Ok(Some(1)));
    }
}
