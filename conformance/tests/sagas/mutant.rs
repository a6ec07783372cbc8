//! An orchestrator that is right but for one thing.

use crate::facts::{Edit, Edited};
use crate::plain::{Flaw, Plain};
use crate::{leases, rows};
use async_trait::async_trait;
use core::convert::Infallible;
use futures::future::BoxFuture;
use portolan_conformance::{Capability, Fixture, Orchestrated, Place, ReferenceStore, Storage};
use portolan_kernel::ports::{
    ActOnSaga, Clock, CommandBus, ListSagas, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted, SagaSummary,
    SagaTimeline, StartSaga,
};
use portolan_kernel::values::{Revision, SagaId, Timestamp};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub type Inner = Arc<dyn SagaOrchestrator>;
pub type Answer<T> = BoxFuture<'static, Result<T, SagaError>>;
type Answered<T> = Result<T, SagaError>;

/// One wrong orchestrator: what it does otherwise, and the laws that this breaks.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// What it may break too, by how its tasks happen to run; whether it does is not judged.
    pub perhaps: &'static [&'static str],
    /// The plain orchestrator with this flaw, in place of the kernel's.
    plain: Option<Flaw>,
    /// What becomes of the facts that the plain one records and reads.
    edit: Option<Edit>,
    /// What becomes of the bus that the plain one's steps send to.
    commands: fn(Arc<dyn CommandBus>) -> Arc<dyn CommandBus>,
    start: fn(Inner, StartSaga) -> Answer<SagaStarted>,
    act: fn(Inner, ActOnSaga) -> Answer<SagaSummary>,
    list: fn(Inner, ListSagas) -> Answer<SagaPage>,
    /// What becomes of an answer about one saga, also in a list.
    summary: fn(&mut SagaSummary),
    timeline: fn(Inner, SagaId, Option<Revision>, u32) -> Answer<SagaTimeline>,
    status: fn(Answered<SagaSummary>) -> Answered<SagaSummary>,
    described: fn(&mut Vec<SagaInfo>),
}

impl Mutant {
    pub const fn new(name: &'static str, breaks: &'static [&'static str]) -> Self {
        Self {
            name,
            breaks,
            perhaps: &[],
            plain: None,
            edit: None,
            commands: |commands| commands,
            start: |inner, start| Box::pin(async move { inner.start(start).await }),
            act: |inner, act| Box::pin(async move { inner.act(act).await }),
            list: |inner, list| Box::pin(async move { inner.list(list).await }),
            summary: |_| {},
            timeline: |inner, saga, after, limit| Box::pin(async move { inner.timeline(saga, after, limit).await }),
            status: |status| status,
            described: |_| {},
        }
    }

    pub const fn perhaps(self, perhaps: &'static [&'static str]) -> Self {
        Self { perhaps, ..self }
    }

    pub const fn plain(self, flaw: Flaw) -> Self {
        Self { plain: Some(flaw), ..self }
    }

    pub const fn edit(self, edit: Edit) -> Self {
        Self { plain: Some(Flaw::None), edit: Some(edit), ..self }
    }

    pub const fn commands(self, commands: fn(Arc<dyn CommandBus>) -> Arc<dyn CommandBus>) -> Self {
        Self { plain: Some(Flaw::None), commands, ..self }
    }

    pub const fn start(self, start: fn(Inner, StartSaga) -> Answer<SagaStarted>) -> Self {
        Self { start, ..self }
    }

    pub const fn act(self, act: fn(Inner, ActOnSaga) -> Answer<SagaSummary>) -> Self {
        Self { act, ..self }
    }

    pub const fn list(self, list: fn(Inner, ListSagas) -> Answer<SagaPage>) -> Self {
        Self { list, ..self }
    }

    pub const fn summary(self, summary: fn(&mut SagaSummary)) -> Self {
        Self { summary, ..self }
    }

    pub const fn timeline(self, timeline: fn(Inner, SagaId, Option<Revision>, u32) -> Answer<SagaTimeline>) -> Self {
        Self { timeline, ..self }
    }

    pub const fn status(self, status: fn(Answered<SagaSummary>) -> Answered<SagaSummary>) -> Self {
        Self { status, ..self }
    }

    pub const fn described(self, described: fn(&mut Vec<SagaInfo>)) -> Self {
        Self { described, ..self }
    }

    pub fn fixture(self) -> Fixture<Orchestrated> {
        const IN_MEMORY: &str = "it lives in memory";
        let wrong = move |inner: Inner| Arc::new(Wrong { inner, mutant: self }) as Inner;
        let open = async move |_: &Place| {
            let orchestrated = Orchestrated::on(right());
            Ok::<_, Infallible>(match self.plain {
                None => orchestrated.through(move |ports| async move { Ok::<_, Infallible>(wrong(ports.sagas)) }),
                Some(flaw) => orchestrated.by(move |mut parts| async move {
                    if let Some(edit) = self.edit {
                        parts.storage.events =
                            Arc::new(Edited::new(parts.storage.events, edit, parts.handlers.clone()));
                    }
                    parts.ports.commands = (self.commands)(parts.ports.commands);
                    Plain::open(parts, flaw).await.map(|plain| wrong(Arc::new(plain)))
                }),
            })
        };
        Fixture::sagas(open).lacks(Capability::Durability, IN_MEMORY).lacks(Capability::SeveralProcesses, IN_MEMORY)
    }
}

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
    }
}

/// A storage in memory that is right.
fn right() -> Storage {
    let log = Arc::new(ReferenceStore::new(Arc::new(System)));
    Storage::new(log.clone(), log)
        .with_read_models(Arc::new(rows::RIGHT.open_alone()))
        .with_leases(Arc::new(leases::RIGHT.open_alone()))
}

struct Wrong {
    inner: Inner,
    mutant: Mutant,
}

impl Wrong {
    fn told(&self, mut summary: SagaSummary) -> SagaSummary {
        (self.mutant.summary)(&mut summary);
        summary
    }
}

#[async_trait]
impl SagaOrchestrator for Wrong {
    async fn start(&self, start: StartSaga) -> Answered<SagaStarted> {
        (self.mutant.start)(self.inner.clone(), start).await
    }

    async fn list(&self, list: ListSagas) -> Answered<SagaPage> {
        let mut page = (self.mutant.list)(self.inner.clone(), list).await?;
        page.sagas.iter_mut().for_each(self.mutant.summary);
        Ok(page)
    }

    async fn status(&self, saga: SagaId) -> Answered<SagaSummary> {
        (self.mutant.status)(self.inner.status(saga).await.map(|summary| self.told(summary)))
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Answered<SagaTimeline> {
        (self.mutant.timeline)(self.inner.clone(), saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Answered<SagaSummary> {
        (self.mutant.act)(self.inner.clone(), act).await.map(|summary| self.told(summary))
    }

    async fn describe(&self) -> Answered<Vec<SagaInfo>> {
        let mut described = self.inner.describe().await?;
        (self.mutant.described)(&mut described);
        Ok(described)
    }
}
