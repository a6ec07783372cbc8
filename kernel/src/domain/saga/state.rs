//! The state of a saga: the fold of its facts.

use super::process_state::ProcessState;
use super::standing::StepState;
use super::{End, Outcomes, Plan, SagaEvent, SagaId, Standing, StepPlan};
use crate::values::Timestamp;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use serde_json::Value;

/// A saga, as its facts tell of it. What comes next is [`next`](super::next); what an attempt has come to is
/// [`answer`](Self::answer); what an operator wants is [`act`](Self::act).
///
/// Equal facts, equal states, where keys are [kept](Self::keeping_keys_for) for as long. A clone shares plan, input and outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct SagaState {
    pub(super) id: SagaId,
    pub(super) start: Option<Start>,
    pub(super) steps: Vec<StepState>,
    /// Facts so far.
    pub(super) facts: u32,
    /// Why it turned back, and when.
    pub(super) turned_back: Option<(String, Timestamp)>,
    pub(super) hold: Option<Hold>,
    pub(super) wish: Option<Wish>,
    /// What an operator has said last in leaving something as it is.
    pub(super) said: Option<String>,
    /// Of a process alone.
    pub(super) process: Option<ProcessState>,
    pub(super) end: Option<(End, Vec<String>, Timestamp)>,
    /// How long a key is counted on; `None`: for good.
    pub(super) keys_for: Option<Duration>,
}

/// How it began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Start {
    pub(super) at: Timestamp,
    pub(super) version: u32,
    pub(super) plan: Arc<Plan>,
    pub(super) input: Arc<Value>,
    pub(super) deadline: Option<Timestamp>,
}

/// It needs an operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hold {
    pub(super) steps: Vec<String>,
    pub(super) reason: String,
    pub(super) since: Timestamp,
}

/// What an operator wants, until it has come about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    Back(String),
    Abort,
}

/// A fact that cannot follow those before it. Something else has written to the saga's stream, or it is damaged; the state
/// is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fact} cannot be the next fact of saga {saga}: {why}; read its stream from the beginning")]
#[non_exhaustive]
pub struct ImpossibleFact {
    /// The saga.
    pub saga: String,
    /// The fact's stored type.
    pub fact: &'static str,
    /// What is wrong with it here.
    pub why: String,
}

impl SagaState {
    /// Not yet started.
    #[must_use]
    pub fn new(id: SagaId) -> Self {
        let (steps, end, turned_back, hold, wish, said) = (Vec::new(), None, None, None, None, None);
        Self { id, start: None, steps, facts: 0, turned_back, hold, wish, said, process: None, end, keys_for: None }
    }

    /// The state after these facts.
    ///
    /// # Errors
    ///
    /// [`ImpossibleFact`], the first there is.
    pub fn fold<'a>(id: SagaId, facts: impl IntoIterator<Item = &'a SagaEvent>) -> Result<Self, ImpossibleFact> {
        let mut state = Self::new(id);
        facts.into_iter().try_for_each(|fact| state.apply(fact))?;
        Ok(state)
    }

    /// The first fact of a saga with this plan and this input.
    #[must_use]
    pub fn started(id: &SagaId, version: u32, plan: Arc<Plan>, input: Arc<Value>, now: Timestamp) -> SagaEvent {
        let deadline = plan.timeout.map(|timeout| now.plus(timeout));
        SagaEvent::Started { at: now, name: id.name().as_str().into(), version, plan, input, deadline }
    }

    /// Which saga.
    #[must_use]
    pub fn id(&self) -> &SagaId {
        &self.id
    }

    /// When it was started; `None` before.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.start.as_ref().map(|start| start.at)
    }

    /// The version of the definition it was started by; `None` before.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.start.as_ref().map(|start| start.version)
    }

    /// The plan it follows; `None` before it is started.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.start.as_ref().map(|start| &start.plan)
    }

    /// What it was started with; `None` before.
    #[must_use]
    pub fn input(&self) -> Option<&Arc<Value>> {
        self.start.as_ref().map(|start| &start.input)
    }

    /// When it turns back, if it has not ended and is not past its pivot.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.start.as_ref().and_then(|start| start.deadline)
    }

    /// How it ended; `None`: it has not.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end.as_ref().map(|(end, ..)| *end)
    }

    /// Whether what was done is being undone, or is undone.
    #[must_use]
    pub fn is_turned_back(&self) -> bool {
        self.turned_back.is_some()
    }

    /// Whether it cannot go on without an operator.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        self.hold.is_some()
    }

    /// Where this step stands; `None`: there is no such step.
    #[must_use]
    pub fn standing(&self, step: &str) -> Option<&Standing> {
        self.place(step).map(|at| &self.steps[at].standing)
    }

    /// Whether a pivot has happened, or counts as such, so that there is no way back.
    #[must_use]
    pub fn is_past_pivot(&self) -> bool {
        self.passed_pivot().is_some()
    }

    /// The outcomes that this step sees: those of the groups before its own; all of them on the way back.
    #[must_use]
    pub fn outcomes_for(&self, step: &str, way: super::Way) -> Outcomes {
        let before = match (way, self.place(step)) {
            (super::Way::Back, _) => usize::MAX,
            (_, Some(at)) => self.steps[at].group,
            (_, None) => 0,
        };
        let seen = self.zipped().filter(|(_, state)| state.group < before);
        Outcomes::shared(seen.filter_map(|(plan, state)| Some((plan.name.clone(), state.outcome.clone()?))))
    }

    /// Whether this input is the one it was started with.
    #[must_use]
    pub fn is_of(&self, input: &Value) -> bool {
        // As they are recorded: numbers have more than one form in memory.
        let own = self.input().map(|own| crate::domain::digest(&**own));
        own.is_some_and(|own| own.is_ok() && own == crate::domain::digest(input))
    }
}

/// Within the machine.
impl SagaState {
    pub(super) fn place(&self, step: &str) -> Option<usize> {
        self.plan()?.steps().position(|plan| plan.name == step)
    }

    /// Whether an operator has aborted it, and it has not ended yet.
    pub(super) fn is_aborted(&self) -> bool {
        self.wish == Some(Wish::Abort)
    }

    /// The steps, each with its plan.
    pub(super) fn zipped(&self) -> impl Iterator<Item = (&StepPlan, &StepState)> {
        let groups = self.start.as_ref().map(|start| &*start.plan.groups).unwrap_or_default();
        groups.iter().flatten().zip(&self.steps)
    }

    /// The steps of the first group that is not finished; empty when all are.
    pub(super) fn current(&self) -> Range<usize> {
        let Some(first) = self.steps.iter().position(|step| !step.is_finished()) else {
            return self.steps.len()..self.steps.len();
        };
        let group = self.steps[first].group;
        let begin = self.steps.partition_point(|step| step.group < group);
        begin..self.steps.partition_point(|step| step.group <= group)
    }

    /// A pivot that has happened, or that an operator passed over while nobody knew.
    pub(super) fn passed_pivot(&self) -> Option<&StepPlan> {
        let is_past = |state: &StepState| match state.standing {
            Standing::Done => true,
            Standing::Passed => state.in_doubt,
            _ => false,
        };
        self.zipped().find(|(plan, state)| plan.is_pivot() && is_past(state)).map(|(plan, _)| plan)
    }

    /// A pivot that may happen yet, or may have.
    pub(super) fn pivot_at_risk(&self) -> Option<usize> {
        self.zipped()
            .position(|(plan, state)| plan.is_pivot() && !state.is_finished() && (state.in_doubt || state.is_running()))
    }

    /// The steps that are done, or may be, and are not undone.
    pub(super) fn left(&self) -> Vec<String> {
        let may_be = |state: &StepState| match &state.standing {
            Standing::Running { .. } | Standing::Done | Standing::Left => true,
            Standing::Pausing { way, .. } | Standing::Failed { way, .. } => *way == super::Way::Back || state.in_doubt,
            Standing::Passed => state.in_doubt,
            Standing::Waiting | Standing::Undone => false,
        };
        let left = self.zipped().filter(|(plan, state)| plan.undo != super::Undo::Harmless && may_be(state));
        left.map(|(plan, _)| plan.name.clone()).collect()
    }
}
