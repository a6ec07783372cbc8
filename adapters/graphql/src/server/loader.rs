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

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use futures::future::join_all;
    use portolan_kernel::ports::{
        ParkedPage, ProjectionAction, ProjectionError, ProjectionStatus, WaitError, WhichRows,
    };
    use portolan_kernel::values::Collection;

    /// Keeps what it is asked, and knows no row.
    #[derive(Default)]
    struct Asked(Mutex<Vec<Vec<String>>>);

    #[async_trait]
    impl ProjectionRegistry for Asked {
        async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
            Ok(Vec::new())
        }
        async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
            Err(ProjectionError::UnknownProjection(projection))
        }
        async fn act(&self, projection: Name, _: ProjectionAction) -> Result<(), ProjectionError> {
            Err(ProjectionError::UnknownProjection(projection))
        }
        async fn parked(&self, projection: Name, _: Option<Position>, _: u32) -> Result<ParkedPage, ProjectionError> {
            Err(ProjectionError::UnknownProjection(projection))
        }
        async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
            let WhichRows::Keys(keys) = question.rows else { panic!("a page was asked for") };
            self.0.lock().unwrap().push(keys.iter().map(ToString::to_string).collect());
            let collection = Collection::new(question.projection, 1);
            Ok(RowsAnswer::new(collection, Vec::new(), None))
        }
        async fn wait_for(&self, projection: Name, _: Position) -> Result<(), WaitError> {
            Err(WaitError::UnknownProjection(projection))
        }
    }

    fn group() -> Group {
        ("balances".parse().unwrap(), 1, None)
    }

    fn key(text: &str) -> RowKey {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn callers_share_a_question_only_with_themselves() {
        let loader = Loader::new(100);
        let caller = |name: &str, role: &str| Arc::new(Caller::new(name).with_role(role));
        // The second is the first, as another request of his has it; the third has another role.
        let callers = [caller("ann", "a"), caller("ann", "a"), caller("ann", "b"), caller("eve", "a")];
        let registries: Vec<_> = callers.iter().map(|_| Arc::new(Asked::default())).collect();
        let ports: Vec<Arc<dyn ProjectionRegistry>> = registries.iter().map(|asked| asked.clone() as _).collect();
        let mut asking = Vec::new();
        for round in ["x", "y"] {
            for (n, (caller, registry)) in callers.iter().zip(&ports).enumerate() {
                let row = loader.row((caller, registry), group(), key(&format!("{round}{n}")));
                asking.push(row);
            }
        }
        assert!(join_all(asking).await.iter().all(Result::is_ok));
        let asked: Vec<_> = registries.iter().map(|registry| registry.0.lock().unwrap().clone()).collect();
        assert_eq!(asked[0], [["x0", "x1", "y0", "y1"]]);
        assert_eq!(asked[1], Vec::<Vec<String>>::new());
        assert_eq!(asked[2], [["x2", "y2"]]);
        assert_eq!(asked[3], [["x3", "y3"]]);
        assert!(loader.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_question_has_at_most_so_many_keys() {
        let (loader, caller, asked) = (Loader::new(2), Arc::new(Caller::nobody()), Arc::new(Asked::default()));
        let port: Arc<dyn ProjectionRegistry> = asked.clone();
        let keys = ["a", "b", "c", "d", "e"];
        join_all(keys.map(|text| loader.row((&caller, &port), group(), key(text)))).await;
        assert_eq!(*asked.0.lock().unwrap(), [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_forgotten() {
        let (loader, asked) = (Loader::new(2), Arc::new(Asked::default()));
        let port: Arc<dyn ProjectionRegistry> = asked.clone();
        for n in 0..100 {
            let caller = Arc::new(Caller::new(n.to_string()));
            let row = loader.row((&caller, &port), group(), key("a"));
            futures::pin_mut!(row);
            // Begun, and dropped before its turn is over.
            assert!(futures::poll!(row.as_mut()).is_pending());
            assert!(loader.waiting.lock().unwrap().len() <= 2);
        }
        assert!(asked.0.lock().unwrap().is_empty());
    }
}
