//! What a step does that is in flight while the application it is sent to shuts down: nothing is known to have failed, and the
//! attempt is run again, here or by whoever drives the saga next.

use crate::bank::{Bank, Deposit, Transfers, Trouble, saga, start};
use crate::driving::{World, settled, trace, trace_of, world};
use crate::orders::{self, Course};
use crate::processes;
use async_trait::async_trait;
use portolan::domain::saga::{Definition, End, Retry, Saga, SagaHandler, Step, StepContext, StepError, Way};
use portolan::drivers::{SagaDriver, SagaHandlers, SagaNudge, SagaPorts, SagaRest};
use portolan::ports::{CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt, Sleep, StartSaga};
use portolan::values::SagaId;
use portolan_testing::crash::streams;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The bus of an application that shuts down for so many sendings of each command.
struct Leaving {
    bus: Arc<dyn CommandBus>,
    times: usize,
    sent: Mutex<BTreeMap<String, usize>>,
}

impl Leaving {
    fn over(bus: Arc<dyn CommandBus>, times: usize) -> Arc<Self> {
        Arc::new(Self { bus, times, sent: Mutex::default() })
    }

    fn sent(&self) -> Vec<usize> {
        self.sent.lock().unwrap().values().copied().collect()
    }
}

#[async_trait]
impl CommandBus for Leaving {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let id = command.id.as_ref().unwrap().to_string();
        let before = {
            let mut sent = self.sent.lock().unwrap();
            let times = sent.entry(id).or_default();
            *times += 1;
            *times - 1
        };
        if before < self.times { Err(CommandError::ShuttingDown) } else { self.bus.dispatch(command).await }
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.bus.commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        self.bus.leading_to(end)
    }
}

/// A driver of the bank's transfers over this bus.
fn over(bank: &Bank, bus: Arc<Leaving>) -> SagaDriver {
    let sleep: Arc<dyn Sleep> = bank.ports.sleep.clone();
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(SagaHandler::new(Transfers { effects: None, sleep }).unwrap()));
    SagaDriver::new(SagaPorts { commands: bus, ..bank.ports.clone() }, Arc::new(handlers))
}

/// Forward and back: it goes as if the application had been there at once.
#[rstest]
#[case(Trouble::None)]
#[case(Trouble::Frozen)]
#[tokio::test]
async fn it_costs_no_attempt_and_nothing_has_failed(#[case] trouble: Trouble) {
    let World { storage, runtime, mut bank } = world().await;
    let bus = Leaving::over(bank.commands.clone(), 3);
    bank.driver = over(&bank, bus.clone());
    bank.driver.start(start(trouble, 30)).await.unwrap();
    let rest = settled(&runtime, bank.drive()).await;
    let alone = world().await;
    alone.bank.driver.start(start(trouble, 30)).await.unwrap();
    assert_eq!(settled(&alone.runtime, alone.bank.drive()).await, rest);
    assert_eq!(trace(&storage).await, trace(&alone.storage).await);
    assert_eq!(streams(&storage).await, streams(&alone.storage).await);
    assert!(bus.sent().len() >= 2 && bus.sent().iter().all(|times| *times == 4), "{:?}", bus.sent());
}

/// Whoever is told to stop does not wait for the application to come back.
#[tokio::test]
async fn who_stops_leaves_it_in_flight_for_the_next() {
    let World { storage, runtime, bank } = world().await;
    let bus = Leaving::over(bank.commands.clone(), usize::MAX);
    let leaving = over(&bank, bus.clone());
    leaving.start(start(Trouble::None, 30)).await.unwrap();
    let (nudge, id) = (SagaNudge::new(), saga("t-1"));
    let mut drive = Box::pin(leaving.drive(&id, &nudge));
    assert!(futures::poll!(&mut drive).is_pending(), "it waits for the application to come back");
    assert_eq!(bus.sent(), [1]);
    nudge.stop();
    // No time has passed.
    let std::task::Poll::Ready(rest) = futures::poll!(&mut drive) else { panic!("it goes on waiting") };
    assert_eq!((rest.unwrap(), bus.sent()), (SagaRest::Stopped, vec![1]));
    assert_eq!(trace(&storage).await, "started, debit forward 1");
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::Ended(End::Completed));
    assert!(trace(&storage).await.starts_with("started, debit forward 1, +, letter"), "{}", trace(&storage).await);
}

/// An attempt has its time, whoever it was that did not answer.
#[tokio::test]
async fn an_application_that_never_comes_back_costs_what_silence_costs() {
    let World { storage, runtime, mut bank } = world().await;
    bank.driver = over(&bank, Leaving::over(bank.commands.clone(), usize::MAX));
    bank.driver.start(start(Trouble::None, 30)).await.unwrap();
    assert_eq!(settled(&runtime, bank.drive()).await, SagaRest::Ended(End::Compensated));
    let expected = "started, debit forward 1, -unknown, debit forward 2, -unknown, debit settle 1, closed, -refused, BACK, \
                    compensated";
    assert_eq!(trace(&storage).await, expected);
}

/// What a process sends is sent again.
#[rstest]
#[case::paid(Course::Pays)]
#[case::sold_out(Course::SoldOut)]
#[tokio::test]
async fn intents_of_a_process_cost_no_attempt(#[case] course: Course) {
    let processes::World { storage, runtime, mut shop } = processes::world(course).await;
    let bus = Leaving::over(shop.commands.clone(), 3);
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(shop.handler.clone()));
    shop.driver = SagaDriver::new(SagaPorts { commands: bus.clone(), ..shop.ports.clone() }, Arc::new(handlers));
    let rest = settled(&runtime, shop.run()).await;
    let alone = processes::world(course).await;
    assert_eq!(settled(&alone.runtime, alone.shop.run()).await, rest);
    assert_eq!(trace_of(&storage, &orders::saga()).await, trace_of(&alone.storage, &orders::saga()).await);
    assert!(!bus.sent().is_empty() && bus.sent().iter().all(|times| *times == 4), "{:?}", bus.sent());
}

/// Steps with effects of their own, of which nobody hears; whatever is done about them later is interrupted once in each place.
#[derive(Default)]
struct Errands {
    interrupted: Mutex<BTreeSet<String>>,
}

#[derive(Serialize, Deserialize)]
struct Errand {}

impl Saga for Errands {
    const NAME: &'static str = "errand";
    type Input = Errand;

    fn definition() -> Definition<Self> {
        let deliver = Step::new("deliver", Self::deliver).compensate(Self::fetch).resolve(Self::is_delivered);
        let retries = (Retry::never(), Retry::never());
        Definition::new()
            .step(deliver.retry(retries.0.clone()).compensation_retry(retries.1))
            .step(Step::new("deposit", Self::deposit).retry(retries.0))
    }
}

impl Errands {
    async fn deliver(&self, _: &Errand, _: &StepContext) -> Result<u32, StepError> {
        Err(StepError::unknown("nobody has heard"))
    }

    async fn is_delivered(&self, _: &Errand, step: &StepContext) -> Result<Option<u32>, StepError> {
        self.goes_on(step, "at all")?;
        Ok(Some(7))
    }

    async fn fetch(&self, _: &Errand, step: &StepContext) -> Result<(), StepError> {
        self.goes_on(step, "at all")
    }

    async fn deposit(&self, _: &Errand, step: &StepContext) -> Result<(), StepError> {
        if step.way() == Way::Forward {
            return Err(StepError::unknown("nobody has heard"));
        }
        self.goes_on(step, "before")?;
        let sent = step.send(Deposit { account: "bob".into(), amount: 1 }).await;
        self.goes_on(step, "after")?;
        sent.map(drop)
    }

    fn goes_on(&self, step: &StepContext, place: &str) -> Result<(), StepError> {
        let place = format!("{} {} {place}", step.step(), step.way());
        let is_first = self.interrupted.lock().unwrap().insert(place);
        if is_first { Err(StepError::interrupted("the workers leave")) } else { Ok(()) }
    }
}

/// Finding out, by asking and by closing keys, and undoing.
#[tokio::test]
async fn steps_say_so_themselves() {
    let World { storage, runtime, mut bank } = world().await;
    let mut handlers = SagaHandlers::new();
    assert!(handlers.add(SagaHandler::new(Errands::default()).unwrap()));
    bank.driver = SagaDriver::new(bank.ports.clone(), Arc::new(handlers));
    let errand = SagaId::new("errand", "e-1").unwrap();
    bank.driver.start(StartSaga::new(errand.clone(), serde_json::json!({}))).await.unwrap();
    let rest = settled(&runtime, bank.driver.drive(&errand, &SagaNudge::new())).await;
    assert_eq!(rest.unwrap(), SagaRest::Ended(End::Compensated));
    let expected = "started, deliver forward 1, -unknown, deliver settle 1, +, deposit forward 1, -unknown, deposit settle 1, \
                    closed, -refused, BACK, deliver back 1, +, compensated";
    assert_eq!(trace_of(&storage, &errand).await, expected);
}
