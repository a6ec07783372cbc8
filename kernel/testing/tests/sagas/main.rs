//! Given, when, then for sagas and processes, and steps at work: what they let through, and what a failed expectation says.

mod failures;
mod processes;
mod scenarios;
mod steps;

use core::time::Duration;
use portolan_kernel::domain::Command;
use portolan_kernel::domain::saga::{
    ActError, Action, Definition, End, Phase, Retry, Saga, Standing, Step, StepContext, StepError, Way,
};
use portolan_kernel::drivers::Question;
use portolan_kernel::ports::{Answer, CommandError, Receipt, Violation};
use portolan_kernel::values::{Metadata, Timestamp};
use portolan_testing::{GivenSaga, MockCommandBus, MockQueryBus, RanStep, SagaOutcome, Sent, given_saga, run_step};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

#[derive(Serialize, Deserialize, Clone)]
struct Order {
    goods: Vec<String>,
    price: u64,
}

#[derive(Serialize, Deserialize)]
struct Reserve {
    goods: String,
}

impl Command for Reserve {
    const NAME: &'static str = "reserve";
}

#[derive(Serialize, Deserialize)]
struct Release {
    count: usize,
}

impl Command for Release {
    const NAME: &'static str = "release";
}

#[derive(Serialize, Deserialize)]
struct Price;

impl Question for Price {
    const NAME: &'static str = "price";
    type Answer = u64;
}

/// Reserves, checks and insures at once, pays (the pivot), and sends what is dear by post.
struct Orders;

impl Saga for Orders {
    const NAME: &'static str = "orders";
    type Input = Order;

    fn definition() -> Definition<Self> {
        let retry = Retry::attempts(3).first(seconds(1)).jitter_percent(0);
        Definition::new()
            .timeout(seconds(100))
            .step(Step::new("reserve", Self::reserve).compensate(Self::release).retry(retry.clone()))
            .parallel([
                Step::new("check", Self::check).harmless(),
                Step::new("insure", Self::check).compensate(Self::cancel).retry(retry.clone()).outside(),
            ])
            .step(Step::new("pay", Self::pay).retry(Retry::never()).resolve(Self::was_paid))
            .step(Step::new("post", Self::post).when(|order, _| order.price > 10).retry(Retry::attempts(2)))
    }

    fn validate(order: &Order) -> Vec<Violation> {
        let free = (order.price == 0).then(|| Violation::new("price", "zero", "nothing is free"));
        free.into_iter().collect()
    }
}

impl Orders {
    async fn reserve(&self, order: &Order, step: &StepContext) -> Result<usize, StepError> {
        for goods in &order.goods {
            step.send_as(goods, Reserve { goods: goods.clone() }).await?;
        }
        Ok(order.goods.len())
    }

    async fn release(&self, _: &Order, step: &StepContext) -> Result<(), StepError> {
        step.send(Release { count: step.outcome("reserve")? }).await?;
        Ok(())
    }

    async fn check(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn cancel(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn pay(&self, _: &Order, step: &StepContext) -> Result<u64, StepError> {
        Ok(step.ask(Price).await?.answer)
    }

    async fn was_paid(&self, _: &Order, step: &StepContext) -> Result<Option<u64>, StepError> {
        Ok((step.attempt() > 1).then_some(7))
    }

    async fn post(&self, _: &Order, step: &StepContext) -> Result<(String, u64, Option<String>), StepError> {
        let actor = step.metadata().actor.clone();
        Ok((step.saga().to_string(), step.started_at().as_micros(), actor))
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn order(price: u64) -> Order {
    Order { goods: vec!["tea".into(), "milk".into()], price }
}

fn given() -> GivenSaga<Orders> {
    given_saga("o-1", order(11))
}

fn refused(code: &str) -> StepError {
    StepError::refused(code, "no")
}

fn busy() -> StepError {
    StepError::retry("busy")
}

thread_local! {
    /// In which file this thread panicked last.
    static PANICKED_IN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The words of its panic, which is one at a line of these tests.
#[track_caller]
fn message(run: impl FnOnce()) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |panic| {
            let file = panic.location().map(|location| location.file().to_owned());
            PANICKED_IN.set(file.unwrap_or_default());
            earlier(panic);
        }));
    });
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it is not met");
    let file = PANICKED_IN.take();
    assert!(file.contains("tests"), "it panicked at a line of {file}");
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().expect("a panic with a sentence")).to_owned(),
    }
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is missing in:\n{message}");
    }
}
