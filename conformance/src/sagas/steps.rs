//! The suite's sagas: trips, which do what their script says, and walks, which take their time.

use super::cut::Cut;
use super::domain::Enter;
use super::ledger::{Call, Ledger};
use super::script::{Does, Script};
use core::time::Duration;
use portolan_kernel::domain::saga::{Definition, Retry, Saga, Step, StepContext, StepError, Way};
use portolan_kernel::ports::Sleep;
use std::sync::Arc;

/// The name of trips.
pub(crate) const TRIP: &str = "suite-trip";
/// The name of walks.
pub(crate) const WALK: &str = "suite-walk";

/// How often a trip tries to reserve.
pub(crate) const RESERVE_ATTEMPTS: u32 = 3;
/// How often a trip tries to pay.
pub(crate) const PAY_ATTEMPTS: u32 = 2;
/// How often a trip tries to have the money back.
pub(crate) const REFUND_ATTEMPTS: u32 = 3;

const SHORT: Duration = Duration::from_millis(40);

/// What all steps need.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) ledger: Arc<Ledger>,
    pub(super) sleep: Arc<dyn Sleep>,
    pub(super) cut: Arc<Cut>,
}

impl Hands {
    /// Does what the script says, with an effect outside.
    async fn outside(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
        let call = self.ledger.called(step);
        let what = format!("the effect of {}", call.step);
        self.does(script, step, &call, async {
            self.cut.here("before", &what).await;
            self.ledger.has(&call);
            self.cut.here("after", &what).await;
            Ok(())
        })
        .await
    }

    /// Does what the script says, with a command as its effect.
    async fn enter(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
        let back = if step.way() == Way::Back { "undo-" } else { "" };
        let enter = Enter { till: step.saga().id().to_string(), what: format!("{back}{}", step.step()) };
        if step.way() == Way::Settle {
            step.send(enter).await?;
            return Ok(step.attempt());
        }
        let call = self.ledger.called(step);
        self.does(script, step, &call, async { step.send(enter).await.map(drop) }).await
    }

    async fn does(
        &self,
        script: &Script,
        step: &StepContext,
        call: &Call,
        effect: impl Future<Output = Result<(), StepError>>,
    ) -> Result<u32, StepError> {
        let does = script.does(&call.step, call.attempt);
        match does {
            Does::Retry => return Err(StepError::retry("not today")),
            Does::Refuse => return Err(StepError::refused("suite-no", "it is not to be")),
            Does::LostUnknown => return Err(StepError::unknown("nobody knows")),
            Does::LostSilent => return self.silence().await,
            Does::Held => {
                while !self.ledger.is_released(call) {
                    self.sleep.sleep(Duration::from_millis(5)).await;
                }
            }
            Does::Well | Does::DoneUnknown | Does::DoneSilent => {}
        }
        effect.await?;
        match does {
            Does::DoneUnknown => Err(StepError::unknown("it may have been done")),
            Does::DoneSilent => self.silence().await,
            _ => Ok(step.attempt()),
        }
    }

    async fn silence(&self) -> Result<u32, StepError> {
        core::future::pending().await
    }
}

fn quick(attempts: u32) -> Retry {
    Retry::attempts(attempts).first(SHORT).longest(2 * SHORT)
}

/// The steps of a trip, in Rust's words once for all its editions.
macro_rules! trips {
    ($($(#[$doc:meta])* $trip:ident = $version:literal: $definition:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $trip(pub(super) Hands);

        impl Saga for $trip {
            const NAME: &'static str = TRIP;
            const VERSION: u32 = $version;
            const DESCRIPTION: &'static str = "A trip of the suite.";
            type Input = Script;

            fn definition() -> Definition<Self> {
                let definition: fn() -> Definition<Self> = $definition;
                definition()
            }
        }

        #[allow(dead_code, reason = "not every code has every step")]
        impl $trip {
            async fn outside(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
                self.0.outside(script, step).await
            }

            async fn undo_outside(&self, script: &Script, step: &StepContext) -> Result<(), StepError> {
                self.0.outside(script, step).await.map(drop)
            }

            async fn enter(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
                self.0.enter(script, step).await
            }

            async fn undo_enter(&self, script: &Script, step: &StepContext) -> Result<(), StepError> {
                self.0.enter(script, step).await.map(drop)
            }

            async fn tell(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
                if let Ok(reserved) = step.outcome::<u32>("reserve") {
                    self.0.ledger.told(step.saga().id(), reserved);
                }
                self.0.outside(script, step).await
            }
        }
    )*};
}

const PATIENT: Duration = Duration::from_secs(600);

trips! {
    /// What trips are at first.
    Trip = 1: || {
        Definition::new()
            .step(
                Step::new("reserve", Self::outside).outside().compensate(Self::undo_outside)
                    .retry(quick(RESERVE_ATTEMPTS)).timeout(PATIENT).compensation_retry(quick(3)),
            )
            .step(
                Step::new("pay", Self::enter).compensate(Self::undo_enter)
                    .retry(quick(PAY_ATTEMPTS)).timeout(PATIENT).compensation_retry(quick(REFUND_ATTEMPTS)),
            )
            .parallel([
                Step::new("pack", Self::outside).outside().compensate(Self::undo_outside).retry(quick(2)).timeout(PATIENT).compensation_retry(quick(3)),
                Step::new("feed", Self::outside).outside().compensate(Self::undo_outside).retry(quick(2)).timeout(PATIENT).compensation_retry(quick(3)),
            ])
            .step(Step::new("leave", Self::enter).retry(quick(2)).timeout(PATIENT))
            .step(
                Step::new("tell", Self::tell).harmless().retry(quick(2)).timeout(PATIENT)
                    .when(|script: &Script, _| script.tell),
            )
    };
    /// The same in another order, with fewer attempts and a step less, and its author has forgotten to raise the version.
    TripEdited = 1: || {
        Definition::new()
            .step(Step::new("leave", Self::enter).retry(Retry::never()).timeout(PATIENT))
            .step(Step::new("tell", Self::tell).harmless().timeout(PATIENT).when(|script: &Script, _| script.tell))
            .step(Step::new("feed", Self::outside).outside().compensate(Self::undo_outside).timeout(PATIENT))
            .step(Step::new("pack", Self::outside).outside().compensate(Self::undo_outside).timeout(PATIENT))
            .step(Step::new("pay", Self::enter).compensate(Self::undo_enter).timeout(PATIENT))
            .step(Step::new("reserve", Self::outside).outside().compensate(Self::undo_outside).timeout(PATIENT))
    };
    /// Another trip altogether.
    TripAnew = 2: || {
        Definition::new()
            .step(Step::new("dream", Self::outside).outside().compensate(Self::undo_outside).timeout(PATIENT))
            .step(Step::new("leave", Self::enter).timeout(PATIENT))
    };
}

/// How long a walk pauses before it knocks again.
pub(crate) const KNOCK_PAUSE: Duration = Duration::from_secs(3_600);
/// How long a walk may take.
pub(crate) const WALK_TIME: Duration = Duration::from_secs(36_000);

/// Knocks, again after an hour, goes in, and rests.
pub(super) struct Walk(pub(super) Hands);

impl Saga for Walk {
    const NAME: &'static str = WALK;
    type Input = Script;

    fn definition() -> Definition<Self> {
        let hourly = Retry::attempts(3).first(KNOCK_PAUSE).factor(1).longest(KNOCK_PAUSE).jitter_percent(0);
        let brief = Duration::from_secs(2);
        Definition::new()
            .timeout(WALK_TIME)
            .step(
                Step::new("knock", Self::outside)
                    .outside()
                    .compensate(Self::undo)
                    .retry(hourly.clone())
                    .timeout(PATIENT),
            )
            .step(Step::new("enter", Self::outside).outside().retry(Retry::attempts(20)).timeout(brief))
            .step(Step::new("rest", Self::outside).harmless().retry(hourly).timeout(PATIENT))
    }
}

impl Walk {
    async fn outside(&self, script: &Script, step: &StepContext) -> Result<u32, StepError> {
        self.0.outside(script, step).await
    }

    async fn undo(&self, script: &Script, step: &StepContext) -> Result<(), StepError> {
        self.0.outside(script, step).await.map(drop)
    }
}
