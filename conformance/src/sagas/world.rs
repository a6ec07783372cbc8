//! Processes with sagas over a storage on trial, one after another or side by side.

use super::cut::Cut;
use super::domain::Till;
use super::ledger::Ledger;
use super::pace::Pace;
use super::script::Script;
use super::steps::{Hands, TRIP, Trip, TripAnew, TripEdited, WALK, Walk};
use crate::{Broken, Capability, Trial, Verdict};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::application::{Application, ApplicationBuilder, Ports, Runtime, Storage};
use portolan_kernel::domain::saga::{Saga, SagaEvent, SagaHandler};
use portolan_kernel::domain::variant;
use portolan_kernel::drivers::{ProjectionOptions, SagaHandlers, SagaOptions};
use portolan_kernel::ports::{
    ActOnSaga, Clock, IdSource, ListSagas, SagaAction, SagaError, SagaOrchestrator, SagaPhase, SagaSummary, Sleep,
    Spawn, StartSaga,
};
use portolan_kernel::values::{EventId, Metadata, Read, Revision, SagaId, Timestamp};
use std::panic::Location;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

type Way = Arc<dyn Fn(SagaParts) -> BoxFuture<'static, Result<Arc<dyn SagaOrchestrator>, String>> + Send + Sync>;

/// What an orchestrator is made of in a process of the suite.
#[derive(Clone)]
#[non_exhaustive]
pub struct SagaParts {
    /// The ports of the suite's application in that process: where steps send commands, among others.
    pub ports: Ports,
    /// The storage below it.
    pub storage: Storage,
    /// The process's time, ids and tasks: what is spawned here dies with it.
    pub runtime: Runtime,
    /// The code of the sagas that the process has.
    pub handlers: Arc<SagaHandlers>,
}

impl fmt::Debug for SagaParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaParts").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

/// A storage that sagas are tried on, and the way from a process to the orchestrator on trial.
#[derive(Clone)]
pub struct Orchestrated {
    storage: Storage,
    way: Way,
    is_own: bool,
    slowness: u32,
}

impl fmt::Debug for Orchestrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orchestrated").finish_non_exhaustive()
    }
}

fn way<F, E: fmt::Display>(way: impl Fn(SagaParts) -> F + Send + Sync + 'static) -> Way
where
    F: Future<Output = Result<Arc<dyn SagaOrchestrator>, E>> + Send + 'static,
{
    Arc::new(move |parts| {
        let orchestrator = way(parts);
        Box::pin(async move { orchestrator.await.map_err(|error| error.to_string()) })
    })
}

impl Orchestrated {
    /// Sagas over this storage, and the orchestrator of the application's own process.
    #[must_use]
    pub fn on(storage: impl Into<Storage>) -> Self {
        let own = way(|parts: SagaParts| async move { Ok::<_, String>(parts.ports.sagas) });
        Self { storage: storage.into(), way: own, is_own: true, slowness: 1 }
    }

    /// The same, with an orchestrator that is come to in this way: such as a client, connected to a server of these ports.
    #[must_use]
    pub fn through<F, E: fmt::Display>(self, to: impl Fn(Ports) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn SagaOrchestrator>, E>> + Send + 'static,
    {
        Self { way: way(move |parts: SagaParts| to(parts.ports)), ..self }
    }

    /// The same, with an orchestrator that is made by this of a process's parts, in place of the kernel's. It drives from when
    /// it is made until the process dies: until its tasks are dropped. What it is made of without an error, it can keep.
    #[must_use]
    pub fn by<F, E: fmt::Display>(self, make: impl Fn(SagaParts) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn SagaOrchestrator>, E>> + Send + 'static,
    {
        Self { way: way(make), is_own: false, ..self }
    }

    /// The same, over a storage that needs tens of milliseconds for a write: leases take so many times as long, and what is
    /// waited for is looked for less often.
    #[must_use]
    pub fn slower_by(self, slowness: u32) -> Self {
        Self { slowness: slowness.max(1), ..self }
    }
}

/// The system's clock, that can be turned; ids, sleeps and tasks of one process.
struct Times {
    ahead: Arc<AtomicU64>,
    tasks: tokio::runtime::Handle,
}

impl Clock for Times {
    fn now(&self) -> Timestamp {
        let system = Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        system.plus(Duration::from_micros(self.ahead.load(SeqCst)))
    }
}

impl IdSource for Times {
    fn new_id(&self) -> EventId {
        EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)))
    }
}

impl Sleep for Times {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let _of = self.tasks.enter();
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Spawn for Times {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.tasks.spawn(task));
    }
}

/// Which sagas a process has the code of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Trips of version 1, and walks.
    First,
    /// The same, and trips of version 2.
    Both,
    /// Trips of version 2 without those of version 1, and walks.
    SecondAlone,
    /// Trips of version 1 whose definition was edited, and walks.
    Edited,
}

trait Registers {
    fn saga<S: Saga>(&mut self, saga: S) -> Verdict;
}

struct Building(Option<ApplicationBuilder>);

impl Registers for Building {
    fn saga<S: Saga>(&mut self, saga: S) -> Verdict {
        self.0 = self.0.take().map(|builder| builder.saga(saga));
        Ok(())
    }
}

impl Registers for SagaHandlers {
    fn saga<S: Saga>(&mut self, saga: S) -> Verdict {
        let handler = SagaHandler::new(saga)
            .map_err(|error| Broken::new("the suite's own definition", "one to follow", error.to_string()))?;
        let added = self.add(handler);
        assert!(added, "the suite's own sagas are different ones");
        Ok(())
    }
}

impl Code {
    fn register(self, hands: &Hands, to: &mut impl Registers) -> Verdict {
        match self {
            Self::First => to.saga(Trip(hands.clone()))?,
            Self::Edited => to.saga(TripEdited(hands.clone()))?,
            Self::SecondAlone => to.saga(TripAnew(hands.clone()))?,
            Self::Both => {
                to.saga(Trip(hands.clone()))?;
                to.saga(TripAnew(hands.clone()))?;
            }
        }
        to.saga(Walk(hands.clone()))
    }
}

/// A storage, a ledger that outlives every process, and a clock.
pub(crate) struct World<'t> {
    trial: &'t Trial<Orchestrated>,
    place: Option<crate::Place>,
    kept: Arc<Orchestrated>,
    pub(crate) ledger: Arc<Ledger>,
    ahead: Arc<AtomicU64>,
    pace: Pace,
}

impl<'t> World<'t> {
    /// The trial's own place.
    #[track_caller]
    pub(crate) fn open(trial: &'t Trial<Orchestrated>) -> impl Future<Output = Verdict<Self>> {
        let opened = trial.open();
        async move { Ok(Self::over(trial, None, opened.await?)) }
    }

    /// A place beside it, that nobody has used.
    pub(crate) async fn beside(trial: &'t Trial<Orchestrated>) -> Verdict<Self> {
        let place = crate::Place::fresh()
            .map_err(|error| Broken::new("making a place", "a fresh folder", error.to_string()))?;
        let opened = trial.open_at(&place).await;
        let opened = opened.map_err(|error| Broken::new("opening a storage", "it opens", error))?;
        Ok(Self::over(trial, Some(place), opened))
    }

    fn over(trial: &'t Trial<Orchestrated>, place: Option<crate::Place>, kept: Arc<Orchestrated>) -> Self {
        let pace = Pace::of(trial.patience() * 2, kept.slowness);
        Self { trial, place, kept, ledger: Arc::default(), ahead: Arc::default(), pace }
    }

    /// The same, whose steps know of what was done before.
    pub(crate) fn with_ledger(self, ledger: Arc<Ledger>) -> Self {
        Self { ledger, ..self }
    }

    /// Turns the clock of all processes forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), SeqCst);
    }

    /// The time of all processes.
    pub(crate) fn now(&self) -> Timestamp {
        Times { ahead: self.ahead.clone(), tasks: tokio::runtime::Handle::current() }.now()
    }

    /// A process with this code. Another one is another process, or the next life.
    #[track_caller]
    pub(crate) fn start(&self, code: Code) -> impl Future<Output = Verdict<Process>> {
        self.start_with(code, Cut::never(), |storage| storage)
    }

    /// A process that dies there, and comes to the storage in this way.
    #[track_caller]
    pub(crate) fn start_with(
        &self,
        code: Code,
        cut: Arc<Cut>,
        over: impl FnOnce(Storage) -> Storage,
    ) -> impl Future<Output = Verdict<Process>> {
        let at = Location::caller();
        async move {
            let process = self.try_start(code, cut, over).await?;
            process.map_err(|error| Broken::new("starting a process with sagas", "it starts", error).at(at))
        }
    }

    /// The same, where that may be refused.
    pub(crate) async fn try_start(
        &self,
        code: Code,
        cut: Arc<Cut>,
        over: impl FnOnce(Storage) -> Storage,
    ) -> Verdict<Result<Process, String>> {
        // As another process would come to it, where there is one to come to.
        let opened = match (&self.place, self.trial.has(Capability::Durability)) {
            (_, false) => self.kept.clone(),
            (None, true) => self.trial.open().await?,
            (Some(place), true) => {
                let opened = self.trial.open_at(place).await;
                opened.map_err(|error| Broken::new("opening a storage again", "it opens", error))?
            }
        };
        let Orchestrated { storage, way, is_own, slowness } = (*opened).clone();
        let storage = cut.of(over(storage));
        let tasks = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Broken::new("a runtime of a process's own", "a runtime", error.to_string()))?;
        let times = Arc::new(Times { ahead: self.ahead.clone(), tasks: tasks.handle().clone() });
        let runtime = Runtime::new(times.clone(), times.clone(), times.clone(), times);
        let hands = Hands { ledger: self.ledger.clone(), sleep: runtime.sleep.clone(), cut };
        let mut handlers = SagaHandlers::new();
        code.register(&hands, &mut handlers)?;
        let lease = Duration::from_millis(400) * slowness;
        let mut builder = Building(Some(
            Application::builder(storage.clone(), runtime.clone())
                .aggregate::<Till>()
                .projection_options(ProjectionOptions::default().with_lease(lease).with_look(lease))
                .saga_options(SagaOptions::default().with_shards(2).with_lease(lease)),
        ));
        if is_own {
            code.register(&hands, &mut builder)?;
        }
        let mut process = Process { tasks: Some(tasks), orchestrator: None, application: None, pace: self.pace };
        let handlers = Arc::new(handlers);
        let building = async move {
            let application = match builder.0 {
                Some(builder) => builder.build().await.map_err(|error| error.to_string())?,
                None => return Err("it is built".to_owned()),
            };
            let parts = SagaParts { ports: application.ports(), storage, runtime, handlers };
            Ok((way(parts).await?, application))
        };
        let built = process.within(building).await?;
        Ok(built.map(|(orchestrator, application)| {
            (process.orchestrator, process.application) = (Some(orchestrator), Some(application));
            process
        }))
    }

    /// What steps of this saga have entered into its till, in order.
    pub(crate) async fn entered(&self, saga: &SagaId) -> Verdict<Vec<String>> {
        use crate::ask::{Ask, name};
        let opened = match (&self.place, self.trial.has(Capability::Durability)) {
            (None, true) => self.trial.open().await?,
            _ => self.kept.clone(),
        };
        let read = Read::stream(name(&format!("till-{}", saga.id())));
        let events = opened.storage.events.all(read).await?;
        let what = |payload: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
            value["what"].as_str().unwrap_or_default().to_owned()
        };
        Ok(events.iter().map(|event| what(&event.payload)).collect())
    }

    /// Waits until it is so.
    #[track_caller]
    pub(crate) fn until<W: Into<String>, F: Fn() -> bool>(
        &self,
        what: W,
        is_so: F,
    ) -> impl Future<Output = Verdict> + use<W, F> {
        let (at, what) = (Location::caller(), what.into());
        let mut looks = self.pace.begin();
        async move {
            while !is_so() {
                if !looks.again().await {
                    return Err(Broken::new("what the steps have done", what, "it is not so").at(at));
                }
            }
            Ok(())
        }
    }

    /// Waits until this step of the saga was called so often.
    #[track_caller]
    pub(crate) fn called(&self, saga: &SagaId, step: &str, times: usize) -> impl Future<Output = Verdict> {
        let (ledger, id, name) = (self.ledger.clone(), saga.id().to_string(), step.to_owned());
        let what = format!("{step} of {saga} called {times} times");
        let is_so = move || ledger.calls_of(&id, &name).len() >= times;
        self.until(what, is_so)
    }
}

/// A trip's start.
pub(crate) fn trip(id: &str, script: Script) -> StartSaga {
    started(TRIP, id, &script)
}

/// A walk's start.
pub(crate) fn walk(id: &str, script: Script) -> StartSaga {
    started(WALK, id, &script)
}

#[track_caller]
fn started(name: &str, id: &str, script: &Script) -> StartSaga {
    match SagaId::new(name, id) {
        Ok(saga) => StartSaga::new(saga, serde_json::to_value(script).unwrap_or_default()),
        Err(error) => panic!("the suite itself uses a bad id: {error}"),
    }
}

/// A process: an application on a runtime of its own, and the orchestrator on trial. Dropped, it is killed.
pub(crate) struct Process {
    tasks: Option<tokio::runtime::Runtime>,
    orchestrator: Option<Arc<dyn SagaOrchestrator>>,
    application: Option<Application>,
    pace: Pace,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(tasks) = self.tasks.take() {
            // Whatever it is about, none of its tasks is polled again.
            tasks.shutdown_background();
        }
    }
}

impl Process {
    /// Does this in the process.
    async fn within<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Verdict<T> {
        let Some(tasks) = &self.tasks else {
            return Err(Broken::new("a process of the suite", "it lives", "it was killed"));
        };
        let done = tasks.spawn(work).await;
        done.map_err(|error| Broken::new("what a process does", "no panic", error.to_string()))
    }

    /// Asks the orchestrator.
    async fn asked<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Arc<dyn SagaOrchestrator>) -> BoxFuture<'static, Result<T, SagaError>> + Send + 'static,
    ) -> Verdict<Result<T, SagaError>> {
        let Some(orchestrator) = self.orchestrator.clone() else {
            return Err(Broken::new("a process of the suite", "an orchestrator", "none"));
        };
        self.within(async move { ask(orchestrator).await }).await
    }

    /// Kills it, as it is.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Has it come to its end in good order.
    pub(crate) async fn shut_down(mut self) -> Verdict {
        if let Some(application) = self.application.take() {
            self.within(async move { application.shutdown().await }).await?;
        }
        Ok(())
    }

    /// Starts a saga, where that may be refused.
    pub(crate) async fn starts(
        &self,
        start: StartSaga,
    ) -> Verdict<Result<portolan_kernel::ports::SagaStarted, SagaError>> {
        self.asked(move |sagas| Box::pin(async move { sagas.start(start).await })).await
    }

    /// Starts a saga.
    #[track_caller]
    pub(crate) fn start(&self, start: StartSaga) -> impl Future<Output = Verdict<SagaId>> {
        let at = Location::caller();
        async move {
            let what = format!("a start of {}", start.saga);
            let started = answered(self.starts(start).await?, &what, at)?;
            Ok(started.saga)
        }
    }

    #[track_caller]
    pub(crate) fn status(&self, saga: &SagaId) -> impl Future<Output = Verdict<SagaSummary>> {
        let (at, saga) = (Location::caller(), saga.clone());
        async move {
            let what = format!("the status of {saga}");
            answered(self.asked(move |sagas| Box::pin(async move { sagas.status(saga).await })).await?, &what, at)
        }
    }

    /// A status, where that may be refused.
    pub(crate) async fn try_status(&self, saga: &SagaId) -> Verdict<Result<SagaSummary, SagaError>> {
        let saga = saga.clone();
        self.asked(move |sagas| Box::pin(async move { sagas.status(saga).await })).await
    }

    /// A page of a list, where that may be refused.
    pub(crate) async fn lists(&self, list: ListSagas) -> Verdict<Result<portolan_kernel::ports::SagaPage, SagaError>> {
        self.asked(move |sagas| Box::pin(async move { sagas.list(list).await })).await
    }

    /// A page of facts, where that may be refused.
    pub(crate) async fn page(
        &self,
        saga: &SagaId,
        after: Option<Revision>,
        limit: u32,
    ) -> Verdict<Result<portolan_kernel::ports::SagaTimeline, SagaError>> {
        let saga = saga.clone();
        self.asked(move |sagas| Box::pin(async move { sagas.timeline(saga, after, limit).await })).await
    }

    /// What is registered.
    #[track_caller]
    pub(crate) fn describes(&self) -> impl Future<Output = Verdict<Vec<portolan_kernel::ports::SagaInfo>>> {
        let at = Location::caller();
        async move {
            let described = self.asked(move |sagas| Box::pin(async move { sagas.describe().await })).await?;
            answered(described, "a description of what is registered", at)
        }
    }

    /// Has an operator act, where that may be refused.
    pub(crate) async fn tries_to(&self, saga: &SagaId, action: SagaAction) -> Verdict<Result<SagaSummary, SagaError>> {
        let metadata = Metadata { actor: Some("olga".into()), ..Metadata::default() };
        let act = ActOnSaga::new(saga.clone(), action).with_note(format!("to {action}")).with_metadata(metadata);
        self.asked(move |sagas| Box::pin(async move { sagas.act(act).await })).await
    }

    /// Has the operator olga act, with a note.
    #[track_caller]
    pub(crate) fn acts(&self, saga: &SagaId, action: SagaAction) -> impl Future<Output = Verdict<SagaSummary>> {
        let (at, saga) = (Location::caller(), saga.clone());
        async move { answered(self.tries_to(&saga, action).await?, &format!("{action} of {saga}"), at) }
    }

    /// All facts of a saga.
    #[track_caller]
    pub(crate) fn facts(&self, saga: &SagaId) -> impl Future<Output = Verdict<Vec<SagaEvent>>> {
        let (at, saga) = (Location::caller(), saga.clone());
        async move {
            let (mut facts, mut after) = (Vec::new(), None);
            loop {
                let page = answered(self.page(&saga, after, 100).await?, &format!("the timeline of {saga}"), at)?;
                for fact in page.facts {
                    let payload = fact.data.to_string();
                    let what = format!("{}: {payload}", fact.event_type);
                    let fact: Result<SagaEvent, _> = variant::decode(&fact.event_type, payload.as_bytes());
                    facts.push(fact.map_err(|error| Broken::new(what, "a fact of a saga", error.to_string()).at(at))?);
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => return Ok(facts),
                }
            }
        }
    }

    /// The facts of a saga in short words.
    #[track_caller]
    pub(crate) fn trace(&self, saga: &SagaId) -> impl Future<Output = Verdict<String>> {
        let facts = self.facts(saga);
        async move { Ok(facts.await?.iter().map(word).collect::<Vec<_>>().join(", ")) }
    }

    /// Waits until this word is on record.
    #[track_caller]
    pub(crate) fn records(&self, saga: &SagaId, word: &str) -> impl Future<Output = Verdict> {
        let (at, saga, word) = (Location::caller(), saga.clone(), word.to_owned());
        async move {
            let mut looks = self.pace.begin();
            loop {
                let trace = self.trace(&saga).await.map_err(|broken| broken.at(at))?;
                if trace.split(", ").any(|fact| fact == word) {
                    return Ok(());
                }
                if !looks.again().await {
                    return Err(Broken::new(format!("the facts of {saga}"), word, trace).at(at));
                }
            }
        }
    }

    /// Waits until the saga is in this phase.
    #[track_caller]
    pub(crate) fn reaches(&self, saga: &SagaId, phase: SagaPhase) -> impl Future<Output = Verdict<SagaSummary>> {
        let (at, saga) = (Location::caller(), saga.clone());
        async move {
            let mut looks = self.pace.begin();
            loop {
                let summary = self.status(&saga).await.map_err(|broken| broken.at(at))?;
                if summary.status.phase == phase {
                    return Ok(summary);
                }
                if summary.status.phase.is_end() || !looks.again().await {
                    let trace = self.trace(&saga).await.unwrap_or_default();
                    let actual = format!("{}; lacks {:?}; {trace}", summary.status, summary.lacks);
                    return Err(Broken::new(format!("how {saga} stands"), phase.to_string(), actual).at(at));
                }
            }
        }
    }

    /// Waits until all pages of the list together are so.
    #[track_caller]
    pub(crate) fn lists_until(
        &self,
        list: ListSagas,
        what: &str,
        is_so: impl Fn(&[SagaSummary]) -> bool,
    ) -> impl Future<Output = Verdict<Vec<SagaSummary>>> {
        let (at, what) = (Location::caller(), what.to_owned());
        async move {
            let mut looks = self.pace.begin();
            loop {
                let (mut found, mut after) = (Some(Vec::new()), list.after.clone());
                loop {
                    let page = match self.lists(list.clone().after(after)).await? {
                        // An index may have to catch up first.
                        Err(SagaError::Busy(_)) => {
                            found = None;
                            break;
                        }
                        page => answered(page, "a page of a list", at)?,
                    };
                    if page.sagas.len() > list.limit as usize {
                        let many = page.sagas.len().to_string();
                        return Err(Broken::new("a page of a list", format!("at most {}", list.limit), many).at(at));
                    }
                    found.get_or_insert_default().extend(page.sagas);
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                if let Some(found) = found.as_ref().filter(|found| is_so(found)) {
                    return Ok(found.clone());
                }
                if !looks.again().await {
                    let found = found.map(|found| found.iter().map(short).collect::<Vec<_>>());
                    return Err(Broken::new(format!("{list:?}"), what, format!("{found:?}")).at(at));
                }
            }
        }
    }
}

fn short(summary: &SagaSummary) -> String {
    format!("{} {}", summary.saga, summary.status.phase)
}

/// A fact in a word or two.
pub(crate) fn word(fact: &SagaEvent) -> String {
    match fact {
        SagaEvent::Started { .. } => "started".into(),
        SagaEvent::Begun { step, way, attempt, .. } => format!("{step} {way} {attempt}"),
        SagaEvent::Succeeded { step, .. } => format!("+{step}"),
        SagaEvent::Failed { step, class, .. } => format!("-{step} {class:?}").to_lowercase(),
        SagaEvent::Passed { step, .. } => format!("{step} passed"),
        SagaEvent::KeyClosed { .. } => "closed".into(),
        SagaEvent::TurnedBack { .. } => "BACK".into(),
        SagaEvent::NeedsOperator { .. } => "STOP".into(),
        SagaEvent::Acted { action, .. } => format!("({action})"),
        SagaEvent::Ended { end, .. } => end.to_string(),
        other => format!("{other:?}"),
    }
}

fn answered<T>(answer: Result<T, SagaError>, what: &str, at: &'static Location<'static>) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what, "an answer", format!("refused: {error}")).at(at))
}
