//! Applications with projections over a storage on trial, one after another or side by side.

use crate::ask::{Ask, Store, name};
use crate::{Broken, Trial, Verdict};
use core::fmt;
use core::time::Duration;
use futures::future::BoxFuture;
use portolan_kernel::application::{Application, ApplicationBuilder, Ports, Runtime, Storage};
use portolan_kernel::drivers::ProjectionOptions;
use portolan_kernel::ports::{
    Clock, IdSource, ProjectionAction, ProjectionRegistry, ProjectionStatus, RowsAnswer, RowsQuestion, Sleep, Spawn,
    WaitError, WhichRows,
};
use portolan_kernel::values::{
    Append, By, Cell, Edition, EventId, KeyedRow, Name, NewEvent, Position, Query, Read, Recorded, Timestamp,
};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

type Through = Arc<dyn Fn(Ports) -> BoxFuture<'static, Result<Arc<dyn ProjectionRegistry>, String>> + Send + Sync>;

/// A storage that projections are tried on, and the way from an application to the registry on trial.
#[derive(Clone)]
pub struct Projected {
    storage: Storage,
    through: Through,
    slowness: u32,
}

impl fmt::Debug for Projected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projected").finish_non_exhaustive()
    }
}

impl Projected {
    /// Projections over this storage, and the registry of the application's own process.
    #[must_use]
    pub fn on(storage: impl Into<Storage>) -> Self {
        let through: Through = Arc::new(|ports| Box::pin(async move { Ok(ports.projections) }));
        Self { storage: storage.into(), through, slowness: 1 }
    }

    /// The same, with a registry that is come to in this way: such as a client, connected to a server of these ports.
    #[must_use]
    pub fn through<F, E: fmt::Display>(self, way: impl Fn(Ports) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn ProjectionRegistry>, E>> + Send + 'static,
    {
        let through: Through = Arc::new(move |ports| {
            let registry = way(ports);
            Box::pin(async move { registry.await.map_err(|error| error.to_string()) })
        });
        Self { through, ..self }
    }

    /// The same, over a storage that needs tens of milliseconds for a write: leases, and what is waited for where somebody
    /// has to notice that another stands still, take so many times as long.
    #[must_use]
    pub fn slower_by(self, slowness: u32) -> Self {
        Self { slowness: slowness.max(1), ..self }
    }
}

struct SystemTimes;

impl Clock for SystemTimes {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl IdSource for SystemTimes {
    fn new_id(&self) -> EventId {
        EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)))
    }
}

impl Sleep for SystemTimes {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Spawn for SystemTimes {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

/// How long a lease lives, for a store that answers at once.
pub(crate) const LEASE: Duration = Duration::from_millis(400);

/// A storage, and applications over it.
pub(crate) struct World {
    pub(crate) projected: Arc<Projected>,
    pub(crate) patience: Duration,
    options: ProjectionOptions,
}

impl World {
    /// The trial's storage.
    #[track_caller]
    pub(crate) fn open(trial: &Trial<Projected>) -> impl Future<Output = Verdict<Self>> {
        let opened = trial.open();
        let patience = trial.patience() * 2;
        async move {
            let projected = opened.await?;
            let options = ProjectionOptions::default()
                .with_lease(LEASE * projected.slowness)
                .with_look(Duration::from_millis(50))
                .with_stall(Duration::from_millis(1_500) * projected.slowness);
            Ok(Self { projected, patience, options })
        }
    }

    /// A time as it is for a store that answers at once, for this one.
    pub(crate) fn time(&self, at_once: Duration) -> Duration {
        at_once * self.projected.slowness
    }

    /// The same storage, with other options of projections.
    pub(crate) fn with(mut self, change: impl FnOnce(ProjectionOptions) -> ProjectionOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// The log.
    pub(crate) fn events(&self) -> &Store {
        &self.projected.storage.events
    }

    /// An application with what this registers. Another one is another process, or the next life.
    #[track_caller]
    pub(crate) fn start(
        &self,
        register: fn(ApplicationBuilder) -> ApplicationBuilder,
    ) -> impl Future<Output = Verdict<App>> {
        self.start_on(self.storage(), register)
    }

    /// An application that comes to the storage in this way.
    #[track_caller]
    pub(crate) fn start_on(
        &self,
        storage: Storage,
        register: fn(ApplicationBuilder) -> ApplicationBuilder,
    ) -> impl Future<Output = Verdict<App>> {
        let at = Location::caller();
        async move {
            let times = Arc::new(SystemTimes);
            let runtime = Runtime::new(times.clone(), times.clone(), times.clone(), times);
            let builder = Application::builder(storage, runtime).projection_options(self.options);
            let application = register(builder).build().await;
            let application = application.map_err(|error| {
                Broken::new("building the suite's application", "it is built", error.to_string()).at(at)
            })?;
            let registry = (self.projected.through)(application.ports()).await;
            let registry = registry
                .map_err(|error| Broken::new("coming to the registry", "a registry", error.to_string()).at(at))?;
            Ok(App { application, registry, patience: self.patience })
        }
    }

    /// The storage itself.
    pub(crate) fn storage(&self) -> Storage {
        self.projected.storage.clone()
    }

    /// Appends the events, and gives the position of the last.
    #[track_caller]
    pub(crate) fn append(&self, events: Vec<NewEvent>) -> impl Future<Output = Verdict<Position>> {
        let at = Location::caller();
        async move {
            let appended = self.events().wrote(Append::new(events)).await.map_err(|broken| broken.at(at))?;
            appended.last.ok_or_else(|| Broken::new("an append of events", "a position", "none").at(at))
        }
    }

    /// All events up to here.
    pub(crate) async fn log_until(&self, position: Option<Position>) -> Verdict<Vec<Arc<Recorded>>> {
        let mut log = self.events().all(Read::log(Query::all())).await?;
        log.retain(|event| Some(event.position) <= position);
        Ok(log)
    }
}

/// An application, and the registry on trial to it.
pub(crate) struct App {
    application: Application,
    pub(crate) registry: Arc<dyn ProjectionRegistry>,
    pub(crate) patience: Duration,
}

impl App {
    /// Shuts it down.
    pub(crate) async fn shut_down(&self) {
        self.application.shutdown().await;
    }

    #[track_caller]
    pub(crate) fn status(&self, projection: &str) -> impl Future<Output = Verdict<ProjectionStatus>> {
        let (at, projection) = (Location::caller(), name::<Name>(projection));
        async move { answered(self.registry.status(projection.clone()).await, &format!("status of {projection}"), at) }
    }

    #[track_caller]
    pub(crate) fn acts(&self, projection: &str, action: ProjectionAction) -> impl Future<Output = Verdict> {
        let (at, projection) = (Location::caller(), name::<Name>(projection));
        async move {
            let acted = self.registry.act(projection.clone(), action).await;
            answered(acted, &format!("{action:?} of {projection}"), at)
        }
    }

    /// Waits until the status is such.
    #[track_caller]
    pub(crate) fn until(
        &self,
        projection: &str,
        what: &str,
        is_so: impl Fn(&ProjectionStatus) -> bool,
    ) -> impl Future<Output = Verdict<ProjectionStatus>> {
        let (at, projection, what) = (Location::caller(), projection.to_owned(), what.to_owned());
        async move {
            let begun = Instant::now();
            loop {
                let status = self.status(&projection).await.map_err(|broken| broken.at(at))?;
                if is_so(&status) {
                    return Ok(status);
                }
                if begun.elapsed() > self.patience {
                    let looked = format!("the status of {projection} for {:?}", self.patience);
                    return Err(Broken::new(looked, what, format!("{status:?}")).at(at));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// How a wait ends.
    #[track_caller]
    pub(crate) fn waits(
        &self,
        projection: &str,
        position: Position,
    ) -> impl Future<Output = Verdict<Result<(), WaitError>>> {
        let (at, projection) = (Location::caller(), name::<Name>(projection));
        async move {
            let wait = self.registry.wait_for(projection.clone(), position);
            tokio::time::timeout(self.patience, wait).await.map_err(|_| {
                let what = format!("a wait for {projection} at {position}");
                Broken::new(what, format!("an end within {:?}", self.patience), "it goes on").at(at)
            })
        }
    }

    /// A wait that ends well.
    #[track_caller]
    pub(crate) fn reaches(&self, projection: &str, position: Position) -> impl Future<Output = Verdict> {
        let at = Location::caller();
        let wait = self.waits(projection, position);
        let what = format!("a wait for {projection} at {position}");
        async move { answered(wait.await?, &what, at) }
    }

    /// Rows, as they are answered.
    #[track_caller]
    pub(crate) fn asked(&self, question: RowsQuestion) -> impl Future<Output = Verdict<RowsAnswer>> {
        let at = Location::caller();
        async move {
            let what = format!("{question:?}");
            answered(self.registry.rows(question).await, &what, at)
        }
    }

    /// All rows from this page on, and the one edition that they are all of.
    #[track_caller]
    pub(crate) fn listed(&self, mut question: RowsQuestion) -> impl Future<Output = Verdict<(Edition, Vec<KeyedRow>)>> {
        let at = Location::caller();
        async move {
            let WhichRows::Page { limit, .. } = question.rows else {
                return Err(Broken::new("a listing", "pages", "keys").at(at));
            };
            let (mut rows, mut edition) = (Vec::<KeyedRow>::new(), None);
            loop {
                let page = self.asked(question.clone()).await.map_err(|broken| broken.at(at))?;
                let of = *edition.get_or_insert(page.edition());
                if of != page.edition() {
                    let mixed = format!("a page of {}", page.edition());
                    return Err(Broken::new("the pages of a listing", format!("pages of {of}"), mixed).at(at));
                }
                let count = page.rows.len();
                if count > limit as usize || (count == 0 && page.next.is_some()) {
                    let what = "the rows of a page that is not the last";
                    return Err(Broken::new(what, format!("1 to {limit}"), count.to_string()).at(at));
                }
                for row in page.rows {
                    if rows.iter().any(|other| other.key == row.key) {
                        return Err(Broken::new("a listing", "each row once", row.key.to_string()).at(at));
                    }
                    rows.push(row);
                }
                match page.next {
                    Some(next) => question = question.after(Some(next)),
                    None => return Ok((of, rows)),
                }
            }
        }
    }

    /// All rows by key, and the one edition that they are all of.
    #[track_caller]
    pub(crate) fn rows(
        &self,
        projection: &str,
        prefer: Option<u16>,
    ) -> impl Future<Output = Verdict<(Edition, BTreeMap<String, Vec<Cell>>)>> {
        let question = RowsQuestion::page(name(projection), By::key()).limit(7);
        let listed = self.listed(if let Some(version) = prefer { question.prefer(version) } else { question });
        async move {
            let (edition, rows) = listed.await?;
            Ok((edition, rows.into_iter().map(|row| (row.key.to_string(), row.cells)).collect()))
        }
    }
}

fn answered<T, E: fmt::Display>(answer: Result<T, E>, what: &str, at: &'static Location<'static>) -> Verdict<T> {
    answer.map_err(|error| Broken::new(what, "an answer", format!("refused: {error}")).at(at))
}
