//! What a runtime provides: time, ids, sleep and tasks. The kernel has none of its own.

use crate::values::{EventId, Timestamp};
use alloc::string::String;
use core::time::Duration;
use futures::future::BoxFuture;

/// Tells the time.
///
/// Drivers stamp with it and stores record and expire by it; nothing about order or safety rests on it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Makes ids that nobody else makes.
pub trait IdSource: Send + Sync {
    /// An id never given before, anywhere. Ids that rise with time (UUIDv7, RFC 9562) keep indexes local.
    fn new_id(&self) -> EventId;
}

/// Waits.
pub trait Sleep: Send + Sync {
    /// A future that is ready after at least this long. It measures on a clock that does not jump.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Runs tasks.
pub trait Spawn: Send + Sync {
    /// Runs the task to its end, independent of the caller. Tasks end by themselves.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs the work here and now, once, and catches a panic in it: so that a mistake in an application's own code costs
    /// the event that it was made at, and not the task.
    ///
    /// A runtime without unwinding runs the work as it is. Then a panic ends the task, or the program.
    ///
    /// # Errors
    ///
    /// What the panic said.
    fn catch(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        work();
        Ok(())
    }
}
