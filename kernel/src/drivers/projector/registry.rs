//! The projections of an application in its own process.

use super::super::task::Task;
use super::engine::Engine;
use super::env::{Env, Model};
use super::live::LiveRows;
use super::standing::unless_missing;
use super::supervisor;
use super::waiting::{self, Reader};
use super::{acting, errors, parking, reading, status};
use crate::ports::{
    ParkedPage, ProjectionAction, ProjectionError, ProjectionFailure, ProjectionRegistry, ProjectionStatus, RowError,
    RowsAnswer, RowsQuestion, WaitError,
};
use crate::values::{Edition, Name, Position, Timestamp};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_lock::Mutex;
use async_trait::async_trait;
use core::fmt;

/// The projections of an application, filled by workers in its own process and read from its store.
///
/// What it tells of a projection, it tells of the edition that its own version of the code would read; rows are those
/// of the active edition, unless the question prefers a version. It keeps nothing by itself: all processes over one
/// store tell the same, whichever of them works.
///
/// It is built by [`Application::builder`](crate::application::Application::builder). Workers stop when it is shut
/// down, and when its last clone is dropped.
pub struct LocalProjections {
    projections: BTreeMap<Name, Registered>,
    supervisors: Vec<Task>,
}

/// A projection, by where its rows are.
pub(crate) enum Registered {
    /// In the store.
    Stored(Arc<Stored>),
    /// Nowhere.
    Live(Box<dyn LiveRows>),
}

/// A projection whose rows are stored.
pub(crate) struct Stored {
    pub(super) env: Arc<Env>,
    pub(super) engine: Arc<dyn Engine>,
    /// Since when this process works on it.
    pub(super) since: Timestamp,
    /// What has gone wrong around its workers in this process, last.
    pub(super) trouble: Mutex<Option<ProjectionFailure>>,
    /// The rebuild that readers of this process were switched to last.
    pub(super) switched: Mutex<Option<Edition>>,
}

impl Stored {
    pub(super) fn new(env: Arc<Env>, engine: Arc<dyn Engine>) -> Self {
        let since = env.clock.now();
        Self { env, engine, since, trouble: Mutex::new(None), switched: Mutex::new(None) }
    }

    pub(super) fn model(&self) -> &Model {
        self.engine.model()
    }

    async fn parked(&self, edition: Edition, after: Option<Position>, limit: u32) -> Result<ParkedPage, RowError> {
        // One more than asked for, so that the last page is known to be it.
        let most = (limit.min(self.env.rows.limits().page_rows) as usize).saturating_add(1);
        let found = unless_missing(parking::load(&*self.env.rows, &self.model().name, edition, after, most).await)?;
        let is_all = found.len() < most;
        let events = found.into_iter().take(most - 1).map(|(position, event)| event.show(position));
        let events: Vec<_> = events.collect();
        let next = events.last().filter(|_| !is_all).map(|event| event.position);
        Ok(ParkedPage::new(events, next))
    }
}

impl fmt::Debug for LocalProjections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.projections.keys()).finish()
    }
}

impl LocalProjections {
    /// These projections, with workers for those that are stored.
    pub(crate) fn start(projections: BTreeMap<Name, Registered>) -> Self {
        let stored = projections.values().filter_map(|registered| match registered {
            Registered::Stored(stored) => Some(supervisor::start(stored.clone())),
            Registered::Live(_) => None,
        });
        let supervisors = stored.collect();
        Self { projections, supervisors }
    }

    /// Stops all workers, and waits until they are gone and have given up their leases. What is asked for is answered as
    /// before; nothing moves any more.
    ///
    /// What a worker asks of the leases is answered before it goes, so that none is left behind: where they never answer,
    /// this waits.
    ///
    /// # Cancellation
    ///
    /// Safe: the workers stop all the same, and the next call waits again.
    pub async fn shut_down(&self) {
        self.supervisors.iter().for_each(Task::stop);
        for supervisor in &self.supervisors {
            supervisor.stopped().await;
        }
    }

    fn find(&self, name: &Name) -> Option<&Registered> {
        self.projections.get(name)
    }

    fn get(&self, name: &Name) -> Result<&Registered, ProjectionError> {
        self.find(name).ok_or_else(|| ProjectionError::UnknownProjection(name.clone()))
    }
}

#[async_trait]
impl ProjectionRegistry for LocalProjections {
    fn knows(&self, projection: &Name) -> Option<bool> {
        Some(self.projections.contains_key(projection))
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let mut list = Vec::with_capacity(self.projections.len());
        for registered in self.projections.values() {
            list.push(registered.status().await?);
        }
        Ok(list)
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        self.get(&projection)?.status().await
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        match self.get(&projection)? {
            Registered::Stored(stored) => acting::act(stored, action).await,
            Registered::Live(_) => Err(ProjectionError::Invalid(alloc::format!(
                "{projection} is folded whenever it is read; there is nothing to {}",
                action.as_str()
            ))),
        }
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        let registered = self.get(&projection)?;
        if limit == 0 {
            return Err(ProjectionError::Invalid("it is for 0 events; ask for at least 1".into()));
        }
        match registered {
            Registered::Stored(stored) => {
                let edition = stored.spoken_of().await.map_err(errors::rows)?;
                stored.parked(edition, after, limit).await.map_err(errors::rows)
            }
            Registered::Live(_) => Ok(ParkedPage::default()),
        }
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        match self.get(&question.projection)? {
            Registered::Stored(stored) => reading::rows(stored, question).await,
            Registered::Live(live) => live.rows(question).await,
        }
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        match self.find(&projection) {
            None => Err(WaitError::UnknownProjection(projection)),
            Some(Registered::Live(live)) => live.reach(position).await,
            Some(Registered::Stored(stored)) => {
                let reader = Reader::Prefers(Some(stored.model().version));
                waiting::reach(stored, reader, position).await.map(|_| ())
            }
        }
    }
}

impl Registered {
    async fn status(&self) -> Result<ProjectionStatus, ProjectionError> {
        match self {
            Self::Stored(stored) => status::status(stored).await,
            Self::Live(live) => live.status().await,
        }
    }
}
