//! What a worker does, step by step, and how it waits while there is nothing to do.

use super::super::subscription::yield_now;
use super::batch::of_log;
use super::claim::Shift;
use super::worker::End;
use crate::ports::ProjectionState;
use core::convert::Infallible;
use futures::future::{Either, select};

impl Shift<'_> {
    /// Works until it has to be begun again.
    pub(super) async fn run(mut self) -> End {
        match self.steps().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn steps(&mut self) -> Result<Infallible, End> {
        loop {
            self.look().await?;
            if self.control.paused_at.is_some() {
                self.set_state(ProjectionState::Paused);
                self.say().await?;
                self.rest().await;
                continue;
            }
            if self.record.state == ProjectionState::Paused {
                self.unpause();
            }
            if self.carry_out().await? {
                continue;
            }
            if self.is_stopped() {
                self.say().await?;
                self.rest().await;
            } else if self.is_release_due {
                self.revisit(|_| false, None).await?;
            } else if self.is_caught_up {
                self.say().await?;
                self.wait().await?;
            } else {
                self.batch().await?;
            }
        }
    }

    /// Waits until it is time to look at what is wished.
    async fn rest(&mut self) {
        // A sleep in tests may be over at once.
        yield_now().await;
        select(self.env.sleep.sleep(self.env.options.look), &mut self.wished).await;
        self.is_look_due = true;
    }

    /// Waits until there is something in the log, or something is wished.
    async fn wait(&mut self) -> Result<(), End> {
        let env = self.env;
        // One hint for all that time: to look does not begin it anew.
        let mut changed = env.events.changed(self.engine.model().query.clone(), self.state.position);
        loop {
            yield_now().await;
            let look = select(env.sleep.sleep(env.options.look), &mut self.wished);
            if let Either::Left((hint, _)) = select(&mut changed, look).await {
                hint.map_err(of_log)?;
                self.is_caught_up = false;
                return Ok(());
            }
            self.is_look_due = true;
            self.look().await?;
            if self.control.paused_at.is_some() || self.is_unsaid || self.request().is_some() {
                return Ok(());
            }
        }
    }
}
