//! What a step does over the buses of its context.

use super::ask::{Asking, QueryBusExt as _};
use super::question::Question;
use crate::domain::Command;
use crate::domain::saga::{StepContext, StepError};
use crate::ports::{CommandBus as _, CommandError, QueryBus, Receipt};
use serde::Serialize;

impl StepContext {
    /// Sends a command, under the step's key, so that however often the step is tried, it takes effect once. The saga's
    /// correlation, actor and tenant go with it.
    ///
    /// # Errors
    ///
    /// The command's, as a step's. `?` passes it on.
    ///
    /// # Cancellation
    ///
    /// As [`CommandBus::dispatch`](crate::ports::CommandBus::dispatch).
    pub async fn send<C: Command>(&self, command: C) -> Result<Receipt, StepError> {
        self.dispatch(command, None).await
    }

    /// Sends a command beside others of the step, told apart by a word. Take steps of their own where one of them may be
    /// refused: a step that has happened by half cannot be settled, and needs an operator.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_as<C: Command>(&self, part: &str, command: C) -> Result<Receipt, StepError> {
        self.dispatch(command, Some(part)).await
    }

    async fn dispatch<C: Command>(&self, command: C, part: Option<&str>) -> Result<Receipt, StepError> {
        match self.commands().dispatch(self.envelope(command, part)?).await {
            // It waits for no projection; a bus that does so by itself tells that the command has taken effect.
            Err(CommandError::NotCaughtUp { receipt, .. }) => Ok(*receipt),
            answer => Ok(answer?),
        }
    }

    /// Asks a typed question, once it is awaited, on behalf of the saga's actor and in its tenant.
    pub fn ask<Q: Question + Serialize>(&self, question: Q) -> Asking<'_, dyn QueryBus, Q> {
        (**self.queries()).query(question).metadata(self.metadata().clone())
    }
}
