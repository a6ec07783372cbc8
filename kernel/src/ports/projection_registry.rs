//! The port `ProjectionRegistry`: what is asked of projections. So far, whether they have caught up.

use super::Source;
use crate::values::{Name, Position};
use alloc::boxed::Box;
use alloc::string::String;
use async_trait::async_trait;

/// Why a projection will not have applied an event, however long one waits.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// No projection has this name. The caller or the registration is mistaken.
    #[error("there is no projection {0}")]
    UnknownProjection(Name),
    /// It does not move: paused, failed, or stuck at an event. An operator has to look.
    #[error("projection {name} has stopped: {reason}")]
    Stopped {
        /// Its name.
        name: Name,
        /// Why, in a sentence.
        reason: String,
    },
    /// It cannot be told now. Try again, with a pause.
    #[error("the projections cannot be asked now; try again")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the projections cannot be asked: {0}")]
    Other(#[source] Source),
}

/// The projections of an application.
///
/// # Laws
///
/// - **PR-06** `wait_for` returns once the projection has applied every event up to the position, and tells one
///   that has stopped from one that is only slow.
#[async_trait]
pub trait ProjectionRegistry: Send + Sync {
    /// Whether there is a projection of this name; `None` when that cannot be told without asking elsewhere. So that
    /// a command that waits for a misspelt name is refused before it runs.
    fn knows(&self, projection: &Name) -> Option<bool> {
        let _ = projection;
        None
    }

    /// Returns once the projection has applied every event up to this position. It may take for ever: whoever
    /// waits sets the limit, by dropping the future.
    ///
    /// # Errors
    ///
    /// [`WaitError`], as soon as waiting longer is of no use.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing but the answer is lost.
    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError>;
}
