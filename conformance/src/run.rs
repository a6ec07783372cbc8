//! Running a law: a thread and a runtime a check, a time limit, and a verdict.

use crate::child::role_in;
use crate::report::Report;
use crate::{Broken, Check, Effort, Fixture, Lack, Law, Place, Port, Trial, Verdict};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};

/// Set to anything, it leaves out stores whose backend cannot be reached, and a line says so.
pub const SKIP_UNREACHABLE: &str = "PORTOLAN_SKIP_UNREACHABLE";

/// The seconds that one check may take; 300 unless set.
pub const TIME_LIMIT: &str = "PORTOLAN_LAWS_TIME_LIMIT";

/// What became of a law.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It holds.
    Kept {
        /// How many checks ran.
        checks: usize,
        /// What is lacked, so that checks were turned round, and the author's reasons.
        lacked: BTreeMap<&'static str, &'static str>,
    },
    /// No check found it broken, and one could not be made: the law is not proven.
    NotRun {
        /// The check that could not be made.
        check: &'static str,
        /// Why, and how to mend that.
        why: &'static str,
    },
    /// It does not.
    Broken {
        /// The check that found it.
        check: &'static str,
        /// How.
        broken: Broken,
    },
    /// The store could not be opened at all.
    Unreachable(Broken),
}

/// What a check that found nothing broken has to say: what it needs and is lacked, with the author's reasons,
/// and why the check could not be made.
type Checked = (Vec<(&'static str, &'static str)>, Option<&'static str>);

/// Runs laws against what one fixture opens.
pub struct Runner<P: Port + ?Sized> {
    fixture: Arc<dyn Fn() -> Fixture<P> + Send + Sync>,
    effort: Effort,
    time_limit: Duration,
    entry: Option<String>,
}

impl<P: Port + ?Sized> Clone for Runner<P> {
    fn clone(&self) -> Self {
        let Self { fixture, effort, time_limit, entry } = self;
        Self { fixture: fixture.clone(), effort: *effort, time_limit: *time_limit, entry: entry.clone() }
    }
}

impl<P: Port + ?Sized> core::fmt::Debug for Runner<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runner").field("effort", &self.effort).field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl<P: Port + ?Sized> Runner<P> {
    /// Runs laws against what `fixture` opens.
    pub fn new(fixture: impl Fn() -> Fixture<P> + Send + Sync + 'static) -> Self {
        let seconds = std::env::var(TIME_LIMIT).ok().and_then(|text| text.parse().ok()).unwrap_or(300);
        Self {
            fixture: Arc::new(fixture),
            effort: Effort::Normal,
            time_limit: Duration::from_secs(seconds),
            entry: None,
        }
    }

    /// The same, with less work and less patience.
    #[must_use]
    pub fn quick(self) -> Self {
        Self { effort: Effort::Quick, time_limit: self.time_limit.min(Duration::from_secs(20)), ..self }
    }

    /// The same, with this much time for a check.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// The same, with this test function (its path in the test binary) as what a child process runs.
    #[must_use]
    pub fn entry(self, test: impl Into<String>) -> Self {
        Self { entry: Some(test.into()), ..self }
    }

    /// Runs one law: each check on a fresh place, until one is broken.
    #[must_use]
    pub fn judge(&self, law: &Law<P>) -> Outcome {
        let (mut lacked, mut not_run) = (BTreeMap::new(), None);
        for check in &law.checks {
            match self.judge_check(law.name, check) {
                Ok((lacks, why)) => {
                    lacked.extend(lacks);
                    not_run = not_run.or(why.map(|why| (check.name, why)));
                }
                Err((broken, true)) => return Outcome::Unreachable(broken),
                Err((broken, false)) => return Outcome::Broken { check: check.name, broken },
            }
        }
        match not_run {
            Some((check, why)) => Outcome::NotRun { check, why },
            None => Outcome::Kept { checks: law.checks.len(), lacked },
        }
    }

    /// Runs one check, or what it turns into where something that it needs is lacked.
    fn judge_check(&self, law: &'static str, check: &Check<P>) -> Result<Checked, (Broken, bool)> {
        let (run, needs) = (check.run, check.needs);
        let place = Place::fresh()
            .map_err(|error| (Broken::new("making a place", "a fresh folder", error.to_string()), false))?;
        self.on_a_thread(law, place, move |trial, runtime| {
            let lacked = trial.fixture.lacked();
            let lacked: Vec<_> = needs.iter().filter_map(|need| Some((*need, *lacked.get(need)?))).collect();
            let verdict = runtime.block_on(async {
                match lacked.first() {
                    Some((lack, _)) => P::without(trial, *lack).await,
                    None => run(trial).await,
                }
            });
            let unreachable = trial.unreachable.borrow().is_some();
            let lacked = lacked.into_iter().map(|(lack, why)| (lack.as_str(), why)).collect();
            verdict.map(|()| (lacked, trial.not_run.get())).map_err(|broken| (broken, unreachable))
        })
        .unwrap_or_else(|broken| Err((broken, false)))
    }

    /// In a child process of this law: plays its role, and gives how that went. `None` in any other process.
    ///
    /// For a test of one's own that is the [`entry`](Self::entry) of child processes; [`run()`] does it itself.
    #[must_use]
    pub fn played(&self, law: &Law<P>) -> Option<Verdict> {
        let (role, place) = role_in(law.name)?;
        Some(self.play(law, &role, place))
    }

    fn play(&self, law: &Law<P>, role: &str, place: Place) -> Result<(), Broken> {
        let role = law.roles.iter().find(|known| known.name == role);
        let run = role.ok_or_else(|| Broken::new("the role of a child", "one of the law's", "another"))?.run;
        self.on_a_thread(law.name, place, move |trial, runtime| runtime.block_on(run(trial)))?
    }

    /// Runs a function on a thread and a runtime of its own, for no longer than the limit. What does not
    /// end is left behind: a thread cannot be stopped from outside.
    fn on_a_thread<T: Send + 'static>(
        &self,
        law: &'static str,
        place: Place,
        run: impl FnOnce(&Trial<P>, &tokio::runtime::Runtime) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        let (fixture, effort, entry, limit) = (self.fixture.clone(), self.effort, self.entry.clone(), self.time_limit);
        let (done, ended) = mpsc::channel();
        let spawned = std::thread::Builder::new().name(law.to_string()).spawn(move || {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(4)
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                let trial = Trial {
                    fixture: fixture(),
                    place,
                    effort,
                    law,
                    entry,
                    unreachable: None.into(),
                    opened: false.into(),
                    not_run: None.into(),
                };
                let result = run(&trial, &runtime);
                runtime.shutdown_background();
                Ok(result)
            }));
            // Nobody listens after the limit.
            let _ = done.send(result.unwrap_or_else(|panic| Err(words_of(&*panic))));
        });
        match spawned.map(|_| ended.recv_timeout(limit)) {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(panic))) => Err(Broken::new("the check as a whole", "no panic", panic)),
            Ok(Err(_)) => Err(Broken::new("the check as a whole", format!("an end within {limit:?}"), "it hangs")),
            Err(error) => Err(Broken::new("the check as a whole", "a thread to run on", error.to_string())),
        }
    }
}

fn words_of(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_string())
}

/// The body of every generated test: runs the law and panics if it is broken; in a child, plays its role.
///
/// # Panics
///
/// When the law is broken, or the store cannot be reached.
#[track_caller]
pub fn run<P: Port + ?Sized>(law: &Law<P>, fixture: fn() -> Fixture<P>, package: &str, test: &str) {
    let entry = test.split_once("::").map_or(test, |(_, path)| path);
    let runner = Runner::new(fixture).entry(entry);
    if let Some(played) = runner.played(law) {
        return played.unwrap_or_else(|broken| panic!("in a child process:\n{broken}"));
    }
    let fixture = fixture();
    let blind = if law.id == "ES-26" { fixture.blindness().clone() } else { BTreeMap::new() };
    // Past the test harness, which would swallow it: what is held less strictly is not left unsaid.
    for (damage, reason) in &blind {
        let _ = std::io::stderr().write_all(format!("{test}: BLIND TO {damage:?}: {reason}\n").as_bytes());
    }
    let outcome = runner.judge(law);
    Report { port: P::NAME, package, test, law: law.id, outcome: &outcome, blind: &blind }.write();
    match outcome {
        Outcome::Kept { checks: 0, .. } => panic!("{}: no check ran, so nothing is proven", law.id),
        Outcome::Kept { .. } => {}
        Outcome::NotRun { check, why } => {
            let _ = std::io::stderr().write_all(format!("{test}: NOT RUN: {check}: {why}\n").as_bytes());
        }
        Outcome::Unreachable(why) if std::env::var_os(SKIP_UNREACHABLE).is_some() => {
            // Past the test harness, which would swallow it: nothing is left out silently.
            let line =
                format!("{test}: NOT RUN, the store cannot be opened ({SKIP_UNREACHABLE} is set): {}\n", why.actual);
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        Outcome::Unreachable(broken) => panic!("{}", sentence(law, "open", &broken)),
        Outcome::Broken { check, broken } => panic!("{}", sentence(law, check, &broken)),
    }
}

fn sentence<P: Port + ?Sized>(law: &Law<P>, check: &str, broken: &Broken) -> String {
    format!("\n{} ({}) is broken: {}\n{broken} ({check})\n", law.id, law.name, law.sentence)
}
