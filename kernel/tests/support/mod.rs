//! What the kernel's tests run on: a bank, a store of one mutex that fails on demand, and a runtime.

// Each test file uses its own part of this.
#![allow(dead_code, unreachable_pub)]

pub mod bank;
pub mod seats;
pub mod store;
pub mod tickets;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use portolan_kernel::application::{Application, ApplicationBuilder, Runtime};
use portolan_kernel::ports::{Clock, IdSource, Sleep, Spawn};
use portolan_kernel::values::{EventId, Timestamp};
use std::sync::Mutex;
use store::TestStore;

/// The tokio runtime, with ids that count, and a clock and long sleeps that stand still until time is let pass.
#[derive(Default)]
pub struct TestRuntime {
    ids: AtomicU64,
    time: Mutex<Time>,
}

#[derive(Default)]
struct Time {
    passed: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

impl TestRuntime {
    /// Lets so much time pass, and wakes whose time has come.
    pub fn pass(&self, time: Duration) {
        let mut now = self.time.lock().expect("no test panics while it holds the time");
        now.passed += time;
        let passed = now.passed;
        now.sleepers.retain(|(_, sleeper)| !sleeper.is_canceled());
        for (_, sleeper) in now.sleepers.extract_if(.., |(until, _)| *until <= passed) {
            let _ = sleeper.send(());
        }
    }

    /// How many sleep by this clock.
    pub fn sleepers(&self) -> usize {
        let time = self.time.lock().expect("no test panics while it holds the time");
        time.sleepers.iter().filter(|(_, sleeper)| !sleeper.is_canceled()).count()
    }

    pub fn runtime(self: &Arc<Self>) -> Runtime {
        Runtime::new(self.clone(), self.clone(), self.clone(), self.clone())
    }
}

impl Clock for TestRuntime {
    fn now(&self) -> Timestamp {
        NOW.plus(self.time.lock().expect("no test panics while it holds the time").passed)
    }
}

impl IdSource for TestRuntime {
    fn new_id(&self) -> EventId {
        let n = self.ids.fetch_add(1, Ordering::Relaxed);
        // Spread like a real id, because pauses between attempts take their randomness from it.
        let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        EventId::from_bytes((u128::from(n) << 64 | u128::from(spread)).to_be_bytes())
    }
}

impl Sleep for TestRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration < Duration::from_secs(1) {
            // A pause between attempts; short, so that giving up is soon seen.
            return Box::pin(tokio::time::sleep(duration / 16));
        }
        let mut time = self.time.lock().expect("no test panics while it holds the time");
        let (wake, woken) = oneshot::channel();
        let until = time.passed + duration;
        time.sleepers.push((until, wake));
        Box::pin(async move {
            let _ = woken.await;
        })
    }
}

impl Spawn for TestRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

pub fn runtime() -> Runtime {
    Arc::new(TestRuntime::default()).runtime()
}

pub fn builder(store: &Arc<TestStore>) -> ApplicationBuilder {
    Application::builder(store.storage(), runtime())
}

/// An application without parts over this store, and its time.
pub fn builder_in_time(store: &Arc<TestStore>) -> (ApplicationBuilder, Arc<TestRuntime>) {
    let time = Arc::new(TestRuntime::default());
    (Application::builder(store.storage(), time.runtime()), time)
}

/// What a task has come to that has nothing left to wait for.
pub async fn now<T>(task: tokio::task::JoinHandle<T>) -> T {
    settle().await;
    assert!(task.is_finished(), "it still waits");
    task.await.expect("it does not panic")
}

/// Lets all tasks run as far as they can.
pub async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The bank over this store.
pub async fn bank_on(store: &Arc<TestStore>) -> Application {
    builder(store)
        .aggregate::<bank::Account>()
        .aggregate::<tickets::Tickets>()
        .query(bank::balance)
        .build()
        .await
        .expect("the bank's names are all different")
}
