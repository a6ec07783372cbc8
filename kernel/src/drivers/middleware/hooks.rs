//! Hooks: before, after and on failure, always paired.

use super::{Middleware, Next};
use crate::ports::{CommandEnvelope, CommandError, Receipt};
use alloc::boxed::Box;
use async_trait::async_trait;

/// Looks on at commands: before each is carried out, and after.
///
/// For each command that `before` lets pass, exactly one of `after` and `failed` runs, in reverse order of
/// `before`: also when something further in refuses it, when its deadline passes, and when the caller drops it. That
/// is why these two are synchronous. A hook whose own `before` refuses is not called again.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// The command, as it is to go on.
    ///
    /// # Errors
    ///
    /// Refuses the command with this error. It has no effect then.
    async fn before(&self, command: CommandEnvelope) -> Result<CommandEnvelope, CommandError> {
        Ok(command)
    }

    /// The command, as it went on, has this receipt.
    fn after(&self, command: &CommandEnvelope, receipt: &Receipt) {
        let _ = (command, receipt);
    }

    /// The command, as it went on, has no receipt.
    fn failed(&self, command: &CommandEnvelope, failure: &Failure) {
        let _ = (command, failure);
    }
}

/// Why a command has no receipt.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Failure {
    /// It was answered with this error. After [`Unknown`](CommandError::Unknown) it may have taken effect, and after
    /// [`NotCaughtUp`](CommandError::NotCaughtUp) it has.
    Error(CommandError),
    /// Nobody waits for it any longer: its caller has gone away, or its deadline has passed while a middleware lingered.
    /// It has taken effect or not.
    Dropped,
}

/// [`Hooks`] as a [`Middleware`].
#[derive(Debug, Clone)]
pub struct Hooked<H>(H);

impl<H: Hooks> Hooked<H> {
    /// A middleware of these hooks.
    #[must_use]
    pub fn new(hooks: H) -> Self {
        Self(hooks)
    }
}

#[async_trait]
impl<H: Hooks> Middleware for Hooked<H> {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let command = self.0.before(command).await?;
        let owed = Owed { hooks: &self.0, command: Some(command.clone()) };
        let outcome = next.run(command).await;
        owed.pay(&outcome);
        outcome
    }
}

/// An `after` or a `failed` that is owed to a command, until it is paid or dropped.
struct Owed<'a, H: Hooks> {
    hooks: &'a H,
    command: Option<CommandEnvelope>,
}

impl<H: Hooks> Owed<'_, H> {
    fn pay(mut self, outcome: &Result<Receipt, CommandError>) {
        let Some(command) = self.command.take() else { return };
        match outcome {
            Ok(receipt) => self.hooks.after(&command, receipt),
            Err(error) => self.hooks.failed(&command, &Failure::Error(error.clone())),
        }
    }
}

impl<H: Hooks> Drop for Owed<'_, H> {
    fn drop(&mut self) {
        if let Some(command) = self.command.take() {
            self.hooks.failed(&command, &Failure::Dropped);
        }
    }
}
