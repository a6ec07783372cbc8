//! What keeps sagas from being driven is told, where a person looks.

use crate::sharing::{done_soon, quick, store};
use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime};
use portolan::domain::saga::{Definition, Saga, Step, StepContext, StepError};
use portolan::ports::{ListSagas, SagaOrchestrator as _, SagaPhase, SagaSummary, StartSaga};
use portolan::values::{Append, EventType, NewEvent, SagaId};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Walk {
    /// Milliseconds.
    takes: u64,
    is_sound: bool,
}

struct Walks;

impl Saga for Walks {
    const NAME: &'static str = "walk";
    type Input = Walk;

    fn definition() -> Definition<Self> {
        let rests = Step::new("rest", Self::rest).harmless().when(|walk, _| {
            assert!(walk.is_sound, "a mistake in a condition");
            true
        });
        Definition::new().step(Step::new("go", Self::go).harmless()).step(rests)
    }
}

impl Walks {
    async fn go(&self, walk: &Walk, _: &StepContext) -> Result<(), StepError> {
        tokio::time::sleep(Duration::from_millis(walk.takes)).await;
        Ok(())
    }

    async fn rest(&self, _: &Walk, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn walk(id: &str) -> SagaId {
    SagaId::new("walk", id).unwrap()
}

async fn listed(application: &Application, id: &str) -> Option<SagaSummary> {
    let page = application.ports().sagas.list(ListSagas::all()).await.ok()?;
    page.sagas.into_iter().find(|found| found.saga == walk(id))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_whose_facts_make_no_sense_is_named(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let builder = Application::builder(storage.clone(), Runtime::tokio()).saga(Walks).saga_options(quick());
    let application = builder.build().await.unwrap();
    let sagas = application.ports().sagas;
    let starts = |id: &str, takes: u64| StartSaga::new(walk(id), json!({ "takes": takes, "is_sound": true }));
    sagas.start(starts("well", 0)).await.unwrap();
    done_soon("one is done", async || sagas.status(walk("well")).await.unwrap().status.phase == SagaPhase::Completed)
        .await;
    assert_eq!(sagas.describe().await.unwrap()[0].trouble, None);
    sagas.start(starts("ill", 3_000)).await.unwrap();
    // Somebody meddles with its stream.
    let payload = json!({ "at": 0, "step": "rest", "way": "forward", "attempt": 7, "outcome": null }).to_string();
    let fact = NewEvent::new(walk("ill").stream(), EventType::new("$saga.succeeded").unwrap(), payload);
    storage.events.append(Append::new([fact])).await.unwrap();
    let trouble = async || sagas.describe().await.unwrap()[0].trouble.clone();
    done_soon("it is told", async || trouble().await.is_some()).await;
    let told = trouble().await.unwrap();
    assert!(told.contains("walk/ill") && told.contains("rest"), "{told}");
    // Others go on.
    sagas.start(starts("other", 0)).await.unwrap();
    done_soon("another is done", async || {
        sagas.status(walk("other")).await.unwrap().status.phase == SagaPhase::Completed
    })
    .await;
    assert!(trouble().await.is_some());
    application.shutdown().await;
    assert_eq!(trouble().await, None, "it holds no shard any more");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_whose_code_panics_is_listed_with_what_it_lacks(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let builder = Application::builder(storage.clone(), Runtime::tokio()).saga(Walks).saga_options(quick());
    let application = builder.build().await.unwrap();
    let sagas = application.ports().sagas;
    for (id, is_sound) in [("well", true), ("ill", false)] {
        let start = StartSaga::new(walk(id), json!({ "takes": 100, "is_sound": is_sound }));
        sagas.start(start).await.unwrap();
    }
    done_soon("the list says so", async || {
        listed(&application, "ill").await.is_some_and(|found| found.lacks.is_some())
    })
    .await;
    let lacks = async |id: &str| listed(&application, id).await.unwrap().lacks;
    assert_eq!(lacks("ill").await, sagas.status(walk("ill")).await.unwrap().lacks);
    assert_eq!(lacks("well").await, None);
}
