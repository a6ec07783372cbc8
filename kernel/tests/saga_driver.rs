//! A saga driven over a store that answers when the test lets it: what is recorded before what is done, and who begins what.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate alloc;

mod support;

use portolan_kernel::domain::Event as _;
use portolan_kernel::domain::saga::{
    Definition, End, FailureClass, Retry, Saga, SagaEvent, SagaHandler, SagaId, Step, StepContext, StepError, Way,
};
use portolan_kernel::drivers::{SagaDriver, SagaHandlers, SagaNudge, SagaPorts, SagaRest};
use portolan_kernel::ports::{ActOnSaga, Clock as _, RawEvent, SagaAction, SagaPhase, Spawn, StartSaga};
use serde_json::Value;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::store::TestStore;
use support::{TestRuntime, builder};

const MILLI: Duration = Duration::from_millis(1);

/// A task, and a panic caught in place.
struct Catching;

impl Spawn for Catching {
    fn spawn(&self, task: futures::future::BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn catch(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        let said =
            |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<&str>().copied().unwrap_or_default().into();
        catch_unwind(AssertUnwindSafe(work)).map_err(said)
    }
}

/// What the attempts of a step come to, one after another, and then that all goes well.
#[derive(Clone)]
struct Visits {
    store: Arc<TestStore>,
    answers: Arc<Mutex<VecDeque<Result<(), StepError>>>>,
    /// Each attempt, and whether its intent was on record.
    seen: Arc<Mutex<Vec<(Way, u32, bool)>>>,
    /// As long as it is locked, attempts take their time.
    gate: Arc<async_lock::Mutex<()>>,
}

impl Visits {
    fn attempts(&self) -> Vec<(Way, u32, bool)> {
        self.seen.lock().unwrap().clone()
    }

    async fn visit(&self, _: &Value, step: &StepContext) -> Result<(), StepError> {
        let (way, attempt) = (step.way(), step.attempt());
        let is_begun = facts(&self.store).iter().any(
            |fact| matches!(fact, SagaEvent::Begun { way: of, attempt: own, .. } if (*of, *own) == (way, attempt)),
        );
        self.seen.lock().unwrap().push((way, attempt, is_begun));
        drop(self.gate.lock().await);
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or(Ok(()))
    }
}

/// One step, tried three times.
struct Patient(Visits);

impl Saga for Patient {
    const NAME: &'static str = "patient";
    type Input = Value;

    fn definition() -> Definition<Self> {
        let retry = Retry::attempts(3).first(100 * MILLI).longest(100 * MILLI).jitter_percent(0);
        Definition::new().step(Step::new("visit", Self::visit).harmless().retry(retry).timeout(10_000 * MILLI))
    }
}

impl Patient {
    async fn visit(&self, input: &Value, step: &StepContext) -> Result<(), StepError> {
        self.0.visit(input, step).await
    }
}

/// One step that is tried once, outside, and can be undone.
struct Once(Visits);

impl Saga for Once {
    const NAME: &'static str = "once";
    type Input = Value;

    fn definition() -> Definition<Self> {
        let visit = Step::new("visit", Self::visit).outside().compensate(Self::undo).retry(Retry::never());
        Definition::new().step(visit.timeout(5_000 * MILLI))
    }
}

impl Once {
    async fn visit(&self, input: &Value, step: &StepContext) -> Result<(), StepError> {
        self.0.visit(input, step).await
    }

    async fn undo(&self, input: &Value, step: &StepContext) -> Result<(), StepError> {
        self.0.visit(input, step).await
    }
}

/// A condition that panics, with ten seconds for the whole.
struct Mistaken(Visits);

impl Saga for Mistaken {
    const NAME: &'static str = "mistaken";
    type Input = Value;

    fn definition() -> Definition<Self> {
        let step = Step::new("visit", Self::visit).when(|_, _| panic!("a mistake in a condition"));
        Definition::new().timeout(10_000 * MILLI).step(step)
    }
}

impl Mistaken {
    async fn visit(&self, input: &Value, step: &StepContext) -> Result<(), StepError> {
        self.0.visit(input, step).await
    }
}

struct World {
    store: Arc<TestStore>,
    time: Arc<TestRuntime>,
    visits: Visits,
    driver: SagaDriver,
}

async fn world(answers: impl IntoIterator<Item = Result<(), StepError>>) -> World {
    let (store, time) = (TestStore::new(), Arc::new(TestRuntime::default()));
    let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
    let visits = Visits { store: store.clone(), answers, seen: Arc::default(), gate: Arc::default() };
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(SagaHandler::new(Patient(visits.clone())).unwrap()));
    assert!(handlers.add(SagaHandler::new(Once(visits.clone())).unwrap()));
    assert!(handlers.add(SagaHandler::new(Mistaken(visits.clone())).unwrap()));
    let ports = builder(&store).build().await.unwrap().ports();
    let ports = SagaPorts {
        events: store.clone(),
        commands: ports.commands,
        queries: ports.queries,
        clock: time.clone(),
        ids: time.clone(),
        sleep: time.clone(),
        spawn: Arc::new(Catching),
    };
    let driver = SagaDriver::new(ports, Arc::new(handlers));
    World { store, time, visits, driver }
}

impl World {
    /// Drives it as a shard does, until it waits for nothing but people; what is waited for comes at once.
    async fn drive(&self, saga: &SagaId) -> SagaRest {
        loop {
            match self.driver.drive(saga, &SagaNudge::new()).await.unwrap() {
                SagaRest::Until(due) => {
                    let left = due.as_micros().saturating_sub(self.time.now().as_micros());
                    self.time.pass(Duration::from_micros(left));
                }
                rest => return rest,
            }
        }
    }

    fn kinds(&self) -> String {
        let kinds = self
            .store
            .events()
            .iter()
            .map(|event| event.event_type.as_str().trim_start_matches("$saga.").to_owned())
            .collect::<Vec<_>>();
        kinds.join(" ")
    }
}

fn saga(name: &str) -> SagaId {
    SagaId::new(name, "1").unwrap()
}

fn facts(store: &TestStore) -> Vec<SagaEvent> {
    let decode = |event: &portolan_kernel::values::NewEvent| {
        let raw = RawEvent::new(event.event_type.clone(), event.version, event.format, event.payload.clone());
        SagaEvent::decode(&raw).unwrap()
    };
    store.events().iter().map(|event| decode(&event.event)).collect()
}

/// What comes due while the log takes its time is recorded before it is done (SG-01).
#[tokio::test]
async fn an_attempt_runs_once_its_intent_is_on_record() {
    let world = world([Err(StepError::retry("not now")), Err(StepError::retry("nor now"))]).await;
    for _ in 0..20 {
        let time = world.time.clone();
        world.store.before_append(move |_| time.pass(200 * MILLI));
    }
    world.driver.start(StartSaga::new(saga("patient"), serde_json::json!({}))).await.unwrap();
    assert_eq!(world.drive(&saga("patient")).await, SagaRest::Ended(End::Completed));
    let expected = [1, 2, 3].map(|attempt| (Way::Forward, attempt, true));
    assert_eq!(world.visits.attempts(), expected, "{}", world.kinds());
}

/// Whoever starts a saga, or acts on it, begins nothing that he does not drive: however long nobody does, what was never tried
/// is not in doubt.
#[tokio::test]
async fn who_does_not_drive_begins_nothing() {
    let world = world([Err(StepError::refused("no", "not today"))]).await;
    world.driver.start(StartSaga::new(saga("once"), serde_json::json!({}))).await.unwrap();
    assert_eq!(world.kinds(), "started");
    world.time.pass(60_000 * MILLI);
    assert_eq!(world.drive(&saga("once")).await, SagaRest::Ended(End::Compensated));
    assert_eq!(world.visits.attempts(), [(Way::Forward, 1, true)], "there is nothing to undo");

    let world = self::world([Err(StepError::retry("not now")), Ok(())]).await;
    world.driver.start(StartSaga::new(saga("patient"), serde_json::json!({}))).await.unwrap();
    let rest = world.driver.drive(&saga("patient"), &SagaNudge::new()).await.unwrap();
    assert!(matches!(rest, SagaRest::Until(_)), "{rest:?}");
    world.driver.act(ActOnSaga::new(saga("patient"), SagaAction::Retry)).await.unwrap();
    assert_eq!(world.kinds(), "started begun failed acted");
    // What follows without an attempt follows at once.
    let ended = world.driver.act(ActOnSaga::new(saga("patient"), SagaAction::Compensate)).await.unwrap();
    assert_eq!(ended.status.phase, SagaPhase::Compensated);
}

/// Code that panics where it is asked waits for other code, and for no longer than until something else is due.
#[tokio::test]
async fn code_that_panics_stops_no_clock() {
    let world = world([]).await;
    world.driver.start(StartSaga::new(saga("mistaken"), serde_json::json!({}))).await.unwrap();
    let stands = world.driver.status(saga("mistaken")).await.unwrap();
    assert!(stands.lacks.as_deref().is_some_and(|lacks| lacks.contains("a mistake in a condition")), "{stands:?}");
    let deadline = stands.deadline.unwrap();
    let rest = world.driver.drive(&saga("mistaken"), &SagaNudge::new()).await.unwrap();
    let SagaRest::Lacks { why, until } = rest else { panic!("{rest:?}") };
    assert!(why.to_string().contains("a mistake in a condition"), "{why}");
    assert_eq!(until, Some(deadline));
    world.time.pass(10_000 * MILLI);
    assert_eq!(world.drive(&saga("mistaken")).await, SagaRest::Ended(End::Compensated));
}

/// Of an attempt that another has begun nobody knows what becomes of it there, whatever comes of it here.
#[tokio::test]
async fn a_refusal_proves_nothing_of_what_another_has_begun() {
    let refused = || Err(StepError::refused("no", "not today"));
    let world = world([refused(), Ok(())]).await;
    world.driver.start(StartSaga::new(saga("once"), serde_json::json!({}))).await.unwrap();
    let (nudge, id) = (SagaNudge::new(), saga("once"));
    let held = world.visits.gate.lock().await;
    let mut stalled = Box::pin(world.driver.drive(&id, &nudge));
    assert!(futures::poll!(&mut stalled).is_pending());
    support::settle().await;
    assert!(futures::poll!(&mut stalled).is_pending());
    assert_eq!(world.kinds(), "started begun");
    drop(held);
    // Another takes over.
    assert_eq!(world.drive(&id).await, SagaRest::Ended(End::Compensated));
    let classes: Vec<_> = facts(&world.store)
        .into_iter()
        .filter_map(|fact| if let SagaEvent::Failed { class, .. } = fact { Some(class) } else { None })
        .collect();
    assert_eq!(classes, [FailureClass::Unknown]);
    let ways: Vec<_> = world.visits.attempts().into_iter().map(|(way, ..)| way).collect();
    assert_eq!(ways, [Way::Forward, Way::Forward, Way::Back], "it may have happened, so it is undone");
    // Its own attempts are another matter.
    let world = self::world([refused()]).await;
    world.driver.start(StartSaga::new(saga("once"), serde_json::json!({}))).await.unwrap();
    assert_eq!(world.drive(&id).await, SagaRest::Ended(End::Compensated));
    assert_eq!(world.visits.attempts(), [(Way::Forward, 1, true)]);
}
