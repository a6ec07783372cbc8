//! Where the log ends, for all who watch rows: one subscription to it, while there is anybody.

use core::time::Duration;
use futures::StreamExt as _;
use portolan_kernel::drivers::{Delivery, From, Subscriptions};
use portolan_kernel::values::{Position, Query};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// The last position that is known. Whoever is slow sees the newest, and misses none that matters.
pub(crate) type Ends = watch::Receiver<Option<Position>>;

/// It reads the whole log on nobody's behalf, and tells where it ends, and nothing that is in it.
pub(crate) struct Tail {
    subscriptions: Subscriptions,
    /// While somebody watches.
    running: Mutex<Weak<watch::Sender<Option<Position>>>>,
}

impl Tail {
    pub(crate) fn new(subscriptions: Subscriptions) -> Self {
        Self { subscriptions, running: Mutex::default() }
    }

    /// Watches, with a task on this tokio that ends with the last watcher.
    pub(crate) fn watch(&self) -> Ends {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ends) = running.upgrade() {
            let receiver = ends.subscribe();
            // The task may have seen that nobody was left just before.
            if !ends.is_closed() {
                return receiver;
            }
        }
        let (ends, receiver) = watch::channel(None);
        let ends = Arc::new(ends);
        *running = Arc::downgrade(&ends);
        tokio::spawn(follow(self.subscriptions.clone(), ends));
        receiver
    }
}

async fn follow(subscriptions: Subscriptions, ends: Arc<watch::Sender<Option<Position>>>) {
    /// How long to wait after an error, of which watchers hear when they read.
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        let mut subscription = subscriptions.subscribe(Query::all().with_system(), From::Now);
        loop {
            let delivery = tokio::select! {
                () = ends.closed() => return,
                delivery = subscription.next() => delivery,
            };
            let position = match delivery {
                Some(Ok(Delivery::Event(event))) => event.position,
                Some(Ok(Delivery::Progress(position) | Delivery::CaughtUp(Some(position)))) => position,
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            };
            ends.send_replace(Some(position));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
