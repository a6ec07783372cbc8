//! The sagas of an application in its own process.

use super::board::Board;
use super::driver::{SagaDriver, SagaPorts};
use super::handlers::SagaHandlers;
use super::index::SAGA_INDEX;
use super::listing::{SagaIndex, checked};
use super::options::SagaOptions;
use super::steward::{self, Env};
use crate::drivers::lease::Leasing;
use crate::drivers::subscription::Subscriptions;
use crate::drivers::task::Task;
use crate::ports::{
    ActOnSaga, LeaseStore, ListSagas, ProjectionRegistry, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted,
    SagaSummary, SagaTimeline, Source, StartSaga,
};
use crate::values::{Name, Revision, SagaId};
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_lock::Mutex;
use async_trait::async_trait;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Why a process lists no sagas.
const NO_INDEX: &str = "there are sagas, and this process has no index to list them by; build its application with \
                        `saga_index()` or with handlers of sagas, or ask a process that has them";

/// Starts sagas, shows them, and drives them to their end: [`SagaOrchestrator`] over the ports of an application.
///
/// Sagas of a name are divided into shards ([`SagaOptions::shards`]). A shard is driven by the process that holds its lease,
/// and every append is written under that lease's token, so that whoever was superseded writes nothing (SG-07): he begins no
/// attempt and records no answer. What he has at work goes on all the same until he notices, and so may an attempt in flight
/// that he runs again; it has the key that the new holder's has. So an effect outside may be asked for by both at once, and
/// whoever receives it goes by the key. Processes that have the code of a name share its shards evenly, and take over those of
/// a process that is gone.
///
/// A saga that the holder of its shard lacks the code for waits, also when another process has it: in a rolling deploy, until the
/// old processes are gone. [`SagaSummary::lacks`] tells, and says what is to be done.
///
/// Dropped, it stops.
pub struct LocalSagas {
    driver: SagaDriver,
    index: SagaIndex,
    has_index: bool,
    is_shut_down: AtomicBool,
    steward: Option<(Task, Arc<Env>)>,
}

impl fmt::Debug for LocalSagas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSagas").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl LocalSagas {
    /// The sagas of these handlers, driven from now on if there are any; then `projections` has the index ([`SagaIndex`]).
    pub(crate) fn start(
        ports: SagaPorts,
        handlers: Arc<SagaHandlers>,
        projections: Arc<dyn ProjectionRegistry>,
        leases: Option<Arc<dyn LeaseStore>>,
        subscriptions: Subscriptions,
        options: SagaOptions,
    ) -> Self {
        let options = options.sound();
        let has_index = projections.knows(&Name::new(SAGA_INDEX).expect("a name of the kernel's own")) != Some(false);
        let index = SagaIndex::new(projections, ports.clock.clone(), handlers.clone());
        let driver = SagaDriver::new(ports.clone(), handlers.clone());
        let steward = leases.filter(|_| !handlers.is_empty()).map(|leases| {
            let SagaPorts { ids, sleep, spawn, .. } = ports;
            let holder = Name::new(ids.new_id().to_string()).expect("digits and dashes are a name");
            let leasing = Leasing { leases, ids, sleep, spawn, holder, time_to_live: options.lease };
            let (driver, index, board) = (driver.clone(), index.clone(), Mutex::new(Board::default()));
            let env = Arc::new(Env { driver, index, subscriptions, leasing, options, board });
            (steward::start(env.clone()), env)
        });
        Self { driver, index, has_index, is_shut_down: AtomicBool::new(false), steward }
    }

    /// Refuses to start sagas and to have operators act from now on, begins nothing more, waits for the attempts that are at
    /// work for [`SagaOptions::grace`], and gives up what this process held, so that another goes on at once.
    ///
    /// # Cancellation
    ///
    /// Safe: the refusal stays, and the next call waits again.
    pub async fn shut_down(&self) {
        self.is_shut_down.store(true, SeqCst);
        if let Some((steward, _)) = &self.steward {
            steward.stop();
            steward.stopped().await;
        }
    }

    /// The page, with what driving has shown to be lacking, which the index does not know.
    async fn with_lacks(&self, mut page: SagaPage) -> SagaPage {
        if let Some((_, env)) = &self.steward {
            let board = env.board.lock().await;
            for found in page.sagas.iter_mut().filter(|found| found.lacks.is_none() && !found.status.phase.is_end()) {
                found.lacks = board.lacking(&found.saga, env.options.shards).cloned();
            }
        }
        page
    }

    fn is_open(&self) -> Result<(), SagaError> {
        if self.is_shut_down.load(SeqCst) { Err(SagaError::ShuttingDown) } else { Ok(()) }
    }
}

#[async_trait]
impl SagaOrchestrator for LocalSagas {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.is_open()?;
        self.driver.start(start).await
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        if self.has_index {
            return Ok(self.with_lacks(self.index.list(list).await?).await);
        }
        checked(&list)?;
        if self.driver.has_any().await? {
            Err(SagaError::Other(Source::new(NO_INDEX)))
        } else {
            Ok(SagaPage::default())
        }
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.driver.status(saga).await
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        self.driver.timeline(saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.is_open()?;
        self.driver.act(act).await
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        let mut all = self.driver.describe();
        if let Some((_, env)) = &self.steward {
            for info in &mut all {
                info.trouble = env.trouble(&info.name).await;
            }
        }
        Ok(all)
    }
}
