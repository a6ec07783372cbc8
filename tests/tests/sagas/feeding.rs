//! Processes of applications: fed from the log, once, by whoever has the lease; from their first deployment on, and not past what
//! their code does not know.

use crate::crashes::facts_of;
use crate::driving::settled;
use crate::sharing::{done_soon, quick, store};
use crate::trips::stored;
use async_trait::async_trait;
use futures::future::BoxFuture;
use portolan::application::{Application, BuildError, Runtime, Storage};
use portolan::domain::saga::{Intent, Intents, Process, Reaction, SagaEvent, SagaHandler, SagaState};
use portolan::domain::{Aggregate, Command, Context, Decide, Decision, Event, JsonSchema, RecordedAs, Rejection};
use portolan::ports::{AppendError, Capabilities, EventStore, ListSagas, ReadError, SagaOrchestrator as _, SagaPhase};
use portolan::values::{
    Append, Appended, Checkpoint, CheckpointState, EventId, EventType, Item, Move, Name, NewEvent, Page, Position,
    Query, Read, Recalled, SagaId, StreamId, Token,
};
use portolan::{MemoryStore, TokioRuntime as _};
use portolan_testing::{Fault, Faulty, TestRuntime};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Event, Serialize, Deserialize)]
#[event(category = "parcel")]
enum ParcelEvent {
    Sent { parcel: String, millis: u64 },
    Damaged { parcel: String },
    Arrived { parcel: String },
}

#[derive(Event, Serialize, Deserialize)]
#[event(category = "complaint")]
pub(crate) enum ComplaintEvent {
    Made { parcel: String },
}

#[derive(Command, Serialize, Deserialize, JsonSchema, Clone)]
#[command(stream = "complaint-{parcel}")]
pub(crate) struct Complain {
    pub(crate) parcel: String,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum No {
    #[error("nobody listens")]
    Deaf {},
}

impl Rejection for No {}

#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct Complaint {}

impl Aggregate for Complaint {
    const CATEGORY: &'static str = "complaint";
    type Event = ComplaintEvent;
    type Rejection = No;
    type Commands = (Complain,);
    fn evolve(&mut self, _: &ComplaintEvent) {}
}

impl Decide<Complain> for Complaint {
    fn decide(&self, command: &Complain, _: &Context) -> Decision<Self> {
        if command.parcel == "deaf" {
            return Err(No::Deaf {});
        }
        Ok(vec![ComplaintEvent::Made { parcel: command.parcel.clone() }])
    }
}

/// Complains of a parcel that does not arrive in time.
struct Deliveries<const HISTORY: bool>;

impl<const HISTORY: bool> Process for Deliveries<HISTORY> {
    const NAME: &'static str = "delivery";
    const RECEIVES_HISTORY: bool = HISTORY;
    type Event = ParcelEvent;
    type State = String;

    fn correlate(event: &RecordedAs<ParcelEvent>) -> Option<String> {
        match &event.event {
            ParcelEvent::Sent { parcel, .. } | ParcelEvent::Damaged { parcel } | ParcelEvent::Arrived { parcel } => {
                Some(parcel.clone())
            }
        }
    }

    fn starts(event: &RecordedAs<ParcelEvent>) -> bool {
        matches!(event.event, ParcelEvent::Sent { .. })
    }

    fn on(&self, state: &mut String, event: &RecordedAs<ParcelEvent>, intents: &mut Intents) {
        match &event.event {
            ParcelEvent::Sent { parcel, millis } => {
                parcel.clone_into(state);
                intents.set_timer("arrival", Duration::from_millis(*millis));
            }
            ParcelEvent::Damaged { .. } => _ = intents.send(Complain { parcel: state.clone() }),
            ParcelEvent::Arrived { .. } => intents.end(),
        }
    }

    fn on_timer(&self, state: &mut String, _: &str, intents: &mut Intents) {
        intents.send(Complain { parcel: state.clone() });
        intents.end();
    }
}

/// The same in newer code, which knows of parcels that are lost.
struct NewerDeliveries;

#[derive(Event, Serialize, Deserialize)]
#[event(category = "parcel")]
enum NewerParcelEvent {
    Sent { parcel: String, millis: u64 },
    Lost { parcel: String },
}

impl Process for NewerDeliveries {
    const NAME: &'static str = "delivery";
    type Event = NewerParcelEvent;
    type State = String;

    fn correlate(event: &RecordedAs<NewerParcelEvent>) -> Option<String> {
        let (NewerParcelEvent::Sent { parcel, .. } | NewerParcelEvent::Lost { parcel }) = &event.event;
        Some(parcel.clone())
    }

    fn starts(event: &RecordedAs<NewerParcelEvent>) -> bool {
        matches!(event.event, NewerParcelEvent::Sent { .. })
    }

    fn on(&self, state: &mut String, event: &RecordedAs<NewerParcelEvent>, intents: &mut Intents) {
        match &event.event {
            NewerParcelEvent::Sent { parcel, millis } => {
                parcel.clone_into(state);
                intents.set_timer("arrival", Duration::from_millis(*millis));
            }
            NewerParcelEvent::Lost { .. } => {
                intents.send(Complain { parcel: state.clone() });
                intents.end();
            }
        }
    }
}

async fn process<const HISTORY: bool>(storage: &Storage) -> Application {
    running(storage, Deliveries::<HISTORY>).await
}

async fn running(storage: &Storage, deliveries: impl Process) -> Application {
    let builder = Application::builder(storage.clone(), Runtime::tokio()).aggregate::<Complaint>();
    builder.process(deliveries).saga_options(quick()).build().await.unwrap()
}

/// The same storage, and nobody holds a lease there, so that nobody feeds.
fn without_leases(storage: &Storage) -> Storage {
    let leases = Faulty::new(storage.leases.clone().unwrap()).first_writes(100_000, Fault::Busy);
    storage.clone().with_leases(Arc::new(leases))
}

pub(crate) async fn happens(storage: &Storage, event_type: &str, payload: serde_json::Value) {
    let stream = StreamId::new(format!("parcel-{}", payload["parcel"].as_str().unwrap())).unwrap();
    let event = NewEvent::new(stream, EventType::new(event_type).unwrap(), payload.to_string());
    storage.events.append(Append::new([event])).await.unwrap();
}

async fn sent(storage: &Storage, parcel: &str, millis: u64) {
    happens(storage, "parcel.sent", json!({ "parcel": parcel, "millis": millis })).await;
}

async fn arrives(storage: &Storage, parcel: &str) {
    happens(storage, "parcel.arrived", json!({ "parcel": parcel })).await;
}

/// How often each parcel was complained of.
pub(crate) async fn complaints(storage: &Storage) -> BTreeMap<String, usize> {
    let query = Query::of(Item::new().category(Name::new("complaint").unwrap()));
    let page = storage.events.read(Read::log(query).limit(1_000)).await.unwrap();
    let mut counts = BTreeMap::new();
    for event in page.events {
        *counts.entry(event.stream.to_string()).or_default() += 1;
    }
    counts
}

pub(crate) fn once(parcels: impl IntoIterator<Item = impl std::fmt::Display>) -> BTreeMap<String, usize> {
    parcels.into_iter().map(|parcel| (format!("complaint-{parcel}"), 1)).collect()
}

pub(crate) async fn phase(application: &Application, parcel: &str) -> Option<SagaPhase> {
    let saga = SagaId::new("delivery", parcel).unwrap();
    application.ports().sagas.status(saga).await.ok().map(|found| found.status.phase)
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_happen_in_time_is_complained_of_once(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let (one, two) = (process::<false>(&storage).await, process::<false>(&storage).await);
    done_soon("both are there", async || !one.ports().sagas.describe().await.unwrap().is_empty()).await;
    // The first that is known to be received: what was sent before it may have been before the deployment.
    done_soon("the first is received", async || {
        sent(&storage, "first", 3_600_000).await;
        phase(&one, "first").await.is_some()
    })
    .await;
    for n in 0..30 {
        sent(&storage, &format!("{n}"), if n % 3 == 0 { 3_600_000 } else { 500 }).await;
    }
    for n in (0..30).filter(|n| n % 3 == 0) {
        arrives(&storage, &format!("{n}")).await;
    }
    let late = once((0..30).filter(|n| n % 3 != 0));
    done_soon("complaints", async || complaints(&storage).await.len() == late.len()).await;
    done_soon("all but the first have ended", async || {
        let ended = ListSagas::all().phase(SagaPhase::Completed);
        two.ports().sagas.list(ended).await.is_ok_and(|page| page.sagas.len() == 30)
    })
    .await;
    assert_eq!(complaints(&storage).await, late);
    assert_eq!(phase(&two, "first").await, Some(SagaPhase::Waiting));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_that_was_overdue_at_the_start_fires_once(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let application = process::<false>(&storage).await;
    done_soon("it is received", async || {
        sent(&storage, "a", 1_000).await;
        phase(&application, "a").await.is_some()
    })
    .await;
    application.shutdown().await;
    assert_eq!(complaints(&storage).await, BTreeMap::new());
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let application = process::<false>(&storage).await;
    done_soon("it has ended", async || phase(&application, "a").await == Some(SagaPhase::Completed)).await;
    assert_eq!(complaints(&storage).await, once(["a"]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_fires_while_an_operator_is_needed_whoever_drives(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let application = process::<true>(&storage).await;
    sent(&storage, "deaf", 3_000).await;
    happens(&storage, "parcel.damaged", json!({ "parcel": "deaf" })).await;
    done_soon("nobody listens", async || phase(&application, "deaf").await == Some(SagaPhase::NeedsOperator)).await;
    // Mostly before its time.
    application.shutdown().await;
    let saga = SagaId::new("delivery", "deaf").unwrap();
    let fired = async || {
        let facts = facts_of(&storage, &saga).await;
        facts.iter().filter(|fact| matches!(fact, SagaEvent::Fired { .. })).count()
    };
    let application = process::<true>(&storage).await;
    done_soon("its timer fires", async || fired().await == 1).await;
    assert_eq!(phase(&application, "deaf").await, Some(SagaPhase::NeedsOperator));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_has_a_process_that_waits_send_a_command(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let (one, _two) = (process::<true>(&storage).await, process::<true>(&storage).await);
    let parcels = 0..8;
    for n in parcels.clone() {
        sent(&storage, &n.to_string(), 3_600_000).await;
    }
    done_soon("all wait", async || {
        let waiting = ListSagas::all().phase(SagaPhase::Waiting);
        one.ports().sagas.list(waiting).await.is_ok_and(|page| page.sagas.len() == 8)
    })
    .await;
    for n in parcels.clone() {
        happens(&storage, "parcel.damaged", json!({ "parcel": n.to_string() })).await;
    }
    done_soon("complaints", async || complaints(&storage).await == once(parcels.clone())).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_received_by_those_that_ask_for_it(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    sent(&storage, "old", 3_600_000).await;
    let application = process::<false>(&storage).await;
    done_soon("a new one is received", async || {
        sent(&storage, "new", 3_600_000).await;
        phase(&application, "new").await.is_some()
    })
    .await;
    assert_eq!(phase(&application, "old").await, None);
    application.shutdown().await;
    // Sent while nobody was there; and once deployed, what is asked for first changes nothing.
    sent(&storage, "between", 3_600_000).await;
    let application = process::<true>(&storage).await;
    done_soon("that in between is received", async || phase(&application, "between").await.is_some()).await;
    assert_eq!(phase(&application, "old").await, None);

    let (storage, _folder) = store(which).await;
    sent(&storage, "old", 3_600_000).await;
    let application = process::<true>(&storage).await;
    done_soon("history is received", async || phase(&application, "old").await == Some(SagaPhase::Waiting)).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_code_does_not_know_is_not_passed_over(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let application = process::<true>(&storage).await;
    sent(&storage, "a", 3_600_000).await;
    happens(&storage, "parcel.lost", json!({ "parcel": "a" })).await;
    sent(&storage, "b", 3_600_000).await;
    let trouble = async || application.ports().sagas.describe().await.unwrap()[0].trouble.clone();
    done_soon("it says so", async || trouble().await.is_some()).await;
    let said = trouble().await.unwrap();
    assert!(said.contains("parcel.lost"), "{said}");
    assert_eq!(phase(&application, "a").await, Some(SagaPhase::Waiting));
    assert_eq!(phase(&application, "b").await, None, "it comes after what is not known");
    application.shutdown().await;
    assert_eq!(complaints(&storage).await, BTreeMap::new());
    // Other code goes on where this one could not.
    let application = running(&storage, NewerDeliveries).await;
    done_soon("b is received", async || phase(&application, "b").await.is_some()).await;
    done_soon("a has ended", async || phase(&application, "a").await == Some(SagaPhase::Completed)).await;
    assert_eq!(complaints(&storage).await, once(["a"]));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_superseded_feeds_nothing(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let application = process::<true>(&storage).await;
    sent(&storage, "first", 3_600_000).await;
    done_soon("the first is received", async || phase(&application, "first").await.is_some()).await;
    // As another process of the system does that has a larger token; and nobody who has a lease here ever has.
    let feeder = Name::new("$process/delivery/1").unwrap();
    let token = Token(u64::MAX / 2);
    done_soon("it is claimed", async || {
        let state = storage.events.checkpoint(feeder.clone()).await.unwrap();
        let claim = Checkpoint::new(feeder.clone(), state, token, Move::Claim);
        storage.events.append(Append::new([]).checkpoint(claim)).await.is_ok()
    })
    .await;
    for n in 0..8 {
        sent(&storage, &format!("{n}"), 3_600_000).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for n in 0..8 {
        assert_eq!(phase(&application, &format!("{n}")).await, None, "{n}");
    }
}

/// A process that has decided to end, and whose last word was recorded by one that began nothing more: whoever finds it ends it,
/// though nothing of it is due.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_has_only_to_end_is_ended(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let handler = SagaHandler::process(Deliveries::<false>).unwrap();
    let (saga, at) = (SagaId::new("delivery", "a").unwrap(), Runtime::tokio().clock.now());
    let started = SagaState::started(&saga, 1, handler.plan().clone(), Arc::default(), at);
    let reaction = Reaction::new(json!("a"), vec![Intent::End]);
    let received = SagaState::received(EventId::from_bytes([7; 16]), Position::new(1).unwrap(), reaction, at);
    let facts = [stored(&saga, &started), stored(&saga, &received)];
    storage.events.append(Append::new(facts)).await.unwrap();
    let application = process::<false>(&storage).await;
    done_soon("it has ended", async || phase(&application, "a").await == Some(SagaPhase::Completed)).await;
}

/// Whoever feeds, and whenever he comes to it; and what was there before is history.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_once_an_application_is_built_is_received(
    #[values("memory", "sqlite")] which: &str,
    #[values(false, true)] has_history: bool,
) {
    let (storage, _folder) = store(which).await;
    if has_history {
        sent(&storage, "old", 3_600_000).await;
    }
    // It is gone before it has fed anything.
    drop(process::<false>(&without_leases(&storage)).await);
    sent(&storage, "new", 3_600_000).await;
    let application = process::<false>(&storage).await;
    done_soon("it is received", async || phase(&application, "new").await.is_some()).await;
    assert_eq!(phase(&application, "old").await, None);
}

/// Before which call of one that is being built something else happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It has seen that nothing is recorded, and looks where the log ends.
    Looking,
    /// It has seen that too.
    Recording,
}

/// A log where something happens before the first such call.
struct Interrupted {
    inner: Arc<dyn EventStore>,
    before: Before,
    happens: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Interrupted {
    async fn comes(&self, call: Before) {
        let happens = if call == self.before { self.happens.lock().unwrap().take() } else { None };
        if let Some(happens) = happens {
            happens.await;
        }
    }
}

#[async_trait]
impl EventStore for Interrupted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.comes(Before::Recording).await;
        self.inner.append(append).await
    }
    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.comes(Before::Looking).await;
        self.inner.read(read).await
    }
    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.inner.recall(scope, id).await
    }
    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }
    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// Of two that are built at once the one that is there first decides where processes begin.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_that_is_built_decides_where_processes_begin(
    #[values("memory", "sqlite")] which: &str,
    #[values(false, true)] has_history: bool,
    #[values(Before::Looking, Before::Recording)] before: Before,
) {
    let (storage, _folder) = store(which).await;
    if has_history {
        sent(&storage, "old", 3_600_000).await;
    }
    let unfed = without_leases(&storage);
    let first = unfed.clone();
    let happens = async move {
        drop(process::<false>(&first).await);
        sent(&first, "new", 3_600_000).await;
    };
    let happens = Mutex::new(Some(Box::pin(happens) as BoxFuture<'static, ()>));
    let mut second = unfed;
    second.events = Arc::new(Interrupted { inner: second.events, before, happens });
    drop(process::<false>(&second).await);
    let application = process::<false>(&storage).await;
    done_soon("it is received", async || phase(&application, "new").await.is_some()).await;
    assert_eq!(phase(&application, "old").await, None);
}

/// A store that is busy for a while, or says nothing of what it has done, is asked again. One that takes nothing is no place
/// for a new process; where it is known where processes begin, nothing is to be written.
#[rstest]
#[case::busy(3, Fault::Busy, true)]
#[case::lost(3, Fault::LostOnTheWay, true)]
#[case::done_unheard(1, Fault::LostAnswer, true)]
#[case::busy_for_good(1_000, Fault::Busy, false)]
#[case::broken(1_000, Fault::Broken, false)]
#[tokio::test]
async fn an_application_is_built_once_it_is_recorded_where_its_processes_begin(
    #[case] calls: u64,
    #[case] fault: Fault,
    #[case] is_built: bool,
) {
    let runtime = TestRuntime::held();
    let whole: Storage = MemoryStore::builder().clock(runtime.clock.clone()).build().into();
    let faulty = Faulty::new(whole.events.clone()).first_writes(calls, fault);
    let mut storage = whole.clone();
    storage.events = Arc::new(faulty);
    let build = |storage: &Storage| {
        Application::builder(storage.clone(), runtime.runtime()).process(Deliveries::<false>).build()
    };
    let place = Name::new("$process/delivery/1").unwrap();
    match settled(&runtime, build(&storage)).await {
        Ok(_) => assert!(is_built),
        Err(BuildError::ProcessBeginning { process, .. }) => assert!(!is_built && &*process == "delivery"),
        Err(other) => panic!("{other}"),
    }
    let state = whole.events.checkpoint(place).await.unwrap();
    assert_eq!((state.token.0, state.position), (u64::from(is_built), None), "the log is empty");
    settled(&runtime, build(&whole)).await.unwrap();
    settled(&runtime, build(&storage)).await.unwrap();
}

/// Whoever can have anything recorded keeps nobody else's events from being received.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_no_process_is_passed_over_and_told(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let builder = Application::builder(storage.clone(), Runtime::tokio()).aggregate::<Complaint>();
    let builder = builder.process(Deliveries::<false>).saga_options(quick());
    let told = skipped.clone();
    let builder = builder.on_skipped(move |event| told.lock().unwrap().push(event.stream.to_string()));
    let application = builder.build().await.unwrap();
    let none = [String::new(), "..".into(), "a\nb".into(), "é".repeat(600)];
    for (n, key) in none.iter().enumerate() {
        let payload = json!({ "parcel": key, "millis": 1 }).to_string();
        let stream = StreamId::new(format!("parcel-bad{n}")).unwrap();
        let event = NewEvent::new(stream, EventType::new("parcel.sent").unwrap(), payload);
        storage.events.append(Append::new([event])).await.unwrap();
    }
    for parcel in ["one", "two"] {
        sent(&storage, parcel, 3_600_000).await;
        done_soon("it is received", async || phase(&application, parcel).await.is_some()).await;
    }
    // It may have been fed twice, and not in vain.
    let mut skipped = skipped.lock().unwrap().clone();
    skipped.dedup();
    assert_eq!(skipped, ["parcel-bad0", "parcel-bad1", "parcel-bad2", "parcel-bad3"]);
    let told = application.ports().sagas.describe().await.unwrap()[0].trouble.clone().unwrap();
    assert!(told.contains("passed over") && told.contains("has at most") | told.contains("room"), "{told}");
    assert!(told.len() < 600, "{told}");
}
