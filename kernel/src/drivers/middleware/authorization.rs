//! Authorization: a policy judges each command before it is carried out.

use super::{Middleware, Next};
use crate::ports::{CommandEnvelope, CommandError, Receipt};
use alloc::boxed::Box;
use alloc::string::String;
use async_trait::async_trait;

/// Says who may do what.
///
/// It sees the command as it was sent: its name, its metadata with actor and tenant, and its body, of which
/// [`command_in`](super::super::command_in) makes the value. Who the actor is has been found out before, by whoever
/// made the envelope.
///
/// A function is a policy too: `Fn(&CommandEnvelope) -> Result<(), String>`, whose text is the reason of
/// [`CommandError::Denied`].
#[async_trait]
pub trait Policy: Send + Sync {
    /// Lets the command pass, or not.
    ///
    /// # Errors
    ///
    /// [`CommandError::Denied`] when the actor may not; [`CommandError::Busy`] when that cannot be told now.
    async fn judge(&self, command: &CommandEnvelope) -> Result<(), CommandError>;
}

#[async_trait]
impl<F: Fn(&CommandEnvelope) -> Result<(), String> + Send + Sync> Policy for F {
    async fn judge(&self, command: &CommandEnvelope) -> Result<(), CommandError> {
        self(command).map_err(CommandError::Denied)
    }
}

/// Has a policy judge each command, repetitions included: whoever may no longer send a command does not get its
/// receipt either.
#[derive(Debug, Clone)]
pub struct Authorization<P>(P);

impl<P: Policy> Authorization<P> {
    /// Authorization by this policy.
    #[must_use]
    pub fn new(policy: P) -> Self {
        Self(policy)
    }
}

#[async_trait]
impl<P: Policy> Middleware for Authorization<P> {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        self.0.judge(&command).await?;
        next.run(command).await
    }
}
