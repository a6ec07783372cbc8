//! A saga as drivers hold it: its plan, and its functions by name, with the handler and its types taken away.

use super::functions::{Functions, StepFuture};
use super::process_handler::{Arrival, Reacting};
use super::{
    Conditions, FailedIntent, Intents, Outcomes, Plan, PlanError, Process, Reaction, ReactionError, Saga, Settling,
    StepContext, StepError, StepPlan, Undo,
};
use crate::domain::history::HistoryError;
use crate::domain::{Codec, CodecError, DecodeError, Json, Upcasters, query_of};
use crate::ports::Violation;
use crate::values::{Name, Query, Recorded, check_saga_name as check_name};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde::Serialize;
use serde_json::Value;

/// A saga's handler, registered. A clone shares it.
#[derive(Clone)]
pub struct SagaHandler {
    name: Name,
    version: u32,
    description: &'static str,
    schema: Option<Value>,
    plan: Arc<Plan>,
    /// Those that a process receives.
    events: Option<Query>,
    receives_history: bool,
    handler: Arc<dyn Handler>,
}

impl SagaHandler {
    /// This handler, with its definition judged.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when the definition cannot be followed.
    pub fn new<S: Saga>(saga: S) -> Result<Self, PlanError> {
        let name = check_name("saga", S::NAME)?;
        if S::VERSION == 0 {
            return Err(PlanError::Version { saga: S::NAME.into() });
        }
        let definition = S::definition();
        let plan = Arc::new(definition.plan()?);
        let steps = Arc::new(definition.into_functions().collect());
        let (version, description, schema) = (S::VERSION, S::DESCRIPTION, S::schema());
        let handler = Arc::new(Typed { saga: Arc::new(saga), steps });
        let (events, receives_history) = (None, false);
        Ok(Self { name, version, description, schema, plan, events, receives_history, handler })
    }

    /// This process manager. Its events are read by the histories of their types.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when its name, its version, or its events are none.
    pub fn process<P: Process>(process: P) -> Result<Self, PlanError> {
        let name = check_name("process", P::NAME)?;
        if P::VERSION == 0 {
            return Err(PlanError::Version { saga: P::NAME.into() });
        }
        let plan = Plan::of_process(P::LONGEST);
        plan.check()?;
        let (version, description, events) = (P::VERSION, P::DESCRIPTION, Some(query_of::<P::Event>()?));
        let handler = Arc::new(Reacting::new(process)?);
        let (plan, schema, receives_history) = (Arc::new(plan), None, P::RECEIVES_HISTORY);
        Ok(Self { name, version, description, schema, plan, events, receives_history, handler })
    }

    /// The same handler, whose process, if it is one, reads events by these upcasters too. Without this it reads by the
    /// histories of its own events.
    ///
    /// # Errors
    ///
    /// [`HistoryError`], which is a mistake of the application.
    pub fn reading_by(self, upcasters: &Arc<Upcasters>) -> Result<Self, HistoryError> {
        Ok(match self.handler.reading_by(upcasters)? {
            Some(handler) => Self { handler, ..self },
            None => self,
        })
    }

    /// Whether a process receives what was in the log before it was deployed ([`Process::RECEIVES_HISTORY`]).
    #[must_use]
    pub fn receives_history(&self) -> bool {
        self.receives_history
    }

    /// Whether it is a process's.
    #[must_use]
    pub fn is_process(&self) -> bool {
        self.events.is_some()
    }

    /// The events that a process receives; `None` for a saga that is none.
    #[must_use]
    pub fn events(&self) -> Option<&Query> {
        self.events.as_ref()
    }

    /// To which processes a recorded event is to be fed, and what is to be done about it there: none unless it is a process's
    /// handler and the event is for one.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] with the event's place.
    pub fn arrivals(&self, recorded: &Arc<Recorded>) -> Result<Vec<Arrival>, DecodeError> {
        self.handler.arrivals(recorded)
    }

    /// Tells the [hook](Upcasters::on_skipped) of the application that this event was passed over.
    pub(crate) fn tell_skipped(&self, recorded: &Recorded) {
        self.handler.tell_skipped(recorded);
    }

    /// The name of the definition.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The version of the definition.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it does, for a person; empty when nobody said.
    #[must_use]
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// The JSON Schema (2020-12) of its input; `None` when nobody said.
    #[must_use]
    pub fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    /// The definition as data.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The input, from JSON that somebody outside has sent, in the one form in which it is recorded and compared.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn input(&self, json: &[u8]) -> Result<Value, Vec<Violation>> {
        self.handler.input(json)
    }

    /// The same of JSON that is no new input, whatever this code would say to it.
    pub(crate) fn read(&self, json: &[u8]) -> Result<Value, Vec<Violation>> {
        self.handler.read(json)
    }

    /// The functions for a saga with this plan and this input, which are those that it recorded.
    ///
    /// # Errors
    ///
    /// [`Misfit`]: this code cannot go on with it (SG-8).
    pub fn open(&self, plan: &Arc<Plan>, input: &Value) -> Result<OpenSaga, Misfit> {
        if plan.process.is_some() != self.is_process() {
            return Err(Misfit::Kind);
        }
        for step in plan.steps().filter(|step| step.command.is_none()) {
            let has = self.handler.has(&step.name).ok_or_else(|| Misfit::Step { step: step.name.clone() })?;
            let needed = [
                (matches!(step.undo, Undo::Compensation(_)) && !has.compensation, "compensation"),
                (matches!(step.settle, Some(Settling::Resolve(_))) && !has.resolution, "resolution"),
                (step.conditional && !has.condition, "condition"),
            ];
            if let Some((_, what)) = needed.into_iter().find(|(is_missing, _)| *is_missing) {
                return Err(Misfit::Function { step: step.name.clone(), what });
            }
        }
        Ok(OpenSaga { plan: plan.clone(), at_work: self.handler.open(input).map_err(Misfit::Input)? })
    }
}

impl fmt::Debug for SagaHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaHandler").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

/// The functions for one saga, with its input read. A clone shares them.
#[derive(Clone)]
pub struct OpenSaga {
    plan: Arc<Plan>,
    at_work: Arc<dyn AtWork>,
}

impl OpenSaga {
    /// Runs the step that the context names, the way it names: the step itself, its compensation, or what finds out whether
    /// it has happened. For a step that is settled by [`Settling::Keys`], that is the step itself, over a bus that closes
    /// keys.
    ///
    /// # Errors
    ///
    /// The step's. [`StepError::Retry`] when there is no such function, which [`SagaHandler::open`] has ruled out.
    pub fn run(&self, step: StepContext) -> StepFuture<'static, Value> {
        let resolves = matches!(self.plan.step(step.step()), Some(StepPlan { settle: Some(Settling::Resolve(_)), .. }));
        let missing = || -> StepFuture<'static, Value> {
            Box::pin(core::future::ready(Err(StepError::retry("this process has no function for the step"))))
        };
        self.at_work.run(step, resolves).unwrap_or_else(missing)
    }
}

impl Conditions for OpenSaga {
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Result<Option<bool>, ReactionError> {
        Ok(self.at_work.holds(step, outcomes))
    }

    fn fired(&self, timer: &str, state: Option<&Value>, intents: Intents) -> Result<Reaction, ReactionError> {
        self.at_work.fired(timer, state, intents)
    }

    fn failed(
        &self,
        failed: &FailedIntent,
        state: Option<&Value>,
        intents: Intents,
    ) -> Result<Option<Reaction>, ReactionError> {
        self.at_work.failed(failed, state, intents)
    }
}

impl fmt::Debug for OpenSaga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSaga").finish_non_exhaustive()
    }
}

/// Why this code cannot go on with a saga that was started by another (SG-8). The saga waits for a process that can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// One of them is a process.
    #[error(
        "of the saga and this code one is a process and the other is none; give the new one another name, or raise its version"
    )]
    Kind,
    /// The code has no such step.
    #[error(
        "the saga has a step {step} that this code has not; register the handler that it was started by beside the new one, \
         under its version"
    )]
    Step {
        /// The step.
        step: String,
    },
    /// The code's step has no such function.
    #[error(
        "the saga's step {step} has a {what} that this code has not; register the handler that it was started by beside the \
         new one, under its version"
    )]
    Function {
        /// The step.
        step: String,
        /// Which function.
        what: &'static str,
    },
    /// The recorded input is none of the code's.
    #[error(
        "the saga's input cannot be read by this code: {0}; let the input's type take older forms, or raise the version"
    )]
    Input(#[source] CodecError),
}

/// Which functions a step has.
pub(super) struct Has {
    compensation: bool,
    resolution: bool,
    condition: bool,
}

pub(super) trait Handler: Send + Sync {
    fn has(&self, step: &str) -> Option<Has>;
    fn input(&self, json: &[u8]) -> Result<Value, Vec<Violation>>;
    fn read(&self, json: &[u8]) -> Result<Value, Vec<Violation>>;
    fn open(&self, input: &Value) -> Result<Arc<dyn AtWork>, CodecError>;

    fn arrivals(&self, recorded: &Arc<Recorded>) -> Result<Vec<Arrival>, DecodeError> {
        let _ = recorded;
        Ok(Vec::new())
    }

    /// It reads no events.
    fn tell_skipped(&self, recorded: &Recorded) {
        let _ = recorded;
    }

    /// `None`: it reads no events.
    fn reading_by(&self, upcasters: &Arc<Upcasters>) -> Result<Option<Arc<dyn Handler>>, HistoryError> {
        let _ = upcasters;
        Ok(None)
    }
}

pub(super) trait AtWork: Send + Sync {
    fn run(&self, step: StepContext, resolves: bool) -> Option<StepFuture<'static, Value>>;
    fn holds(&self, step: &str, outcomes: &Outcomes) -> Option<bool>;

    fn fired(&self, timer: &str, state: Option<&Value>, intents: Intents) -> Result<Reaction, ReactionError> {
        let _ = (timer, state, intents);
        Err(ReactionError::NoProcess)
    }

    fn failed(
        &self,
        failed: &FailedIntent,
        state: Option<&Value>,
        intents: Intents,
    ) -> Result<Option<Reaction>, ReactionError> {
        let _ = (failed, state, intents);
        Err(ReactionError::NoProcess)
    }
}

struct Typed<S: Saga> {
    saga: Arc<S>,
    steps: Arc<BTreeMap<String, Functions<S>>>,
}

impl<S: Saga> Handler for Typed<S> {
    fn has(&self, step: &str) -> Option<Has> {
        self.steps.get(step).map(|functions| Has {
            compensation: functions.compensate.is_some(),
            resolution: functions.resolve.is_some(),
            condition: functions.condition.is_some(),
        })
    }

    fn input(&self, json: &[u8]) -> Result<Value, Vec<Violation>> {
        let input: S::Input = Json::decode_object(json).map_err(violation)?;
        let violations = S::validate(&input);
        if violations.is_empty() { written(&input) } else { Err(violations) }
    }

    fn read(&self, json: &[u8]) -> Result<Value, Vec<Violation>> {
        let input: S::Input = Json::decode_object(json).map_err(violation)?;
        written(&input)
    }

    fn open(&self, input: &Value) -> Result<Arc<dyn AtWork>, CodecError> {
        let input = Json::decode(alloc::format!("{input}").as_bytes())?;
        Ok(Arc::new(Opened { saga: self.saga.clone(), steps: self.steps.clone(), input: Arc::new(input) }))
    }
}

fn written(input: &impl Serialize) -> Result<Value, Vec<Violation>> {
    serde_json::to_value(input).map_err(|error| violation(CodecError::Encode(alloc::format!("{error}"))))
}

fn violation(error: CodecError) -> Vec<Violation> {
    let violation = error.into_violation();
    alloc::vec![violation.unwrap_or_else(|error| Violation::new("", "malformed", alloc::format!("{error}")))]
}

struct Opened<S: Saga> {
    saga: Arc<S>,
    steps: Arc<BTreeMap<String, Functions<S>>>,
    input: Arc<S::Input>,
}

impl<S: Saga> AtWork for Opened<S> {
    fn run(&self, step: StepContext, resolves: bool) -> Option<StepFuture<'static, Value>> {
        let function = self.steps.get(step.step().as_str())?.of(step.way(), resolves)?;
        Some(function(self.saga.clone(), self.input.clone(), step))
    }

    fn holds(&self, step: &str, outcomes: &Outcomes) -> Option<bool> {
        let condition = self.steps.get(step)?.condition.as_ref()?;
        Some(condition(&self.input, outcomes))
    }
}
