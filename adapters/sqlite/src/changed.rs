//! The hint that something was written: at once in this process, by looking now and then for others.

use crate::about_store;
use crate::readers::Readers;
use alloc::sync::Arc;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How late the hint may be, as the capabilities state it: the longest pause between two looks, and room for
/// the machine.
pub(crate) const LATENCY: Duration = Duration::from_millis(100);

/// Pauses between looks: short while others write, longer while they do not.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long the looking thread outlives the last one who waits.
const LINGER: Duration = Duration::from_secs(5);

/// Who waits for what to be written.
pub(crate) struct Changes {
    state: Mutex<State>,
    /// Somebody waits, or the store closes.
    news: Condvar,
    readers: Arc<Readers>,
}

#[derive(Default)]
struct State {
    /// The largest position known to be written.
    written: i64,
    waiting: HashMap<u64, Waiting>,
    last_ticket: u64,
    watcher: Option<JoinHandle<()>>,
    closed: bool,
}

struct Waiting {
    after: i64,
    waker: Waker,
}

impl Changes {
    pub(crate) fn new(readers: Arc<Readers>) -> Self {
        Self { state: Mutex::default(), news: Condvar::new(), readers }
    }

    /// Something was written up to here.
    pub(crate) fn committed(&self, last_position: i64) {
        let mut state = self.lock();
        if last_position <= state.written {
            return;
        }
        state.written = last_position;
        let ready = state.waiting.extract_if(|_, waiting| waiting.after < last_position);
        let wakers: Vec<_> = ready.map(|(_, waiting)| waiting.waker).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns once something was written after the position, or the store closes.
    pub(crate) async fn after(self: &Arc<Self>, position: i64) {
        let mut ticket = Ticket { changes: self, number: None };
        core::future::poll_fn(|context| ticket.poll(position, context.waker())).await;
    }

    /// Lets everybody go and ends the watching thread.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let watcher = state.watcher.take();
        drop(state);
        self.let_go();
        self.news.notify_all();
        if let Some(watcher) = watcher
            && watcher.thread().id() != thread::current().id()
        {
            // A panic there has been reported by then, and hurts nobody.
            let _ = watcher.join();
        }
    }

    fn let_go(&self) {
        let waiting = core::mem::take(&mut self.lock().waiting);
        waiting.into_values().for_each(|waiting| waiting.waker.wake());
    }

    fn watch(self: &Arc<Self>, state: &mut State) {
        if state.watcher.as_ref().is_some_and(|watcher| !watcher.is_finished()) {
            self.news.notify_all();
            return;
        }
        let changes = self.clone();
        let thread = thread::Builder::new().name("portolan-sqlite-watcher".into());
        // Without it only other processes' writes go unnoticed; whoever waits is not left to that.
        match thread.spawn(move || changes.look()) {
            Ok(watcher) => state.watcher = Some(watcher),
            Err(_) => state.closed = true,
        }
    }

    /// The watching thread.
    fn look(&self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let state = self.lock();
            let is_idle = state.waiting.is_empty();
            let before = state.written;
            let timeout = if is_idle { LINGER } else { pause };
            let wake = |state: &mut State| !state.closed && (!is_idle || state.waiting.is_empty());
            let (mut state, waited) =
                self.news.wait_timeout_while(state, timeout, wake).unwrap_or_else(PoisonError::into_inner);
            if state.closed || (is_idle && waited.timed_out()) {
                // Under the lock, so that whoever comes next starts another.
                state.watcher = None;
                return;
            }
            drop(state);
            match self.readers.read(|reader| about_store::load_store(&reader.conn)) {
                Ok(store) => self.committed(store.last_position),
                // Those who wait look for themselves, and meet the error.
                Err(_) => self.let_go(),
            }
            let is_quiet = self.lock().written == before;
            pause = if is_quiet { (pause * 2).min(LONGEST_PAUSE) } else { SHORTEST_PAUSE };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait, given back when it is dropped.
struct Ticket<'c> {
    changes: &'c Arc<Changes>,
    number: Option<u64>,
}

impl Ticket<'_> {
    fn poll(&mut self, after: i64, waker: &Waker) -> Poll<()> {
        let mut state = self.changes.lock();
        let was_let_go = self.number.is_some_and(|number| !state.waiting.contains_key(&number));
        if state.closed || state.written > after || was_let_go {
            return Poll::Ready(());
        }
        let number = self.number.unwrap_or_else(|| {
            state.last_ticket += 1;
            state.last_ticket
        });
        self.number = Some(number);
        state.waiting.insert(number, Waiting { after, waker: waker.clone() });
        self.changes.watch(&mut state);
        Poll::Pending
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.changes.lock().waiting.remove(&number);
        }
    }
}
