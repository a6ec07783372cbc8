//! Given, when, then: sagas.

use crate::difference::right;
use crate::saga_machine::{Defined, SagaMachine};
use crate::saga_outcome::SagaOutcome;
use core::fmt;
use core::time::Duration;
use portolan_kernel::domain::saga::{Action, Saga, StepError, Way};
use serde::Serialize;
use serde_json::Value;

/// A saga that was started with this input, under this id.
///
/// Pure: no step runs, nothing is stored or waited for, and no handler is needed. The test says what attempts come to, and how
/// time passes; the definition and its conditions are the real ones. The clock stands at the epoch when the saga is started.
///
/// ```
/// # use core::time::Duration;
/// # use portolan_kernel::domain::saga::{Definition, Saga, Step, StepContext, StepError};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Transfer { amount: u64 }
/// # struct Transfers;
/// # impl Transfers {
/// #     async fn debit(&self, _: &Transfer, _: &StepContext) -> Result<(), StepError> { Ok(()) }
/// #     async fn refund(&self, _: &Transfer, _: &StepContext) -> Result<(), StepError> { Ok(()) }
/// #     async fn credit(&self, _: &Transfer, _: &StepContext) -> Result<(), StepError> { Ok(()) }
/// # }
/// # impl Saga for Transfers {
/// #     const NAME: &'static str = "transfer-money";
/// #     type Input = Transfer;
/// #     fn definition() -> Definition<Self> {
/// #         Definition::new()
/// #             .step(Step::new("debit", Self::debit).compensate(Self::refund))
/// #             .step(Step::new("credit", Self::credit))
/// #     }
/// # }
/// use portolan_kernel::domain::saga::{End, Way};
/// use portolan_testing::given_saga;
///
/// given_saga::<Transfers>("t-1", Transfer { amount: 5 })
///     .succeeded("debit", ())
///     .when_fails("credit", StepError::refused("closed", "the account is closed"))
///     .then_turns_back("the account is closed")
///     .then_begins("debit", Way::Back)
///     .and()
///     .when_undone("debit")
///     .then_ends(End::Compensated);
/// ```
///
/// # Panics
///
/// The saga cannot be started so: the definition, the id or the input is wrong.
#[track_caller]
pub fn given_saga<S: Saga>(id: &str, input: S::Input) -> GivenSaga<S> {
    GivenSaga(SagaMachine::start(id, input))
}

/// A saga with a past, to which something is about to happen.
///
/// What happens is one word in the past (`succeeded`), and one that is judged (`when_succeeds`). Each panics when it cannot
/// happen now, with the timeline.
#[must_use = "nothing is judged before one of the `when`s"]
pub struct GivenSaga<S: Saga>(pub(crate) SagaMachine<Defined<S>>);

/// The past.
impl<S: Saga> GivenSaga<S> {
    /// This step went well, with this outcome.
    ///
    /// # Panics
    ///
    /// As [`when_succeeds`](Self::when_succeeds).
    #[track_caller]
    pub fn succeeded(self, step: &str, outcome: impl Serialize) -> Self {
        self.when_succeeds(step, outcome).and()
    }

    /// The attempt of this step failed so.
    ///
    /// # Panics
    ///
    /// As [`when_fails`](Self::when_fails).
    #[track_caller]
    pub fn failed(self, step: &str, error: StepError) -> Self {
        self.when_fails(step, error).and()
    }

    /// This step was undone.
    ///
    /// # Panics
    ///
    /// As [`when_undone`](Self::when_undone).
    #[track_caller]
    pub fn undone(self, step: &str) -> Self {
        self.when_undone(step).and()
    }

    /// So much time passed.
    pub fn time_passed(self, time: Duration) -> Self {
        self.when_time_passes(time).and()
    }

    /// An operator did this.
    ///
    /// # Panics
    ///
    /// It was refused.
    #[track_caller]
    pub fn acted(self, action: Action) -> Self {
        self.when_operator(action).accepted().and()
    }
}

/// What happens.
impl<S: Saga> GivenSaga<S> {
    /// Nothing but the start, which is judged.
    #[must_use = "an outcome is judged by one of the `then`s"]
    pub fn when_started(self) -> SagaOutcome<S> {
        SagaOutcome::since(self.0, "the start".into(), 0)
    }

    /// The attempt of this step in flight goes well, with this outcome. Of a step that is being settled: it has happened.
    ///
    /// # Panics
    ///
    /// The step is not in flight, or is being undone, or the outcome has no JSON.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_succeeds(mut self, step: &str, outcome: impl Serialize) -> SagaOutcome<S> {
        let outcome = right(serde_json::to_value(outcome), format_args!("the outcome of {step} has no JSON"));
        let from = self.0.facts.len();
        self.0.answer(step, &[Way::Forward, Way::Settle], Ok(outcome));
        SagaOutcome::since(self.0, format!("the success of {step}"), from)
    }

    /// The attempt of this step in flight fails so, whichever way it goes.
    ///
    /// # Panics
    ///
    /// The step is not in flight, or was interrupted, which is no answer.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_fails(mut self, step: &str, error: StepError) -> SagaOutcome<S> {
        if let StepError::Interrupted { reason } = &error {
            panic!("{step} was interrupted ({reason}), and so goes on in flight; let time pass instead");
        }
        let from = self.0.facts.len();
        self.0.answer(step, &[Way::Forward, Way::Settle, Way::Back], Err(error));
        SagaOutcome::since(self.0, format!("the failure of {step}"), from)
    }

    /// The attempt of this step in flight ends, and nobody knows whether it had its effect.
    ///
    /// # Panics
    ///
    /// The step is not in flight.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_unknown(self, step: &str) -> SagaOutcome<S> {
        self.when_fails(step, StepError::unknown("no answer"))
    }

    /// This step, which is being settled, has not happened and never will.
    ///
    /// # Panics
    ///
    /// The step is not being settled.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_not_happened(mut self, step: &str) -> SagaOutcome<S> {
        let from = self.0.facts.len();
        let answer = StepError::refused("not-happened", "it has not happened");
        self.0.answer(step, &[Way::Settle], Err(answer));
        SagaOutcome::since(self.0, format!("the settling of {step}"), from)
    }

    /// This step, whose compensation is in flight, is undone.
    ///
    /// # Panics
    ///
    /// The step is not being undone.
    #[must_use = "an outcome is judged by one of the `then`s"]
    #[track_caller]
    pub fn when_undone(mut self, step: &str) -> SagaOutcome<S> {
        let from = self.0.facts.len();
        self.0.answer(step, &[Way::Back], Ok(Value::Null));
        SagaOutcome::since(self.0, format!("the undoing of {step}"), from)
    }

    /// So much time passes. What is due within it is done when it is due: attempts in flight time out, failed steps are tried
    /// again, and the saga turns back when its time is over.
    #[must_use = "an outcome is judged by one of the `then`s"]
    pub fn when_time_passes(mut self, time: Duration) -> SagaOutcome<S> {
        let from = self.0.facts.len();
        self.0.pass(time);
        SagaOutcome::since(self.0, format!("{time:?}"), from)
    }

    /// An operator does this.
    #[must_use = "an outcome is judged by one of the `then`s"]
    pub fn when_operator(mut self, action: Action) -> SagaOutcome<S> {
        let from = self.0.facts.len();
        let refused = self.0.act(action).err();
        SagaOutcome::since(self.0, format!("the operator's {action}"), from).refused(refused)
    }
}

impl<S: Saga> fmt::Debug for GivenSaga<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenSaga").field("facts", &self.0.facts).finish_non_exhaustive()
    }
}
