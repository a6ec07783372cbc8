//! Sagas found by the index: a page of a list, and those of some slots that have not ended.

use super::handlers::{SagaHandlers, SagaLacking};
use super::index::{BETWEEN, SAGA_INDEX, SAGA_SLOTS, SagaRow, SagaRows, key_of, saga_of};
use crate::drivers::{ProjectionRegistryExt as _, ReadRowsError, RowPage};
use crate::ports::{
    Clock, ListSagas, ProjectionError, ProjectionRegistry, SagaError, SagaPage, SagaPhase, SagaSummary, Source,
    Violation, WaitError,
};
use crate::values::{Name, Position, RowKey, SagaId, Timestamp, check_saga_name};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Bound, Range};
use futures::TryStreamExt as _;

/// The most of a page, whatever limit is named.
const PAGE: u32 = 1_000;

/// Finds sagas by the index that the projection [`SAGA_INDEX`] is. A clone finds the same.
#[derive(Clone)]
pub struct SagaIndex {
    projections: Arc<dyn ProjectionRegistry>,
    clock: Arc<dyn Clock>,
    handlers: Arc<SagaHandlers>,
}

impl fmt::Debug for SagaIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaIndex").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

/// A saga that has not ended, as far as the index knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Which.
    pub saga: SagaId,
    /// When something is due to happen, if nothing does before.
    pub due: Option<Timestamp>,
    /// What it is doing.
    pub phase: SagaPhase,
}

/// From where to where keys are asked for.
type Keys = (Bound<String>, Bound<String>);

/// What a page comes after.
pub(super) enum Past {
    Saga(SagaId),
    /// All sagas of this name.
    All(Name),
}

impl Past {
    fn name(&self) -> &Name {
        match self {
            Self::Saga(saga) => saga.name(),
            Self::All(name) => name,
        }
    }

    fn key(&self) -> Bound<String> {
        match self {
            Self::Saga(saga) => Bound::Excluded(key_of(saga)),
            Self::All(name) => Bound::Included(beyond(name)),
        }
    }
}

/// No key of this name is as large, and every key of a larger name is: it has the character that follows.
fn beyond(name: &Name) -> String {
    format!("{name}-")
}

impl SagaIndex {
    /// The index in this registry, for a process with this code.
    #[must_use]
    pub fn new(projections: Arc<dyn ProjectionRegistry>, clock: Arc<dyn Clock>, handlers: Arc<SagaHandlers>) -> Self {
        Self { projections, clock, handlers }
    }

    /// A page of sagas, at most a thousand, in the order of names and ids. What is missing of the code for one is told by its
    /// name and version alone.
    ///
    /// Each saga stands in the list once, at a place that never changes. Where several phases are asked for, they are read one
    /// after another: a saga that goes from one to another meanwhile may be missing.
    ///
    /// # Errors
    ///
    /// [`SagaError::Invalid`] for a limit of 0 or a cursor that is none; `Busy` while the index has not caught up for the first
    /// time; `Other`, also where there are sagas and no index of them.
    pub async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError> {
        let after = checked(&list)?;
        let Some(keys) = keys(list.name.as_ref(), after.as_ref()) else { return Ok(SagaPage::default()) };
        let most = list.limit.min(PAGE);
        let is_any = list.phases.is_empty() || list.phases.len() == SagaPhase::ALL.len();
        let (rows, is_all) = if is_any {
            let page = self.projections.get::<SagaRows>().list().range(keys).limit(most).await.map_err(not_found)?;
            let is_all = page.next.is_none();
            (page.rows.into_iter().map(|keyed| keyed.row).collect(), is_all)
        } else {
            let mut pages = Vec::with_capacity(list.phases.len());
            for phase in &list.phases {
                let found = self.projections.get::<SagaRows>().find("phase", phase.name());
                pages.push(found.range(keys.clone()).limit(most).await.map_err(not_found)?);
            }
            merged(pages, most)
        };
        let next = rows.last().filter(|_| !is_all).map(|row| key_of(&row.saga));
        let now = self.clock.now();
        Ok(SagaPage::new(rows.into_iter().map(|row| self.summary(row, now)).collect(), next))
    }

    /// All sagas of this name and these slots that have not ended, once the index has come to this position. What was recorded after it may be
    /// in it or not; so may be a saga that has ended since.
    ///
    /// It reads those that have not ended and no others, however many there are. The index may never come to the position:
    /// whoever waits sets the limit, by dropping the future.
    ///
    /// # Errors
    ///
    /// [`SagaError::Busy`] while the index has not caught up for the first time, or nobody makes it: ask again. `Other`, when an
    /// operator has to look at it.
    pub async fn unfinished(
        &self,
        name: &Name,
        slots: Range<u32>,
        at_least: Option<Position>,
    ) -> Result<Vec<Unfinished>, SagaError> {
        let slots = slots.start..slots.end.min(SAGA_SLOTS);
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.projections.get::<SagaRows>().find("slot", name.as_str());
        let rows = found.range(slots).limit(PAGE).at_least(at_least);
        let unfinished = rows.all().map_ok(|keyed| Unfinished {
            due: keyed.row.brief.status.due,
            phase: keyed.row.brief.status.phase,
            saga: keyed.row.saga,
        });
        unfinished.try_collect().await.map_err(not_found)
    }

    fn summary(&self, row: SagaRow, now: Timestamp) -> SagaSummary {
        let SagaRow { saga, brief, .. } = row;
        let lacks = self.lacks(&saga, brief.version, brief.unread.as_deref()).filter(|_| brief.end().is_none());
        SagaSummary::new(saga, brief.version, brief.started_at, brief.status(now))
            .with_deadline(brief.deadline)
            .with_lacks(lacks.map(|lacks| lacks.to_string()))
    }

    fn lacks(&self, saga: &SagaId, version: u32, unread: Option<&str>) -> Option<SagaLacking> {
        match (unread, self.handlers.get(saga.name(), version)) {
            (Some(why), _) => Some(SagaLacking::Facts(why.into())),
            (None, Some(_)) => None,
            (None, None) => Some(SagaLacking::Handler { name: saga.name().as_str().into(), version }),
        }
    }
}

/// What the page is to come after.
pub(super) fn checked(list: &ListSagas) -> Result<Option<Past>, SagaError> {
    let wrong =
        |path: &str, code: &str, message: &str| SagaError::Invalid(alloc::vec![Violation::new(path, code, message)]);
    if list.limit == 0 {
        return Err(wrong("limit", "zero", "ask for at least one saga"));
    }
    let no_cursor = || wrong("after", "cursor", "this is no cursor; take what a page before says, or begin without");
    let past = |after: &str| {
        let all = || check_saga_name("saga", after).ok().map(Past::All);
        saga_of(after).map(Past::Saga).or_else(all).ok_or_else(no_cursor)
    };
    list.after.as_deref().map(past).transpose()
}

/// The keys of the sagas of this name after that; `None`: there are none.
fn keys(name: Option<&Name>, after: Option<&Past>) -> Option<Keys> {
    let Some(name) = name else {
        return Some((after.map_or(Bound::Unbounded, Past::key), Bound::Unbounded));
    };
    check_saga_name("saga", name).ok()?;
    let from = match after {
        Some(after @ Past::Saga(saga)) if saga.name() == name => after.key(),
        Some(after) if after.name() >= name => return None,
        _ => Bound::Included(format!("{name}{BETWEEN}")),
    };
    Some((from, Bound::Excluded(beyond(name))))
}

/// The rows of the pages in one order, at most so many, and whether those are all. A page that is not the last of its phase
/// says nothing of what comes after its end.
fn merged(pages: Vec<RowPage<SagaRow>>, most: u32) -> (Vec<SagaRow>, bool) {
    let ends = pages.iter().filter(|page| page.next.is_some()).filter_map(|page| page.rows.last());
    let end = ends.map(|last| last.key.clone()).min();
    let mut rows: BTreeMap<RowKey, SagaRow> = BTreeMap::new();
    for keyed in pages.into_iter().flatten() {
        // One that has moved on while pages were read is as it was last.
        let is_known = rows.get(&keyed.key).is_some_and(|row| row.position > keyed.row.position);
        if !is_known && end.as_ref().is_none_or(|end| keyed.key <= *end) {
            rows.insert(keyed.key, keyed.row);
        }
    }
    let is_all = end.is_none() && rows.len() <= most as usize;
    (rows.into_values().take(most as usize).collect(), is_all)
}

fn not_found(error: ReadRowsError) -> SagaError {
    let busy = |source: &dyn fmt::Display| SagaError::Busy(Source::new(format!("the index {SAGA_INDEX}: {source}")));
    match error {
        ReadRowsError::Projection(ProjectionError::Denied(why) | ProjectionError::Wait(WaitError::Denied(why))) => {
            SagaError::Denied(why)
        }
        ReadRowsError::Projection(ProjectionError::Busy(source) | ProjectionError::Wait(WaitError::Busy(source))) => {
            SagaError::Busy(source)
        }
        // Its rows were removed in the midst of a walk, or nobody makes them now.
        error @ (ReadRowsError::Projection(
            ProjectionError::NotReady(_)
            | ProjectionError::Gone { .. }
            | ProjectionError::Wait(WaitError::Stalled { .. }),
        )
        | ReadRowsError::OtherVersion { .. }) => busy(&error),
        // By its own type, which tells where a store is damaged: `ReadRowsError` stands for it, and is no source of it.
        ReadRowsError::Projection(error) => SagaError::Other(Source::new(error)),
        error => SagaError::Other(Source::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_damaged_is_told_as_such() {
        let damaged = ProjectionError::Corrupt { place: "here".into() };
        let SagaError::Other(source) = not_found(damaged.into()) else { panic!("it is no other") };
        assert!(matches!(source.get().downcast_ref(), Some(ProjectionError::Corrupt { .. })), "{source:?}");
    }
}
