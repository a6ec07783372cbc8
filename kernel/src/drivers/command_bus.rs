//! The command bus of an application in its own process.

use super::catch_up::CatchUp;
use super::execution::Execution;
use super::gate::Gate;
use super::handlers::CommandHandlers;
use super::middleware::{Chain, Middleware, Watched};
use super::progress::Progress;
use crate::ports::{CommandBus, CommandEnvelope, CommandError, CommandInfo, ProjectionRegistry, Receipt, Sleep};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt;
use core::pin::{Pin, pin};
use core::time::Duration;
use futures::future::BoxFuture;

/// Takes a command through middleware to its handler, has it decided and appended, and waits for projections.
///
/// All of that counts against the command's deadline, and is drained by shutdown.
pub struct LocalCommandBus {
    core: Arc<Core>,
    chain: Chain,
    sleep: Arc<dyn Sleep>,
}

impl fmt::Debug for LocalCommandBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCommandBus").field("handlers", &self.core.handlers).finish_non_exhaustive()
    }
}

impl LocalCommandBus {
    /// A bus with these handlers, middleware (the first outermost) and projections to wait for.
    #[must_use]
    pub fn new(
        execution: Execution,
        handlers: CommandHandlers,
        middleware: Vec<Arc<dyn Middleware>>,
        projections: Arc<dyn ProjectionRegistry>,
    ) -> Self {
        let (ids, sleep) = (execution.ids().clone(), execution.sleep().clone());
        let catch_up = CatchUp { projections, ids, sleep: sleep.clone(), most: execution.options().catch_up };
        let core = Arc::new(Core { execution, handlers, catch_up, gate: Gate::default() });
        Self { chain: Chain::around(core.clone(), middleware), core, sleep }
    }

    /// Refuses new commands from now on, and waits until all accepted ones are finished (CB-12). A wait for projections
    /// goes on for [`BusOptions::catch_up`](super::BusOptions::catch_up) at most, whatever its deadline.
    pub async fn shut_down(&self) {
        self.core.gate.shut().await;
    }
}

#[async_trait]
impl CommandBus for LocalCommandBus {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let _inside = self.core.gate.enter().ok_or(CommandError::ShuttingDown)?;
        let within = command.within;
        let progress = Arc::new(Progress::within(within));
        let work = pin!(self.chain.start_with(progress.clone()).run(command));
        limited(within, &*self.sleep, &progress, work).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.core.handlers.infos()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        Some(Arc::new(self.chain.leading_to(end)))
    }
}

/// The work, within this time. It is pinned elsewhere: a future that holds another by value has room for it twice.
async fn limited(
    within: Option<Duration>,
    sleep: &dyn Sleep,
    progress: &Progress,
    work: Pin<&mut impl Future<Output = Result<Receipt, CommandError>>>,
) -> Result<Receipt, CommandError> {
    match within {
        None => work.await,
        Some(Duration::ZERO) => {
            progress.end();
            Box::pin(progress.until(core::future::ready(()), work)).await
        }
        Some(within) => Box::pin(progress.until(sleep.sleep(within), work)).await,
    }
}

/// What middleware surrounds.
struct Core {
    execution: Execution,
    handlers: CommandHandlers,
    catch_up: CatchUp,
    gate: Gate,
}

impl Watched for Core {
    fn dispatch<'f>(
        &'f self,
        mut command: CommandEnvelope,
        progress: &'f Progress,
    ) -> BoxFuture<'f, Result<Receipt, CommandError>> {
        Box::pin(async move {
            // What the caller asked for has been running since dispatch; what a middleware set begins here.
            let within = command.within.filter(|_| command.within != progress.asked());
            let has_deadline = command.within.or(progress.asked()).is_some();
            let handler = self.handlers.of(&command.name)?;
            self.catch_up.check(&command.wait_for)?;
            let wait_for = core::mem::take(&mut command.wait_for);
            let handled = handler.handle(&self.execution, command, progress);
            let work = pin!(async {
                let receipt = progress.unless_over(handled).await?;
                if wait_for.is_empty() {
                    return Ok(receipt);
                }
                Box::pin(self.catch_up.wait(receipt, wait_for, has_deadline, progress, &self.gate)).await
            });
            limited(within, &**self.execution.sleep(), progress, work).await
        })
    }
}
