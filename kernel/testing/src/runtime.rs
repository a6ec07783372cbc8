//! A runtime by hand: a clock that is turned, ids that count, sleep that is recorded, tasks that are kept.

use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use futures::channel::oneshot;
use futures::future::{self, BoxFuture};
use portolan_kernel::application::Runtime;
use portolan_kernel::ports::{Clock, IdSource, Sleep, Spawn};
use portolan_kernel::values::{EventId, Timestamp};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that stands until it is turned.
#[derive(Debug, Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    /// A clock that stands at this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_micros()))
    }

    /// Sets it, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Ids that count from 1: `00000000-0000-0000-0000-000000000001` and so on.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    /// The `n`th id that is given, from 1.
    #[must_use]
    pub fn nth(n: u64) -> EventId {
        EventId::from_bytes(u128::from(n).to_be_bytes())
    }

    /// How many have been given.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl IdSource for CountingIds {
    fn new_id(&self) -> EventId {
        Self::nth(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// Sleep that is recorded. It is over at once, or when the test says so.
#[derive(Debug)]
pub struct TestSleep {
    at_once: bool,
    state: Mutex<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    passed: Duration,
    recorded: Vec<Duration>,
    asleep: Vec<(Duration, oneshot::Sender<()>)>,
}

impl TestSleep {
    /// Every sleep is over at once. A deadline, which is a sleep too, then passes at once.
    #[must_use]
    pub fn at_once() -> Self {
        Self { at_once: true, state: Mutex::default() }
    }

    /// A sleep is over once so much time has been let pass.
    #[must_use]
    pub fn held() -> Self {
        Self { at_once: false, state: Mutex::default() }
    }

    /// For how long each has slept, in the order of falling asleep.
    #[must_use]
    pub fn recorded(&self) -> Vec<Duration> {
        locked(&self.state).recorded.clone()
    }

    /// How many are asleep.
    #[must_use]
    pub fn asleep(&self) -> usize {
        locked(&self.state).asleep.iter().filter(|(_, wake)| !wake.is_canceled()).count()
    }

    /// How long until the next one wakes; `None` when nobody is asleep.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let state = locked(&self.state);
        let asleep = state.asleep.iter().filter(|(_, wake)| !wake.is_canceled());
        asleep.map(|(until, _)| until.saturating_sub(state.passed)).min()
    }

    /// Lets this much time pass, and wakes those whose time is over.
    pub fn pass(&self, time: Duration) {
        let mut state = locked(&self.state);
        state.passed = state.passed.saturating_add(time);
        let passed = state.passed;
        let (due, asleep) = state.asleep.drain(..).partition(|(until, _)| *until <= passed);
        state.asleep = asleep;
        drop(state);
        wake(due);
    }

    /// Wakes all.
    pub fn wake_all(&self) {
        let due = core::mem::take(&mut locked(&self.state).asleep);
        wake(due);
    }
}

/// Outside of the lock: whoever is woken may sleep again.
fn wake(due: Vec<(Duration, oneshot::Sender<()>)>) {
    for (_, sleeper) in due {
        let _ = sleeper.send(());
    }
}

impl Sleep for TestSleep {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = locked(&self.state);
        state.recorded.push(duration);
        if self.at_once {
            return Box::pin(future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        let until = state.passed.saturating_add(duration);
        state.asleep.push((until, wake));
        Box::pin(async move {
            let _ = woken.await;
        })
    }
}

/// Tasks that are kept until the test runs them.
#[derive(Default)]
pub struct TestSpawn(Mutex<Vec<BoxFuture<'static, ()>>>);

impl fmt::Debug for TestSpawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSpawn").field("tasks", &self.len()).finish()
    }
}

impl TestSpawn {
    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.0).len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tasks kept so far, to run elsewhere.
    #[must_use]
    pub fn take(&self) -> Vec<BoxFuture<'static, ()>> {
        core::mem::take(&mut *locked(&self.0))
    }

    /// Runs the tasks kept so far, and those that they spawn, to their ends. One without an end is never done.
    pub async fn run(&self) {
        loop {
            let tasks = self.take();
            if tasks.is_empty() {
                return;
            }
            future::join_all(tasks).await;
        }
    }
}

impl Spawn for TestSpawn {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        locked(&self.0).push(task);
    }
    fn catch(&self, work: &mut dyn FnMut()) -> Result<(), String> {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        caught.map_err(|panic| said(&*panic))
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|said| String::from(*said));
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "nothing in words".into())
}

/// All four, as an application takes them.
///
/// ```
/// # use portolan_kernel::application::Runtime;
/// # use portolan_testing::TestRuntime;
/// # use core::time::Duration;
/// let test = TestRuntime::held();
/// let runtime: Runtime = test.runtime();
/// let pause = runtime.sleep.sleep(Duration::from_secs(60));
/// test.advance(Duration::from_secs(60));
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async move {
/// pause.await;
/// # });
/// assert_eq!(test.sleep.recorded(), [Duration::from_secs(60)]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestRuntime {
    /// The clock.
    pub clock: Arc<TestClock>,
    /// The ids.
    pub ids: Arc<CountingIds>,
    /// The sleep.
    pub sleep: Arc<TestSleep>,
    /// The tasks.
    pub spawn: Arc<TestSpawn>,
}

impl TestRuntime {
    /// At the epoch. Sleep is over at once.
    #[must_use]
    pub fn at_once() -> Self {
        Self::with(TestSleep::at_once())
    }

    /// At the epoch. Sleep is over when [`advance`](Self::advance) has let enough time pass.
    #[must_use]
    pub fn held() -> Self {
        Self::with(TestSleep::held())
    }

    fn with(sleep: TestSleep) -> Self {
        Self { clock: Arc::default(), ids: Arc::default(), sleep: Arc::new(sleep), spawn: Arc::default() }
    }

    /// The runtime of a process after this one: the same clock, and ids that go on; nobody sleeps, and no tasks are kept.
    pub(crate) fn successor(&self) -> Self {
        Self { clock: self.clock.clone(), ids: self.ids.clone(), ..Self::held() }
    }

    /// Turns the clock forward, and wakes those whose time is over.
    pub fn advance(&self, time: Duration) {
        self.clock.advance(time);
        self.sleep.pass(time);
    }

    /// The runtime of an application.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        Runtime::new(self.clock.clone(), self.ids.clone(), self.sleep.clone(), self.spawn.clone())
    }
}
