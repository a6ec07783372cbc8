//! Rows by key, asked for together: however many fields and subscriptions ask for one row each, the port is asked once.

use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use portolan_kernel::ports::{ProjectionRegistry, RowsAnswer, RowsQuestion};
use portolan_kernel::values::{Name, Position, RowKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

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
            tokio::task::yield_now().await;
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
