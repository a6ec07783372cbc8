//! Rows by key, asked for together: however many fields and subscriptions of one caller ask for one row each, the port is
//! asked once.

use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use futures::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use futures::task::AtomicWaker;
use portolan_kernel::ports::{Caller, ProjectionRegistry, RowsAnswer, RowsQuestion};
use portolan_kernel::values::{Name, Position, RowKey};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Rows that can be asked for in one question.
pub(super) type Group = (Name, u16, Option<Position>);

/// Who asks, and the registry as he may use it.
pub(super) type Asker<'a> = (&'a Arc<Caller>, &'a Arc<dyn ProjectionRegistry>);

type Answering = BoxFuture<'static, Result<Arc<RowsAnswer>, Problem>>;

type Keys = Arc<Mutex<BTreeSet<RowKey>>>;

/// Keys that are yet to be asked for, all by callers who are the same.
struct Batch {
    caller: Arc<Caller>,
    group: Group,
    keys: Keys,
    /// Gone with the last who waits for it.
    answer: WeakShared<Answering>,
}

/// Collects keys until everybody who is about to ask for one has, which is when the tasks that run have had their turn.
///
/// It has no registry: each batch is asked of its first asker's.
#[derive(Clone)]
pub(crate) struct Loader {
    /// The most keys in one question.
    most: usize,
    waiting: Arc<Mutex<Vec<Batch>>>,
}

impl Loader {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), waiting: Arc::default() }
    }

    /// An answer that has this row in it, if there is one.
    pub(super) async fn row(
        &self,
        (caller, registry): Asker<'_>,
        group: Group,
        key: RowKey,
    ) -> Result<Arc<RowsAnswer>, Problem> {
        let answer = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let joined = waiting.iter().filter(|batch| batch.group == group && batch.caller == *caller);
            let room = |batch: &&Batch| batch.keys.lock().unwrap_or_else(PoisonError::into_inner).len() < self.most;
            let joined = joined.filter(room).find_map(|batch| Some((batch.keys.clone(), batch.answer.upgrade()?)));
            let (keys, answer) = joined.unwrap_or_else(|| {
                // Those that nobody waits for any more are never asked.
                waiting.retain(|batch| batch.answer.upgrade().is_some());
                let (keys, answer) = self.begin(registry.clone(), group.clone());
                if let Some(weak) = answer.downgrade() {
                    waiting.push(Batch { caller: caller.clone(), group, keys: keys.clone(), answer: weak });
                }
                (keys, answer)
            });
            keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            answer
        };
        answer.await
    }

    fn begin(&self, registry: Arc<dyn ProjectionRegistry>, group: Group) -> (Keys, Shared<Answering>) {
        let keys = Keys::default();
        let (waiting, own) = (self.waiting.clone(), keys.clone());
        let answer = async move {
            turn().await;
            let keys = {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                // From here on, others begin a batch of their own.
                waiting.retain(|batch| !Arc::ptr_eq(&batch.keys, &own));
                core::mem::take(&mut *own.lock().unwrap_or_else(PoisonError::into_inner))
            };
            let (projection, version, at_least) = group;
            let question = RowsQuestion::keys(projection, keys.into_iter().collect());
            let question = question.prefer(version).at_least(at_least);
            registry.rows(question).await.map(Arc::new).map_err(|error| error.to_problem())
        };
        (keys, answer.boxed().shared())
    }
}

/// Ready once the task that polls it first has had its turn, however often it is polled until then: the other fields of a
/// document poll it too.
async fn turn() {
    let over = Arc::new(Over::default());
    let mut yielding = None;
    poll_fn(|context| {
        if over.is_over.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        over.waker.register(context.waker());
        if yielding.is_none() {
            // Tokio wakes whoever yields after the turn of the task; outside of a turn, at once.
            let waker = Waker::from(over.clone());
            let yielded = yielding.insert(Box::pin(tokio::task::yield_now()));
            let _ = yielded.as_mut().poll(&mut Context::from_waker(&waker));
        }
        Poll::Pending
    })
    .await;
}

#[derive(Default)]
struct Over {
    is_over: AtomicBool,
    waker: AtomicWaker,
}

impl Wake for Over {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Release);
        self.waker.wake();
    }
}
