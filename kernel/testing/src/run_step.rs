//! Steps of sagas at work, over buses that a test looks into.

use crate::difference::right;
use crate::ran_step::{RanStep, Seen};
use async_trait::async_trait;
use core::fmt;
use core::future::IntoFuture;
use futures::future::BoxFuture;
use portolan_kernel::domain::saga::{OpenSaga, Plan, Saga, SagaHandler, SagaId, Settling, StepContext, Undo, Way};
use portolan_kernel::ports::{
    Answer, Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError,
    QueryInfo, Receipt,
};
use portolan_kernel::values::{Metadata, Name, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs a step of a saga with this handler and this input, once it is awaited: the real function, in its first attempt, over
/// buses that a test looks into.
///
/// Commands are recorded, and accepted with an empty receipt unless [`commands`](RunStep::commands) says otherwise. Queries are
/// unknown unless [`queries`](RunStep::queries) does. The input goes through JSON, as a driver's does.
///
/// ```
/// # use portolan_kernel::domain::Command;
/// # use portolan_kernel::domain::saga::{Definition, Saga, Step, StepContext};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Clone)] struct Transfer { from: String, amount: u64 }
/// # #[derive(Serialize, Deserialize)] struct Withdraw { account: String, amount: u64 }
/// # impl Command for Withdraw { const NAME: &'static str = "withdraw"; }
/// # struct Transfers;
/// # impl Transfers {
/// #     async fn debit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
/// #         step.send(Withdraw { account: transfer.from.clone(), amount: transfer.amount }).await?;
/// #         Ok(())
/// #     }
/// # }
/// # impl Saga for Transfers {
/// #     const NAME: &'static str = "transfer-money";
/// #     type Input = Transfer;
/// #     fn definition() -> Definition<Self> { Definition::new().step(Step::new("debit", Self::debit)) }
/// # }
/// use portolan_kernel::domain::saga::StepError;
/// use portolan_kernel::ports::CommandError;
/// use portolan_testing::{MockCommandBus, Sent, run_step};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let transfer = Transfer { from: "ann".into(), amount: 5 };
/// run_step(Transfers, "debit", transfer.clone())
///     .await
///     .then_sends([Sent::of(Withdraw { account: "ann".into(), amount: 5 })])
///     .then_succeeds(());
///
/// let mut closed = MockCommandBus::new();
/// closed.expect_dispatch().returning(|_| Err(CommandError::Denied("no".into())));
/// run_step(Transfers, "debit", transfer)
///     .commands(closed)
///     .await
///     .then_fails(&StepError::refused("denied", "not allowed: no"));
/// # });
/// ```
///
/// # Panics
///
/// The saga's definition, or the input, is wrong, or there is no such step.
#[track_caller]
pub fn run_step<S: Saga>(saga: S, step: &str, input: S::Input) -> RunStep {
    let name = S::NAME;
    let handler = right(SagaHandler::new(saga), format_args!("{name} cannot be followed"));
    let plan = handler.plan().clone();
    if plan.step(step).is_none() {
        let steps: Vec<_> = plan.steps().map(|step| &*step.name).collect();
        panic!("{name} has no step {step}; it has {}", steps.join(", "));
    }
    let json = right(serde_json::to_vec(&input), format_args!("the input of {name} has no JSON"));
    let input = match handler.input(&json) {
        Ok(input) => input,
        Err(violations) => panic!("the input of {name} is invalid ({})", crate::outcome::listed(&violations)),
    };
    let open = right(handler.open(&plan, &input), format_args!("{name} cannot run"));
    RunStep {
        saga: SagaId::new(name, "test").expect("the handler has this name"),
        step: step.to_owned(),
        way: Way::Forward,
        attempt: 1,
        started_at: Timestamp::default(),
        outcomes: BTreeMap::new(),
        metadata: Metadata::default(),
        commands: Arc::new(Accepting),
        queries: Arc::new(NoQueries),
        open,
        plan,
    }
}

/// A step that is about to run, once it is awaited.
#[must_use = "nothing runs before it is awaited"]
pub struct RunStep {
    saga: SagaId,
    step: String,
    way: Way,
    attempt: u32,
    started_at: Timestamp,
    outcomes: BTreeMap<String, Value>,
    metadata: Metadata,
    commands: Arc<dyn CommandBus>,
    queries: Arc<dyn QueryBus>,
    open: OpenSaga,
    plan: Arc<Plan>,
}

impl RunStep {
    /// Of a saga with this id; else `test`.
    ///
    /// # Panics
    ///
    /// It is no id.
    #[track_caller]
    pub fn of_saga(self, id: &str) -> Self {
        let saga = right(SagaId::new(self.saga.name(), id), "there is no such saga");
        Self { saga, ..self }
    }

    /// In this attempt.
    pub fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// Of a saga that was started then; else at the epoch.
    pub fn started_at(self, started_at: Timestamp) -> Self {
        Self { started_at, ..self }
    }

    /// Its compensation runs instead.
    ///
    /// # Panics
    ///
    /// It has none.
    #[track_caller]
    pub fn back(self) -> Self {
        let has = self.plan.step(&self.step).is_some_and(|step| matches!(step.undo, Undo::Compensation(_)));
        assert!(has, "{} has no compensation", self.step);
        Self { way: Way::Back, ..self }
    }

    /// What finds out whether it has happened runs instead.
    ///
    /// # Panics
    ///
    /// It has no resolution.
    #[track_caller]
    pub fn settle(self) -> Self {
        let has = self.plan.step(&self.step).is_some_and(|step| matches!(step.settle, Some(Settling::Resolve(_))));
        assert!(has, "{} has no resolution", self.step);
        Self { way: Way::Settle, ..self }
    }

    /// With this outcome of another step.
    ///
    /// # Panics
    ///
    /// There is no such step, or the outcome has no JSON.
    #[track_caller]
    pub fn outcome(mut self, of: &str, outcome: impl Serialize) -> Self {
        assert!(self.plan.step(of).is_some(), "there is no step {of}, and so no outcome of it");
        let outcome = right(serde_json::to_value(outcome), format_args!("the outcome of {of} has no JSON"));
        self.outcomes.insert(of.to_owned(), outcome);
        self
    }

    /// With this metadata of the saga: correlation, actor, tenant.
    pub fn metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// Over this bus, such as a [`MockCommandBus`](crate::MockCommandBus). What is sent is recorded still.
    pub fn commands(self, commands: impl CommandBus + 'static) -> Self {
        Self { commands: Arc::new(commands), ..self }
    }

    /// Over this bus, such as a [`MockQueryBus`](crate::MockQueryBus).
    pub fn queries(self, queries: impl QueryBus + 'static) -> Self {
        Self { queries: Arc::new(queries), ..self }
    }
}

impl IntoFuture for RunStep {
    type Output = RanStep;
    type IntoFuture = BoxFuture<'static, RanStep>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { saga, step, way, attempt, .. } = self;
            let bus = Arc::new(Recording { bus: self.commands, sent: Mutex::new(Vec::new()) });
            let context = StepContext::new(saga.clone(), &step, bus.clone(), self.queries)
                .expect("the plan has this step")
                .attempting(way, attempt)
                .with_start(self.started_at)
                .with_outcomes(self.outcomes.into_iter().collect())
                .with_metadata(self.metadata);
            let result = self.open.run(context).await;
            let sent = bus.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
            RanStep { saga, step, way, sent, result }
        })
    }
}

impl fmt::Debug for RunStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RunStep");
        debug.field("saga", &self.saga).field("step", &self.step).field("way", &self.way);
        debug.field("attempt", &self.attempt).field("outcomes", &self.outcomes).finish_non_exhaustive()
    }
}

/// Records what is sent, and passes it on.
struct Recording {
    bus: Arc<dyn CommandBus>,
    sent: Mutex<Vec<Seen>>,
}

#[async_trait]
impl CommandBus for Recording {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let bytes = match &command.body {
            Body::Typed(command) => command.encode().unwrap_or_else(|error| panic!("a command has no JSON: {error}")),
            Body::Encoded(bytes, _) => bytes.clone(),
        };
        // What is no JSON is shown as text.
        let as_text = |_| Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(as_text);
        let id = command.id.as_ref().map(Name::to_string);
        let seen = Seen { name: command.name.to_string(), id, body };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        self.bus.dispatch(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }
}

/// Every command goes well, and nothing happens.
struct Accepting;

#[async_trait]
impl CommandBus for Accepting {
    async fn dispatch(&self, _: CommandEnvelope) -> Result<Receipt, CommandError> {
        Ok(Receipt::none())
    }

    fn commands(&self) -> Vec<CommandInfo> {
        Vec::new()
    }
}

/// There is no query.
struct NoQueries;

#[async_trait]
impl QueryBus for NoQueries {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        Err(QueryError::UnknownQuery(query.name))
    }

    fn queries(&self) -> Vec<QueryInfo> {
        Vec::new()
    }
}
