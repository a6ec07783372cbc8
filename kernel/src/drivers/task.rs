//! Tasks that are told to stop, and tell when they are gone.

use crate::ports::Spawn;
use alloc::boxed::Box;
use async_channel::{Receiver, Sender};
use core::convert::Infallible;

/// Tells a task to stop: it closes.
pub(super) type Stop = Receiver<Infallible>;

/// A task that is told to stop, and tells when it is gone, however it ended. Dropped, it is told to stop.
pub(super) struct Task {
    stop: Sender<Infallible>,
    gone: Receiver<Infallible>,
}

impl Task {
    /// Spawns it.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        spawn: &dyn Spawn,
        task: impl FnOnce(Stop) -> F,
    ) -> Self {
        let (stop, stopping) = async_channel::bounded(1);
        let (is_here, gone) = async_channel::bounded::<Infallible>(1);
        let task = task(stopping);
        spawn.spawn(Box::pin(async move {
            // Dropped with the task, also when that panics.
            let _is_here = is_here;
            task.await;
        }));
        Self { stop, gone }
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        self.stop.close();
    }

    /// Returns once it is gone.
    pub(super) async fn stopped(&self) {
        let _ = self.gone.recv().await;
    }

    /// Whether it is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_closed()
    }
}
