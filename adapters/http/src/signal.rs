//! The signals by which an operator stops a process.

use core::future::{Future, poll_fn};
use core::task::Poll;
use tokio::signal;

/// Ready on the first SIGTERM or Ctrl-C after this call, which already listens for them: call it before anybody is
/// told that the process can be stopped. A signal that cannot be listened for is left to the system.
///
/// # Panics
///
/// Outside of tokio.
#[must_use = "from this call on the signals no longer end the process by themselves"]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let signals = {
        use signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok())
    };
    #[cfg(windows)]
    let signals = [signal::windows::ctrl_c().ok()];
    let mut signals: Vec<_> = signals.into_iter().flatten().collect();
    poll_fn(move |context| {
        if signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}
