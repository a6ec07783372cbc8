//! A bank of accounts, and a transfer between two of them that goes as its input says.

use portolan::application::{Application, ApplicationBuilder, Runtime, Storage};
use portolan::domain::saga::{Definition, Retry, Saga, SagaHandler, Step, StepContext, StepError, Way};
use portolan::domain::{Aggregate, Command, Context, Decide, Decision, Event, Rejection, StreamCommand};
use portolan::drivers::{CommandBusExt as _, SagaDriver, SagaHandlers, SagaNudge, SagaPorts, SagaRest};
use portolan::ports::{CommandBus, Sleep, StartSaga};
use portolan::values::{InvalidName, SagaId, StreamId};
use portolan_testing::crash::Effects;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Event, Serialize, Deserialize)]
#[event(category = "account")]
enum AccountEvent {
    Deposited { amount: i64 },
    Withdrawn { amount: i64 },
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Deposit {
    pub(crate) account: String,
    pub(crate) amount: i64,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Withdraw {
    pub(crate) account: String,
    pub(crate) amount: i64,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

impl Command for Withdraw {
    const NAME: &'static str = "withdraw";
}

impl StreamCommand for Deposit {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account))
    }
}

impl StreamCommand for Withdraw {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account))
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
enum Refused {
    #[error("too little money")]
    TooLittle {},
    #[error("the account is frozen")]
    Frozen {},
}

impl Rejection for Refused {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    balance: i64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Refused;
    type Commands = (Deposit, Withdraw);
    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        if command.account == "frozen" {
            Err(Refused::Frozen {})
        } else {
            Ok(vec![AccountEvent::Deposited { amount: command.amount }])
        }
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, command: &Withdraw, _: &Context) -> Decision<Self> {
        if self.balance < command.amount {
            Err(Refused::TooLittle {})
        } else {
            Ok(vec![AccountEvent::Withdrawn { amount: command.amount }])
        }
    }
}

/// What goes wrong.
#[derive(Debug, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The account it goes to takes none.
    Frozen,
    /// The same, and the money cannot be given back either.
    NoRefund,
    /// The step that credits has its effect, and does not say so.
    SilentCredit,
    /// The step that credits does nothing, and does not say so.
    LostCredit,
    /// The same with the step that debits.
    SilentDebit,
    LostDebit,
    /// The letter is not answered.
    SilentLetter,
    /// Telling the auditor is refused, after the pivot.
    NoAuditor,
    /// The step that debits panics at its first attempt.
    Panic,
    /// The credit is lost, and finding out takes its time.
    SlowSettling,
    /// The credit has no key, and does not say that it was done.
    NoKey,
    /// The letter takes longer than the whole may.
    Overdue,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Transfer {
    pub(crate) amount: i64,
    pub(crate) trouble: Trouble,
}

pub(crate) struct Transfers {
    pub(crate) effects: Option<Effects>,
    pub(crate) sleep: Arc<dyn Sleep>,
}

impl Saga for Transfers {
    const NAME: &'static str = "transfer-money";
    type Input = Transfer;

    fn definition() -> Definition<Self> {
        let second = Duration::from_secs(1);
        Definition::new()
            .timeout(Duration::from_secs(60))
            .step(
                Step::new("debit", Self::debit)
                    .compensate(Self::refund)
                    .retry(Retry::attempts(2))
                    .timeout(second)
                    .compensation_retry(Retry::attempts(2)),
            )
            .step(
                Step::new("letter", Self::letter)
                    .outside()
                    .compensate(Self::take_back)
                    .retry(Retry::attempts(2).first(Duration::from_secs(70)).longest(Duration::from_secs(70)))
                    .timeout(second),
            )
            .step(Step::new("credit", Self::credit).retry(Retry::attempts(2)).timeout(second))
            .step(Step::new("audit", Self::audit).harmless().retry(Retry::attempts(2)).timeout(second))
    }
}

impl Transfers {
    /// Nothing comes any more.
    async fn silence(&self) -> Result<(), StepError> {
        self.sleep.sleep(Duration::from_secs(1_000)).await;
        Err(StepError::retry("nobody waits for this"))
    }

    async fn debit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
        let does = step.way() == Way::Forward;
        assert!(!(does && transfer.trouble == Trouble::Panic && step.attempt() == 1), "a mistake in a step");
        if does && transfer.trouble == Trouble::LostDebit {
            return self.silence().await;
        }
        step.send(Withdraw { account: "ann".into(), amount: transfer.amount }).await?;
        if does && transfer.trouble == Trouble::SilentDebit {
            return self.silence().await;
        }
        Ok(())
    }

    async fn refund(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
        if transfer.trouble == Trouble::NoRefund {
            return Err(StepError::refused("no", "it is not given back"));
        }
        step.send(Deposit { account: "ann".into(), amount: transfer.amount }).await?;
        Ok(())
    }

    async fn letter(&self, transfer: &Transfer, step: &StepContext) -> Result<u32, StepError> {
        if let Some(effects) = &self.effects {
            effects.perform(step.key(), "a letter").await;
        }
        match transfer.trouble {
            Trouble::SilentLetter => self.silence().await.map(|()| 0),
            Trouble::Overdue => Err(StepError::unknown("no post today, perhaps")),
            _ => Ok(7),
        }
    }

    async fn take_back(&self, _: &Transfer, step: &StepContext) -> Result<(), StepError> {
        if let Some(effects) = &self.effects {
            effects.perform(step.key(), "an apology").await;
        }
        Ok(())
    }

    async fn credit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
        let does = step.way() == Way::Forward;
        if does && matches!(transfer.trouble, Trouble::LostCredit | Trouble::SlowSettling) {
            return self.silence().await;
        }
        if transfer.trouble == Trouble::SlowSettling {
            self.sleep.sleep(Duration::from_millis(500)).await;
        }
        let account = if matches!(transfer.trouble, Trouble::Frozen | Trouble::NoRefund) { "frozen" } else { "bob" };
        let deposit = Deposit { account: account.into(), amount: transfer.amount };
        if transfer.trouble == Trouble::NoKey {
            let mut envelope = step.envelope(deposit, None)?;
            envelope.id = None;
            // What comes of it is of no interest to this one.
            let _ = step.commands().dispatch(envelope).await;
            return if does { self.silence().await } else { Ok(()) };
        }
        step.send(deposit).await?;
        if does && transfer.trouble == Trouble::SilentCredit {
            return self.silence().await;
        }
        Ok(())
    }

    async fn audit(&self, transfer: &Transfer, step: &StepContext) -> Result<(), StepError> {
        // The outcome of a step long before it.
        assert_eq!(step.outcome::<u32>("letter")?, 7);
        if transfer.trouble == Trouble::NoAuditor { Err(StepError::refused("no", "nobody to tell")) } else { Ok(()) }
    }
}

pub(crate) fn saga(id: &str) -> SagaId {
    SagaId::new(Transfers::NAME, id).unwrap()
}

pub(crate) fn start(trouble: Trouble, amount: i64) -> StartSaga {
    StartSaga::new(saga("t-1"), serde_json::to_value(Transfer { amount, trouble }).unwrap())
}

/// The bank, and who drives transfers in it.
pub(crate) struct Bank {
    pub(crate) commands: Arc<dyn CommandBus>,
    pub(crate) driver: SagaDriver,
    pub(crate) ports: SagaPorts,
    runtime: Runtime,
}

impl Bank {
    pub(crate) async fn new(storage: Storage, runtime: Runtime, effects: Option<Effects>) -> Self {
        Self::with(storage, runtime, effects, |application| application).await
    }

    /// The same, of an application with more to it.
    pub(crate) async fn with(
        storage: Storage,
        runtime: Runtime,
        effects: Option<Effects>,
        more: impl FnOnce(ApplicationBuilder) -> ApplicationBuilder,
    ) -> Self {
        let transfers = Transfers { effects, sleep: runtime.sleep.clone() };
        let mut handlers = SagaHandlers::new();
        assert!(handlers.add(SagaHandler::new(transfers).unwrap()));
        let application = Application::builder(storage.clone(), runtime.clone()).aggregate::<Account>();
        let ports = more(application).build().await.unwrap().ports();
        let Runtime { clock, ids, sleep, spawn, .. } = runtime.clone();
        let commands = ports.commands.clone();
        let ports = SagaPorts {
            events: storage.events,
            commands: ports.commands,
            queries: ports.queries,
            clock,
            ids,
            sleep,
            spawn,
        };
        let driver = SagaDriver::new(ports.clone(), Arc::new(handlers));
        Self { commands, driver, ports, runtime }
    }

    pub(crate) async fn pause(&self) {
        self.runtime.sleep.sleep(Duration::from_millis(100)).await;
    }

    /// Ann has a hundred.
    pub(crate) async fn open(&self) {
        while self.commands.send(Deposit { account: "ann".into(), amount: 100 }).id("ann").await.is_err() {
            self.pause().await;
        }
    }

    /// Drives the transfer until it waits for nothing but people.
    pub(crate) async fn drive(&self) -> SagaRest {
        let nudge = SagaNudge::new();
        loop {
            match self.driver.drive(&saga("t-1"), &nudge).await {
                Ok(SagaRest::Until(due)) => {
                    let left = due.as_micros().saturating_sub(self.runtime.clock.now().as_micros());
                    self.runtime.sleep.sleep(Duration::from_micros(left)).await;
                }
                Ok(rest) => return rest,
                Err(_) => self.pause().await,
            }
        }
    }
}
