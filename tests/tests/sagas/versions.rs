//! Definitions that change while sagas run: each ends by the definition that it started with (SG-08).

use portolan::SqliteStore;
use portolan::TokioRuntime as _;
use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::domain::saga::{Definition, Retry, Saga, Step, StepContext, StepError};
use portolan::drivers::SagaOptions;
use portolan::ports::{ListSagas, SagaError, SagaOrchestrator as _, SagaPhase, StartSaga, Violation};
use portolan::values::SagaId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MANY: usize = 8;

/// Where letters are written, once it is open.
#[derive(Clone, Default)]
struct Desk {
    is_open: Arc<AtomicBool>,
    done: Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>,
}

impl Desk {
    fn did(&self, step: &StepContext, what: &'static str) {
        self.done.lock().unwrap().entry(step.saga().id().to_string()).or_default().push(what);
    }

    fn write(&self) -> Result<(), StepError> {
        if self.is_open.load(SeqCst) { Ok(()) } else { Err(StepError::retry("the desk is closed")) }
    }

    /// What was done about each of these.
    fn done_about(&self, ids: &str) -> Vec<Vec<&'static str>> {
        let done = self.done.lock().unwrap();
        (0..MANY).map(|n| done.get(&format!("{ids}-{n}")).cloned().unwrap_or_default()).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct Letter {}

/// A definition of the saga `letter`: its version, and what comes after writing.
macro_rules! letters {
    ($type:ident, $version:literal, [$($before:ident),*], [$($after:ident),*]) => {
        struct $type(Desk);

        impl Saga for $type {
            const NAME: &'static str = "letter";
            const VERSION: u32 = $version;
            type Input = Letter;

            fn definition() -> Definition<Self> {
                let pause = Duration::from_millis(200);
                let patient = Retry::attempts(10_000).first(pause).longest(pause);
                Definition::new()
                    $(.step(Step::new(stringify!($before), Self::$before).harmless()))*
                    .step(Step::new("write", Self::write).harmless().retry(patient))
                    $(.step(Step::new(stringify!($after), Self::$after)))*
            }
        }

        impl $type {
            async fn write(&self, _: &Letter, step: &StepContext) -> Result<(), StepError> {
                self.0.write()?;
                self.0.did(step, concat!("write ", $version));
                Ok(())
            }

            $(async fn $before(&self, _: &Letter, step: &StepContext) -> Result<(), StepError> {
                self.0.did(step, concat!(stringify!($before), " ", $version));
                Ok(())
            })*

            $(async fn $after(&self, _: &Letter, step: &StepContext) -> Result<(), StepError> {
                self.0.did(step, concat!(stringify!($after), " ", $version));
                Ok(())
            })*
        }
    };
}

letters!(First, 1, [], [post]);
letters!(Second, 2, [], [fax, file]);
// The first, changed, and nobody has raised its version.
letters!(Changed, 1, [greet], [post]);

async fn process(storage: &Storage, with: impl FnOnce(ApplicationBuilder) -> ApplicationBuilder) -> Application {
    let options = SagaOptions::default().with_lease(Duration::from_millis(300));
    let builder = Application::builder(storage.clone(), Runtime::tokio()).saga_options(options);
    with(builder).build().await.unwrap()
}

fn letter(ids: &str, n: usize) -> SagaId {
    SagaId::new("letter", &format!("{ids}-{n}")).unwrap()
}

async fn start(application: &Application, ids: &str) {
    for n in 0..MANY {
        application.ports().sagas.start(StartSaga::new(letter(ids, n), json!({}))).await.unwrap();
    }
}

/// Waits until those with these ids stand so.
async fn all_are(application: &Application, ids: &str, phase: SagaPhase) {
    let mut status = None;
    for n in 0..MANY {
        for _ in 0..1_200 {
            let found = application.ports().sagas.status(letter(ids, n)).await.unwrap().status;
            if found.phase == phase {
                status = None;
                break;
            }
            status = Some(found);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(status.is_none(), "{ids}-{n} was to be {phase}: {status:?}");
    }
}

/// What those with these ids lack.
async fn lacking(application: &Application, ids: &str) -> Vec<String> {
    let mut lacking = Vec::new();
    for n in 0..MANY {
        lacking.extend(application.ports().sagas.status(letter(ids, n)).await.unwrap().lacks);
    }
    lacking
}

/// The same, as a list shows it.
async fn listed_as_lacking(application: &Application, ids: &str) -> Vec<String> {
    let listed = application.ports().sagas.list(ListSagas::all().limit(1_000)).await.unwrap().sagas;
    listed.into_iter().filter(|saga| saga.saga.id().starts_with(ids)).filter_map(|saga| saga.lacks).collect()
}

async fn storage(folder: &tempfile::TempDir) -> Storage {
    SqliteStore::builder(folder.path().join("sagas.db")).open().await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sagas_end_by_their_version_and_wait_for_a_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder).await;
    let desk = Desk::default();
    let application = process(&storage, |builder| builder.saga(First(desk.clone()))).await;
    start(&application, "old").await;
    all_are(&application, "old", SagaPhase::Waiting).await;
    assert_eq!(lacking(&application, "old").await, [""; 0]);
    application.shutdown().await;

    // The new program, and its author has thrown the first definition away.
    desk.is_open.store(true, SeqCst);
    let application = process(&storage, |builder| builder.saga(Second(desk.clone()))).await;
    start(&application, "new").await;
    all_are(&application, "new", SagaPhase::Completed).await;
    assert_eq!(desk.done_about("new"), [["write 2", "fax 2", "file 2"]; MANY]);
    // Long past their time, nothing was guessed of the others.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let lacks = lacking(&application, "old").await;
    assert_eq!(lacks.len(), MANY);
    assert!(lacks.iter().all(|lacks| lacks.contains("version 1")), "{lacks:?}");
    assert_eq!(listed_as_lacking(&application, "old-").await, lacks);
    assert_eq!(desk.done_about("old"), [[""; 0]; MANY]);
    application.shutdown().await;

    // It is back beside the second.
    let both = |builder: ApplicationBuilder| builder.saga(First(desk.clone())).saga(Second(desk.clone()));
    let application = process(&storage, both).await;
    all_are(&application, "old", SagaPhase::Completed).await;
    assert_eq!(desk.done_about("old"), [["write 1", "post 1"]; MANY]);
    assert_eq!(lacking(&application, "old").await, [""; 0]);
    start(&application, "newer").await;
    all_are(&application, "newer", SagaPhase::Completed).await;
    assert_eq!(desk.done_about("newer"), [["write 2", "fax 2", "file 2"]; MANY]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_of_a_rolling_deploy_end_each_saga_by_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder).await;
    let desk = Desk::default();
    let old = process(&storage, |builder| builder.saga(First(desk.clone()))).await;
    start(&old, "old").await;
    all_are(&old, "old", SagaPhase::Waiting).await;
    let both = |builder: ApplicationBuilder| builder.saga(First(desk.clone())).saga(Second(desk.clone()));
    let new = process(&storage, both).await;
    start(&new, "new").await;
    desk.is_open.store(true, SeqCst);
    all_are(&new, "old", SagaPhase::Completed).await;
    // The old one starts what it knows, and says what it lacks.
    start(&old, "late").await;
    all_are(&new, "late", SagaPhase::Completed).await;
    let waiting = lacking(&old, "new").await;
    assert!(waiting.iter().all(|lacks| lacks.contains("version 2")), "{waiting:?}");
    old.shutdown().await;
    all_are(&new, "new", SagaPhase::Completed).await;
    for (ids, did) in [
        ("old", &["write 1", "post 1"][..]),
        ("late", &["write 1", "post 1"]),
        ("new", &["write 2", "fax 2", "file 2"]),
    ] {
        assert_eq!(desk.done_about(ids), [did; MANY], "{ids}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_that_was_changed_in_place_leaves_the_plans_of_running_sagas_alone() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder).await;
    let desk = Desk::default();
    let application = process(&storage, |builder| builder.saga(First(desk.clone()))).await;
    start(&application, "old").await;
    all_are(&application, "old", SagaPhase::Waiting).await;
    application.shutdown().await;
    desk.is_open.store(true, SeqCst);
    let application = process(&storage, |builder| builder.saga(Changed(desk.clone()))).await;
    start(&application, "new").await;
    for ids in ["old", "new"] {
        all_are(&application, ids, SagaPhase::Completed).await;
    }
    assert_eq!(desk.done_about("old"), [["write 1", "post 1"]; MANY]);
    assert_eq!(desk.done_about("new"), [["greet 1", "write 1", "post 1"]; MANY]);
}

/// What a payment is started with, as its type goes through deploys.
mod paid {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Old {
        pub(super) amount: u64,
        #[serde(default)]
        pub(super) fast: bool,
    }

    /// Has one more field, which may be left out.
    #[derive(Serialize, Deserialize)]
    pub(super) struct More {
        pub(super) amount: u64,
        #[serde(default)]
        pub(super) fast: bool,
        #[serde(default)]
        pub(super) note: String,
    }

    /// Has one more field, which may not.
    #[derive(Serialize, Deserialize)]
    pub(super) struct Needs {
        pub(super) amount: u64,
        #[serde(default)]
        pub(super) fast: bool,
        pub(super) currency: String,
    }
}

macro_rules! payments {
    ($type:ident, $version:literal, $input:ty, $most:expr) => {
        struct $type;

        impl Saga for $type {
            const NAME: &'static str = "payment";
            const VERSION: u32 = $version;
            type Input = $input;

            fn definition() -> Definition<Self> {
                Definition::new().step(Step::new("pay", Self::pay))
            }

            fn validate(input: &$input) -> Vec<Violation> {
                let most: u64 = $most;
                (input.amount > most).then(|| Violation::new("amount", "range", "it is too much")).into_iter().collect()
            }
        }

        impl $type {
            async fn pay(&self, _: &$input, _: &StepContext) -> Result<(), StepError> {
                Ok(())
            }
        }
    };
}

payments!(Pays, 1, paid::Old, 1_000);
payments!(PaysMore, 2, paid::More, 1_000);
payments!(PaysMoreInPlace, 1, paid::More, 1_000);
payments!(PaysStrictly, 2, paid::Old, 10);
payments!(PaysStrictlyInPlace, 1, paid::Old, 10);
payments!(PaysAsNeeded, 2, paid::Needs, 1_000);

/// An answer was lost, and there was a deploy before the start was repeated: it is told what it would have been told before,
/// whatever has become of the input's type (SG-03). Where this code cannot know, it does not say that another id is needed.
#[rstest::rstest]
#[case::more(|builder: ApplicationBuilder| builder.saga(PaysMore), ["again", "again", "otherwise"])]
#[case::more_beside(|builder: ApplicationBuilder| builder.saga(Pays).saga(PaysMore), ["again", "again", "otherwise"])]
#[case::more_in_place(|builder: ApplicationBuilder| builder.saga(PaysMoreInPlace), ["again", "again", "otherwise"])]
#[case::stricter(|builder: ApplicationBuilder| builder.saga(PaysStrictly), ["again", "again", "otherwise"])]
#[case::stricter_beside(|builder: ApplicationBuilder| builder.saga(Pays).saga(PaysStrictly), ["again", "again", "otherwise"])]
#[case::stricter_in_place(|builder: ApplicationBuilder| builder.saga(PaysStrictlyInPlace), ["again", "again", "otherwise"])]
#[case::needs(|builder: ApplicationBuilder| builder.saga(PaysAsNeeded), ["again", "busy", "busy"])]
#[case::needs_beside(|builder: ApplicationBuilder| builder.saga(Pays).saga(PaysAsNeeded), ["again", "again", "otherwise"])]
#[case::none(|builder: ApplicationBuilder| builder, ["again", "unknown", "unknown"])]
#[tokio::test]
async fn a_start_that_is_repeated_after_a_deploy_is_told_the_same(
    #[case] deployed: impl FnOnce(ApplicationBuilder) -> ApplicationBuilder,
    #[case] expected: [&str; 3],
) {
    let storage = Storage::from(portolan::MemoryStore::new());
    let before = process(&storage, |builder| builder.saga(Pays)).await;
    let payment = |id: &str, input| StartSaga::new(SagaId::new("payment", id).unwrap(), input);
    let (all, less) = (json!({ "amount": 30, "fast": false }), json!({ "amount": 30 }));
    for (id, input) in [("all", &all), ("less", &less), ("other", &less)] {
        assert!(!before.ports().sagas.start(payment(id, input.clone())).await.unwrap().repeated);
    }
    before.shutdown().await;

    let after = process(&storage, deployed).await;
    let told = async |id, input| match after.ports().sagas.start(payment(id, input)).await {
        Ok(started) => {
            assert_eq!(started.version, 1);
            if started.repeated { "again" } else { "anew" }
        }
        Err(SagaError::StartedOtherwise(_)) => "otherwise",
        Err(SagaError::Invalid(_)) => "invalid",
        Err(SagaError::Busy(why)) if why.to_string().contains("version 1") => "busy",
        Err(SagaError::UnknownDefinition(_)) => "unknown",
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(
        [told("all", all).await, told("less", less).await, told("other", json!({ "amount": 31 })).await],
        expected
    );
}

/// What the newest code does not take starts nothing, though an older one would have taken it.
#[tokio::test]
async fn a_new_start_is_judged_by_the_newest_code() {
    let storage = Storage::from(portolan::MemoryStore::new());
    let application = process(&storage, |builder| builder.saga(Pays).saga(PaysStrictly)).await;
    let start = |amount: u64| StartSaga::new(SagaId::new("payment", "1").unwrap(), json!({ "amount": amount }));
    let refused = application.ports().sagas.start(start(30)).await;
    assert!(matches!(refused, Err(SagaError::Invalid(_))), "{refused:?}");
    assert_eq!(application.ports().sagas.start(start(10)).await.unwrap().version, 2);
}

/// A process without code for sagas lists what there is once it has the index, and else does not say that there is nothing.
#[tokio::test]
async fn a_process_without_code_lists_sagas_or_says_what_it_lacks() {
    let storage = Storage::from(portolan::MemoryStore::new());
    let list = ListSagas::all;
    let without = process(&storage, |builder| builder).await.ports().sagas;
    assert!(without.list(list()).await.unwrap().sagas.is_empty(), "there are none");
    for wrong in [list().limit(0), list().after(Some("no cursor".into()))] {
        assert!(matches!(without.list(wrong).await, Err(SagaError::Invalid(_))));
    }

    let application = process(&storage, |builder| builder.saga(Pays)).await;
    let payment = SagaId::new("payment", "1").unwrap();
    application.ports().sagas.start(StartSaga::new(payment.clone(), json!({ "amount": 30 }))).await.unwrap();
    application.shutdown().await;
    match without.list(list()).await {
        Err(SagaError::Other(why)) => assert!(why.to_string().contains("saga_index"), "{why}"),
        other => panic!("{other:?}"),
    }
    for wrong in [list().limit(0), list().after(Some("no cursor".into()))] {
        assert!(matches!(without.list(wrong).await, Err(SagaError::Invalid(_))));
    }

    for has_code in [false, true] {
        let with = |builder: ApplicationBuilder| if has_code { builder.saga(Pays) } else { builder }.saga_index();
        let with = process(&storage, with).await;
        let listed = loop {
            match with.ports().sagas.list(list()).await {
                Ok(page) if !page.sagas.is_empty() => break page.sagas,
                Ok(_) | Err(SagaError::Busy(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(listed.iter().map(|summary| &summary.saga).collect::<Vec<_>>(), [&payment]);
        with.shutdown().await;
    }
}
