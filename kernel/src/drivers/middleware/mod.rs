//! Middleware: what surrounds every command, whoever decides it.

mod authorization;
mod deadline;
mod hooks;
mod retry;

pub use authorization::{Authorization, Policy};
pub use deadline::Deadline;
pub use hooks::{Failure, Hooked, Hooks};
pub use retry::Retry;

use super::progress::Progress;
use crate::ports::{CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt;
use futures::future::BoxFuture;

/// Surrounds commands: sees each before it is carried out and its outcome after, may refuse it, change it, or have
/// it carried out again.
///
/// The first one registered is the outermost (CB-03). A middleware around an application's bus sees every command
/// that the application takes, unknown names and repetitions included, but none that come after shutdown has
/// begun. What only looks on is easier to write as [`Hooks`], which keeps before and after paired also when the
/// caller goes away.
///
/// What it makes of a command is the same each time that the same command comes: name, tenant and id are what a repetition is
/// known by. A saga that finds out what has become of a step has the step's commands come once more, and nobody carries them
/// out then: one that has taken effect is answered by its receipt, another rejected as `key-closed`, for good.
///
/// ```
/// use portolan_kernel::drivers::{Middleware, Next};
/// use portolan_kernel::ports::{CommandEnvelope, CommandError, Receipt};
///
/// /// Puts every command into one tenant.
/// struct InTenant(String);
///
/// #[async_trait::async_trait]
/// impl Middleware for InTenant {
///     async fn handle(&self, mut command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
///         command.metadata.tenant = Some(self.0.clone());
///         next.run(command).await
///     }
/// }
/// ```
#[async_trait]
pub trait Middleware: Send + Sync {
    /// Carries the command out by [`next`](Next::run), or refuses it.
    ///
    /// # Errors
    ///
    /// Its own, or what `next` answers. A command that `next` has carried out must not be answered with an error that
    /// promises that it had no effect.
    ///
    /// # Cancellation
    ///
    /// The caller may drop the future at any time; a deadline that passes while the middleware itself lingers does.
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError>;
}

/// A shared middleware is a middleware. It hands on the middleware's own futures, at no cost.
impl<M: Middleware + ?Sized> Middleware for Arc<M> {
    fn handle<'s, 'f>(&'s self, command: CommandEnvelope, next: Next) -> BoxFuture<'f, Result<Receipt, CommandError>>
    where
        's: 'f,
        Self: 'f,
    {
        (**self).handle(command, next)
    }
}

/// The rest of the way of a command: the middleware further in, and the bus.
#[derive(Clone)]
pub struct Next {
    way: Arc<Way>,
    /// How many have been passed.
    passed: usize,
    progress: Arc<Progress>,
}

struct Way {
    middleware: Vec<Arc<dyn Middleware>>,
    end: End,
}

enum End {
    /// An application's own bus, which writes down how far it has come.
    Local(Arc<dyn Watched>),
    Bus(Arc<dyn CommandBus>),
}

/// A bus that tells how far a command has come.
pub(super) trait Watched: Send + Sync {
    fn dispatch<'f>(
        &'f self,
        command: CommandEnvelope,
        progress: &'f Progress,
    ) -> BoxFuture<'f, Result<Receipt, CommandError>>;
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.way.middleware.len() - self.passed;
        f.debug_struct("Next").field("middleware", &left).finish_non_exhaustive()
    }
}

impl Next {
    /// Nothing but this bus: to call a middleware by itself, as in a test of it.
    #[must_use]
    pub fn bus(bus: Arc<dyn CommandBus>) -> Self {
        Chain::new(Vec::new(), bus).start()
    }

    /// Has the command carried out. A clone can do so once more.
    ///
    /// # Errors
    ///
    /// As [`CommandBus::dispatch`].
    pub async fn run(mut self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let way = self.way.clone();
        if let Some(middleware) = way.middleware.get(self.passed) {
            self.passed += 1;
            return middleware.handle(command, self).await;
        }
        match &way.end {
            End::Local(bus) => bus.dispatch(command, &self.progress).await,
            End::Bus(bus) => bus.dispatch(command).await,
        }
    }

    /// How often, up to now, the decision on this command was made anew, or the command sent again. Attempts in
    /// another process are not counted.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.progress.retries()
    }

    fn retried(&self) {
        self.progress.retried();
    }
}

/// Middleware around a bus, in order.
#[derive(Clone)]
pub(super) struct Chain(Arc<Way>);

impl Chain {
    fn new(middleware: Vec<Arc<dyn Middleware>>, bus: Arc<dyn CommandBus>) -> Self {
        Self(Arc::new(Way { middleware, end: End::Bus(bus) }))
    }

    pub(super) fn around(bus: Arc<dyn Watched>, middleware: Vec<Arc<dyn Middleware>>) -> Self {
        Self(Arc::new(Way { middleware, end: End::Local(bus) }))
    }

    fn start(&self) -> Next {
        self.start_with(Arc::default())
    }

    /// The same middleware around another bus.
    pub(super) fn leading_to(&self, bus: Arc<dyn CommandBus>) -> MiddlewareBus {
        MiddlewareBus { chain: Self::new(self.0.middleware.clone(), bus.clone()), bus }
    }

    pub(super) fn start_with(&self, progress: Arc<Progress>) -> Next {
        Next { way: self.0.clone(), passed: 0, progress }
    }
}

/// Any bus, such as a remote one, with middleware around it. It is a bus.
///
/// ```
/// # use portolan_kernel::drivers::{Authorization, MiddlewareBus};
/// # use portolan_kernel::ports::{CommandBus, CommandEnvelope};
/// # use std::sync::Arc;
/// # fn around(remote: Arc<dyn CommandBus>) -> Arc<dyn CommandBus> {
/// let known = |command: &CommandEnvelope| match command.metadata.actor {
///     Some(_) => Ok(()),
///     None => Err("say who you are".into()),
/// };
/// Arc::new(MiddlewareBus::new(remote).middleware(Authorization::new(known)))
/// # }
/// ```
pub struct MiddlewareBus {
    bus: Arc<dyn CommandBus>,
    chain: Chain,
}

impl fmt::Debug for MiddlewareBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareBus").field("middleware", &self.chain.0.middleware.len()).finish_non_exhaustive()
    }
}

impl MiddlewareBus {
    /// This bus, without any middleware yet.
    #[must_use]
    pub fn new(bus: Arc<dyn CommandBus>) -> Self {
        Self { chain: Chain::new(Vec::new(), bus.clone()), bus }
    }

    /// The same, with this middleware inside of those before.
    #[must_use]
    pub fn middleware(self, middleware: impl Middleware + 'static) -> Self {
        let mut all = self.chain.0.middleware.clone();
        all.push(Arc::new(middleware));
        Self { chain: Chain::new(all, self.bus.clone()), bus: self.bus }
    }

    /// The same, with these hooks inside of what was there before.
    #[must_use]
    pub fn hooks(self, hooks: impl Hooks + 'static) -> Self {
        self.middleware(Hooked::new(hooks))
    }
}

#[async_trait]
impl CommandBus for MiddlewareBus {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.chain.start().run(command).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        let inside = self.bus.leading_to(end)?;
        Some(Arc::new(self.chain.leading_to(inside)))
    }
}
