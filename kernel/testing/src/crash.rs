//! A scenario whose process dies at every call that outlives it, and has to come to the same end.
//!
//! Whatever an application does between two calls of its storage is lost when its process dies. So what has to be tried is
//! finite: a death before each call, and one after it whose answer nobody hears. [`crash_points`] runs a scenario once to
//! learn its calls, then once for each death, and compares the ends.
//!
//! A *process* is what the scenario builds over [`Process`]: its tasks, its memory, its sleepers. When it dies they are
//! dropped where they stand; what they say to ports then is not heard, what they spawn never runs, and leases are
//! not released. Then the scenario begins again in a new process over the same storage. It is written so that it can:
//! "until it is done", as a supervisor that starts a program again, and a client that repeats what was not answered.
//!
//! # What it rests on
//!
//! Each run does the same until it dies. One thread runs all tasks in the order in which they are woken; a call of a store
//! is one step, for whose answer the thread waits, also where it comes from another thread; time stands while anything
//! can go on, and jumps to the end of the next sleep when nothing can. A run whose calls are others than before is reported
//! as [`Problem::Diverged`]. A run that is not done within [`steps`](CrashPoints::steps) is ended, and reported.
//!
//! A dead process holds its leases until their time is over. So whoever waits for rows waits again when a wait ends: a bus that
//! answers [`NotCaughtUp`](portolan_kernel::ports::CommandError::NotCaughtUp) after a crash is right.
//!
//! # What it costs
//!
//! Two runs a boundary, one after another: those of a saga of three steps in an application of its own have some 134
//! boundaries, which is 268 runs and, without optimisation, about 40 s. `[profile.test] opt-level = 1` makes them several times
//! faster. While a failure is mended, [`only`](CrashPoints::only) runs the one that the panic names, and nothing else.
//!
//! What it does not try: calls of two tasks that are under way at once (a call is one step here), stores that lose what
//! they have acknowledged (their laws are for that), and deaths of the machine.

mod effects;
mod life;
mod ports;
mod process;
mod report;
mod views;

pub use effects::Effects;
pub use life::{Boundary, Crash};
pub use process::Process;
pub use report::{CrashFailure, CrashReport, Problem};
pub use views::{rows, streams};

use crate::difference::difference;
use crate::runtime::{TestRuntime, said};
use core::fmt;
use core::time::Duration;
use effects::Receiver;
use life::wait;
use portolan_kernel::application::Storage;
use portolan_kernel::ports::Clock;
use portolan_kernel::values::Timestamp;
use process::End;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One run, whose storage is to be made.
#[derive(Clone)]
#[non_exhaustive]
pub struct Trial {
    /// Its number, from 0, the run without a crash. For a file's name.
    pub number: u64,
    /// The clock of its processes, for the store: keys expire by it.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Crashes of processes over a storage that is made for each run, empty.
///
/// ```
/// # use portolan_kernel::application::Storage;
/// # use portolan_kernel::ports::AppendError;
/// # use portolan_kernel::values::*;
/// # use portolan_testing::{MockEventStore, MockSnapshotStore, crash::Crash};
/// # use std::sync::{Arc, Mutex};
/// # /// An append under a key, once.
/// # fn store_in_memory() -> Storage {
/// #     let keys = Arc::new(Mutex::new(Vec::new()));
/// #     let (mut events, appended) = (MockEventStore::new(), keys.clone());
/// #     events.expect_append().returning(move |append: Append| {
/// #         appended.lock().unwrap().push(append.key.unwrap().id);
/// #         Ok(Appended::new(None, None, vec![]))
/// #     });
/// #     events.expect_recall().returning(move |_, id| {
/// #         let is_there = keys.lock().unwrap().contains(&id);
/// #         Ok(is_there.then(|| Recalled::new(Appended::new(None, None, vec![]), [0; 32])))
/// #     });
/// #     Storage::new(Arc::new(events), Arc::new(MockSnapshotStore::new()))
/// # }
/// # fn paid() -> Append { Append::default().key(IdempotencyKey::new(scope(), id(), [0; 32])) }
/// # fn scope() -> Name { Name::new("payment").unwrap() }
/// # fn id() -> Name { Name::new("p-1").unwrap() }
/// use portolan_testing::crash_points;
///
/// let payment = crash_points(async |_| store_in_memory())
///     .run(async |process| {
///         let storage = process.storage();
///         if storage.events.recall(scope(), id()).await.unwrap().is_none() {
///             process.effects().perform("p-1", "pay 5 to ann").await;
///             storage.events.append(paid()).await.unwrap();
///         }
///     })
///     .observe(async |storage| storage.events.recall(scope(), id()).await.unwrap().is_some());
/// let report = payment.check();
/// assert_eq!((report.boundaries.len(), report.tried.len()), (3, 6));
/// // The receiver has been told twice where the process died between effect and append, and honoured the key.
/// assert_eq!(report.effects["pay 5 to ann"], 2);
/// ```
///
/// An application is built within the scenario, over `process.storage()` and `process.runtime()`. On SQLite the storage is
/// a file a run: `SqliteStore::builder(folder.join(format!("{}.db", trial.number))).clock(trial.clock)`. A store whose
/// calls need an asynchronous runtime needs one whose threads are others than the test's.
pub fn crash_points<F, S>(fresh: F) -> CrashPoints<F>
where
    F: AsyncFn(Trial) -> S,
    S: Into<Storage>,
{
    let (steps, pairs, down) = (20_000, 0, Duration::ZERO);
    CrashPoints { fresh, scenario: (), observation: (), steps, pairs, down, only: None }
}

/// A scenario to be crashed at every boundary; made by [`crash_points`].
#[must_use = "nothing is run before `check`"]
pub struct CrashPoints<F, R = (), V = ()> {
    fresh: F,
    scenario: R,
    observation: V,
    steps: u64,
    pairs: usize,
    down: Duration,
    only: Option<Vec<Crash>>,
}

impl<F, R, V> fmt::Debug for CrashPoints<F, R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashPoints").field("steps", &self.steps).field("only", &self.only).finish_non_exhaustive()
    }
}

impl<F> CrashPoints<F> {
    /// What a process does until all is done, whatever processes before it have done. It ends when it is.
    pub fn run<R: AsyncFn(&Process)>(self, scenario: R) -> CrashPoints<F, R> {
        let Self { fresh, observation, steps, pairs, down, only, .. } = self;
        CrashPoints { fresh, scenario, observation, steps, pairs, down, only }
    }
}

impl<F, R> CrashPoints<F, R> {
    /// What is to be the same at the end of each run, besides effects: what a reader of the storage sees, such as
    /// [`streams`] and [`rows`]. What differs rightly, such as times and event ids, is to be left out.
    pub fn observe<O: PartialEq + fmt::Debug, V: AsyncFn(&Storage) -> O>(self, observation: V) -> CrashPoints<F, R, V> {
        let Self { fresh, scenario, steps, pairs, down, only, .. } = self;
        CrashPoints { fresh, scenario, observation, steps, pairs, down, only }
    }
}

impl<F, R, V> CrashPoints<F, R, V> {
    /// How many steps a process may take: calls, turns of tasks, jumps of time. 20,000 unless set.
    pub fn steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// How long nobody lives between two processes. No time unless set.
    pub fn down_for(self, down: Duration) -> Self {
        Self { down, ..self }
    }

    /// Besides, at most so many runs in which a second process dies too: all pairs of boundaries, or evenly spread
    /// ones of them.
    pub fn twice(self, runs: usize) -> Self {
        Self { pairs: runs, ..self }
    }

    /// This run alone: a process a crash, one after another, and a last one that lives.
    pub fn only(self, crashes: impl IntoIterator<Item = Crash>) -> Self {
        Self { only: Some(crashes.into_iter().collect()), ..self }
    }
}

/// So many failures are enough.
const MOST_FAILURES: usize = 10;

/// What is told of the last calls of a process that never ends.
const LAST_CALLS: usize = 8;

/// The time at which each run begins.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// The end of a run.
#[derive(PartialEq, Debug)]
struct Final<O> {
    state: O,
    effects: BTreeMap<String, u64>,
}

/// A run: the calls of each of its processes, and how it ended.
struct Ran<O> {
    lives: Vec<Vec<Boundary>>,
    end: Result<Final<O>, Problem>,
    came: BTreeMap<String, u64>,
}

impl<F, R, V, S, O> CrashPoints<F, R, V>
where
    F: AsyncFn(Trial) -> S,
    S: Into<Storage>,
    R: AsyncFn(&Process),
    V: AsyncFn(&Storage) -> O,
    O: PartialEq + fmt::Debug,
{
    /// Crashes the scenario at every boundary, and says what came of it.
    ///
    /// # Panics
    ///
    /// When a run does not end as the one without a crash. The panic names the boundary, says what differs, and how to run
    /// that one alone.
    #[track_caller]
    pub fn check(&self) -> CrashReport {
        let report = self.report();
        assert!(report.failures.is_empty(), "{report}");
        report
    }

    /// The same, and failures are left to the caller.
    #[must_use]
    pub fn report(&self) -> CrashReport {
        let whole = self.trial(0, &[], &[]);
        let boundaries = whole.lives.concat();
        let mut report = CrashReport::new(boundaries.clone());
        report.has_come(whole.came);
        let right = match whole.end {
            Ok(right) if !boundaries.is_empty() => right,
            end => {
                let problem = end.err().unwrap_or(Problem::NoBoundary);
                report.failures.push(CrashFailure { crashes: Vec::new(), boundaries: Vec::new(), problem });
                return report;
            }
        };
        if let Some(crashes) = &self.only {
            self.judge(&mut report, &right, crashes.clone(), &[boundaries]);
            return report;
        }
        // The calls of the second process, where it came to the right end.
        let mut seconds = Vec::new();
        for first in deaths(boundaries.len()) {
            let known = core::slice::from_ref(&boundaries);
            seconds.extend(self.judge(&mut report, &right, vec![first], known).map(|calls| (first, calls)));
        }
        let all =
            seconds.iter().flat_map(|(first, calls)| deaths(calls.len()).map(move |second| (first, calls, second)));
        let count = all.clone().count();
        let runs = self.pairs.min(count);
        let mut evenly = (0..runs).map(|run| run * count / runs).peekable();
        for (n, (first, calls, second)) in all.enumerate() {
            if evenly.next_if_eq(&n).is_some() {
                self.judge(&mut report, &right, vec![*first, second], &[boundaries.clone(), calls.clone()]);
            }
        }
        report
    }

    /// Runs with these crashes, compares the end with the right one, and gives the calls of the last process if they are
    /// the same.
    fn judge(
        &self,
        report: &mut CrashReport,
        right: &Final<O>,
        crashes: Vec<Crash>,
        known: &[Vec<Boundary>],
    ) -> Option<Vec<Boundary>> {
        if report.failures.len() >= MOST_FAILURES {
            return None;
        }
        report.tried.push(crashes.clone());
        let mut ran = self.trial(report.tried.len() as u64, &crashes, known);
        report.has_come(ran.came);
        let problem = match ran.end {
            Ok(end) if end == *right => return ran.lives.pop(),
            Ok(end) => Problem::Different(difference(right, &end)),
            Err(problem) => problem,
        };
        let died_at = |(calls, crash): (&Vec<Boundary>, &Crash)| calls.get(crash.call().checked_sub(1)?).cloned();
        let boundaries = ran.lives.iter().zip(&crashes).map_while(died_at).collect();
        report.failures.push(CrashFailure { crashes, boundaries, problem });
        None
    }

    /// One run: a process a crash, and a last one that lives. `known` are the calls of processes before, where they are.
    fn trial(&self, number: u64, crashes: &[Crash], known: &[Vec<Boundary>]) -> Ran<O> {
        let mut runtime = TestRuntime::held();
        runtime.clock.set(Timestamp::from_micros(0).plus(BEGINNING));
        let clock: Arc<dyn Clock> = runtime.clock.clone();
        let storage = wait((self.fresh)(Trial { number, clock })).into();
        let receiver = Arc::new(Receiver::default());
        let mut ran = Ran { lives: Vec::new(), end: Err(Problem::NoBoundary), came: BTreeMap::new() };
        for (n, crash) in crashes.iter().copied().map(Some).chain([None]).enumerate() {
            let process = Process::new(&storage, runtime.clone(), &receiver, (crash, self.steps));
            let end = process.run((self.scenario)(&process));
            let calls = process.calls();
            let diverged = crash.and_then(|crash| diverged(&end, &calls, crash, known.get(n)));
            ran.lives.push(calls);
            match diverged.or_else(|| problem(end, self.steps, &ran.lives[n])) {
                None if crash.is_some() => {}
                None => {
                    let observed = catch_unwind(AssertUnwindSafe(|| wait((self.observation)(&storage))));
                    let observed = observed.map_err(|panic| Problem::Panicked(said(&*panic)));
                    ran.end = observed.map(|state| Final { state, effects: receiver.counted() });
                }
                Some(problem) => {
                    ran.end = Err(problem);
                    break;
                }
            }
            runtime = runtime.successor();
            runtime.advance(self.down);
        }
        ran.came = receiver.came();
        ran
    }
}

/// A death before and one after each of so many calls.
fn deaths(calls: usize) -> impl Iterator<Item = Crash> + Clone {
    (1..=calls).flat_map(|call| [Crash::Before(call), Crash::After(call)])
}

/// Where a process that was to die did something else than before.
fn diverged(end: &End, calls: &[Boundary], crash: Crash, known: Option<&Vec<Boundary>>) -> Option<Problem> {
    let at = |n: usize, expected: Option<&Boundary>| {
        Some(Problem::Diverged { call: n + 1, expected: expected.cloned(), actual: calls.get(n).cloned() })
    };
    let known = known.map(|known| known.get(..crash.call()).unwrap_or(known));
    if let Some((n, (expected, _))) =
        known.and_then(|known| known.iter().zip(calls).enumerate().find(|(_, (expected, actual))| expected != actual))
    {
        return at(n, Some(expected));
    }
    match end {
        End::Done => at(calls.len(), known.and_then(|known| known.get(calls.len()))),
        _ => None,
    }
}

fn problem(end: End, steps: u64, calls: &[Boundary]) -> Option<Problem> {
    let last = || calls[calls.len().saturating_sub(LAST_CALLS)..].to_vec();
    match end {
        End::Done | End::Crashed => None,
        End::Exhausted => Some(Problem::NeverDone { steps, last: last() }),
        End::Stuck => Some(Problem::Stuck { last: last() }),
        End::Panicked(said) => Some(Problem::Panicked(said)),
    }
}
