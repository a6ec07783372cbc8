//! What came of it, for a person and for a program.

use super::life::{Boundary, Crash};
use core::fmt;
use std::collections::BTreeMap;

/// What came of crashing at every boundary.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CrashReport {
    /// The calls of the run without a crash, in order.
    pub boundaries: Vec<Boundary>,
    /// The crashes that were tried, those of one run together.
    pub tried: Vec<Vec<Crash>>,
    /// Where something was wrong. After ten no more are looked for.
    pub failures: Vec<CrashFailure>,
    /// Each effect, and how often it came in the run where it came most often, whether its receiver honours keys or not.
    pub effects: BTreeMap<String, u64>,
}

/// A run that did not end as the one without a crash.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CrashFailure {
    /// Where the processes of the run died, one after another; none in the run without a crash.
    pub crashes: Vec<Crash>,
    /// The calls that they died at, as far as the run came.
    pub boundaries: Vec<Boundary>,
    /// What was wrong.
    pub problem: Problem,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// State or effects at the end are others: the lines that they differ in, `-` as they should be and `+` as they are.
    Different(String),
    /// The process did not do what it did without a crash, so that nothing can be said. Something is not of the
    /// process's own runtime and storage, or has no order: a clock, a random number, a thread, the order of a hash map.
    Diverged {
        /// The number of the call, from 1.
        call: usize,
        /// What it was before; `None` when there was no such call.
        expected: Option<Boundary>,
        /// What it is now; `None` when the process was done before.
        actual: Option<Boundary>,
    },
    /// The last process was not done within so many steps.
    NeverDone {
        /// So many.
        steps: u64,
        /// Its last calls.
        last: Vec<Boundary>,
    },
    /// All of the last process waits: no task can go on, and no time that passes will change that.
    Stuck {
        /// Its last calls.
        last: Vec<Boundary>,
    },
    /// The scenario, one of its tasks, or the observation panicked, and said this.
    Panicked(String),
    /// The scenario made no call through its process: there is no boundary to die at.
    NoBoundary,
}

impl CrashReport {
    pub(super) fn new(boundaries: Vec<Boundary>) -> Self {
        Self { boundaries, tried: Vec::new(), failures: Vec::new(), effects: BTreeMap::new() }
    }

    pub(super) fn has_come(&mut self, effects: BTreeMap<String, u64>) {
        for (effect, times) in effects {
            let most = self.effects.entry(effect).or_insert(0);
            *most = times.max(*most);
        }
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (boundaries, tried, failures) = (self.boundaries.len(), self.tried.len(), self.failures.len());
        writeln!(f, "{boundaries} boundaries, {tried} runs with a crash, {failures} failures")?;
        for failure in &self.failures {
            writeln!(f, "\n{failure}")?;
        }
        writeln!(f, "\nThe calls without a crash:")?;
        for (number, boundary) in (1..).zip(&self.boundaries) {
            writeln!(f, "{number:>4} {boundary}")?;
        }
        for (effect, times) in &self.effects {
            writeln!(f, "The effect \"{effect}\" came {times} times at most.")?;
        }
        Ok(())
    }
}

impl fmt::Display for CrashFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.crashes.is_empty() {
            write!(f, "Without a crash")?;
        }
        for (n, crash) in self.crashes.iter().enumerate() {
            let (then, side) = (
                if n == 0 { "A crash" } else { ", then" },
                match crash {
                    Crash::Before(_) => "before",
                    Crash::After(_) => "after",
                },
            );
            write!(f, "{then} {side} call {}", crash.call())?;
            if let Some(boundary) = self.boundaries.get(n) {
                write!(f, ", {boundary}")?;
            }
        }
        write!(f, ": {}", self.problem)?;
        if !self.crashes.is_empty() {
            write!(f, "\nThis one alone: .only({:?})", self.crashes)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different(lines) => {
                write!(f, "the end is not that of the run without a crash (- as it should be, + as it is)\n{lines}")
            }
            Self::Diverged { call, expected, actual } => {
                let text = |boundary: &Option<Boundary>| {
                    boundary.as_ref().map_or_else(|| "nothing more".to_owned(), |boundary| format!("`{boundary}`"))
                };
                let (expected, actual) = (text(expected), text(actual));
                write!(
                    f,
                    "call {call} is {actual}, and was {expected}; nothing can be said of a scenario that does not do the \
                     same in each run: take time, ids, tasks and storage from its process, and order from no hash map"
                )
            }
            Self::NeverDone { steps, last } => {
                write!(f, "the scenario was not done within {steps} steps; its last calls:")?;
                list(f, last)
            }
            Self::Stuck { last } => {
                write!(f, "all of the process waits, and nothing will come; its last calls:")?;
                list(f, last)
            }
            Self::Panicked(said) => write!(f, "a panic: {said}"),
            Self::NoBoundary => {
                f.write_str("no call came through the process; build the application over `process.storage()`")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, calls: &[Boundary]) -> fmt::Result {
    calls.iter().try_for_each(|call| write!(f, "\n  {call}"))
}
