//! One process: its tasks, run one after another in time that jumps, until it is done or dead.

use super::effects::{Effects, Receiver};
use super::life::{Boundary, Crash, Death, Life};
use super::ports::storage_of;
use crate::runtime::{TestRuntime, said};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use futures::future::{BoxFuture, LocalBoxFuture};
use portolan_kernel::application::{Runtime, Storage};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

/// What a scenario runs on: a process that may die at any call of its storage or of its effects.
///
/// All that it does has to go through these: time passes when all of its tasks wait, and no other clock or thread is waited
/// for.
#[derive(Debug)]
pub struct Process {
    storage: Storage,
    runtime: TestRuntime,
    effects: Effects,
    life: Arc<Life>,
}

impl Process {
    /// Over this storage, to die here.
    pub(super) fn new(
        storage: &Storage,
        runtime: TestRuntime,
        receiver: &Arc<Receiver>,
        (crash, steps): (Option<Crash>, u64),
    ) -> Self {
        let life = Arc::new(Life::new(crash, steps));
        let effects = Effects::new(receiver.clone(), life.clone());
        Self { storage: storage_of(storage, &life), runtime, effects, life }
    }

    /// The storage, which outlives the process.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.storage.clone()
    }

    /// What it runs on. Tasks and sleepers die with it; the clock goes on, and ids are never given again.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime.runtime()
    }

    /// The world outside.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.effects.clone()
    }

    /// Its calls so far.
    pub(super) fn calls(&self) -> Vec<Boundary> {
        self.life.calls()
    }

    /// Runs the scenario and what it spawns until it is done or dead. Nothing of it runs on then.
    pub(super) fn run<'a>(&'a self, scenario: impl Future<Output = ()> + 'a) -> End {
        let mut tasks = Tasks::default();
        let mut scenario: LocalBoxFuture<'a, ()> = Box::pin(scenario);
        tasks.ready.push(SCENARIO);
        let end = loop {
            tasks.adopt(self.runtime.spawn.take());
            let Some(id) = tasks.ready.pop() else {
                match self.runtime.sleep.next() {
                    Some(pause) if self.life.step() => self.runtime.advance(pause),
                    Some(_) => break End::Exhausted,
                    None => break End::Stuck,
                }
                continue;
            };
            if !self.life.step() {
                break End::Exhausted;
            }
            let polled = if id == SCENARIO { tasks.poll(id, scenario.as_mut()) } else { tasks.poll_spawned(id) };
            match (self.life.death(), polled) {
                (Some(Death::Crashed), _) => break End::Crashed,
                (Some(Death::Exhausted), _) => break End::Exhausted,
                (None, Err(panic)) => break End::Panicked(panic),
                (None, Ok(Poll::Ready(()))) if id == SCENARIO => break End::Done,
                (None, Ok(_)) => {}
            }
        };
        drop(scenario);
        drop(tasks);
        // What is spawned while a process dies, as by those who tidy up when they are dropped, never runs.
        while !self.runtime.spawn.is_empty() {
            drop(self.runtime.spawn.take());
        }
        end
    }
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The scenario is done.
    Done,
    /// It died where it was to.
    Crashed,
    /// It took more steps than it was given.
    Exhausted,
    /// All of it waits, and nothing will come.
    Stuck,
    /// It panicked.
    Panicked(String),
}

const SCENARIO: usize = 0;

/// The tasks that a process has spawned, by number, and which of them are to be polled, in the order of being woken.
#[derive(Default)]
struct Tasks {
    spawned: BTreeMap<usize, BoxFuture<'static, ()>>,
    adopted: usize,
    ready: Arc<Ready>,
}

impl Tasks {
    fn adopt(&mut self, tasks: Vec<BoxFuture<'static, ()>>) {
        for task in tasks {
            self.adopted += 1;
            self.spawned.insert(self.adopted, task);
            self.ready.push(self.adopted);
        }
    }

    fn poll_spawned(&mut self, id: usize) -> Result<Poll<()>, String> {
        // A task that has ended may be woken still.
        let Some(mut task) = self.spawned.remove(&id) else { return Ok(Poll::Ready(())) };
        let polled = self.poll(id, task.as_mut())?;
        if polled.is_pending() {
            self.spawned.insert(id, task);
        }
        Ok(polled)
    }

    /// Polls it; an error says what a panic said.
    fn poll(&self, id: usize, task: Pin<&mut (dyn Future<Output = ()> + '_)>) -> Result<Poll<()>, String> {
        let waker = Waker::from(Arc::new(WakeTask { id, ready: self.ready.clone() }));
        let mut context = Context::from_waker(&waker);
        catch_unwind(AssertUnwindSafe(|| task.poll(&mut context))).map_err(|panic| said(&*panic))
    }
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<usize>>);

impl Ready {
    fn push(&self, id: usize) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&id) {
            ready.push_back(id);
        }
    }

    fn pop(&self) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct WakeTask {
    id: usize,
    ready: Arc<Ready>,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.id);
    }
}
