//! Panics of an application's own code, which cost an event and not the worker.

use crate::ports::Spawn;
use alloc::format;
use alloc::string::String;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

/// What the work makes.
///
/// # Errors
///
/// That it panicked, with what it said. Whatever it was changing is in pieces by then.
pub(super) fn caught<T>(spawn: &dyn Spawn, work: impl FnOnce() -> T) -> Result<T, String> {
    let (mut work, mut made) = (Some(work), None);
    let run = spawn.catch(&mut || made = work.take().map(|work| work()));
    match (made, run) {
        (Some(made), _) => Ok(made),
        (None, Err(said)) => Err(format!("it panicked: {said}")),
        (None, Ok(())) => Err(String::from("the runtime has not run it")),
    }
}

/// The same of a future, wherever in it that happens.
///
/// # Errors
///
/// As [`caught`].
pub(super) async fn caught_in<F: Future>(spawn: &dyn Spawn, work: F) -> Result<F::Output, String> {
    let mut work = pin!(work);
    poll_fn(|context| match caught(spawn, || work.as_mut().poll(context)) {
        Ok(Poll::Ready(made)) => Poll::Ready(Ok(made)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(reason) => Poll::Ready(Err(reason)),
    })
    .await
}
