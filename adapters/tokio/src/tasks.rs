//! Sleep and tasks on one tokio runtime.

use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::ports::{Sleep, Spawn};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    fn catch(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let said = panic.downcast_ref::<&str>().map(|said| String::from(*said));
            said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "nothing in words".into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    #[tokio::test]
    async fn a_panic_is_caught_with_what_it_said() {
        let tasks = Tasks::current();
        let said = |work: fn()| tasks.catch(&mut || work());
        assert_eq!(said(|| {}), Ok(()));
        assert_eq!(said(|| panic!("in a word")), Err("in a word".into()));
        assert_eq!(said(|| panic!("in {} words", 2)), Err("in 2 words".into()));
        assert_eq!(said(|| std::panic::panic_any(7)), Err("nothing in words".into()));
    }

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
