//! Sagas started by their type, and waited for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

extern crate alloc;

mod support;

use alloc::sync::Arc;
use async_trait::async_trait;
use core::task::Poll;
use futures::{FutureExt as _, poll};
use portolan_kernel::domain::saga::{Definition, Saga, Step, StepContext, StepError};
use portolan_kernel::drivers::SagaOrchestratorExt as _;
use portolan_kernel::ports::*;
use portolan_kernel::values::{Metadata, Revision, SagaId, Timestamp};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Mutex;
use support::store::TestStore;

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: String,
    amount: u64,
}

struct Transfers;

impl Saga for Transfers {
    const NAME: &'static str = "transfer-money";
    type Input = Transfer;

    fn definition() -> Definition<Self> {
        Definition::new().step(Step::new("pay", Self::pay))
    }
}

impl Transfers {
    async fn pay(&self, _: &Transfer, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

/// Remembers what was started, and how often somebody looked; a saga is in the phase that it is told.
struct Stand {
    started: Mutex<Vec<StartSaga>>,
    looks: Mutex<u32>,
    phase: Mutex<Result<SagaPhase, SagaError>>,
    after_look: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Stand {
    fn new() -> Self {
        let phase = Mutex::new(Ok(SagaPhase::Running));
        Self { started: Mutex::default(), looks: Mutex::default(), phase, after_look: Mutex::default() }
    }

    fn comes_to(&self, phase: Result<SagaPhase, SagaError>) {
        *self.phase.lock().unwrap() = phase;
    }

    fn looks(&self) -> u32 {
        *self.looks.lock().unwrap()
    }
}

#[async_trait]
impl SagaOrchestrator for Stand {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.started.lock().unwrap().push(start.clone());
        Ok(SagaStarted::new(start.saga, 1, None))
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        NoSagas.list(list).await
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        *self.looks.lock().unwrap() += 1;
        let phase = self.phase.lock().unwrap().clone()?;
        if let Some(happens) = self.after_look.lock().unwrap().take() {
            happens();
        }
        Ok(SagaSummary::new(saga, 1, Timestamp::default(), SagaStatus::new(phase)))
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        NoSagas.timeline(saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        NoSagas.act(act).await
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        NoSagas.describe().await
    }
}

fn t1() -> SagaId {
    SagaId::new("transfer-money", "t-1").unwrap()
}

fn transfer() -> Transfer {
    Transfer { from: "ann".into(), amount: u64::MAX }
}

#[tokio::test]
async fn a_start_says_which_saga_with_what_and_for_whom() {
    let stand = Stand::new();
    let starting = stand.start_as::<Transfers>("t-1", transfer()).actor("olu").tenant("north").correlation("c");
    assert!(stand.started.lock().unwrap().is_empty(), "it starts before it is awaited");
    assert_eq!(starting.await.unwrap().saga, t1());
    let metadata = Metadata {
        actor: Some("olu".into()),
        tenant: Some("north".into()),
        correlation: Some("c".into()),
        ..Metadata::default()
    };
    let start = StartSaga::new(t1(), json!({ "from": "ann", "amount": u64::MAX }));
    assert_eq!(*stand.started.lock().unwrap(), [start.clone().with_metadata(metadata)]);
    let sagas: &dyn SagaOrchestrator = &stand;
    sagas.start_as::<Transfers>("t-1", transfer()).actor("olu").metadata(Metadata::default()).await.unwrap();
    assert_eq!(stand.started.lock().unwrap()[1], start);
}

#[rstest]
#[case::empty("")]
#[case::control("a\nb")]
#[case::long(&"x".repeat(600))]
#[tokio::test]
async fn an_id_that_is_none_is_the_callers_mistake(#[case] id: &str) {
    let error = Stand::new().start_as::<Transfers>(id, transfer()).await.unwrap_err();
    let SagaError::Invalid(violations) = &error else { panic!("{error}") };
    assert_eq!((&*violations[0].path, violations.len()), ("id", 1));
}

/// Whoever waits looks when something has happened to the saga, and at no other time.
#[tokio::test]
async fn waiting_looks_as_often_as_something_happens() {
    let (stand, store) = (Stand::new(), TestStore::new());
    let happens = || store.write_event(&t1().stream(), "$saga.begun", "{}");
    happens();
    let mut ended = stand.wait_for_end(&t1(), &*store);
    for _ in 0..3 {
        assert!(poll!(&mut ended).is_pending());
        store.write_event("$saga-transfer-money:t-10", "$saga.begun", "{}");
    }
    assert_eq!(stand.looks(), 1);
    stand.comes_to(Ok(SagaPhase::NeedsOperator));
    happens();
    assert!(poll!(&mut ended).is_pending());
    assert_eq!(stand.looks(), 2);
    stand.comes_to(Ok(SagaPhase::Compensated));
    assert!(poll!(&mut ended).is_pending(), "it has not been told of");
    happens();
    let Poll::Ready(summary) = poll!(&mut ended) else { panic!("it has ended") };
    assert_eq!((summary.unwrap().status.phase, stand.looks()), (SagaPhase::Compensated, 3));
}

/// What happens after the saga was looked at, and before the hint is asked for, is not slept through.
#[tokio::test]
async fn nothing_happens_unseen() {
    let (stand, store) = (Arc::new(Stand::new()), TestStore::new());
    let told = (stand.clone(), store.clone());
    *stand.after_look.lock().unwrap() = Some(Box::new(move || {
        told.0.comes_to(Ok(SagaPhase::Completed));
        told.1.write_event(&t1().stream(), "$saga.ended", "{}");
    }));
    let summary = stand.wait_for_end(&t1(), &*store).now_or_never().expect("it has ended");
    assert_eq!((summary.unwrap().status.phase, stand.looks()), (SagaPhase::Completed, 2));
}

#[tokio::test]
async fn what_cannot_be_seen_is_not_waited_for() {
    let (stand, store) = (Stand::new(), TestStore::new());
    stand.comes_to(Err(SagaError::NotFound(t1())));
    let error = stand.wait_for_end(&t1(), &*store).await.unwrap_err();
    assert!(matches!(&error, SagaError::NotFound(saga) if *saga == t1()), "{error}");
}
