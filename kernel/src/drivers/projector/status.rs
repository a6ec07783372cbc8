//! How a projection stands.

use super::env::Env;
use super::errors;
use super::registry::Stored;
use super::standing::{Standing, checkpoint, is_foreign};
use super::waiting::has_stopped;
use crate::ports::{EditionStatus, Lag, ProjectionError, ProjectionState, ProjectionStatus, ReadError, RowError};
use crate::values::{Edition, Position, Query, Read, Timestamp};
use core::time::Duration;

/// How the projection stands, as this version of the code reads it.
pub(super) async fn status(of: &Stored) -> Result<ProjectionStatus, ProjectionError> {
    let (env, model) = (&*of.env, of.model());
    let standing = Standing::load(env, model).await.map_err(errors::rows)?;
    let mut status = ProjectionStatus::new(model.name.clone(), model.version, model.lifecycle);
    status.edition = standing.read_by(Some(model.version));
    let spoken_of = status.edition.unwrap_or_else(|| standing.control().wanted(model.version));
    for edition in standing.editions() {
        let state = checkpoint(env, model, edition).await.map_err(errors::rows)?;
        let foreign = is_foreign(env, &state);
        let position = state.position.filter(|_| foreign.is_none());
        let is_worked_on = standing.worked_on(model.version).contains(&edition);
        let mut told = EditionStatus::new(edition);
        told.is_active = standing.active == Some(edition);
        told.is_ready = standing.is_ready(edition);
        told.position = position;
        told.holder = standing.record(edition).and_then(|record| record.holder.clone());
        if edition == spoken_of || is_worked_on {
            let behind = Behind::of(env, &model.query, position).await.map_err(errors::log)?;
            told.state = match foreign {
                Some(reason) => ProjectionState::Stopped { reason },
                None => state_of(of, &standing, edition, &behind),
            };
            if edition == spoken_of {
                status.state = told.state.clone();
                status.position = position.filter(|_| status.edition.is_some());
                status.frontier = behind.frontier;
                status.lag = behind.lag(position, env.clock.now());
            }
        } else if let Some(record) = standing.record(edition) {
            told.state = record.state.clone();
        }
        status.editions.push(told);
    }
    if let Some(record) = standing.record(spoken_of) {
        status.events_per_second = record.events_per_second;
        status.last_error = record.last_error.clone();
        status.parked = record.parked;
        status.skipped = record.skipped;
    }
    let trouble = of.trouble.lock().await.clone();
    if trouble.as_ref().map(|failure| failure.at) > status.last_error.as_ref().map(|failure| failure.at) {
        status.last_error = trouble;
    }
    Ok(status)
}

impl Stored {
    /// The edition that is spoken of: the one that this version of the code reads, or else the one to come.
    pub(super) async fn spoken_of(&self) -> Result<Edition, RowError> {
        let version = self.model().version;
        let standing = Standing::load(&self.env, self.model()).await?;
        Ok(standing.read_by(Some(version)).unwrap_or_else(|| standing.control().wanted(version)))
    }
}

/// What an edition does that somebody should work on: what its worker said, unless that has fallen silent.
fn state_of(of: &Stored, standing: &Standing, edition: Edition, behind: &Behind) -> ProjectionState {
    if let Some(reason) = has_stopped(standing, edition) {
        return ProjectionState::Stopped { reason };
    }
    let record = standing.record(edition);
    if let Some(paused_at) = standing.control().paused_at {
        // Until its worker has seen the wish, it moves on; one that says nothing for so long is not there.
        let has_seen = record.is_some_and(|record| record.state == ProjectionState::Paused);
        let is_silent = of.env.clock.now() >= paused_at.plus(of.env.options.stall);
        return if has_seen || is_silent { ProjectionState::Paused } else { ProjectionState::CatchingUp };
    }
    if let Some(recorded_at) = behind.next {
        let since = record.map_or(recorded_at, |record| record.moved_at.max(recorded_at));
        // A process that has just begun has had no time to move it.
        if of.env.clock.now() >= since.max(of.since).plus(of.env.options.stall) {
            return ProjectionState::Stalled { since };
        }
    }
    match record.map(|record| &record.state) {
        Some(ProjectionState::CaughtUp) => ProjectionState::CaughtUp,
        _ => ProjectionState::CatchingUp,
    }
}

/// What lies between a position and the end of the log.
pub(super) struct Behind {
    /// When the first event was recorded that follows.
    next: Option<Timestamp>,
    pub(super) frontier: Option<Position>,
}

impl Behind {
    pub(super) async fn of(env: &Env, query: &Query, position: Option<Position>) -> Result<Self, ReadError> {
        let mut behind = Self { next: None, frontier: None };
        let mut next = Some(Read::log_after(query.clone(), position).limit(1));
        while let Some(read) = next {
            let page = env.events.read(read).await?;
            behind.frontier = page.frontier;
            if let Some(event) = page.events.first() {
                behind.next = Some(event.recorded_at);
                break;
            }
            next = page.next;
        }
        Ok(behind)
    }

    /// Positions are not counted by the store, and so what lies between two of them is the most that there can be.
    fn lag(&self, position: Option<Position>, now: Timestamp) -> Lag {
        let (Some(recorded_at), Some(frontier)) = (self.next, self.frontier) else { return Lag::default() };
        let events = match position {
            Some(position) => frontier.get().saturating_sub(position.get()),
            None => frontier.get().saturating_add(1),
        };
        let micros = now.as_micros().saturating_sub(recorded_at.as_micros());
        Lag::new(events.max(1), Duration::from_micros(micros))
    }
}
