//! A small orchestrator for tests of transports: a real driver over any log, with its list kept in a map. It drives nothing by
//! itself. Sagas of the name `error` answer with the error that their id counts to.
//!
//! It stands on the kernel alone, so that the tests of other adapters can take this file in.

use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::domain::saga::{Definition, Retry, Saga, SagaHandler, Step, StepContext, StepError};
use portolan_kernel::drivers::{SagaDriver, SagaHandlers, SagaNudge, SagaPorts, SagaRest};
use portolan_kernel::ports::{
    ActOnSaga, Clock, CommandBus, EventStore, IdSource, ListSagas, QueryBus, ReadError, SagaAction, SagaError,
    SagaInfo, SagaOrchestrator, SagaPage, SagaStarted, SagaSummary, SagaTimeline, Sleep, Source, Spawn, StartSaga,
    Violation,
};
use portolan_kernel::values::{EventId, Name, Revision, SagaId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) fn saga(name: &str, id: &str) -> SagaId {
    SagaId::new(name, id).unwrap()
}

/// What a transfer is started with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    amount: u64,
    #[serde(default)]
    note: Value,
}

/// A transfer of 13 is refused half-way, and cannot be undone; one of 7 is refused and undone; others go well.
struct Transfers;

impl Saga for Transfers {
    const NAME: &'static str = "transfer-money";
    const VERSION: u32 = 2;
    const DESCRIPTION: &'static str = "Moves money.";
    type Input = Transfer;

    fn definition() -> Definition<Self> {
        let once = Retry::attempts(1);
        let debit = Step::new("debit", Self::debit).compensate(Self::refund);
        Definition::new()
            .timeout(Duration::from_secs(60))
            .step(debit.compensation_retry(once.clone()))
            .step(Step::new("credit", Self::credit).retry(once))
    }

    fn schema() -> Option<Value> {
        Some(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": { "amount": { "type": "integer", "minimum": 1 }, "note": true },
            "required": ["amount"],
            "additionalProperties": false,
        }))
    }

    fn validate(input: &Transfer) -> Vec<Violation> {
        if input.amount == 0 { vec![Violation::new("amount", "zero", "send something")] } else { Vec::new() }
    }
}

impl Transfers {
    async fn debit(&self, transfer: &Transfer, _: &StepContext) -> Result<u64, StepError> {
        Ok(transfer.amount)
    }

    async fn refund(&self, transfer: &Transfer, _: &StepContext) -> Result<(), StepError> {
        if transfer.amount == 13 { Err(StepError::refused("unlucky", "13 stays where it is")) } else { Ok(()) }
    }

    async fn credit(&self, transfer: &Transfer, _: &StepContext) -> Result<(), StepError> {
        let is_refused = [7, 13].contains(&transfer.amount);
        if is_refused { Err(StepError::refused("closed", "the account is closed")) } else { Ok(()) }
    }
}

/// The version before, which is not started any longer.
struct OldTransfers;

impl Saga for OldTransfers {
    const NAME: &'static str = "transfer-money";
    type Input = Value;

    fn definition() -> Definition<Self> {
        Definition::new().step(Step::new("move", Self::nothing))
    }
}

impl OldTransfers {
    async fn nothing(&self, _: &Value, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

/// Without a schema and a description: any object will do.
struct Letters;

impl Saga for Letters {
    const NAME: &'static str = "letter";
    type Input = Value;

    fn definition() -> Definition<Self> {
        Definition::new().step(Step::new("post", Self::post).harmless())
    }
}

impl Letters {
    async fn post(&self, _: &Value, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

/// Every error of the port. The saga named in it is this one.
pub(crate) fn errors(saga: &SagaId) -> Vec<SagaError> {
    let not_now = |action| SagaError::NotNow {
        saga: saga.clone(),
        action,
        reason: "it has ended: \"completed\" \u{1F980}".into(),
    };
    let damaged = ReadError::Corrupt { place: "/srv/bank.db: table log, position 2".into() };
    let mut all = vec![
        SagaError::UnknownDefinition(saga.name().clone()),
        SagaError::NotFound(saga.clone()),
        SagaError::Invalid(vec![
            Violation::new("lines[2].amount", "wrong-type", "a number"),
            Violation::new("", "b", "c"),
        ]),
        SagaError::StartedOtherwise(saga.clone()),
        SagaError::Denied("ann is no \"clerk\"".into()),
        SagaError::ShuttingDown,
        SagaError::Busy(Source::new("the store is \"full\"")),
        SagaError::Unknown(Source::new("the answer was lost")),
        SagaError::Other(Source::new("odd")),
        SagaError::Other(Source::new(damaged)),
    ];
    all.extend(SagaAction::ALL.map(not_now));
    all
}

/// The definition whose sagas are errors.
pub(crate) const ERROR: &str = "error";
/// Its saga whose every call takes for ever.
pub(crate) const SLOW: &str = "slow";

/// Ids that differ.
#[derive(Default)]
struct Ids(AtomicU64);

impl IdSource for Ids {
    fn new_id(&self) -> EventId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        EventId::from_bytes(bytes)
    }
}

/// Nothing here pauses.
struct NoSleep;

impl Sleep for NoSleep {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(core::future::pending())
    }
}

/// See the module.
pub(crate) struct Sagas {
    driver: SagaDriver,
    /// Those that were started here.
    started: Mutex<BTreeSet<SagaId>>,
    /// What has been asked to be started.
    pub(crate) starts: Mutex<Vec<StartSaga>>,
    /// What operators have done.
    pub(crate) acts: Mutex<Vec<ActOnSaga>>,
    /// Which lists have been asked for.
    pub(crate) lists: Mutex<Vec<ListSagas>>,
    /// Calls of any kind.
    pub(crate) calls: AtomicU64,
    /// Whether it is told which definitions there are.
    pub(crate) tells: AtomicBool,
}

impl Sagas {
    pub(crate) fn over(
        events: Arc<dyn EventStore>,
        commands: Arc<dyn CommandBus>,
        queries: Arc<dyn QueryBus>,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        let (ids, sleep) = (Arc::new(Ids::default()), Arc::new(NoSleep));
        let ports = SagaPorts { events, commands, queries, clock, ids, sleep, spawn };
        let mut handlers = SagaHandlers::new();
        for handler in [SagaHandler::new(Transfers), SagaHandler::new(OldTransfers), SagaHandler::new(Letters)] {
            assert!(handlers.add(handler.unwrap()));
        }
        Self {
            driver: SagaDriver::new(ports, Arc::new(handlers)),
            started: Mutex::default(),
            starts: Mutex::default(),
            acts: Mutex::default(),
            lists: Mutex::default(),
            calls: AtomicU64::new(0),
            tells: AtomicBool::new(true),
        }
    }

    /// Drives a saga until it rests.
    pub(crate) async fn drive(&self, saga: &SagaId) -> SagaRest {
        self.driver.drive(saga, &SagaNudge::new()).await.unwrap()
    }

    async fn called(&self, saga: &SagaId) -> Result<(), SagaError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if *saga.name() != ERROR {
            return Ok(());
        }
        if *saga.id() == SLOW {
            core::future::pending::<()>().await;
        }
        match saga.id().parse::<usize>().ok().and_then(|at| errors(saga).into_iter().nth(at)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// The cursor after a saga: opaque, with characters that have to be escaped.
fn cursor(saga: &SagaId) -> String {
    format!("&{}=%\u{1F980}", saga.stream())
}

#[async_trait]
impl SagaOrchestrator for Sagas {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.called(&start.saga).await?;
        self.starts.lock().unwrap().push(start.clone());
        let started = self.driver.start(start).await?;
        self.started.lock().unwrap().insert(started.saga.clone());
        Ok(started)
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.lists.lock().unwrap().push(list.clone());
        let invalid = |path, message| SagaError::Invalid(vec![Violation::new(path, "wrong-value", message)]);
        if list.limit == 0 {
            return Err(invalid("limit", "ask for at least one saga"));
        }
        if let Some(after) = list.after.as_deref().and_then(|after| after.strip_prefix("error-")) {
            return Err(errors(&saga(ERROR, after)).swap_remove(after.parse().unwrap()));
        }
        let all: Vec<SagaId> = self.started.lock().unwrap().iter().cloned().collect();
        let from = match &list.after {
            None => 0,
            // After all of this name.
            Some(after) if self.driver.describe().iter().any(|info| info.name == after.as_str()) => {
                all.partition_point(|saga| saga.name().as_str() <= after.as_str())
            }
            Some(after) => {
                1 + all
                    .iter()
                    .position(|saga| cursor(saga) == *after)
                    .ok_or_else(|| invalid("after", "it is no cursor"))?
            }
        };
        let mut sagas = Vec::new();
        for saga in all.into_iter().skip(from).filter(|saga| list.name.as_ref().is_none_or(|name| name == saga.name()))
        {
            let found = self.driver.status(saga).await?;
            if list.phases.is_empty() || list.phases.contains(&found.status.phase) {
                sagas.push(found);
            }
        }
        let has_more = sagas.len() > list.limit as usize;
        sagas.truncate(list.limit as usize);
        let next = sagas.last().filter(|_| has_more).map(|last| cursor(&last.saga));
        Ok(SagaPage::new(sagas, next))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.called(&saga).await?;
        self.driver.status(saga).await
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        self.called(&saga).await?;
        self.driver.timeline(saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.called(&act.saga).await?;
        self.acts.lock().unwrap().push(act.clone());
        self.driver.act(act).await
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        if !self.tells.load(Ordering::Relaxed) {
            return Err(SagaError::Busy(Source::new("the definitions are elsewhere")));
        }
        Ok(self.driver.describe())
    }
}

/// The name of a definition.
pub(crate) fn definition(name: &str) -> Name {
    name.parse().unwrap()
}
