//! Clocks that jump: what is due comes late rather than early, and once.

use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::saga::{Definition, Retry, Saga, Step, StepContext, StepError};
use portolan::drivers::SagaOptions;
use portolan::ports::{Clock as _, SagaOrchestrator as _, Sleep, StartSaga};
use portolan::values::{SagaId, Timestamp};
use portolan::{MemoryStore, SqliteStore};
use portolan_testing::TestClock;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MANY: usize = 20;

/// A minute of it is a second: nobody sleeps for longer without looking at the clock.
struct Quickly;

impl Sleep for Quickly {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration / 60))
    }
}

/// Asks each hour, until the answer is yes.
#[derive(Clone, Default)]
struct Reminders {
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    sent: Arc<Mutex<BTreeMap<String, u32>>>,
    is_yes: Arc<AtomicBool>,
}

#[derive(Serialize, Deserialize)]
struct Reminder {}

impl Saga for Reminders {
    const NAME: &'static str = "reminder";
    type Input = Reminder;

    fn definition() -> Definition<Self> {
        let hourly = Retry::attempts(20).first(HOUR).factor(1).longest(HOUR).jitter_percent(0);
        Definition::new()
            .step(Step::new("ask", Self::ask).harmless().retry(hourly).timeout(HOUR))
            .step(Step::new("send", Self::send).timeout(HOUR))
    }
}

impl Reminders {
    async fn ask(&self, _: &Reminder, step: &StepContext) -> Result<(), StepError> {
        *self.asked.lock().unwrap().entry(step.saga().id().to_string()).or_default() += 1;
        if self.is_yes.load(SeqCst) { Ok(()) } else { Err(StepError::retry("not yet")) }
    }

    async fn send(&self, _: &Reminder, step: &StepContext) -> Result<(), StepError> {
        *self.sent.lock().unwrap().entry(step.saga().id().to_string()).or_default() += 1;
        Ok(())
    }

    /// All have been asked so often; and after some more looks at the clock, no more often.
    async fn are_asked(&self, times: u32) {
        let counts = || -> Vec<_> { self.asked.lock().unwrap().values().copied().collect() };
        for _ in 0..1_200 {
            if counts() == [times; MANY] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Quickly.sleep(2 * MINUTE + MINUTE / 4).await;
        assert_eq!(counts(), [times; MANY]);
    }
}

async fn process(storage: &Storage, clock: &Arc<TestClock>, reminders: &Reminders) -> Application {
    let Runtime { ids, spawn, .. } = Runtime::tokio();
    let runtime = Runtime::new(clock.clone(), ids, Arc::new(Quickly), spawn);
    let options = SagaOptions::default().with_lease(MINUTE);
    Application::builder(storage.clone(), runtime).saga(reminders.clone()).saga_options(options).build().await.unwrap()
}

fn reminder(n: usize) -> SagaId {
    SagaId::new("reminder", &format!("r-{n}")).unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_makes_timers_late_and_none_comes_twice(#[values("memory", "sqlite")] which: &str) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::at(Timestamp::from_micros(1_700_000_000_000_000)));
    let storage: Storage = match which {
        "memory" => MemoryStore::builder().clock(clock.clone()).build().into(),
        _ => {
            let store = SqliteStore::builder(folder.path().join("sagas.db")).clock(clock.clone());
            store.open().await.unwrap().into()
        }
    };
    let reminders = Reminders::default();
    let application = process(&storage, &clock, &reminders).await;
    for n in 0..MANY {
        application.ports().sagas.start(StartSaga::new(reminder(n), json!({}))).await.unwrap();
    }
    reminders.are_asked(1).await;
    clock.advance(HOUR - MINUTE);
    reminders.are_asked(1).await;
    // A day passes at once. Each is asked once, not once for each hour, and again an hour from now.
    clock.advance(DAY);
    reminders.are_asked(2).await;
    let asked_at = clock.now();
    // The clock is turned back: it is not time yet, for two hours more; also for a process that comes new to it.
    clock.set(Timestamp::from_micros(asked_at.as_micros() - 3_600_000_000));
    reminders.are_asked(2).await;
    application.shutdown().await;
    let application = process(&storage, &clock, &reminders).await;
    reminders.are_asked(2).await;
    clock.advance(HOUR + HOUR - MINUTE);
    reminders.are_asked(2).await;
    clock.advance(MINUTE + MINUTE);
    reminders.are_asked(3).await;
    // It is time while nobody is there.
    application.shutdown().await;
    clock.advance(DAY);
    reminders.is_yes.store(true, SeqCst);
    let application = process(&storage, &clock, &reminders).await;
    reminders.are_asked(4).await;
    for n in 0..MANY {
        let status = application.ports().sagas.status(reminder(n)).await.unwrap().status;
        assert!(status.phase.is_end(), "{status}");
    }
    let sent: Vec<_> = reminders.sent.lock().unwrap().values().copied().collect();
    assert_eq!(sent, [1; MANY]);
}
