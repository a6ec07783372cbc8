//! The shared reader of the tail: one task while anybody is live.
//!
//! Subscribers and the task share channels and one flag, never a lock: a subscriber that is not polled, inside
//! a `select!` for instance, has nothing in hand that another waits for.

use super::{page, reached, yield_now};
use crate::ports::{EventStore, ReadError, Spawn};
use crate::values::{Page, Position, Query, Read};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_channel::{Receiver, Sender};
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use futures::future::{Either, select};

/// Where subscribers meet the task.
pub(super) struct Hub {
    pub(super) store: Arc<dyn EventStore>,
    spawn: Arc<dyn Spawn>,
    buffer: usize,
    calls: Sender<Call>,
    called: Receiver<Call>,
    /// Whether a task serves the calls. Whoever sets it spawns the task.
    served: AtomicBool,
}

enum Call {
    Join { member: Sender<News>, cursor: Option<Position> },
    Leave,
}

/// What the task tells a member. A channel that closes without `Failed`: the member fell behind.
#[derive(Clone)]
pub(super) enum News {
    /// The first news of all: what follows begins after this position.
    Joined(Option<Position>),
    /// What is new, and how far it reaches.
    Page(Arc<Page>, Option<Position>),
    /// The task could not read on.
    Failed(ReadError),
}

/// A member's end of its channel. Dropping it leaves the hub.
pub(super) struct Seat {
    news: Receiver<News>,
    calls: Sender<Call>,
}

impl Hub {
    pub(super) fn new(store: Arc<dyn EventStore>, spawn: Arc<dyn Spawn>, buffer: usize) -> Self {
        let (calls, called) = async_channel::unbounded();
        Self { store, spawn, buffer: buffer.max(1), calls, called, served: AtomicBool::new(false) }
    }

    /// Joins the live subscribers, having seen everything up to `cursor`.
    pub(super) fn join(self: &Arc<Self>, cursor: Option<Position>) -> Seat {
        let (member, news) = async_channel::bounded(self.buffer);
        self.call(Call::Join { member, cursor });
        if !self.served.swap(true, Ordering::SeqCst) {
            let tail = Tail { hub: self.clone(), members: Vec::new(), at: cursor, serving: true };
            self.spawn.spawn(Box::pin(tail.run()));
        }
        Seat { news, calls: self.calls.clone() }
    }

    fn call(&self, call: Call) {
        // The channel takes any number, and it is open: the hub holds both ends.
        let _ = self.calls.try_send(call);
    }
}

impl Seat {
    /// The next news; `None` when the member is one no longer.
    pub(super) async fn hear(&self) -> Option<News> {
        self.news.recv().await.ok()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.news.close() {
            let _ = self.calls.try_send(Call::Leave);
        }
    }
}

/// The task.
struct Tail {
    hub: Arc<Hub>,
    members: Vec<Sender<News>>,
    /// All members have been told, or knew before, of everything up to here.
    at: Option<Position>,
    serving: bool,
}

impl Tail {
    async fn run(mut self) {
        loop {
            while let Ok(call) = self.hub.called.try_recv() {
                self.answer(call);
            }
            if self.members.is_empty() {
                if self.rest() {
                    return;
                }
            } else if let Err(error) = self.round().await {
                self.tell(&News::Failed(error));
                self.members.clear();
            }
        }
    }

    /// Waits for something new and passes it on; returns early when the last member has left.
    async fn round(&mut self) -> Result<(), ReadError> {
        let store = self.hub.store.clone();
        let called = self.hub.called.clone();
        let mut changed = store.changed(everything(), self.at);
        loop {
            match select(&mut changed, pin!(called.recv())).await {
                Either::Left((hint, _)) => break hint?,
                Either::Right((Err(_), _)) => return Ok(()),
                Either::Right((Ok(call), _)) => {
                    let at = self.at;
                    self.answer(call);
                    // One that joins alone may stand further back than the hint was asked for.
                    if self.members.is_empty() || self.at != at {
                        return Ok(());
                    }
                }
            }
        }

        let before = self.at;
        let mut next = Some(Read::log_after(everything(), self.at));
        while let Some(read) = next {
            let page = page(&*store, read).await?;
            next = page.next.clone();
            let to = reached(&page);
            if to > self.at {
                self.at = to;
                self.tell(&News::Page(Arc::new(page), to));
            }
        }
        if self.at == before {
            yield_now().await;
        }
        Ok(())
    }

    fn answer(&mut self, call: Call) {
        self.members.retain(|member| !member.is_closed());
        if let Call::Join { member, cursor } = call {
            if self.members.is_empty() {
                self.at = cursor;
            }
            if member.try_send(News::Joined(self.at)).is_ok() {
                self.members.push(member);
            }
        }
    }

    /// Tells all members, waiting for none: one whose channel is full has fallen behind and is let go.
    fn tell(&mut self, news: &News) {
        self.members.retain(|member| member.try_send(news.clone()).is_ok());
    }

    /// Whether the task may end. A call that came before the flag fell is its own to answer; one that comes
    /// after finds the flag down and spawns another task.
    fn rest(&mut self) -> bool {
        self.hub.served.store(false, Ordering::SeqCst);
        self.serving = !self.hub.called.is_empty() && !self.hub.served.swap(true, Ordering::SeqCst);
        !self.serving
    }
}

/// A runtime may drop the task, and a store may panic in it: then nobody waits for it in vain.
impl Drop for Tail {
    fn drop(&mut self) {
        if self.serving {
            self.hub.served.store(false, Ordering::SeqCst);
            while self.hub.called.try_recv().is_ok() {}
        }
    }
}

/// What the shared reader reads: members choose for themselves.
fn everything() -> Query {
    Query::all().with_system()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Capabilities, StoreId};
    use crate::values::{Append, Appended, CheckpointState, Name, Recalled};
    use futures::FutureExt;
    use futures::future::BoxFuture;

    struct Unused;

    #[async_trait::async_trait]
    impl EventStore for Unused {
        async fn append(&self, _: Append) -> Result<Appended, crate::ports::AppendError> {
            unreachable!()
        }
        async fn read(&self, _: Read) -> Result<Page, ReadError> {
            unreachable!()
        }
        async fn recall(&self, _: Name, _: Name) -> Result<Option<Recalled>, ReadError> {
            unreachable!()
        }
        async fn checkpoint(&self, _: Name) -> Result<CheckpointState, ReadError> {
            unreachable!()
        }
        async fn changed(&self, _: Query, _: Option<Position>) -> Result<(), ReadError> {
            core::future::pending().await
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities::new(StoreId::from_bytes([0; 16]))
        }
    }

    impl Spawn for Unused {
        fn spawn(&self, _: BoxFuture<'static, ()>) {
            panic!("a task is serving");
        }
    }

    fn serving() -> (Arc<Hub>, Tail) {
        let hub = Arc::new(Hub::new(Arc::new(Unused), Arc::new(Unused), 1));
        hub.served.store(true, Ordering::SeqCst);
        (hub.clone(), Tail { hub, members: Vec::new(), at: None, serving: true })
    }

    #[test]
    fn who_joins_just_before_the_task_ends_is_served() {
        let (hub, mut tail) = serving();
        let seat = hub.join(None);
        assert!(!tail.rest(), "the task ended with a call unanswered");
        assert!(tail.run().now_or_never().is_none());
        assert!(matches!(seat.hear().now_or_never(), Some(Some(News::Joined(None)))));
    }

    #[test]
    fn a_task_that_is_dropped_lets_everybody_go() {
        let (hub, tail) = serving();
        let seat = hub.join(None);
        drop(tail);
        assert!(matches!(seat.hear().now_or_never(), Some(None)));
        assert!(!hub.served.load(Ordering::SeqCst));
    }
}
