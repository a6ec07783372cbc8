//! A worker alone, without a registry: for tests of workers. No part of the interface.

use super::control::{self, What};
use super::engine::Engine;
use super::env::Env;
use super::folded::Folded;
use super::options::ProjectionOptions;
use super::parking;
use super::record;
use super::view::ViewProjection;
use super::viewed::ViewEngine;
use super::worker::work;
use crate::domain::{Projection, Upcasters};
use crate::ports::{
    Clock, EventStore, IdSource, LeaseStore, Parked, ProjectionAction, ProjectionFailure, ProjectionState,
    ReadModelStore, RowError, Sleep, Spawn,
};
use crate::values::{Edition, Name, Position};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use event_listener::Event;
use futures::future::BoxFuture;

/// What workers stand on.
#[derive(Clone)]
pub struct Alone(Arc<Env>);

impl fmt::Debug for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alone").field(&self.0.holder).finish()
    }
}

/// What is read and written.
type Stores = (Arc<dyn EventStore>, Arc<dyn ReadModelStore>, Arc<dyn LeaseStore>);

/// What a runtime provides.
type Hands = (Arc<dyn Clock>, Arc<dyn IdSource>, Arc<dyn Sleep>, Arc<dyn Spawn>);

/// A worker, and what it works for; to drop that is to tell it to stop.
pub type Work = (BoxFuture<'static, ()>, Box<dyn Any + Send>);

/// What a worker has said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "no part of the interface")]
pub struct Said {
    pub is_ready: bool,
    pub state: ProjectionState,
    pub stopped_at: Option<Position>,
    pub last_error: Option<ProjectionFailure>,
    pub parked: u64,
    pub requests_done: u64,
}

impl Alone {
    /// All that a worker needs, and who it is.
    #[must_use]
    pub fn new(
        (events, rows, leases): Stores,
        (clock, ids, sleep, spawn): Hands,
        upcasters: Upcasters,
        options: ProjectionOptions,
        holder: Name,
    ) -> Self {
        let options = options.floored();
        let (upcasters, wished, moved) = (Arc::new(upcasters), Event::new(), Event::new());
        Self(Arc::new(Env {
            events,
            rows,
            leases,
            clock,
            ids,
            sleep,
            spawn,
            upcasters,
            inline: Vec::new(),
            options,
            holder,
            wished,
            moved,
        }))
    }

    /// A worker of this edition.
    ///
    /// # Panics
    ///
    /// When it cannot be registered.
    #[must_use]
    pub fn folded<P: Projection>(&self, edition: Edition) -> Work {
        self.work(Arc::new(Folded::<P>::new().expect("tests have good projections")), edition)
    }

    /// A worker of this edition.
    ///
    /// # Panics
    ///
    /// When it cannot be registered.
    #[must_use]
    pub fn viewed<P: ViewProjection>(&self, edition: Edition) -> Work {
        self.work(Arc::new(ViewEngine::<P>::new().expect("tests have good projections")), edition)
    }

    fn work(&self, engine: Arc<dyn Engine>, edition: Edition) -> Work {
        let (run, stop) = async_channel::bounded(1);
        (Box::pin(work(self.0.clone(), engine, edition, stop)), Box::new(run))
    }

    /// Wishes something; what is not of workers is passed over.
    ///
    /// # Errors
    ///
    /// What changing rows may fail with.
    pub async fn wish(&self, projection: &Name, version: u16, action: ProjectionAction) -> Result<(), RowError> {
        let rows = &*self.0.rows;
        rows.define(control::collection()).await?;
        let kept = control::load(rows, projection).await?;
        let mut control = kept.control.clone();
        match action {
            ProjectionAction::Pause => control.paused_at = Some(self.0.clock.now()),
            ProjectionAction::Resume => {
                control.paused_at = None;
                control.request(What::Resume, 0);
            }
            ProjectionAction::Rebuild | ProjectionAction::Reset => {
                let wanted = control.wanted.entry(version).or_default();
                wanted.highest += 1;
                wanted.rebuild = wanted.highest;
                wanted.at_once = action == ProjectionAction::Reset;
            }
            ProjectionAction::Activate(version) => control.pinned = version,
            ProjectionAction::Retry(position) => control.request(What::Retry(position.map(Position::get)), 0),
            ProjectionAction::Drop(position) => control.request(What::Drop(position.get()), 0),
            _ => {}
        }
        control::save(rows, self.0.events.capabilities().identity, projection, &kept, &control).await?;
        self.0.wished.notify(usize::MAX);
        Ok(())
    }

    /// What was said of the edition last.
    ///
    /// # Errors
    ///
    /// What reading rows may fail with.
    pub async fn said(&self, projection: &Name, edition: Edition) -> Result<Option<Said>, RowError> {
        let record = record::load(&*self.0.rows, projection, &[edition]).await?.into_iter().next().flatten();
        Ok(record.map(|record| Said {
            is_ready: record.is_ready,
            state: record.state,
            stopped_at: record.stopped_at,
            last_error: record.last_error,
            parked: record.parked,
            requests_done: record.requests_done,
        }))
    }

    /// What the edition has parked.
    ///
    /// # Errors
    ///
    /// What reading rows may fail with.
    pub async fn parked(&self, projection: &Name, edition: Edition) -> Result<Vec<Parked>, RowError> {
        let parked = parking::load(&*self.0.rows, projection, edition, None, usize::MAX).await?;
        Ok(parked.into_iter().map(|(position, event)| event.show(position)).collect())
    }
}
