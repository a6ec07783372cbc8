//! Processes whose newer version wants more events: it receives them from its deployment on, whatever older code runs beside it.

use crate::feeding::{Complain, Complaint, complaints, happens, once, phase};
use crate::sharing::{done_soon, quick, store};
use portolan::TokioRuntime as _;
use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::domain::saga::{Intents, Process};
use portolan::domain::{Event, RecordedAs};
use portolan::ports::{ListSagas, SagaOrchestrator as _, SagaPhase};
use portolan::values::SagaId;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

#[derive(Event, Serialize, Deserialize)]
#[event(category = "parcel")]
enum ParcelEvent {
    Sent { parcel: String },
    Damaged { parcel: String },
    Strayed { parcel: String },
}

/// Complains of parcels that were damaged on their way; from its second version on, also of those that have strayed, whether or
/// not they are known.
struct Deliveries<const VERSION: u32>;

impl<const VERSION: u32> Process for Deliveries<VERSION> {
    const NAME: &'static str = "delivery";
    const VERSION: u32 = VERSION;
    type Event = ParcelEvent;
    type State = ();

    fn correlate(event: &RecordedAs<ParcelEvent>) -> Option<String> {
        match &event.event {
            ParcelEvent::Sent { parcel } | ParcelEvent::Damaged { parcel } => Some(parcel.clone()),
            ParcelEvent::Strayed { parcel } => (VERSION > 1).then(|| parcel.clone()),
        }
    }

    fn starts(event: &RecordedAs<ParcelEvent>) -> bool {
        matches!(event.event, ParcelEvent::Sent { .. } | ParcelEvent::Strayed { .. })
    }

    fn on(&self, (): &mut (), event: &RecordedAs<ParcelEvent>, intents: &mut Intents) {
        if let ParcelEvent::Damaged { parcel } | ParcelEvent::Strayed { parcel } = &event.event {
            intents.send(Complain { parcel: parcel.clone() });
            intents.end();
        }
    }
}

fn first(builder: ApplicationBuilder) -> ApplicationBuilder {
    builder.process(Deliveries::<1>)
}

fn second(builder: ApplicationBuilder) -> ApplicationBuilder {
    builder.process(Deliveries::<2>)
}

fn both(builder: ApplicationBuilder) -> ApplicationBuilder {
    second(first(builder))
}

async fn runs(storage: &Storage, what: fn(ApplicationBuilder) -> ApplicationBuilder) -> Application {
    let builder = Application::builder(storage.clone(), Runtime::tokio()).aggregate::<Complaint>();
    what(builder).saga_options(quick()).build().await.unwrap()
}

async fn parcel(storage: &Storage, what: &str, parcel: &str) {
    happens(storage, &format!("parcel.{what}"), json!({ "parcel": parcel })).await;
}

/// Until some parcel that was sent is known to a process: what was sent before may have been before the deployment.
async fn is_received(storage: &Storage, application: &Application, named: &str) {
    let n = AtomicU32::new(0);
    done_soon("one that was sent is received", async || {
        parcel(storage, "sent", &format!("{named}-{}", n.fetch_add(1, SeqCst))).await;
        application.ports().sagas.list(ListSagas::all()).await.is_ok_and(|page| !page.sagas.is_empty())
    })
    .await;
}

/// How often something is recorded of what a process has received.
async fn received(application: &Application, parcel: &str) -> usize {
    let saga = SagaId::new("delivery", parcel).unwrap();
    let timeline = application.ports().sagas.timeline(saga, None, 1_000).await;
    timeline.map_or(0, |timeline| timeline.facts.iter().filter(|fact| &*fact.event_type == "$saga.received").count())
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_code_receives_what_it_wants_while_older_code_runs(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let old = runs(&storage, first).await;
    is_received(&storage, &old, "early").await;
    let new = runs(&storage, both).await;
    let n = AtomicU32::new(0);
    done_soon("one that strayed is received", async || {
        parcel(&storage, "strayed", &format!("probe-{}", n.fetch_add(1, SeqCst))).await;
        complaints(&storage).await.keys().any(|stream| stream.contains("probe"))
    })
    .await;
    let all: Vec<_> = ["during", "after"].iter().flat_map(|when| (0..10).map(move |n| format!("{when}-{n}"))).collect();
    for name in all.iter().filter(|name| name.starts_with("during")) {
        parcel(&storage, "strayed", name).await;
        parcel(&storage, "sent", &format!("sent-{name}")).await;
    }
    old.shutdown().await;
    for name in all.iter().filter(|name| name.starts_with("after")) {
        parcel(&storage, "strayed", name).await;
        parcel(&storage, "sent", &format!("sent-{name}")).await;
    }
    for name in &all {
        parcel(&storage, "damaged", &format!("sent-{name}")).await;
    }
    let expected = once(all.iter().cloned().chain(all.iter().map(|name| format!("sent-{name}"))));
    done_soon("complaints of all", async || {
        let made = complaints(&storage).await;
        expected.keys().all(|stream| made.contains_key(stream))
    })
    .await;
    assert!(complaints(&storage).await.values().all(|times| *times == 1));
    assert_eq!(received(&new, "sent-during-3").await, 2, "each event once");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_falls_between_an_old_deployment_and_a_new_one(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let old = runs(&storage, first).await;
    is_received(&storage, &old, "early").await;
    old.shutdown().await;
    parcel(&storage, "strayed", "a").await;
    parcel(&storage, "sent", "b").await;
    let new = runs(&storage, second).await;
    done_soon("both are received", async || received(&new, "a").await + received(&new, "b").await == 2).await;
    done_soon("it complains", async || complaints(&storage).await == once(["a"])).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_code_leaves_what_newer_code_has_started_to_it(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let new = runs(&storage, both).await;
    is_received(&storage, &new, "early").await;
    parcel(&storage, "sent", "a").await;
    done_soon("it is received", async || received(&new, "a").await == 1).await;
    new.shutdown().await;
    // The old one is back.
    let old = runs(&storage, first).await;
    parcel(&storage, "damaged", "a").await;
    parcel(&storage, "sent", "b").await;
    done_soon("it goes on with its own", async || received(&old, "b").await == 1).await;
    assert_eq!(received(&old, "a").await, 1);
    old.shutdown().await;
    let new = runs(&storage, both).await;
    parcel(&storage, "damaged", "b").await;
    done_soon("complaints of both", async || complaints(&storage).await == once(["a", "b"])).await;
    assert_eq!((received(&new, "a").await, received(&new, "b").await), (2, 2));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lacks_the_code_makes_way_for_who_has_it(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let old = runs(&storage, first).await;
    is_received(&storage, &old, "early").await;
    parcel(&storage, "sent", "a").await;
    done_soon("it is received", async || received(&old, "a").await == 1).await;
    old.shutdown().await;
    // Its author has thrown the first version away.
    let lacking = runs(&storage, second).await;
    parcel(&storage, "damaged", "a").await;
    parcel(&storage, "strayed", "b").await;
    let trouble = async || lacking.ports().sagas.describe().await.unwrap()[0].trouble.clone();
    done_soon("it says what it lacks", async || trouble().await.is_some_and(|why| why.contains("version 1"))).await;
    let whole = runs(&storage, both).await;
    done_soon("who has the code goes on", async || {
        received(&whole, "a").await == 2 && received(&whole, "b").await == 1
    })
    .await;
    done_soon("nothing is in the way any more", async || trouble().await.is_none()).await;
    lacking.shutdown().await;
    done_soon("complaints of both", async || complaints(&storage).await == once(["a", "b"])).await;
    done_soon("it has ended", async || phase(&whole, "a").await == Some(SagaPhase::Completed)).await;
}
