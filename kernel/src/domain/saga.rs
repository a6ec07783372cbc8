//! Sagas: processes of several steps that end with all of them done, or undone.

mod action;
mod answer;
mod context;
mod definition;
mod difference;
mod event;
mod fold;
mod functions;
mod handler;
mod id;
mod next;
mod outcomes;
mod plan;
mod retry;
mod standing;
mod state;
mod status;
mod step_error;

pub use action::{ActError, Action, UnknownAction};
pub use answer::{LateAnswer, settled_by_keys};
pub use context::StepContext;
pub use definition::{Definition, Saga, Step};
pub use event::{End, SagaEvent, Way};
pub use functions::{StepFn, StepFuture};
pub use handler::{Misfit, OpenSaga, SagaHandler};
pub use id::{MAX_SAGA_NAME_BYTES, SAGA_CATEGORY, SagaId, SagaIdError, SagaNameError};
pub use next::{Conditions, Next, Run, next};
pub use outcomes::Outcomes;
pub use plan::{Plan, PlanError, Settling, StepPlan, Undo};
pub use retry::{Effort, Retry};
pub use standing::{Failure, Standing};
pub use state::{ImpossibleFact, SagaState};
pub use status::{Phase, Status, UnknownPhase};
pub use step_error::{FailureClass, StepError};
