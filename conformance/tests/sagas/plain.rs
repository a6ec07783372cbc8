//! An orchestrator as a stranger may write it: it follows the log, drives whatever it finds there, beside whoever else does,
//! and lists by reading all there is.

use crate::facts::{Edit, Edited};
use async_trait::async_trait;
use portolan_conformance::SagaParts;
use portolan_kernel::drivers::{SagaDriver, SagaNudge, SagaPorts, SagaRest};
use portolan_kernel::ports::{
    ActOnSaga, EventStore, ListSagas, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaPhase, SagaStarted,
    SagaSummary, SagaTimeline, Source, StartSaga, Violation,
};
use portolan_kernel::values::{Item, Name, Position, Query, Read, Revision, SAGA_CATEGORY, SagaId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// It drives what was started in its own life alone.
    ForgetsItsPast,
    /// It lets what was due long before its life be.
    LosesOverdueTimers,
    /// It does not ask how long keys are kept.
    TrustsKeys,
    /// It drives as if keys were kept for good.
    OutlivesKeys,
}

const PAUSE: Duration = Duration::from_millis(20);

pub struct Plain {
    at_work: Arc<AtWork>,
}

struct AtWork {
    parts: SagaParts,
    driver: SagaDriver,
    driven: Mutex<BTreeMap<SagaId, SagaNudge>>,
}

fn of_sagas() -> Query {
    Query::of(Item::new().category(Name::new(SAGA_CATEGORY).unwrap()))
}

impl Plain {
    pub async fn open(parts: SagaParts, flaw: Flaw) -> Result<Self, String> {
        let kept = parts.storage.events.capabilities().key_retention;
        let too_long = parts.handlers.all().find(|handler| kept.is_some_and(|kept| kept <= handler.plan().longest()));
        if let Some(handler) = too_long.filter(|_| flaw != Flaw::TrustsKeys) {
            return Err(format!("{} takes longer than keys are kept", handler.name()));
        }
        let mut events = parts.storage.events.clone();
        if flaw == Flaw::OutlivesKeys {
            events = Arc::new(Edited::new(events, Edit::KeysForGood, parts.handlers.clone()));
        }
        let ports = SagaPorts {
            events,
            commands: parts.ports.commands.clone(),
            queries: parts.ports.queries.clone(),
            clock: parts.runtime.clock.clone(),
            ids: parts.runtime.ids.clone(),
            sleep: parts.runtime.sleep.clone(),
            spawn: parts.runtime.spawn.clone(),
        };
        let driver = SagaDriver::new(ports, parts.handlers.clone());
        let at_work = Arc::new(AtWork { parts, driver, driven: Mutex::default() });
        let (mut from, mut lost) = (None, BTreeSet::new());
        if flaw == Flaw::ForgetsItsPast {
            from = at_work.parts.storage.events.read(Read::log(of_sagas()).limit(1)).await.unwrap().frontier;
        }
        if flaw == Flaw::LosesOverdueTimers {
            let long_ago = |summary: &SagaSummary| {
                let now = at_work.parts.runtime.clock.now().as_micros();
                summary.status.phase == SagaPhase::Waiting
                    && summary.status.due.is_some_and(|due| due.as_micros() + 60_000_000 < now)
            };
            lost = at_work.all().await.unwrap().into_iter().filter(long_ago).map(|summary| summary.saga).collect();
        }
        at_work.parts.runtime.spawn.spawn(Box::pin(at_work.clone().follow(from, lost)));
        Ok(Self { at_work })
    }
}

impl AtWork {
    async fn pause(&self) {
        self.parts.runtime.sleep.sleep(PAUSE).await;
    }

    /// Sees that everything that is not in `lost` is driven, and knows of what happens to it.
    async fn follow(self: Arc<Self>, mut from: Option<Position>, lost: BTreeSet<SagaId>) {
        loop {
            let read = Read::log_after(of_sagas(), from);
            for event in self.parts.storage.events.read(read).await.map_or(Vec::new(), |page| page.events) {
                from = Some(event.position);
                let Some(saga) = SagaId::of_stream(&event.stream).filter(|saga| !lost.contains(saga)) else { continue };
                let mut driven = self.driven.lock().unwrap();
                if let Some(nudge) = driven.get(&saga) {
                    nudge.look();
                } else {
                    let nudge = SagaNudge::new();
                    driven.insert(saga.clone(), nudge.clone());
                    self.parts.runtime.spawn.spawn(Box::pin(self.clone().drive(saga, nudge)));
                }
            }
            self.pause().await;
        }
    }

    async fn drive(self: Arc<Self>, saga: SagaId, nudge: SagaNudge) {
        while !matches!(self.driver.drive(&saga, &nudge).await, Ok(SagaRest::Ended(_))) {
            self.pause().await;
        }
    }

    /// How all sagas stand, in the order of names and ids.
    async fn all(&self) -> Result<Vec<SagaSummary>, SagaError> {
        let (mut sagas, mut next) = (BTreeSet::new(), Some(Read::log(of_sagas())));
        while let Some(read) = next {
            let page = self.parts.storage.events.read(read).await;
            let page = page.map_err(|error| SagaError::Busy(Source::new(error)))?;
            sagas.extend(page.events.iter().filter_map(|event| SagaId::of_stream(&event.stream)));
            next = page.next;
        }
        let mut all = Vec::new();
        for saga in sagas {
            all.push(self.driver.status(saga).await?);
        }
        all.sort_by_key(|summary| (summary.saga.name().clone(), summary.saga.id().clone()));
        Ok(all)
    }
}

fn invalid(path: &str) -> SagaError {
    SagaError::Invalid(vec![Violation::new(path, "invalid", "it is none")])
}

#[async_trait]
impl SagaOrchestrator for Plain {
    async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError> {
        self.at_work.driver.start(start).await
    }

    async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        if list.limit == 0 {
            return Err(invalid("limit"));
        }
        let mut all = self.at_work.all().await?;
        let after: Option<usize> = match &list.after {
            None => None,
            Some(after) if after.contains(' ') => return Err(invalid("after")),
            // A place, or all of a name.
            Some(after) => {
                let of_name = || all.partition_point(|summary| summary.saga.name().as_str() <= after.as_str());
                Some(after.parse().unwrap_or_else(|_| of_name()))
            }
        };
        let is_wanted = |summary: &SagaSummary| {
            list.name.as_ref().is_none_or(|name| name == summary.saga.name())
                && (list.phases.is_empty() || list.phases.contains(&summary.status.phase))
        };
        let end = after.unwrap_or_default() + list.limit as usize;
        let next = (all.len() > end).then(|| end.to_string());
        // A page may hold fewer.
        all = all.into_iter().take(end).skip(after.unwrap_or_default()).filter(is_wanted).collect();
        Ok(SagaPage::new(all, next))
    }

    async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError> {
        self.at_work.driver.status(saga).await
    }

    async fn timeline(&self, saga: SagaId, after: Option<Revision>, limit: u32) -> Result<SagaTimeline, SagaError> {
        self.at_work.driver.timeline(saga, after, limit).await
    }

    async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError> {
        self.at_work.driver.act(act).await
    }

    async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError> {
        Ok(self.at_work.driver.describe())
    }
}
