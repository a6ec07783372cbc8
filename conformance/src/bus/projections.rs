//! A registry of projections that stand where the check puts them.

use async_trait::async_trait;
use portolan_kernel::ports::{
    NoProjections, ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus, RowsAnswer,
    RowsQuestion, WaitError,
};
use portolan_kernel::values::{Name, Position};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The names of its projections.
pub(crate) const BOARD: &str = "board";
/// Another one.
pub(crate) const INDEX: &str = "index";

#[derive(Debug, Clone, Default)]
struct Stand {
    applied: Option<Position>,
    stopped: Option<String>,
}

/// Stands in for a registry: projections that apply nothing, and move only when they are told to.
#[derive(Debug)]
pub(crate) struct StandIn {
    stands: BTreeMap<&'static str, watch::Sender<Stand>>,
    asked: Mutex<Vec<(Name, Position)>>,
}

impl StandIn {
    pub(super) fn new() -> Self {
        let stands = [BOARD, INDEX].map(|name| (name, watch::Sender::new(Stand::default())));
        Self { stands: stands.into(), asked: Mutex::default() }
    }

    /// Lets the projection have applied everything up to this position.
    pub(crate) fn apply(&self, projection: &str, position: Position) {
        if let Some(stand) = self.stands.get(projection) {
            stand.send_modify(|stand| stand.applied = Some(position));
        }
    }

    /// Stops the projection.
    pub(crate) fn stop(&self, projection: &str) {
        if let Some(stand) = self.stands.get(projection) {
            stand.send_modify(|stand| stand.stopped = Some("the check stopped it".to_string()));
        }
    }

    /// Who was waited for, up to where, in order.
    pub(crate) fn asked(&self) -> Vec<(Name, Position)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A name of which nobody can tell at once whether it is a projection's.
pub(crate) const ELSEWHERE: &str = "elsewhere";

#[async_trait]
impl ProjectionRegistry for StandIn {
    fn knows(&self, projection: &Name) -> Option<bool> {
        (projection.as_str() != ELSEWHERE).then(|| self.stands.contains_key(projection.as_str()))
    }

    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        NoProjections.list().await
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        NoProjections.status(projection).await
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        NoProjections.act(projection, action).await
    }

    async fn parked(&self, of: Name, after: Option<Position>, limit: u32) -> Result<ParkedPage, ProjectionError> {
        NoProjections.parked(of, after, limit).await
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        NoProjections.rows(question).await
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((projection.clone(), position));
        let Some(stand) = self.stands.get(projection.as_str()) else {
            return Err(WaitError::UnknownProjection(projection));
        };
        let mut stand = stand.subscribe();
        // The sender lives as long as this registry.
        let reached = stand.wait_for(|stand| stand.stopped.is_some() || stand.applied >= Some(position)).await;
        match reached.ok().and_then(|stand| stand.stopped.clone()) {
            Some(reason) => Err(WaitError::Stopped { name: projection, reason }),
            None => Ok(()),
        }
    }
}
