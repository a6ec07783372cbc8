//! The ports of an application on behalf of one caller.

use super::{Access, AccessPolicy};
use crate::ports::{
    ActOnSaga, Answer, AppendError, Caller, Capabilities, CommandBus, CommandEnvelope, CommandError, CommandInfo,
    EventStore, ListSagas, ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus,
    QueryBus, QueryEnvelope, QueryError, QueryInfo, ReadError, Receipt, RowsAnswer, RowsQuestion, SagaError, SagaInfo,
    SagaOrchestrator, SagaPage, SagaStarted, SagaSummary, SagaTimeline, StartSaga, Violation, WaitError,
};
use crate::values::{
    Append, Appended, CheckpointState, Metadata, Name, Page, Position, Query, Read, Recalled, Revision, SagaId, Start,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;

/// How many definitions, whose sagas the caller may not see, a page passes over.
const PASSED_OVER: usize = 64;

/// Ports that a policy and a caller stand before: whatever the policy does not allow is `Denied` and reaches no port, and
/// commands, questions and events carry the caller as actor and tenant.
///
/// It is one value and all five ports; [`Ports::on_behalf_of`](crate::application::Ports::on_behalf_of) makes them.
pub(crate) struct GuardedPorts {
    pub(crate) caller: Caller,
    pub(crate) policy: Arc<dyn AccessPolicy>,
    pub(crate) commands: Arc<dyn CommandBus>,
    pub(crate) queries: Arc<dyn QueryBus>,
    pub(crate) projections: Arc<dyn ProjectionRegistry>,
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) sagas: Arc<dyn SagaOrchestrator>,
}

impl GuardedPorts {
    fn judge<E>(&self, access: &Access<'_>, denied: impl FnOnce(String) -> E) -> Result<(), E> {
        self.policy.judge(&self.caller, access).map_err(denied)
    }

    fn may_see_sagas(&self, name: &Name) -> bool {
        self.policy.judge(&self.caller, &Access::Sagas(name)).is_ok()
    }

    /// Whether the caller may read these events.
    pub(crate) fn judge_query(&self, query: &Query) -> Result<(), ReadError> {
        self.judge(&Access::Log(query), ReadError::Denied)
    }
}

#[async_trait]
impl CommandBus for GuardedPorts {
    async fn dispatch(&self, mut command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.caller.sign(&mut command.metadata);
        self.judge(&Access::Command(&command), CommandError::Denied)?;
        if let Some(id) = command.id.as_ref().filter(|id| SagaId::is_step_key(id) && !self.caller.speaks_for_others) {
            let message = format!(
                "{id} has the form of a key of a saga's step, and is for callers that speak for others; use another id"
            );
            return Err(CommandError::Invalid(alloc::vec![Violation::new("", "step-key", message)]));
        }
        self.commands.dispatch(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.commands.commands()
    }
}

#[async_trait]
impl QueryBus for GuardedPorts {
    async fn ask(&self, mut query: QueryEnvelope) -> Result<Answer, QueryError> {
        self.caller.sign(&mut query.metadata);
        self.judge(&Access::Query(&query), QueryError::Denied)?;
        self.queries.ask(query).await
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.queries.queries()
    }
}

#[async_trait]
impl EventStore for GuardedPorts {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        self.judge(&Access::Append(&append), AppendError::Denied)?;
        if self.caller.signs_nothing() {
            return self.events.append(append).await;
        }
        for event in &mut append.events {
            // Others may read an actor in what this does not read, so that nothing passes unsigned.
            let Some(claimed) = Metadata::read(&event.metadata) else {
                let caller = self.caller.name();
                return Err(AppendError::Denied(format!(
                    "metadata of an event are no JSON object of the known form, so that {caller} cannot be written into them"
                )));
            };
            let mut signed = claimed.clone();
            self.caller.sign(&mut signed);
            if signed != claimed {
                event.metadata = signed.encode();
            }
        }
        self.events.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let access = match &read.from {
            Start::Stream(stream, _) => Access::Stream(stream),
            Start::Log(query, _) => Access::Log(query),
        };
        self.judge(&access, ReadError::Denied)?;
        self.events.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.judge(&Access::Records, ReadError::Denied)?;
        self.events.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.judge(&Access::Records, ReadError::Denied)?;
        self.events.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.judge_query(&query)?;
        self.events.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.events.capabilities()
    }
}

#[async_trait]
impl ProjectionRegistry for GuardedPorts {
    fn knows(&self, projection: &Name) -> Option<bool> {
        self.projections.knows(projection)
    }

    /// Those that the caller may see.
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let mut list = self.projections.list().await?;
        list.retain(|status| self.policy.judge(&self.caller, &Access::Projection(&status.name)).is_ok());
        Ok(list)
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        self.judge(&Access::Projection(&projection), ProjectionError::Denied)?;
        self.projections.status(projection).await
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        self.judge(&Access::Operate(&projection, Some(&action)), ProjectionError::Denied)?;
        self.projections.act(projection, action).await
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        self.judge(&Access::Operate(&projection, None), ProjectionError::Denied)?;
        self.projections.parked(projection, after, limit).await
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        self.judge(&Access::Projection(&question.projection), ProjectionError::Denied)?;
        self.projections.rows(question).await
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        self.judge(&Access::Projection(&projection), WaitError::Denied)?;
        self.projections.wait_for(projection, position).await
    }
}

#[async_trait]
impl SagaOrchestrator for GuardedPorts {
    async fn start(&self, mut start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.caller.sign(&mut start.metadata);
        self.judge(&Access::StartSaga(&start), SagaError::Denied)?;
        self.sagas.start(start).await
    }

    /// Those that the caller may see. A cursor names the saga that a page ends at, so that no page ends at one that he may
    /// not see: definitions are passed over whole until there is one that he may, or the end.
    async fn list(&self, mut list: ListSagas) -> Result<SagaPage, SagaError> {
        if let Some(name) = &list.name {
            self.judge(&Access::Sagas(name), SagaError::Denied)?;
            return self.sagas.list(list).await;
        }
        let mut seen = Vec::new();
        for _ in 0..=PASSED_OVER {
            let mut page = self.sagas.list(list.clone()).await?;
            let hidden = page.sagas.iter().position(|found| !self.may_see_sagas(found.saga.name()));
            let past = hidden.map(|at| page.sagas.split_off(at));
            list.after = match past.as_deref() {
                Some([first, ..]) => Some(first.saga.name().as_str().into()),
                _ if page.sagas.is_empty() && page.next.is_some() => page.next,
                _ => {
                    seen.append(&mut page.sagas);
                    return Ok(SagaPage::new(seen, page.next));
                }
            };
            let shown = u32::try_from(page.sagas.len()).unwrap_or(u32::MAX);
            list.limit = list.limit.saturating_sub(shown).max(1);
            seen.append(&mut page.sagas);
        }
        let caller = self.caller.name();
        Err(SagaError::Denied(format!("there is too much between the sagas that {caller} may see; name a definition")))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.judge(&Access::Sagas(saga.name()), SagaError::Denied)?;
        self.sagas.status(saga).await
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        self.judge(&Access::Sagas(saga.name()), SagaError::Denied)?;
        self.sagas.timeline(saga, after, limit).await
    }

    async fn act(&self, mut act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.caller.sign(&mut act.metadata);
        self.judge(&Access::OperateSaga(&act), SagaError::Denied)?;
        self.sagas.act(act).await
    }

    /// What is in the way of events tells of events and sagas, and so is for those who may see the sagas.
    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        let mut all = self.sagas.describe().await?;
        for info in all.iter_mut().filter(|info| info.trouble.is_some()) {
            if !self.may_see_sagas(&info.name) {
                info.trouble = None;
            }
        }
        Ok(all)
    }
}
