//! How a worker begins: it claims the checkpoint of its edition, and reads what stands there.

use super::control::{self, Control};
use super::engine::{Engine, Overlay, Place};
use super::env::Env;
use super::parking::{self, Held, ParkedEvent};
use super::record::{self, Record};
use super::standing;
use super::worker::{End, Hunt};
use crate::ports::{ProjectionFailure, ProjectionState, RowError};
use crate::values::{Batch, Checkpoint, CheckpointState, Edition, Move, Name, Page, Position, Timestamp, Token};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::pin::Pin;
use event_listener::EventListener;

/// The work on an edition, from a claim of its checkpoint to the next.
pub(super) struct Shift<'a> {
    pub(super) env: &'a Env,
    pub(super) engine: &'a dyn Engine,
    pub(super) edition: Edition,
    /// Of the checkpoint.
    pub(super) name: &'a Name,
    pub(super) token: Token,
    pub(super) hunt: &'a mut Hunt,
    /// Where the checkpoint stands.
    pub(super) state: CheckpointState,
    pub(super) record: Record,
    /// The record has something that is to be said at once.
    pub(super) is_unsaid: bool,
    pub(super) control: Control,
    pub(super) looked_at: Timestamp,
    pub(super) is_look_due: bool,
    pub(super) wished: Pin<Box<EventListener>>,
    pub(super) parked: BTreeMap<Position, ParkedEvent>,
    pub(super) held: Held,
    /// Some that wait may wait no more.
    pub(super) is_release_due: bool,
    pub(super) overlay: Box<dyn Overlay>,
    pub(super) feed: Option<Feed>,
    /// Events up to here are replayed.
    pub(super) replayed: Option<Position>,
    /// Everything in the log has been applied.
    pub(super) is_caught_up: bool,
    /// The active version is to become this edition's with the next batch.
    pub(super) activates: bool,
    /// Events applied since then, when something was said last.
    pub(super) applied: u64,
    pub(super) counted_from: Timestamp,
}

/// A page of the log, and how much of it is applied.
pub(super) struct Feed {
    pub(super) page: Page,
    pub(super) done: usize,
}

impl<'a> Shift<'a> {
    /// Claims the checkpoint and reads what stands.
    ///
    /// # Errors
    ///
    /// Why it has to be begun again.
    pub(super) async fn begin(
        env: &'a Env,
        engine: &'a dyn Engine,
        edition: Edition,
        name: &'a Name,
        token: Token,
        hunt: &'a mut Hunt,
    ) -> Result<Self, End> {
        let model = engine.model();
        let rows = &*env.rows;
        let of_rows = |error| End::of_rows(error, token);
        standing::define(rows).await.map_err(of_rows)?;
        let collection = model.collection_of(edition);
        let defined = rows.define(collection.clone()).await;
        let log = env.events.capabilities().identity;
        let stands = rows.checkpoint(name.clone()).await.map_err(of_rows)?;
        let state = stands.unwrap_or(CheckpointState::new(log, None, Token(0)));
        if state.store != log {
            let (name, named, actual) = (name.clone(), log, state.store);
            return Err(of_rows(RowError::WrongStore { name, named, actual }));
        }
        // Before anything else is read: from here on nobody else writes under this checkpoint.
        let claim = Checkpoint::new(name.clone(), state, token, Move::Claim);
        rows.commit(Batch::new(claim)).await.map_err(of_rows)?;
        // A claim is judged by its token alone: a former holder may have moved it before.
        let state = rows.checkpoint(name.clone()).await.map_err(of_rows)?.unwrap_or(state);
        let wished = Box::pin(env.wished.listen());
        let now = env.clock.now();
        let control = control::read(rows, &model.name).await.map_err(of_rows)?;
        let records = record::load(rows, &model.name, &[edition]).await.map_err(of_rows)?;
        let said = records.into_iter().next().flatten();
        let begins = said.is_none();
        let record = said.unwrap_or(Record::beginning(now));
        let parked = parking::load(rows, &model.name, edition, None, usize::MAX).await.map_err(of_rows)?;
        let (upcasters, spawn) = (env.upcasters.clone(), env.spawn.clone());
        let place = Place { rows: env.rows.clone(), collection: Arc::new(collection), upcasters, spawn };
        let mut shift = Self {
            env,
            engine,
            edition,
            name,
            token,
            hunt,
            state: CheckpointState::new(state.store, state.position, token),
            record,
            is_unsaid: false,
            control,
            looked_at: now,
            is_look_due: false,
            wished,
            held: Held::default(),
            is_release_due: !parked.is_empty(),
            parked,
            overlay: engine.overlay(place),
            feed: None,
            replayed: None,
            is_caught_up: false,
            activates: false,
            applied: 0,
            counted_from: now,
        };
        shift.hold_parked();
        shift.record.holder = Some(env.holder.clone());
        if shift.record.stopped_at.is_some() && shift.record.stopped_at <= shift.state.position {
            shift.record.stopped_at = None;
            shift.set_state(ProjectionState::CatchingUp);
        }
        shift.record.parked = shift.parked.len() as u64;
        shift.is_unsaid = true;
        if let Some(reason) = shift.hunt.trouble.take() {
            shift.fail(None, reason);
        }
        let stop = match defined {
            Err(error) => match of_rows(error) {
                End::Stopped(reason) => Some(reason),
                end => return Err(end),
            },
            Ok(()) => shift.hunt.stop.take(),
        };
        match stop {
            Some(reason) => shift.stop(None, reason),
            // Where it stopped at an event, an operator says when it goes on. Anything else may have passed.
            None if shift.record.stopped_at.is_none() => shift.set_state(ProjectionState::CatchingUp),
            None => {}
        }
        if begins {
            // Before it may be ready, at once after a reset.
            shift.record.replayed_to = shift.find_replayed().await?;
        }
        shift.wish().await?;
        if shift.activates {
            shift.say().await?;
        }
        shift.replayed = shift.find_replayed().await?;
        Ok(shift)
    }

    /// Makes the sequences of all parked events wait.
    pub(super) fn hold_parked(&mut self) {
        self.held = Held::default();
        for event in self.parked.values() {
            self.held.hold(&event.sequences);
        }
    }

    pub(super) fn set_state(&mut self, state: ProjectionState) {
        if self.record.state != state {
            self.record.state = state;
            self.is_unsaid = true;
        }
    }

    /// Remembers what went wrong.
    pub(super) fn fail(&mut self, position: Option<Position>, reason: String) {
        let reason = shortened(reason);
        self.record.last_error = Some(ProjectionFailure::new(self.env.clock.now(), position, reason));
        self.is_unsaid = true;
    }

    /// Stops, at an event or at large.
    pub(super) fn stop(&mut self, position: Option<Position>, reason: String) {
        let reason = shortened(reason);
        self.fail(position, reason.clone());
        self.record.stopped_at = position;
        self.set_state(ProjectionState::Stopped { reason });
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.record.state, ProjectionState::Stopped { .. })
    }

    /// Whether the store makes its rows inside of appends.
    pub(super) fn is_inline(&self) -> bool {
        self.env.is_inline(self.engine.model())
    }

    pub(super) fn end(&self, error: RowError) -> End {
        End::of_rows(error, self.token)
    }
}

/// The most bytes of a reason that are kept.
const REASON: usize = 1_000;

/// A reason as it fits a row.
pub(super) fn shortened(mut reason: String) -> String {
    if reason.len() > REASON {
        let end = (0..=REASON).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        reason.truncate(end);
        reason.push('…');
    }
    reason
}
