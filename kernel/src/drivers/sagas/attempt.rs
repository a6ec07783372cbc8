//! One attempt at a step.

use super::closing::{Close, ClosingBus};
use crate::domain::saga::{OpenSaga, Run, Settling, StepContext, StepError, StepPlan, Way};
use crate::ports::{CommandBus, CommandEnvelope, CommandError, Spawn};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use async_channel::Sender;
use core::pin::Pin;
use core::task::Poll;
use futures::future::{BoxFuture, poll_fn};
use serde_json::Value;

/// What an attempt goes by: step, way, number.
pub(super) type AttemptKey = (String, Way, u32);

/// What an attempt came to.
pub(super) type Outcome = (AttemptKey, Result<Value, StepError>);

/// The attempt, at work. `context` is the step's own, over the real bus.
pub(super) fn attempt(
    saga: &OpenSaga,
    plan: Option<&StepPlan>,
    run: &Run,
    context: impl FnOnce(Option<Arc<dyn CommandBus>>) -> Result<StepContext, StepError>,
    bus: &Arc<dyn CommandBus>,
    requests: &Sender<Close>,
    spawn: Arc<dyn Spawn>,
) -> BoxFuture<'static, Outcome> {
    let key = (run.step.clone(), run.way, run.attempt);
    let by_keys = matches!(plan, Some(StepPlan { settle: Some(Settling::Keys(_)), .. }));
    let closing = (run.way == Way::Settle && by_keys)
        .then(|| Arc::new(ClosingBus::new(bus.clone(), run.step.clone(), run.attempt, requests.clone())));
    let context = context(closing.clone().map(|closing| closing as Arc<dyn CommandBus>));
    let work = context.map(|context| match &run.command {
        Some(command) => sent(context.recorded_envelope(command), context.commands().clone()),
        None => saga.run(context),
    });
    Box::pin(async move {
        let result = match work {
            Ok(work) => caught(work, spawn).await,
            Err(error) => Err(error),
        };
        let result = match &closing {
            Some(closing) => closing.settled(result).await,
            None => result,
        };
        (key, result)
    })
}

/// A process's step: its command, sent as it is recorded.
fn sent(
    envelope: Result<CommandEnvelope, StepError>,
    bus: Arc<dyn CommandBus>,
) -> BoxFuture<'static, Result<Value, StepError>> {
    Box::pin(async move {
        match bus.dispatch(envelope?).await {
            // It waits for no projection; a bus that does so by itself tells that the command has taken effect.
            Ok(_) | Err(CommandError::NotCaughtUp { .. }) => Ok(Value::Null),
            Err(error) => Err(error.into()),
        }
    })
}

/// The step's result. A panic costs the attempt, and not the driver: it may have had its effect. What it said is for whoever
/// runs the process, where the runtime's panic hook tells it, and is not recorded: it may be anything.
async fn caught(
    mut work: BoxFuture<'static, Result<Value, StepError>>,
    spawn: Arc<dyn Spawn>,
) -> Result<Value, StepError> {
    poll_fn(move |context| {
        let mut polled = Poll::Pending;
        let caught = spawn.catch(&mut || polled = Pin::as_mut(&mut work).poll(context));
        match caught {
            Ok(()) => polled,
            Err(_said) => {
                Poll::Ready(Err(StepError::unknown("the step panicked; the log of the process says at what")))
            }
        }
    })
    .await
}
