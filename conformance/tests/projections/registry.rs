//! A registry that is an application's but for one thing, over a storage that may be wrong.

use crate::{leases, rows};
use async_trait::async_trait;
use core::convert::Infallible;
use futures::future::BoxFuture;
use portolan_conformance::{Capability, Fixture, Place, Projected, ReferenceStore, Storage};
use portolan_kernel::ports::{
    Clock, ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus, RowsAnswer,
    RowsQuestion, WaitError,
};
use portolan_kernel::values::{Name, Position, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub type Answer<T> = BoxFuture<'static, Result<T, ProjectionError>>;
pub type Waiting = BoxFuture<'static, Result<(), WaitError>>;

/// One wrong registry or storage: what it does otherwise, and the laws that this breaks.
#[derive(Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    pub breaks: &'static [&'static str],
    /// What becomes of the storage below the application.
    pub storage: fn(Storage) -> Storage,
    pub knows: fn(Option<bool>) -> Option<bool>,
    /// What becomes of the list.
    pub list: fn(Vec<ProjectionStatus>) -> Vec<ProjectionStatus>,
    /// What becomes of a status, also in the list.
    pub status: fn(&Inner, &mut ProjectionStatus),
    pub act: fn(Arc<Inner>, Name, ProjectionAction) -> Answer<()>,
    pub parked: fn(Arc<Inner>, Name, Option<Position>, u32) -> Answer<ParkedPage>,
    pub rows: fn(Arc<Inner>, RowsQuestion) -> Answer<RowsAnswer>,
    pub wait: fn(Arc<Inner>, Name, Position) -> Waiting,
    /// The projection that is meant by a name.
    pub named: fn(Name) -> Name,
}

impl Mutant {
    pub const fn new(name: &'static str, breaks: &'static [&'static str]) -> Self {
        Self {
            name,
            breaks,
            storage: |storage| storage,
            knows: |known| known,
            list: |list| list,
            status: |_, _| {},
            act: |inner, name, action| Box::pin(async move { inner.registry.act(name, action).await }),
            parked: |inner, name, after, limit| {
                Box::pin(async move { inner.registry.parked(name, after, limit).await })
            },
            rows: |inner, question| Box::pin(async move { inner.registry.rows(question).await }),
            wait: |inner, name, position| Box::pin(async move { inner.registry.wait_for(name, position).await }),
            named: |name| name,
        }
    }

    pub const fn storage(self, storage: fn(Storage) -> Storage) -> Self {
        Self { storage, ..self }
    }

    pub const fn knows(self, knows: fn(Option<bool>) -> Option<bool>) -> Self {
        Self { knows, ..self }
    }

    pub const fn list(self, list: fn(Vec<ProjectionStatus>) -> Vec<ProjectionStatus>) -> Self {
        Self { list, ..self }
    }

    pub const fn status(self, status: fn(&Inner, &mut ProjectionStatus)) -> Self {
        Self { status, ..self }
    }

    pub const fn act(self, act: fn(Arc<Inner>, Name, ProjectionAction) -> Answer<()>) -> Self {
        Self { act, ..self }
    }

    pub const fn parked(self, parked: fn(Arc<Inner>, Name, Option<Position>, u32) -> Answer<ParkedPage>) -> Self {
        Self { parked, ..self }
    }

    pub const fn rows(self, rows: fn(Arc<Inner>, RowsQuestion) -> Answer<RowsAnswer>) -> Self {
        Self { rows, ..self }
    }

    pub const fn wait(self, wait: fn(Arc<Inner>, Name, Position) -> Waiting) -> Self {
        Self { wait, ..self }
    }

    pub const fn named(self, named: fn(Name) -> Name) -> Self {
        Self { named, ..self }
    }

    pub fn fixture(self) -> Fixture<Projected> {
        const IN_MEMORY: &str = "it lives in memory";
        let open = async move |_: &Place| {
            let projected = Projected::on((self.storage)(right())).through(move |ports| async move {
                let inner = Inner { registry: ports.projections, kept: Mutex::default() };
                Ok::<_, Infallible>(
                    Arc::new(Wrong { inner: Arc::new(inner), mutant: self }) as Arc<dyn ProjectionRegistry>
                )
            });
            Ok::<_, Infallible>(projected)
        };
        Fixture::projections(open)
            .lacks(Capability::Durability, IN_MEMORY)
            .lacks(Capability::SeveralProcesses, IN_MEMORY)
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

/// What a wrong registry stands before.
pub struct Inner {
    pub registry: Arc<dyn ProjectionRegistry>,
    /// For whatever it has to remember.
    pub kept: Mutex<BTreeSet<Name>>,
}

struct Wrong {
    inner: Arc<Inner>,
    mutant: Mutant,
}

impl Wrong {
    fn told(&self, mut status: ProjectionStatus) -> ProjectionStatus {
        (self.mutant.status)(&self.inner, &mut status);
        status
    }
}

#[async_trait]
impl ProjectionRegistry for Wrong {
    fn knows(&self, projection: &Name) -> Option<bool> {
        (self.mutant.knows)(self.inner.registry.knows(projection))
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let list = (self.mutant.list)(self.inner.registry.list().await?);
        Ok(list.into_iter().map(|status| self.told(status)).collect())
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        Ok(self.told(self.inner.registry.status((self.mutant.named)(projection)).await?))
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        (self.mutant.act)(self.inner.clone(), (self.mutant.named)(projection), action).await
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        (self.mutant.parked)(self.inner.clone(), (self.mutant.named)(projection), after, limit).await
    }

    async fn rows(&self, mut question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        question.projection = (self.mutant.named)(question.projection);
        (self.mutant.rows)(self.inner.clone(), question).await
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        (self.mutant.wait)(self.inner.clone(), (self.mutant.named)(projection), position).await
    }
}
