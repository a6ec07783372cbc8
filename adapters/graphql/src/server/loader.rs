//! Rows by key, asked for together: however many fields and subscriptions ask for one row each, the port is asked once.

use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use futures::future::{BoxFuture, FutureExt as _, Shared};
use futures::task::AtomicWaker;
use portolan_kernel::ports::{ProjectionRegistry, RowsAnswer, RowsQuestion};
use portolan_kernel::values::{Name, Position, RowKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// Rows that can be asked for in one question.
type Group = (Name, u16, Option<Position>);

type Answer = Shared<BoxFuture<'static, Result<Arc<RowsAnswer>, Problem>>>;

/// Keys that are yet to be asked for.
#[derive(Clone)]
struct Batch {
    keys: Arc<Mutex<BTreeSet<RowKey>>>,
    answer: Answer,
}

/// Collects keys until everybody who is about to ask for one has, which is when the tasks that run have had their turn.
#[derive(Clone)]
pub(crate) struct Loader {
    registry: Arc<dyn ProjectionRegistry>,
    /// The most keys in one question.
    most: usize,
    waiting: Arc<Mutex<BTreeMap<Group, Batch>>>,
}

impl Loader {
    pub(crate) fn new(registry: Arc<dyn ProjectionRegistry>, most: usize) -> Self {
        Self { registry, most: most.max(1), waiting: Arc::default() }
    }

    /// An answer that has this row in it, if there is one.
    pub(crate) async fn row(
        &self,
        projection: Name,
        version: u16,
        at_least: Option<Position>,
        key: RowKey,
    ) -> Result<Arc<RowsAnswer>, Problem> {
        let answer = {
            let group = (projection, version, at_least);
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let room = |batch: &&Batch| batch.keys.lock().unwrap_or_else(PoisonError::into_inner).len() < self.most;
            let batch = match waiting.get(&group).filter(room) {
                Some(batch) => batch.clone(),
                None => {
                    let batch = self.begin(group.clone());
                    waiting.insert(group, batch.clone());
                    batch
                }
            };
            batch.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            batch.answer
        };
        answer.await
    }

    fn begin(&self, group: Group) -> Batch {
        let keys = Arc::<Mutex<BTreeSet<RowKey>>>::default();
        let (registry, waiting, own) = (self.registry.clone(), self.waiting.clone(), keys.clone());
        let answer = async move {
            turn().await;
            let keys = {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                // From here on, others begin a batch of their own.
                if waiting.get(&group).is_some_and(|batch| Arc::ptr_eq(&batch.keys, &own)) {
                    waiting.remove(&group);
                }
                core::mem::take(&mut *own.lock().unwrap_or_else(PoisonError::into_inner))
            };
            let (projection, version, at_least) = group;
            let question = RowsQuestion::keys(projection, keys.into_iter().collect());
            let question = question.prefer(version).at_least(at_least);
            registry.rows(question).await.map(Arc::new).map_err(|error| error.to_problem())
        };
        Batch { keys, answer: answer.boxed().shared() }
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
