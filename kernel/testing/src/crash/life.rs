//! The life of one process: its calls so far, and where it ends.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use futures::channel::oneshot;
use futures::future;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

/// A call of a port that reaches what outlives the process: there it may die.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Boundary {
    /// The port: `events`, `snapshots`, `rows`, `leases`, or `effects`.
    pub port: &'static str,
    /// Its method.
    pub method: &'static str,
    /// What it is about: streams, event types, names.
    pub about: String,
}

impl Boundary {
    pub(super) fn new(port: &'static str, method: &'static str, about: impl Into<String>) -> Self {
        Self { port, method, about: about.into() }
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {}", self.port, self.method, self.about)
    }
}

/// Where a process dies. Its calls are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before this call: it has no effect.
    Before(usize),
    /// After this call: it has had its effect, and nobody has heard the answer.
    After(usize),
}

impl Crash {
    /// The number of the call.
    #[must_use]
    pub fn call(self) -> usize {
        match self {
            Self::Before(call) | Self::After(call) => call,
        }
    }
}

/// Why a process is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// It has crashed where it was to.
    Crashed,
    /// It was stopped: it has taken more steps than it was given.
    Exhausted,
}

/// What a process and all its ports share.
#[derive(Debug)]
pub(super) struct Life {
    state: Mutex<State>,
    crash: Option<Crash>,
}

#[derive(Debug)]
struct State {
    calls: Vec<Boundary>,
    death: Option<Death>,
    steps_left: u64,
    /// Who waits for the log to grow.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Life {
    pub(super) fn new(crash: Option<Crash>, steps: u64) -> Self {
        let state = State { calls: Vec::new(), death: None, steps_left: steps, waiting: Vec::new() };
        Self { state: Mutex::new(state), crash }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn death(&self) -> Option<Death> {
        self.state().death
    }

    pub(super) fn calls(&self) -> Vec<Boundary> {
        self.state().calls.clone()
    }

    /// One step more; `false` when the process is no more.
    pub(super) fn step(&self) -> bool {
        let state = &mut *self.state();
        match state.steps_left.checked_sub(1) {
            Some(left) => state.steps_left = left,
            None => state.death = state.death.or(Some(Death::Exhausted)),
        }
        state.death.is_none()
    }

    /// Makes the call at this boundary, unless the process has died or does so here. The dead hear nothing.
    ///
    /// The thread waits until the store has answered: a call is one step, and no other task of the process runs beside
    /// it. So calls come in the same order in every run, also where a store has threads of its own.
    pub(super) async fn call<T>(&self, boundary: Boundary, call: impl Future<Output = T>) -> T {
        if let Some(number) = self.arrive(boundary) {
            let answer = wait(call);
            if self.crash != Some(Crash::After(number)) {
                return answer;
            }
            self.state().death = Some(Death::Crashed);
        }
        future::pending().await
    }

    /// The number of this call, if the process lives to make it.
    fn arrive(&self, boundary: Boundary) -> Option<usize> {
        if !self.step() {
            return None;
        }
        let state = &mut *self.state();
        state.calls.push(boundary);
        let number = state.calls.len();
        if self.crash == Some(Crash::Before(number)) {
            state.death = Some(Death::Crashed);
            return None;
        }
        Some(number)
    }

    /// A call that leaves no trace and is no boundary. The dead hear nothing.
    pub(super) async fn look<T>(&self, call: impl Future<Output = T>) -> T {
        if self.step() { wait(call) } else { future::pending().await }
    }

    /// Is ready once the log has grown.
    pub(super) fn grown(&self) -> oneshot::Receiver<()> {
        let (grown, growing) = oneshot::channel();
        let waiting = &mut self.state().waiting;
        waiting.retain(|waiting| !waiting.is_canceled());
        waiting.push(grown);
        growing
    }

    /// The log has grown.
    pub(super) fn grow(&self) {
        let waiting = core::mem::take(&mut self.state().waiting);
        for waiting in waiting {
            let _ = waiting.send(());
        }
    }
}

/// So long a store may take to answer: then it is not slow, but stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer, for which this thread waits.
///
/// # Panics
///
/// When there is none within a minute.
pub(super) fn wait<T>(call: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, mut call) = (Context::from_waker(&waker), pin!(call));
    let begun = Instant::now();
    loop {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return answer;
        }
        let left = PATIENCE.saturating_sub(begun.elapsed());
        assert!(
            !left.is_zero(),
            "a store has not answered within {PATIENCE:?}; it needs a runtime that runs elsewhere"
        );
        thread::park_timeout(left);
    }
}
