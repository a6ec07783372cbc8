//! What the kernel's tests run on: a bank, a store of one mutex that fails on demand, and a runtime.

// Each test file uses its own part of this.
#![allow(dead_code, unreachable_pub)]

pub mod bank;
pub mod store;
pub mod tickets;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::application::{Application, ApplicationBuilder, Runtime};
use portolan_kernel::ports::{Clock, IdSource, Sleep, Spawn};
use portolan_kernel::values::{EventId, Timestamp};
use store::TestStore;

/// The tokio runtime, with a clock that stands still and ids that count.
#[derive(Default)]
pub struct TestRuntime {
    ids: AtomicU64,
}

pub const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

impl Clock for TestRuntime {
    fn now(&self) -> Timestamp {
        NOW
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
        // Short, so that giving up is soon seen.
        Box::pin(tokio::time::sleep(duration / 16))
    }
}

impl Spawn for TestRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

pub fn runtime() -> Runtime {
    let runtime = Arc::new(TestRuntime::default());
    Runtime::new(runtime.clone(), runtime.clone(), runtime.clone(), runtime)
}

pub fn builder(store: &Arc<TestStore>) -> ApplicationBuilder {
    Application::builder(store.storage(), runtime())
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
