//! What `#[saga]` writes, beside what a person would write.

use portolan_kernel::domain::saga::{Definition, Outcomes, Retry, Saga, Step, StepContext, StepError};
use portolan_kernel::domain::{JsonSchema, saga, schema};
use portolan_kernel::ports::Violation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

#[derive(JsonSchema, Serialize, Deserialize)]
struct Order {
    goods: Vec<String>,
    price: u64,
}

fn positive(order: &Order) -> Vec<Violation> {
    let free = (order.price == 0).then(|| Violation::new("price", "zero", "nothing is free"));
    free.into_iter().collect()
}

/// An order is all of these, in another order than it goes.
struct Derived;

/// Gets goods to somebody.
#[saga(name = "order.goods", version = 3, input = Order, timeout = "2d", check = positive)]
impl Derived {
    /// What a method costs that is no step.
    fn cost(order: &Order) -> u64 {
        order.price
    }

    #[step(3, harmless, when = "is_dear")]
    async fn thank_the_buyer(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    #[step(
        1,
        compensate = "release",
        retry(attempts = 7, first = "250ms", factor = 3, max = "1m", jitter = 0, also_refused = ["sold-out", "closed"]),
        timeout = "5s"
    )]
    async fn reserve(&self, order: &Order, _: &StepContext) -> Result<usize, StepError> {
        Ok(order.goods.len())
    }

    #[step(2, name = "charge", outside, resolve = "was_paid", compensate = "pay_back")]
    async fn r#pay(&self, order: &Order, _: &StepContext) -> Result<u64, StepError> {
        Ok(Self::cost(order))
    }

    #[step(2)]
    async fn send(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    #[compensation(retry(attempts = 2), timeout = "1h")]
    async fn release(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    #[compensation]
    async fn pay_back(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn was_paid(&self, _: &Order, _: &StepContext) -> Result<Option<u64>, StepError> {
        Ok(None)
    }

    fn is_dear(order: &Order, outcomes: &Outcomes) -> bool {
        order.price > 10 && outcomes.has("charge")
    }
}

struct ByHand;

impl Saga for ByHand {
    const NAME: &'static str = "order.goods";
    const VERSION: u32 = 3;
    const DESCRIPTION: &'static str = "Gets goods to somebody.";
    type Input = Order;

    fn definition() -> Definition<Self> {
        let retry = Retry::attempts(7)
            .first(Duration::from_millis(250))
            .factor(3)
            .longest(Duration::from_secs(60))
            .jitter_percent(0)
            .also_refused(["sold-out", "closed"]);
        Definition::new()
            .timeout(Duration::from_secs(2 * 24 * 60 * 60))
            .step(
                Step::new("reserve", Self::anything)
                    .compensate(Self::nothing)
                    .retry(retry)
                    .timeout(Duration::from_secs(5))
                    .compensation_retry(Retry::attempts(2))
                    .compensation_timeout(Duration::from_secs(3_600)),
            )
            .parallel([
                Step::new("charge", Self::anything).outside().resolve(Self::unknown).compensate(Self::nothing),
                Step::new("send", Self::anything),
            ])
            .step(Step::new("thank-the-buyer", Self::nothing).harmless().when(|_, _| true))
    }

    fn schema() -> Option<Value> {
        Some(schema::of_input::<Order>())
    }
}

impl ByHand {
    async fn anything(&self, _: &Order, _: &StepContext) -> Result<u64, StepError> {
        Ok(0)
    }

    async fn nothing(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }

    async fn unknown(&self, _: &Order, _: &StepContext) -> Result<Option<u64>, StepError> {
        Ok(None)
    }
}

fn constants<S: Saga>() -> (&'static str, u32, &'static str, Option<Value>) {
    (S::NAME, S::VERSION, S::DESCRIPTION, S::schema())
}

#[test]
fn a_derived_saga_is_the_one_written_by_hand() {
    assert_eq!(constants::<Derived>(), constants::<ByHand>());
    let (derived, by_hand) = (Derived::definition().plan(), ByHand::definition().plan());
    assert!(by_hand.is_ok());
    assert_eq!(derived, by_hand);
}

#[test]
fn its_functions_are_the_methods_that_are_named() {
    use portolan_kernel::domain::saga::{Conditions as _, SagaHandler};

    let handler = SagaHandler::new(Derived).expect("it can be followed");
    let free = handler.input(br#"{"goods":[],"price":0}"#).expect_err("it is checked");
    assert_eq!(free, [Violation::new("price", "zero", "nothing is free")]);
    let input = handler.input(br#"{"goods":["tea"],"price":11}"#).expect("it is an order");
    let open = handler.open(handler.plan(), &input).expect("all functions are there");
    let charged: Outcomes = [("charge", 11.into())].into_iter().collect();
    assert_eq!(open.holds("thank-the-buyer", &charged), Ok(Some(true)));
    assert_eq!(open.holds("thank-the-buyer", &Outcomes::new()), Ok(Some(false)));
}

struct Small;

#[saga(input = Order, description = "The least.")]
impl Small {
    #[step(1)]
    async fn only(&self, _: &Order, _: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

#[test]
fn what_is_not_said_is_as_it_is_by_hand() {
    assert_eq!((Small::NAME, Small::VERSION, Small::DESCRIPTION), ("small", 1, "The least."));
    assert!(Small::validate(&Order { goods: vec![], price: 0 }).is_empty());
    let definition = Definition::<ByHand>::new().step(Step::new("only", ByHand::nothing));
    assert_eq!(Small::definition().plan(), definition.plan());
}
