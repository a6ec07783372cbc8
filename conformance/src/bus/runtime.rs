//! The suite's own runtime, on the trial's tokio.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::application::Runtime;
use portolan_kernel::ports::{Clock, IdSource, Sleep, Spawn};
use portolan_kernel::values::{EventId, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A clock far from the system's, that ticks as fast and can be turned.
#[derive(Debug)]
pub(crate) struct WorldClock {
    begun: Instant,
    ahead: AtomicU64,
}

/// 2000-01-01T00:00:00Z: nothing but this clock says so.
const START: u64 = 946_684_800_000_000;

impl WorldClock {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), ahead: AtomicU64::new(START) }
    }

    /// Turns it forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(micros(by), Ordering::SeqCst);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.ahead.load(Ordering::SeqCst) + micros(self.begun.elapsed()))
    }
}

struct Ids;

impl IdSource for Ids {
    fn new_id(&self) -> EventId {
        EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)))
    }
}

/// Sleeps and tasks of tokio, and for how long somebody slept.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    slept: Mutex<Vec<Duration>>,
}

impl Tasks {
    /// For how long somebody slept, in order.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sleep for Tasks {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

/// A runtime of these.
pub(super) fn runtime(clock: Arc<WorldClock>, tasks: Arc<Tasks>) -> Runtime {
    Runtime::new(clock, Arc::new(Ids), tasks.clone(), tasks)
}
