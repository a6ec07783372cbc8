//! What operators wish, and when an edition is ready and active.

use super::claim::Shift;
use super::control::{self, Request, What};
use super::parking;
use super::record;
use super::worker::End;
use crate::ports::{ProjectionState, RowError};
use crate::values::{Batch, Edition, Position};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use futures::FutureExt;

impl Shift<'_> {
    /// Looks at what is wished, if it is time to, or somebody in this process has wished something.
    pub(super) async fn look(&mut self) -> Result<(), End> {
        let now = self.env.clock.now();
        // What has been heard once is not listened to again.
        let is_wished = self.is_look_due || (&mut self.wished).now_or_never().is_some();
        // A clock that was set back is no reason to look no more.
        let is_time = now >= self.looked_at.plus(self.env.options.look) || now < self.looked_at;
        if !(is_wished || is_time) {
            return Ok(());
        }
        self.is_look_due = false;
        self.looked_at = now;
        // Listening begins before the look, so that nothing falls between the two.
        self.wished = Box::pin(self.env.wished.listen());
        let control = control::read(&*self.env.rows, &self.engine.model().name).await;
        let control = control.map_err(|error| self.end(error))?;
        if control != self.control {
            self.control = control;
            self.wish().await?;
        }
        Ok(())
    }

    /// Takes in what is wished of readiness and of the active version.
    pub(super) async fn wish(&mut self) -> Result<(), End> {
        let model = self.engine.model();
        let wanted = self.control.wanted.get(&model.version);
        let is_at_once = wanted.is_some_and(|wanted| wanted.at_once && wanted.rebuild == self.edition.rebuild);
        if is_at_once && !self.record.is_ready && !self.is_stopped() {
            self.record.is_ready = true;
            self.is_unsaid = true;
        }
        if self.record.is_ready && !self.is_stopped() && self.is_to_be_active().await? {
            self.activates = true;
            self.is_unsaid = true;
        }
        Ok(())
    }

    /// Whether readers who prefer no version are to be switched to this edition.
    pub(super) async fn is_to_be_active(&self) -> Result<bool, End> {
        let model = self.engine.model();
        let version = model.version;
        if self.control.wanted(version) != self.edition {
            return Ok(false);
        }
        let versions = self.env.rows.versions(model.name.clone()).await.map_err(|error| self.end(error))?;
        let active = versions.active.map(Edition::stored);
        let is_chosen = match self.control.pinned {
            Some(pinned) => pinned == version,
            None => active.is_none_or(|active| version >= active.version),
        };
        Ok(is_chosen && active != Some(self.edition))
    }

    /// Up to which event this one is replaying: what the edition that is read has applied.
    pub(super) async fn find_replayed(&self) -> Result<Option<Position>, End> {
        if self.record.is_ready || !self.engine.asks_replaying() {
            return Ok(self.record.replayed_to);
        }
        let (model, rows) = (self.engine.model(), &*self.env.rows);
        let of_rows = |error| self.end(error);
        let version = model.version;
        let before: Vec<_> = (0..self.edition.rebuild).map(|rebuild| Edition { version, rebuild }).collect();
        let records = record::load(rows, &model.name, &before).await.map_err(of_rows)?;
        let ready = before.iter().zip(&records).rev().find(|(_, record)| record.as_ref().is_some_and(|it| it.is_ready));
        let read = match ready {
            Some((edition, _)) => Some(*edition),
            None => rows.versions(model.name.clone()).await.map_err(of_rows)?.active.map(Edition::stored),
        };
        let Some(read) = read.filter(|read| *read != self.edition) else { return Ok(None) };
        let invalid = |error| End::Stopped(alloc::format!("{error}"));
        let stands = rows.checkpoint(read.checkpoint(&model.name).map_err(invalid)?).await.map_err(of_rows)?;
        Ok(stands.and_then(|stands| stands.position).max(self.record.replayed_to))
    }

    /// Takes up where it stood before it was paused.
    pub(super) fn unpause(&mut self) {
        let reason = self.record.last_error.as_ref().map_or(String::new(), |failure| failure.reason.clone());
        match self.record.stopped_at {
            Some(_) => self.set_state(ProjectionState::Stopped { reason }),
            None => self.set_state(ProjectionState::CatchingUp),
        }
        // A look at the log tells whether it has.
        self.is_caught_up = false;
    }

    /// The first request that has not been carried out.
    pub(super) fn request(&self) -> Option<Request> {
        let open = self.control.requests.iter().filter(|request| request.number > self.record.requests_done);
        open.min_by_key(|request| request.number).copied()
    }

    /// Carries out the first request that has not been, and tells whether there was one.
    pub(super) async fn carry_out(&mut self) -> Result<bool, End> {
        let Some(request) = self.request() else { return Ok(false) };
        match request.what {
            What::Resume => self.go_on(request.number, self.state.position).await?,
            What::Retry(position) => {
                let position = position.and_then(Position::new);
                self.revisit(|parked| position.is_none_or(|wanted| wanted == parked), Some(request.number)).await?;
            }
            What::Drop(position) => {
                let position = Position::new(position);
                if position.is_some() && position == self.record.stopped_at {
                    // The checkpoint stands before it, with no other event between.
                    self.go_on(request.number, position).await?;
                } else {
                    self.drop_parked(request.number, position).await?;
                }
            }
        }
        Ok(true)
    }

    /// Goes on after a stop, from there.
    async fn go_on(&mut self, request: u64, from: Option<Position>) -> Result<(), End> {
        // An inline store may have passed the event meanwhile.
        let from = from.max(self.state.position);
        if self.is_stopped() {
            self.hunt.bad.clear();
            self.hunt.failed = None;
            self.record.stopped_at = None;
            self.set_state(ProjectionState::CatchingUp);
            self.feed = None;
            self.is_caught_up = false;
            self.overlay.discard();
        }
        self.record.requests_done = request;
        self.is_unsaid = true;
        let batch = self.begin_batch(from);
        self.commit(batch).await.map_err(|error| self.end(error))
    }

    async fn drop_parked(&mut self, request: u64, position: Option<Position>) -> Result<(), End> {
        let mut batch = self.begin_batch(self.state.position);
        if let Some(position) = position
            && self.parked.remove(&position).is_some()
        {
            let name = &self.engine.model().name;
            batch = parking::release(batch, name, self.edition, position).map_err(|error| self.end(error))?;
            self.record.parked = self.parked.len() as u64;
            self.hold_parked();
            self.is_release_due = true;
        }
        self.record.requests_done = request;
        self.is_unsaid = true;
        self.commit(batch).await.map_err(|error| self.end(error))
    }

    /// Says what is to be said at once, if something is.
    pub(super) async fn say(&mut self) -> Result<(), End> {
        if !self.is_unsaid {
            return Ok(());
        }
        let batch = self.begin_batch(self.state.position);
        self.commit(batch).await.map_err(|error| self.end(error))
    }

    /// Commits a batch with what is to be said.
    pub(super) async fn commit(&mut self, batch: Batch) -> Result<(), RowError> {
        let batch = self.with_record(batch)?;
        let checkpoint = batch.checkpoint.clone();
        self.env.rows.commit(batch).await?;
        self.committed(&checkpoint);
        Ok(())
    }
}
