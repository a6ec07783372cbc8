//! What a worker does, step by step, and how it waits while there is nothing to do.

use super::super::subscription::yield_now;
use super::batch::of_log;
use super::claim::Shift;
use super::worker::End;
use crate::ports::ProjectionState;
use core::convert::Infallible;
use core::future::pending;
use core::pin::pin;
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
                self.rest(false).await?;
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
                self.rest(false).await?;
            } else if self.is_release_due {
                self.revisit(|_| false, None).await?;
            } else if self.is_caught_up {
                self.say().await?;
                self.rest(true).await?;
            } else {
                self.batch().await?;
            }
        }
    }

    /// Waits until it is time to look at what is wished, or, if it is to go on then, until there is something in the log.
    async fn rest(&mut self, goes_on: bool) -> Result<(), End> {
        // A hint, and a sleep in tests, may be over at once.
        yield_now().await;
        let (events, position) = (&self.env.events, self.state.position);
        let query = &self.engine.model().query;
        let changed = async { if goes_on { events.changed(query.clone(), position).await } else { pending().await } };
        let look = select(self.env.sleep.sleep(self.env.options.look), &mut self.wished);
        match select(look, pin!(changed)).await {
            Either::Left(_) => self.is_look_due = true,
            Either::Right((hint, _)) => {
                hint.map_err(of_log)?;
                self.is_caught_up = false;
            }
        }
        Ok(())
    }
}
