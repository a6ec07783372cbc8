//! Sleep and tasks on one tokio runtime.

use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::ports::{Sleep, Spawn};
use tokio::runtime::Handle;

/// Sleeps and spawns on one tokio runtime, from any thread. Tasks are dropped when that runtime ends.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
}

impl Tasks {
    /// On the runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside of tokio.
    #[must_use]
    pub fn current() -> Self {
        Self::on(Handle::current())
    }

    /// On this runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl Sleep for Tasks {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // A timer belongs to the runtime that it is made in.
        let _within = self.runtime.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Spawn for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.runtime.spawn(task));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    #[test]
    fn a_thread_outside_of_tokio_can_sleep_and_spawn() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let tasks = Tasks::on(runtime.handle().clone());
        let (done, wait) = mpsc::channel();
        let begun = Instant::now();
        let sleep = tasks.sleep(Duration::from_millis(20));
        tasks.spawn(Box::pin(async move {
            sleep.await;
            done.send(()).unwrap();
        }));
        wait.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
