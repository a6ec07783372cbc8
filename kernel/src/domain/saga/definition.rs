//! What a user writes: a saga, its definition, its steps.

use super::functions::{Functions, StepFn};
use super::{Effort, Outcomes, Plan, PlanError, Retry, Settling, StepPlan, Undo};
use crate::ports::Violation;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A process of several steps, each with an effect of its own, that ends with all of them done or undone.
///
/// The value is the handler: it holds what the steps need beside the buses, such as a client of a payment service. What a
/// saga is about is its [`Input`](Self::Input), which never changes; its state is the input and the outcomes of its steps.
///
/// ```
/// use core::time::Duration;
/// use portolan_kernel::domain::Command;
/// use portolan_kernel::domain::saga::{Definition, Retry, Saga, Step, StepContext, StepError};
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Transfer { from: String, to: String, amount: u64 }
/// # #[derive(Serialize, Deserialize)] struct Withdraw { account: String, amount: u64 }
/// # #[derive(Serialize, Deserialize)] struct Deposit { account: String, amount: u64 }
/// # impl Command for Withdraw { const NAME: &'static str = "withdraw"; }
/// # impl Command for Deposit { const NAME: &'static str = "deposit"; }
///
/// struct Transfers;
///
/// impl Saga for Transfers {
///     const NAME: &'static str = "transfer-money";
///     type Input = Transfer;
///
///     fn definition() -> Definition<Self> {
///         Definition::new()
///             .timeout(Duration::from_secs(60))
///             .step(Step::new("debit", Self::debit).compensate(Self::refund).retry(Retry::attempts(3)))
///             // Without a compensation: the pivot.
///             .step(Step::new("credit", Self::credit))
///     }
/// }
///
/// impl Transfers {
///     async fn debit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
///         step.send(Withdraw { account: transfer.from.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     async fn refund(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
///         step.send(Deposit { account: transfer.from.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
///
///     async fn credit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
///         step.send(Deposit { account: transfer.to.clone(), amount: transfer.amount }).await?;
///         Ok(())
///     }
/// }
/// # let plan = Transfers::definition().plan().unwrap();
/// # assert_eq!(plan.steps().map(|step| &*step.name).collect::<Vec<_>>(), ["debit", "credit"]);
/// ```
///
/// # How a step is written
///
/// It has one effect, under the step's key, and it is the same in every attempt: what it sends follows from the input and
/// the outcomes that its context has, and from nothing else. What it returns is recorded, and is small.
///
/// # Changing a definition
///
/// Sagas that run end by the plan they started with; code gives only the functions, found by name, version and step.
/// Raise [`VERSION`](Self::VERSION) with each change of what a step means, and keep the older handler registered as long as
/// sagas of its version run.
pub trait Saga: Send + Sync + Sized + 'static {
    /// The name: lower-case letters, digits, `-`, `_` and `.`.
    const NAME: &'static str;

    /// The version of the definition, from 1.
    const VERSION: u32 = 1;

    /// What it does, for a person.
    const DESCRIPTION: &'static str = "";

    /// What a saga is started with. Equal values have equal JSON, or a start that is repeated is taken for another: use a
    /// `BTreeSet`, and no `HashSet`.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Its steps. The same each time.
    fn definition() -> Definition<Self>;

    /// The JSON Schema (2020-12) of its input; `None`: none is published.
    #[must_use]
    fn schema() -> Option<Value> {
        None
    }

    /// Everything that is wrong with an input, whatever the state; a saga with such an input is not started. Empty: nothing.
    #[must_use]
    fn validate(input: &Self::Input) -> Vec<Violation> {
        let _ = input;
        Vec::new()
    }
}

/// The steps of a saga, in order.
#[must_use]
pub struct Definition<S: Saga> {
    timeout: Option<Duration>,
    groups: Vec<Vec<Step<S>>>,
}

impl<S: Saga> Definition<S> {
    /// Without steps, and without a time-out.
    pub fn new() -> Self {
        Self { timeout: None, groups: Vec::new() }
    }

    /// The whole may take so long, from its start. After that it turns back at the next boundary, with what is in flight
    /// settled first; past its pivot it goes on, and shows as overdue.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Then this step.
    pub fn step(self, step: Step<S>) -> Self {
        self.parallel([step])
    }

    /// Then these steps, begun together. What follows waits for all of them.
    pub fn parallel(mut self, steps: impl IntoIterator<Item = Step<S>>) -> Self {
        self.groups.push(steps.into_iter().collect());
        self
    }

    /// The definition as data.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when it cannot be followed.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        let twice = |step: &&Step<S>| step.is_harmless && step.functions.compensate.is_some();
        if let Some(step) = self.groups.iter().flatten().find(twice) {
            return Err(PlanError::HarmlessAndCompensated { step: step.name.clone() });
        }
        let groups = self.groups.iter().map(|group| group.iter().map(Step::plan).collect()).collect();
        let plan = Plan { timeout: self.timeout, groups, process: None };
        plan.check()?;
        Ok(plan)
    }

    /// Whether the condition of this step holds, of this input and these outcomes; `None` when there is no such step, or it
    /// has no condition. With it a test asks [`next`](super::next()) without a handler.
    #[must_use]
    pub fn holds(&self, step: &str, input: &S::Input, outcomes: &Outcomes) -> Option<bool> {
        let step = self.groups.iter().flatten().find(|own| own.name == step)?;
        step.functions.condition.as_ref().map(|condition| condition(input, outcomes))
    }

    pub(super) fn into_functions(self) -> impl Iterator<Item = (String, Functions<S>)> {
        self.groups.into_iter().flatten().map(|step| (step.name, step.functions))
    }
}

impl<S: Saga> Default for Definition<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Saga> fmt::Debug for Definition<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition").field("timeout", &self.timeout).field("groups", &self.groups).finish()
    }
}

/// How long an attempt may take, unless something else is said.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One step: an effect, how it is tried, and how it is undone.
#[must_use]
pub struct Step<S: Saga> {
    name: String,
    functions: Functions<S>,
    is_harmless: bool,
    is_outside: bool,
    run: Effort,
    compensation_retry: Option<Retry>,
    compensation_timeout: Option<Duration>,
}

impl<S: Saga> Step<S> {
    /// A step with this effect: an async method of the handler that takes the input and a
    /// [`StepContext`](super::StepContext), and returns what is recorded as its outcome. It is tried five times, each
    /// attempt for at most 30 s.
    pub fn new<T, F>(name: impl Into<String>, run: F) -> Self
    where
        T: Serialize + 'static,
        F: for<'a> StepFn<'a, S, Output = T> + 'static,
    {
        Self {
            name: name.into(),
            functions: Functions::new(run),
            is_harmless: false,
            is_outside: false,
            run: Effort::new(Retry::default(), TIMEOUT),
            compensation_retry: None,
            compensation_timeout: None,
        }
    }

    /// Undone by this. A step with neither a compensation nor [`harmless`](Self::harmless) is a pivot: once it has happened,
    /// there is no way back.
    ///
    /// It is tried ten times, whatever the error, with pauses up to a minute, each attempt for as long as one of the step;
    /// then the saga needs an operator.
    pub fn compensate<F>(mut self, compensate: F) -> Self
    where
        F: for<'a> StepFn<'a, S, Output = ()> + 'static,
    {
        self.functions.compensate(compensate);
        self
    }

    /// There is nothing to undo, and it is no pivot.
    pub fn harmless(self) -> Self {
        Self { is_harmless: true, ..self }
    }

    /// Tried so often.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.run.retry = retry;
        self
    }

    /// One attempt may take so long; then it counts as unknown, and is tried again under the same key.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.run.timeout = timeout;
        self
    }

    /// Its compensation is tried so often.
    pub fn compensation_retry(self, retry: Retry) -> Self {
        Self { compensation_retry: Some(retry), ..self }
    }

    /// One attempt to compensate it may take so long.
    pub fn compensation_timeout(self, timeout: Duration) -> Self {
        Self { compensation_timeout: Some(timeout), ..self }
    }

    /// Only if this holds, of the input and of the outcomes of the groups before; else the step is passed over. It is asked
    /// once, when the step's turn comes, and has to be pure.
    pub fn when(mut self, condition: impl Fn(&S::Input, &Outcomes) -> bool + Send + Sync + 'static) -> Self {
        self.functions.condition = Some(Box::new(condition));
        self
    }

    /// The step has its effect elsewhere than by commands of this application's own store.
    ///
    /// Whether commands have taken effect can be found out exactly, by closing their keys: what has not by then never will.
    /// Elsewhere it cannot. So when such a step remains unknown, its compensation runs, and **has to be harmless where
    /// nothing has happened**; a pivot needs an operator. With [`resolve`](Self::resolve) it is found out instead.
    pub fn outside(self) -> Self {
        Self { is_outside: true, ..self }
    }

    /// Finds out whether the step has happened, under its key: `Some` of its outcome, or `None` when it has not and, unless it
    /// is tried again, never will. It is best to change nothing; where it sees to it that the step can never happen, an operator
    /// who has a step past the pivot tried again finds it impossible.
    pub fn resolve<T, F>(mut self, resolve: F) -> Self
    where
        T: Serialize + 'static,
        F: for<'a> StepFn<'a, S, Output = Option<T>> + 'static,
    {
        self.functions.resolve(resolve);
        self
    }

    fn plan(&self) -> StepPlan {
        let timeout = self.run.timeout;
        let undo = if self.functions.compensate.is_some() {
            let mut effort = Effort::persistent(self.compensation_timeout.unwrap_or(timeout));
            if let Some(retry) = &self.compensation_retry {
                effort.retry = retry.clone();
            }
            Undo::Compensation(effort)
        } else if self.is_harmless {
            Undo::Harmless
        } else {
            Undo::Pivot
        };
        let settle = if self.functions.resolve.is_some() {
            Some(Settling::Resolve(Effort::persistent(timeout)))
        } else if self.is_outside || undo == Undo::Harmless {
            None
        } else {
            Some(Settling::Keys(Effort::persistent(timeout)))
        };
        let conditional = self.functions.condition.is_some();
        StepPlan { name: self.name.to_string(), conditional, run: self.run.clone(), undo, settle, command: None }
    }
}

impl<S: Saga> fmt::Debug for Step<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.plan()).finish()
    }
}
