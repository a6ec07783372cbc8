//! The functions of a step, kept and not run: async methods with the types of their values taken away.

use super::{Outcomes, Saga, StepContext, StepError, Way};
use alloc::boxed::Box;
use alloc::sync::Arc;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

/// An async method of a saga's handler: `async fn(&self, &Input, &StepContext) -> Result<Output, StepError>`. Nobody else
/// implements it.
#[diagnostic::on_unimplemented(
    message = "this is no step of `{S}`",
    label = "a step is `async fn(&self, &Input, &StepContext) -> Result<_, StepError>`",
    note = "a compensation returns `Result<(), StepError>`, a resolution `Result<Option<_>, StepError>`; all of them are `Send`"
)]
pub trait StepFn<'a, S: Saga>: Send + Sync {
    /// What it returns when it goes well.
    type Output;

    /// Runs it.
    fn call(&self, saga: &'a S, input: &'a S::Input, step: &'a StepContext) -> StepFuture<'a, Self::Output>;
}

/// A step at work.
pub type StepFuture<'a, T> = BoxFuture<'a, Result<T, StepError>>;

impl<'a, S, F, Running, T> StepFn<'a, S> for F
where
    S: Saga,
    F: Fn(&'a S, &'a S::Input, &'a StepContext) -> Running + Send + Sync,
    Running: Future<Output = Result<T, StepError>> + Send + 'a,
{
    type Output = T;

    fn call(&self, saga: &'a S, input: &'a S::Input, step: &'a StepContext) -> StepFuture<'a, T> {
        Box::pin(self(saga, input, step))
    }
}

type Function<S> =
    Arc<dyn Fn(Arc<S>, Arc<<S as Saga>::Input>, StepContext) -> StepFuture<'static, Value> + Send + Sync>;
type Condition<S> = Box<dyn Fn(&<S as Saga>::Input, &Outcomes) -> bool + Send + Sync>;

/// What a step has in code.
pub(super) struct Functions<S: Saga> {
    run: Function<S>,
    pub(super) compensate: Option<Function<S>>,
    pub(super) resolve: Option<Function<S>>,
    pub(super) condition: Option<Condition<S>>,
}

impl<S: Saga> Functions<S> {
    pub(super) fn new<T, F>(run: F) -> Self
    where
        T: Serialize + 'static,
        F: for<'a> StepFn<'a, S, Output = T> + 'static,
    {
        let run = erase(run, |outcome: Result<T, StepError>| recorded(&outcome?));
        Self { run, compensate: None, resolve: None, condition: None }
    }

    pub(super) fn compensate<F>(&mut self, compensate: F)
    where
        F: for<'a> StepFn<'a, S, Output = ()> + 'static,
    {
        self.compensate = Some(erase(compensate, |outcome: Result<(), StepError>| outcome.map(|()| Value::Null)));
    }

    pub(super) fn resolve<T, F>(&mut self, resolve: F)
    where
        T: Serialize + 'static,
        F: for<'a> StepFn<'a, S, Output = Option<T>> + 'static,
    {
        self.resolve = Some(erase(resolve, |outcome: Result<Option<T>, StepError>| match outcome {
            Ok(Some(outcome)) => recorded(&outcome),
            Ok(None) => Err(StepError::refused("not-happened", "it has not happened")),
            // Refused is an answer only when the function says `None`.
            Err(StepError::Refused { message, .. }) => Err(StepError::unknown(message)),
            Err(error) => Err(error),
        }));
    }

    /// What runs this way; `None` when the code has nothing for it.
    pub(super) fn of(&self, way: Way, resolves: bool) -> Option<&Function<S>> {
        match way {
            Way::Forward => Some(&self.run),
            // Keys are closed by running the step itself over a bus that closes.
            Way::Settle => {
                if resolves {
                    self.resolve.as_ref()
                } else {
                    Some(&self.run)
                }
            }
            Way::Back => self.compensate.as_ref(),
        }
    }
}

fn recorded<T: Serialize>(outcome: &T) -> Result<Value, StepError> {
    serde_json::to_value(outcome).map_err(|error| {
        StepError::unknown(alloc::format!("the step's outcome has no JSON form, and cannot be recorded: {error}"))
    })
}

fn erase<S, T, F>(function: F, outcome: fn(Result<T, StepError>) -> Result<Value, StepError>) -> Function<S>
where
    S: Saga,
    T: 'static,
    F: for<'a> StepFn<'a, S, Output = T> + 'static,
{
    let function = Arc::new(function);
    Arc::new(move |saga, input, step| {
        let function = function.clone();
        Box::pin(async move {
            let result = function.call(&saga, &input, &step).await;
            outcome(result)
        })
    })
}
