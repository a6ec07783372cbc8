//! Commands as spans of the crate [`tracing`]: a middleware for any command bus.
//!
//! ```
//! # use portolan_kernel::application::{Application, ApplicationBuilder, Runtime, Storage};
//! # use portolan_kernel::ports::CommandBus;
//! # use std::sync::Arc;
//! use portolan_kernel::drivers::MiddlewareBus;
//! use portolan_tracing::Tracing;
//!
//! # fn here(storage: Storage, runtime: Runtime) -> ApplicationBuilder {
//! // In an application; first, so that it sees what others refuse:
//! Application::builder(storage, runtime).middleware(Tracing)
//! # }
//! # fn there(remote: Arc<dyn CommandBus>) -> MiddlewareBus {
//! // Around a remote one:
//! MiddlewareBus::new(remote).middleware(Tracing)
//! # }
//! ```

use core::pin::Pin;
use portolan_kernel::drivers::{Middleware, Next};
use portolan_kernel::ports::{CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::Metadata;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span, error, info_span, warn};

/// Puts each command into a span `command` of level INFO. Whatever is logged while it is carried out is logged
/// within.
///
/// Its fields, each only where it is known: `command` (the name), `command_id`, `correlation_id`, `actor`, `tenant`,
/// `traceparent`; and, once the command has ended, `outcome`, `retries` (when there were any), `position` of its last
/// event, and `error` in words.
///
/// The outcome is `done` or `repeated`; the error in kebab case, such as `rejected`, `denied` or `deadline-passed`;
/// or `dropped` when nobody waited for the end. What an operator may want to know is an event too: `unknown` and
/// `busy` at WARN, `other` at ERROR, with the causes.
///
/// A body is never written down: it may hold what is nobody's business.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing;

// As `async_trait` would write it, but that the command has one place in the future and not two.
impl Middleware for Tracing {
    fn handle<'s, 'f>(&'s self, command: CommandEnvelope, next: Next) -> Handled<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let Metadata { correlation, actor, tenant, traceparent, .. } = &command.metadata;
            let span = info_span!(
                "command",
                command = command.name.as_str(),
                command_id = command.id.as_deref(),
                correlation_id = correlation,
                actor,
                tenant,
                traceparent,
                outcome = Empty,
                retries = Empty,
                position = Empty,
                error = Empty,
            );
            let correlated = correlation.is_some();
            let open = Open { span: &span, next: next.clone(), correlated, ended: false };
            let outcome = next.run(command).instrument(span.clone()).await;
            open.end(&outcome);
            outcome
        })
    }
}

/// The future of a command that goes through a middleware.
type Handled<'f> = Pin<Box<dyn Future<Output = Result<Receipt, CommandError>> + Send + 'f>>;

/// A span whose outcome is to be told, also when it is dropped.
struct Open<'a> {
    span: &'a Span,
    next: Next,
    correlated: bool,
    ended: bool,
}

impl Open<'_> {
    fn end(mut self, outcome: &Result<Receipt, CommandError>) {
        self.ended = true;
        let span = self.span;
        match outcome {
            Ok(receipt) => {
                self.record(if receipt.repeated { "repeated" } else { "done" });
                self.record_receipt(receipt);
            }
            Err(failed) => {
                self.record(code(failed));
                span.record("error", display(failed));
                if let CommandError::NotCaughtUp { receipt, .. } = failed {
                    self.record_receipt(receipt);
                }
                let causes = causes(failed);
                match failed {
                    CommandError::Unknown(_) => warn!(parent: span, causes, "the outcome of a command is unknown"),
                    CommandError::Busy(_) => warn!(parent: span, causes, "a command found no room"),
                    CommandError::Other(_) => error!(parent: span, causes, "a command failed"),
                    _ => {}
                }
            }
        }
    }

    fn record_receipt(&self, receipt: &Receipt) {
        if let Some(position) = receipt.position {
            self.span.record("position", position.get());
        }
        if let (false, Some(correlation)) = (self.correlated, &receipt.correlation) {
            self.span.record("correlation_id", correlation);
        }
    }

    fn record(&self, outcome: &str) {
        self.span.record("outcome", outcome);
        let retries = self.next.retries();
        if retries > 0 {
            self.span.record("retries", retries);
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record("dropped");
        }
    }
}

fn code(error: &CommandError) -> &'static str {
    match error {
        CommandError::UnknownCommand(_) => "unknown-command",
        CommandError::Malformed(_) => "malformed",
        CommandError::Invalid(_) => "invalid",
        CommandError::Rejected { .. } => "rejected",
        CommandError::Conflict { .. } => "conflict",
        CommandError::Denied(_) => "denied",
        CommandError::DeadlinePassed => "deadline-passed",
        CommandError::NotCaughtUp { .. } => "not-caught-up",
        CommandError::KeyReused => "key-reused",
        CommandError::ShuttingDown => "shutting-down",
        CommandError::Busy(_) => "busy",
        CommandError::Unknown(_) => "unknown",
        _ => "other",
    }
}

/// What caused it, from the outside in.
fn causes(error: &dyn core::error::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}
