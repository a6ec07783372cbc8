//! What a process wants done.

use super::event::shared;
use super::{Effort, PlanError, ReactionError, Retry, StepPlan, Undo};
use crate::domain::Command;
use crate::values::{MAX_SAGA_NAME_BYTES, Timestamp, check_saga_name};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long one attempt at a command may take, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Something that a process wants done, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Intent {
    /// A command is to be sent, as the last step so far.
    Send {
        /// The name of the step: `{place}-{command}`, the first place being 1.
        step: String,
        /// The command.
        command: SentCommand,
        /// How it is tried.
        run: Effort,
    },
    /// A timer is set, or set anew.
    SetTimer {
        /// Its name.
        timer: String,
        /// When it is due.
        due: Timestamp,
    },
    /// A timer is set no more.
    CancelTimer {
        /// Its name.
        timer: String,
    },
    /// The process ends, once all its commands have been sent.
    End,
}

/// A command as it is recorded: what a step of a process sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SentCommand {
    /// Its name.
    pub name: String,
    /// Its fields.
    #[serde(with = "shared")]
    pub body: Arc<Value>,
}

/// Collects what one reaction of a process wants done.
#[derive(Debug)]
pub struct Intents {
    now: Timestamp,
    longest: Duration,
    /// Steps so far.
    steps: usize,
    wanted: Vec<Intent>,
    wrong: Option<ReactionError>,
}

impl Intents {
    /// Those of a reaction at this time, of a process that has so many steps and whose commands may each take so long.
    #[must_use]
    pub fn new(now: Timestamp, steps: usize, longest: Duration) -> Self {
        Self { now, longest, steps, wanted: Vec::new(), wrong: None }
    }

    /// Has a command sent, once those before it have been. It is tried five times, each attempt for at most 30 s, unless
    /// what is returned says otherwise.
    ///
    /// However often it is tried, it takes effect once: its id is the key of its step (SG-1).
    pub fn send<C: Command>(&mut self, command: C) -> SendIntent<'_> {
        let run = Effort::new(Retry::default(), TIMEOUT);
        match serde_json::to_value(&command) {
            Ok(body) => {
                self.steps += 1;
                let step = step_name(self.steps, C::NAME);
                let command = SentCommand { name: C::NAME.into(), body: Arc::new(body) };
                self.wanted.push(Intent::Send { step, command, run });
                SendIntent { run: self.wanted.last_mut().and_then(Intent::run) }
            }
            Err(error) => {
                let why = format!("the command {} has no JSON form: {error}", C::NAME);
                self.wrong.get_or_insert(ReactionError::Unrecordable(why));
                SendIntent { run: None }
            }
        }
    }

    /// Sets a timer, which fires once after this time, and not before, or sets it anew. It is set for a millisecond at least.
    ///
    /// The time is counted from the reaction. An event may be received some time after it was recorded; so what it started is
    /// never due too early, and an event that was recorded before another is received before it.
    pub fn set_timer(&mut self, timer: impl Into<String>, after: Duration) {
        let timer = timer.into();
        // What is less than a microsecond counts as one.
        let whole = after.max(Duration::from_millis(1)).saturating_add(Duration::from_nanos(999));
        let due = self.now.plus(whole);
        // At the end of time there is no later.
        let set = if due > self.now { Intent::SetTimer { timer, due } } else { Intent::CancelTimer { timer } };
        self.wanted.push(set);
    }

    /// Has a timer fire no more. One that is not set is none.
    pub fn cancel_timer(&mut self, timer: impl Into<String>) {
        self.wanted.push(Intent::CancelTimer { timer: timer.into() });
    }

    /// Ends the process, once all its commands have been sent. That is final: no event is received and no timer fires any
    /// more.
    pub fn end(&mut self) {
        self.wanted.push(Intent::End);
    }

    /// What was asked for, as it is recorded.
    ///
    /// # Errors
    ///
    /// [`ReactionError::Unrecordable`], [`ReactionError::Effort`] and [`ReactionError::TooLong`].
    pub fn finish(self) -> Result<Vec<Intent>, ReactionError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        for intent in &self.wanted {
            if let Some(plan) = intent.step()? {
                let (takes, longest) = (plan.run.longest(), self.longest);
                if takes > longest {
                    return Err(ReactionError::TooLong { step: plan.name, takes, longest });
                }
            }
        }
        Ok(self.wanted)
    }
}

/// A command that a process wants sent. Dropping this changes nothing.
#[derive(Debug)]
pub struct SendIntent<'a> {
    run: Option<&'a mut Effort>,
}

impl SendIntent<'_> {
    /// Tried so often.
    pub fn retry(mut self, retry: Retry) -> Self {
        if let Some(run) = &mut self.run {
            run.retry = retry;
        }
        self
    }

    /// One attempt may take so long; then it counts as unknown, and is tried again under the same key.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Some(run) = &mut self.run {
            run.timeout = timeout;
        }
        self
    }
}

impl Intent {
    fn run(&mut self) -> Option<&mut Effort> {
        match self {
            Self::Send { run, .. } => Some(run),
            _ => None,
        }
    }

    /// The step that it adds to the plan, if it adds one.
    pub(super) fn step(&self) -> Result<Option<StepPlan>, PlanError> {
        let Self::Send { step, command, run } = self else { return Ok(None) };
        let (command, run) = (Some(command.clone()), run.clone());
        let plan = StepPlan { name: step.clone(), conditional: false, run, undo: Undo::Pivot, settle: None, command };
        check_saga_name("step", &plan.name)?;
        plan.check()?;
        Ok(Some(plan))
    }
}

/// The name of the step at this place.
fn step_name(place: usize, command: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c) => c,
        _ => '-',
    };
    let start = place_prefix(place);
    let room = MAX_SAGA_NAME_BYTES.saturating_sub(start.len());
    start.chars().chain(command.chars().map(plain).take(room)).collect()
}

/// What the name of the step at this place begins with: so no two steps have one name.
pub(super) fn place_prefix(place: usize) -> String {
    [&*place.to_string(), "-"].concat()
}
