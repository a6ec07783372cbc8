//! Retry: sends a command again when that may help and cannot harm.

use super::super::backoff::Backoff;
use super::{Middleware, Next};
use crate::ports::{Clock, CommandEnvelope, CommandError, IdSource, Receipt, Sleep, Source};
use crate::values::Timestamp;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use async_trait::async_trait;
use core::fmt;
use core::time::Duration;

/// Sends a command again after [`Busy`](CommandError::Busy) and [`Conflict`](CommandError::Conflict), and, when it
/// has an id, after [`Unknown`](CommandError::Unknown): boundedly, with pauses that grow and are spread at random.
/// Everything else would fail again, and comes back at once.
///
/// Once an outcome was unknown, it stays so until an attempt settles it by what is recorded under the id: a receipt,
/// [`KeyReused`](CommandError::KeyReused) or [`NotCaughtUp`](CommandError::NotCaughtUp). A later `Busy` or rejection
/// does not make it a promise that nothing has happened, because what was sent before may still be on its way; the
/// rejection is told in the text. A deadline bounds all attempts together.
///
/// An application's own bus already decides anew on conflicts and asks a busy store again; this is of most use
/// around a remote bus.
#[derive(Clone)]
pub struct Retry {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    sleep: Arc<dyn Sleep>,
    attempts: u32,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

impl Retry {
    /// At most 5 attempts. Time, chance and pauses are these.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, sleep: Arc<dyn Sleep>) -> Self {
        Self { clock, ids, sleep, attempts: 5 }
    }

    /// The same, with at most this many attempts; at least one is made.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }
}

#[async_trait]
impl Middleware for Retry {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        let begun = self.clock.now();
        let mut backoff = Backoff::new(&*self.ids, &*self.sleep, self.attempts.saturating_sub(1));
        let mut unknown = None;
        let mut within = command.within;
        loop {
            let attempt = CommandEnvelope { within, ..command.clone() };
            let error = match next.clone().run(attempt).await {
                Err(error) => error,
                done => return done,
            };
            let may_help = match &error {
                CommandError::Busy(_) | CommandError::Conflict { .. } => true,
                CommandError::Unknown(_) => command.id.is_some(),
                _ => false,
            };
            let error = settle(error, &mut unknown);
            if !may_help || !backoff.pause().await {
                return Err(error);
            }
            within = command.within.map(|within| within.saturating_sub(since(begun, self.clock.now())));
            if within.is_some_and(|left| left.is_zero()) {
                return Err(error);
            }
            next.retried();
        }
    }
}

/// What is true after this error of an attempt, when the outcome of an earlier one may be unknown.
fn settle(error: CommandError, unknown: &mut Option<CommandError>) -> CommandError {
    match &error {
        CommandError::Unknown(_) => *unknown = Some(error.clone()),
        // Answered by what is recorded under the id. A rejection or a conflict is not: neither is recorded, and the
        // attempt of unknown outcome may still be on its way.
        CommandError::KeyReused | CommandError::NotCaughtUp { .. } => *unknown = None,
        CommandError::Rejected { .. } => {
            if let Some(CommandError::Unknown(source)) = &*unknown {
                let text = format!("{source}; sent again, it was rejected: {error}");
                return CommandError::Unknown(Source::new(text));
            }
        }
        _ => {}
    }
    unknown.clone().unwrap_or(error)
}

fn since(begun: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(now.as_micros().saturating_sub(begun.as_micros()))
}
