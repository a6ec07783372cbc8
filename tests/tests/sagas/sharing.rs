//! Applications that drive sagas: started and left alone, shared by processes, taken over, given up, and 10,000 that wait.

use portolan::TokioRuntime as _;
use portolan::application::{Application, Runtime, Storage};
use portolan::domain::saga::{Definition, Retry, Saga, Step, StepContext, StepError};
use portolan::drivers::SagaOptions;
use portolan::ports::{
    ActOnSaga, AppendError, Lease, LeaseError, LeaseStore, ListSagas, SagaAction, SagaError, SagaOrchestrator as _,
    SagaPhase, StartSaga,
};
use portolan::values::{Append, Appended, Name, SagaId};
use portolan::{MemoryStore, SqliteStore};
use portolan_testing::Tracking;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the steps of one process have done.
#[derive(Clone, Default)]
struct Errands {
    done: Arc<Mutex<Vec<String>>>,
    is_shut: Arc<AtomicBool>,
    is_quick: Arc<AtomicBool>,
    tried: Arc<AtomicU32>,
    acting: Arc<AtomicU32>,
}

#[derive(Serialize, Deserialize)]
struct Errand {
    /// How long the second step takes, in milliseconds.
    takes: u64,
}

impl Saga for Errands {
    const NAME: &'static str = "errand";
    type Input = Errand;

    fn definition() -> Definition<Self> {
        let patient = Retry::attempts(100).first(Duration::from_secs(3_600)).longest(Duration::from_secs(3_600));
        Definition::new()
            .step(Step::new("go", Self::go).harmless().retry(patient))
            .step(Step::new("do", Self::act).timeout(Duration::from_secs(60)))
            .step(Step::new("return", Self::come_back).retry(Retry::attempts(1)))
    }
}

impl Errands {
    async fn go(&self, _: &Errand, _: &StepContext) -> Result<(), StepError> {
        self.tried.fetch_add(1, SeqCst);
        if self.is_shut.load(SeqCst) { Err(StepError::retry("it is shut")) } else { Ok(()) }
    }

    async fn act(&self, errand: &Errand, step: &StepContext) -> Result<(), StepError> {
        self.acting.fetch_add(1, SeqCst);
        let takes = if self.is_quick.load(SeqCst) { 0 } else { errand.takes };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        self.done.lock().unwrap().push(step.saga().id().to_string());
        Ok(())
    }

    async fn come_back(&self, errand: &Errand, _: &StepContext) -> Result<(), StepError> {
        if errand.takes == 13 { Err(StepError::refused("lost", "it does not find back")) } else { Ok(()) }
    }
}

pub(crate) fn errand(n: usize, takes: u64) -> StartSaga {
    StartSaga::new(SagaId::new("errand", &format!("e-{n}")).unwrap(), json!({ "takes": takes }))
}

pub(crate) fn quick() -> SagaOptions {
    SagaOptions::default().with_shards(4).with_lease(Duration::from_millis(300)).with_grace(Duration::from_secs(20))
}

async fn process(storage: &Storage, errands: &Errands) -> Application {
    process_of(storage, errands, quick()).await
}

async fn process_of(storage: &Storage, errands: &Errands, options: SagaOptions) -> Application {
    let builder = Application::builder(storage.clone(), Runtime::tokio());
    builder.saga(errands.clone()).saga_options(options).build().await.unwrap()
}

/// A store, and what has to live as long as it.
pub(crate) async fn store(which: &str) -> (Storage, Option<tempfile::TempDir>) {
    match which {
        "memory" => (MemoryStore::new().into(), None),
        _ => {
            let folder = tempfile::tempdir().unwrap();
            (SqliteStore::builder(folder.path().join("sagas.db")).open().await.unwrap().into(), Some(folder))
        }
    }
}

/// Waits until it is so.
pub(crate) async fn done_soon(what: &str, is_done: impl AsyncFn() -> bool) {
    for _ in 0..1_200 {
        if is_done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within a minute: {what}");
}

/// Waits until the sagas stand so.
pub(crate) async fn all_are(application: &Application, phase: SagaPhase, of: usize) {
    let list = ListSagas::all().phase(phase).limit(1_000);
    let mut page = None;
    for _ in 0..1_200 {
        match application.ports().sagas.list(list.clone()).await {
            Ok(found) if found.sagas.len() == of => return,
            found => page = Some(found.map(|page| page.sagas.len())),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{of} sagas were to be {phase}, and there are {page:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_is_started_is_driven(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let errands = Errands::default();
    let application = process(&storage, &errands).await;
    for n in 0..200 {
        assert!(!application.ports().sagas.start(errand(n, 0)).await.unwrap().repeated);
    }
    all_are(&application, SagaPhase::Completed, 200).await;
    let done = errands.done.lock().unwrap().clone();
    assert_eq!((done.len(), done.iter().collect::<BTreeSet<_>>().len()), (200, 200));
    assert!(application.ports().sagas.start(errand(7, 0)).await.unwrap().repeated);
    application.shutdown().await;
    let refused = application.ports().sagas.start(errand(500, 0)).await.unwrap_err();
    assert!(matches!(refused, SagaError::ShuttingDown));
}

/// Who has done what, of several processes.
fn done(processes: &[&Errands]) -> Vec<BTreeMap<String, usize>> {
    let counted = |errands: &&Errands| {
        let mut counts = BTreeMap::new();
        for saga in &*errands.done.lock().unwrap() {
            *counts.entry(saga.clone()).or_default() += 1;
        }
        counts
    };
    processes.iter().map(counted).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_work_and_one_that_leaves_is_stood_in_for(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let (first, second) = (Errands::default(), Errands::default());
    let one = process(&storage, &first).await;
    let mut n = 0;
    let mut begin = async |application: &Application, many: usize| {
        for _ in 0..many {
            application.ports().sagas.start(errand(n, 0)).await.unwrap();
            n += 1;
        }
    };
    begin(&one, 20).await;
    all_are(&one, SagaPhase::Completed, 20).await;
    // The first has all shards; the second gets its share, however long that takes.
    let two = process(&storage, &second).await;
    let mut both = 20;
    while done(&[&second])[0].len() < 10 {
        begin(&two, 20).await;
        both += 20;
        all_are(&two, SagaPhase::Completed, both).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(both < 900, "the second process never gets anything to do");
    }
    let before = done(&[&first])[0].len();
    begin(&one, 60).await;
    all_are(&one, SagaPhase::Completed, both + 60).await;
    let counts = done(&[&first, &second]);
    assert!(counts[0].len() > before, "the first has something to do still");
    assert_eq!(counts[0].len() + counts[1].len(), both + 60, "each by one of the two");
    assert!(counts.iter().flat_map(BTreeMap::values).all(|times| *times == 1), "each once");
    one.shutdown().await;
    begin(&two, 20).await;
    all_are(&two, SagaPhase::Completed, both + 80).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_at_work_is_finished_before_a_process_leaves(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let (first, second) = (Errands::default(), Errands::default());
    let one = process(&storage, &first).await;
    one.ports().sagas.start(errand(1, 1_000)).await.unwrap();
    while first.acting.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    one.shutdown().await;
    assert_eq!(done(&[&first])[0].len(), 1, "the step had begun");
    // The last step was not begun any more.
    let status = one.ports().sagas.status(errand(1, 0).saga).await.unwrap().status;
    assert_eq!(status.phase, SagaPhase::Running, "{status}");
    let two = process(&storage, &second).await;
    all_are(&two, SagaPhase::Completed, 1).await;
    assert_eq!(done(&[&second])[0].len(), 0, "nothing was done twice");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_in_another_process_is_heard(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let errands = Errands::default();
    let driving = process(&storage, &errands).await;
    let asking = process(&storage, &Errands::default()).await;
    for n in 0..8 {
        driving.ports().sagas.start(errand(n, 13)).await.unwrap();
    }
    all_are(&asking, SagaPhase::NeedsOperator, 8).await;
    for n in 0..8 {
        let act = ActOnSaga::new(errand(n, 13).saga, SagaAction::Skip).with_note("it was fetched");
        asking.ports().sagas.act(act).await.unwrap();
    }
    all_are(&asking, SagaPhase::Completed, 8).await;
}

/// As in a deploy that changes the number of shards: no saga is nobody's.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_differ_in_the_number_of_shards_drive_every_saga(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let errands = Errands::default();
    let (few, many) = (process_of(&storage, &errands, quick()), quick().with_shards(8));
    let few = few.await;
    few.ports().sagas.start(errand(0, 0)).await.unwrap();
    all_are(&few, SagaPhase::Completed, 1).await;
    let (one, two) = (process_of(&storage, &errands, many).await, process_of(&storage, &errands, many).await);
    // Time for them to ask each other for shards.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for n in 1..=100 {
        one.ports().sagas.start(errand(n, 0)).await.unwrap();
    }
    all_are(&two, SagaPhase::Completed, 101).await;
    few.shutdown().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_in_another_process_has_it_tried_again(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let errands = Errands::default();
    errands.is_shut.store(true, SeqCst);
    // Whichever drives it, it is tried again an hour from now.
    let (one, two) = (process(&storage, &errands).await, process(&storage, &errands).await);
    for n in 0..8 {
        one.ports().sagas.start(errand(n, 0)).await.unwrap();
    }
    all_are(&two, SagaPhase::Waiting, 8).await;
    errands.is_shut.store(false, SeqCst);
    for n in 0..8 {
        let by = if n % 2 == 0 { &one } else { &two };
        by.ports().sagas.act(ActOnSaga::new(errand(n, 0).saga, SagaAction::Retry)).await.unwrap();
    }
    all_are(&two, SagaPhase::Completed, 8).await;
    assert_eq!(errands.tried.load(SeqCst), 16);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_that_wait_cost_nothing(#[values("memory", "sqlite")] which: &str) {
    const MANY: usize = 10_000;
    let (mut storage, _folder) = store(which).await;
    let counting = Arc::new(Tracking::new(storage.events.clone()));
    storage.events = counting.clone();
    let leases = Arc::new(Counted { leases: storage.leases.clone().unwrap(), calls: AtomicU32::new(0) });
    storage.leases = Some(leases.clone());
    let errands = Errands::default();
    errands.is_shut.store(true, SeqCst);
    let application = process(&storage, &errands).await;
    let sagas = application.ports().sagas;
    let starts = futures::stream::iter((0..MANY).map(|n| sagas.start(errand(n, 0))));
    let started: Vec<_> = futures::StreamExt::collect(futures::StreamExt::buffer_unordered(starts, 64)).await;
    assert!(started.iter().all(Result::is_ok));
    while (errands.tried.load(SeqCst) as usize) < MANY {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    application.shutdown().await;

    // They are found by another process, and none of them is looked at before its time.
    let application = process(&storage, &errands).await;
    let calls = || counting.appends().len() + counting.reads().len();
    let (before, leases_before) = (calls(), leases.calls.load(SeqCst));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let made = calls() - before;
    assert!(made < 200, "{made} calls of the log while nothing happens");
    // A lease of 300 ms is renewed every 100 ms; there is one a shard, and the projection's.
    let made = leases.calls.load(SeqCst) - leases_before;
    assert!((1..400).contains(&made), "{made} calls of leases while nothing happens");
    assert_eq!(errands.tried.load(SeqCst) as usize, MANY);
    // One of them is wanted now.
    errands.is_shut.store(false, SeqCst);
    application.ports().sagas.act(ActOnSaga::new(errand(77, 0).saga, SagaAction::Retry)).await.unwrap();
    all_are(&application, SagaPhase::Completed, 1).await;
    assert_eq!(errands.tried.load(SeqCst) as usize, MANY + 1);
}

#[rstest]
#[test]
fn a_process_that_dies_is_stood_in_for(#[values("memory", "sqlite")] which: &str) {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (dies, lives) = (runtime(), runtime());
    let (storage, _folder) = lives.block_on(store(which));
    let (first, second) = (Errands::default(), Errands::default());
    dies.block_on(async {
        let one = process(&storage, &first).await;
        for n in 0..20 {
            one.ports().sagas.start(errand(n, 60_000)).await.unwrap();
        }
        while first.acting.load(SeqCst) < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Its steps last for longer than it does.
        std::mem::forget(one);
    });
    dies.shutdown_background();
    lives.block_on(async {
        second.is_quick.store(true, SeqCst);
        let two = process(&storage, &second).await;
        all_are(&two, SagaPhase::Completed, 20).await;
        assert_eq!((done(&[&second])[0].len(), second.tried.load(SeqCst)), (20, 0), "they go on where they were");
    });
}

/// Leases, and how often they are asked for anything.
struct Counted {
    leases: Arc<dyn LeaseStore>,
    calls: AtomicU32,
}

impl Counted {
    fn leases(&self) -> &Arc<dyn LeaseStore> {
        self.calls.fetch_add(1, SeqCst);
        &self.leases
    }
}

#[async_trait::async_trait]
impl LeaseStore for Counted {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.leases().grant(name, holder, time_to_live).await
    }
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.leases().take_over(seen, holder, time_to_live).await
    }
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.leases().renew(lease).await
    }
    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.leases().release(lease).await
    }
}

/// Leases as two processes see them of which the one sleeps.
enum Seen {
    /// It is not told that another has its leases.
    Asleep(Arc<dyn LeaseStore>),
    /// It need not wait for what the other holds.
    Awake(Arc<dyn LeaseStore>),
}

impl Seen {
    fn store(&self) -> &Arc<dyn LeaseStore> {
        let (Self::Asleep(store) | Self::Awake(store)) = self;
        store
    }
}

#[async_trait::async_trait]
impl LeaseStore for Seen {
    async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        match (self, self.store().grant(name, holder.clone(), time_to_live).await) {
            (Self::Awake(store), Err(LeaseError::Held(held))) => store.take_over(held, holder, time_to_live).await,
            (_, granted) => granted,
        }
    }
    async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError> {
        self.store().take_over(seen, holder, time_to_live).await
    }
    async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError> {
        match self {
            Self::Asleep(_) => Ok(lease),
            Self::Awake(store) => store.renew(lease).await,
        }
    }
    async fn release(&self, lease: Lease) -> Result<(), LeaseError> {
        self.store().release(lease).await
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_superseded_writes_nothing(#[values("memory", "sqlite")] which: &str) {
    let (storage, _folder) = store(which).await;
    let seen_by = |storage: &Storage, seen_as: fn(Arc<dyn LeaseStore>) -> Seen| {
        let seen = Arc::new(Tracking::new(storage.events.clone()));
        let mut storage = storage.clone();
        storage.events = seen.clone();
        storage.leases = storage.leases.map(|leases| Arc::new(seen_as(leases)) as Arc<dyn LeaseStore>);
        (storage, seen)
    };
    let (first, second) = (Errands::default(), Errands::default());
    let (one, seen) = seen_by(&storage, Seen::Asleep);
    let one = process(&one, &first).await;
    for n in 0..8 {
        one.ports().sagas.start(errand(n, 2_000)).await.unwrap();
    }
    while first.acting.load(SeqCst) < 8 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Another takes all shards while the first is in the midst of their second steps.
    let two = process(&seen_by(&storage, Seen::Awake).0, &second).await;
    all_are(&two, SagaPhase::Completed, 8).await;
    let facts = |call: &&portolan_testing::Call<Append, Appended, AppendError>| {
        call.asked.checkpoint.is_some() && !call.asked.events.is_empty()
    };
    // Under one token of one shard: once it was refused, nothing more is written.
    let mut refused = BTreeSet::new();
    for call in seen.appends().iter().filter(facts) {
        let checkpoint = call.asked.checkpoint.clone().unwrap();
        let under = (checkpoint.name, checkpoint.token);
        match &call.answered {
            Some(Err(AppendError::CheckpointMoved { .. })) => _ = refused.insert(under),
            Some(Ok(_)) => assert!(!refused.contains(&under), "{under:?}"),
            // It was under way when the shard's first refusal came, and was let go with it.
            None => {}
            Some(Err(other)) => panic!("{other:?}"),
        }
    }
    assert!(refused.len() >= 3, "its outcomes came too late: {refused:?}");
}
