//! Given, when, then for sagas, and steps at work: what they let through, and what a failed expectation says.

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
use std::panic::{AssertUnwindSafe, catch_unwind};

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

// What happens.

#[test]
fn everything_goes_well() {
    given()
        .when_started()
        .then_begins("reserve", Way::Forward)
        .then_in_flight([("reserve", Way::Forward)])
        .then_is(Phase::Running)
        .and()
        .when_succeeds("reserve", 2)
        .then_begins("check", Way::Forward)
        .then_begins("insure", Way::Forward)
        .and()
        .when_succeeds("insure", ())
        .then_begins_nothing()
        .then_in_flight([("check", Way::Forward)])
        .and()
        .succeeded("check", ())
        .succeeded("pay", 11)
        .when_succeeds("post", ())
        .then_ends(End::Completed)
        .then_leaves([])
        .then_is(Phase::Completed);
}

#[test]
fn real_conditions_decide() {
    given_saga::<Orders>("o-1", order(10))
        .succeeded("reserve", 2)
        .succeeded("check", ())
        .succeeded("insure", ())
        .when_succeeds("pay", 10)
        .then_passes_over("post")
        .then_ends(End::Completed);
}

#[test]
fn what_was_done_is_undone_in_reverse() {
    given()
        .succeeded("reserve", 2)
        .succeeded("insure", ())
        .when_fails("check", refused("sold-out"))
        .then_turns_back("check failed: no (sold-out)")
        .then_begins("insure", Way::Back)
        .then_is(Phase::Compensating)
        .and()
        .undone("insure")
        .when_undone("reserve")
        .then_ends(End::Compensated)
        .then_leaves([]);
}

#[test]
fn time_passes_as_if_a_driver_looked_on() {
    given()
        .when_fails("reserve", busy())
        .then_tries_again("reserve", seconds(1)..=seconds(1))
        .then_waits_until(seconds(1))
        .then_begins_nothing()
        .then_is(Phase::Waiting)
        .and()
        .when_time_passes(Duration::from_micros(999_999))
        .then_begins_nothing()
        .and()
        .when_time_passes(Duration::from_micros(1))
        .then_begins("reserve", Way::Forward)
        .then_waits_until(seconds(31));
    // It times out at 30 s and again, after a pause, and so on, all within one `when`.
    let outcome = given().when_time_passes(seconds(94));
    let begun = outcome.state().standing("reserve").cloned();
    assert!(
        matches!(&begun, Some(Standing::Running { way: Way::Settle, since, .. }) if since.as_micros() == 93_000_000),
        "{begun:?}"
    );
    given()
        .time_passed(seconds(5))
        .succeeded("reserve", 2)
        .succeeded("insure", ())
        .when_time_passes(seconds(94))
        .then_in_flight([("check", Way::Forward)])
        .and()
        .when_time_passes(seconds(1))
        .then_turns_back("the time for the whole has passed");
}

#[test]
fn what_is_unknown_is_settled() {
    let paying = || given().succeeded("reserve", 2).succeeded("check", ()).succeeded("insure", ());
    paying().when_unknown("pay").then_in_flight([("pay", Way::Settle)]);
    paying().failed("pay", StepError::unknown("?")).when_succeeds("pay", 7).then_begins("post", Way::Forward);
    paying()
        .failed("pay", StepError::unknown("?"))
        .when_not_happened("pay")
        .then_turns_back("pay failed")
        .then_begins("insure", Way::Back);
}

#[test]
fn operators_act() {
    let past_the_pivot = || {
        let paid = given().succeeded("reserve", 2).succeeded("check", ()).succeeded("insure", ()).succeeded("pay", 11);
        paid.when_fails("post", refused("strike")).then_needs_operator("post failed").and()
    };
    past_the_pivot().when_operator(Action::Retry).then_begins("post", Way::Forward);
    past_the_pivot().when_operator(Action::Skip).then_ends(End::Completed);
    past_the_pivot().when_operator(Action::Abort).then_ends(End::Aborted).then_leaves(["reserve", "insure", "pay"]);
    past_the_pivot()
        .when_operator(Action::Compensate)
        .then_refused(&ActError::PastPivot { pivot: "pay".into() })
        .and()
        .acted(Action::Retry)
        .when_succeeds("post", ())
        .then_ends(End::Completed);
}

#[test]
fn the_state_is_that_of_the_facts() {
    let outcome = given().succeeded("reserve", 2).when_succeeds("check", ());
    assert_eq!(outcome.state().standing("check"), Some(&Standing::Done));
    assert_eq!(outcome.state().id().to_string(), "orders/o-1");
    let shown = format!("{outcome:?} {:?}", given());
    assert!(shown.contains("the success of check") && shown.contains("Started"), "{shown}");
}

// What a failure says.

fn message(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it is not met");
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

type Then = fn(Outcome) -> Outcome;
type Outcome = SagaOutcome<Orders>;

fn failed() -> SagaOutcome<Orders> {
    given().succeeded("reserve", 2).succeeded("insure", ()).when_fails("check", refused("sold-out"))
}

fn aborted() -> SagaOutcome<Orders> {
    given().succeeded("reserve", 2).when_operator(Action::Abort)
}

fn skipped() -> SagaOutcome<Orders> {
    given().when_operator(Action::Skip)
}

fn retried() -> SagaOutcome<Orders> {
    given().when_fails("reserve", busy())
}

#[rstest]
#[case::begins(failed, |it: Outcome| it.then_begins("reserve", Way::Back), &["reserve was to begin back"])]
#[case::another_way(failed, |it: Outcome| it.then_begins("insure", Way::Forward), &["insure was to begin forward"])]
#[case::before(failed, |it: Outcome| it.then_begins("check", Way::Forward), &["check was to begin forward"])]
#[case::begins_nothing(failed, Outcome::then_begins_nothing, &["nothing was to begin"])]
#[case::in_flight(
    failed,
    |it: Outcome| it.then_in_flight([("insure", Way::Forward)]),
    &["expected (-) and in flight (+):", "-         Forward,\n", "+         Back,\n", "          \"insure\",\n"]
)]
#[case::passes_over(failed, |it: Outcome| it.then_passes_over("post"), &["post was to be passed over"])]
#[case::tries_again(failed, |it: Outcome| it.then_tries_again("check", ..), &["check was to be tried again"])]
#[case::pauses(
    retried,
    |it: Outcome| it.then_tries_again("reserve", seconds(2)..),
    &["reserve was to pause for (Included(2s), Unbounded), and pauses for 1s"]
)]
#[case::waits(retried, |it: Outcome| it.then_waits_until(seconds(2)), &["something was to be due after 2s, and it is after 1s"])]
#[case::waits_never(aborted, |it: Outcome| it.then_waits_until(seconds(2)), &["due after 2s, and it never is"])]
#[case::turns_back(
    failed,
    |it: Outcome| it.then_turns_back("the wind"),
    &["it was to turn back because of `the wind`", "turned back: check failed: no (sold-out)"]
)]
#[case::does_not_turn_back(retried, |it: Outcome| it.then_turns_back(""), &["it was to turn back because of ``"])]
#[case::operator(failed, |it: Outcome| it.then_needs_operator("it"), &["it was to need an operator because of `it`"])]
#[case::ends(failed, |it: Outcome| it.then_ends(End::Compensated), &["it was to end as compensated"])]
#[case::ends_otherwise(aborted, |it: Outcome| it.then_ends(End::Compensated), &["it was to end as compensated", "ended: aborted"])]
#[case::leaves_without_an_end(failed, |it: Outcome| it.then_leaves(["pay"]), &["it was to end, with these left: [\"pay\"]"])]
#[case::leaves(
    aborted,
    |it: Outcome| it.then_leaves(["reserve", "check"]),
    &["expected (-) and left (+):", "-     \"check\",\n", "+     \"insure\",\n", "not undone: reserve, insure"]
)]
#[case::phase(
    retried,
    |it: Outcome| it.then_is(Phase::Running),
    &["it was to be running, and is waiting, reserve forward, attempt 1 (busy)"]
)]
#[case::refused(failed, |it: Outcome| it.then_refused(&ActError::NothingToSkip), &["a refusal was expected: nothing holds the saga up"])]
#[case::refused_otherwise(
    skipped,
    |it: Outcome| it.then_refused(&ActError::TurnedBack),
    &["another refusal was expected; expected (-) and given (+):\n- TurnedBack\n+ NothingToSkip\n"]
)]
#[case::not_refused(
    skipped,
    |it: Outcome| it.then_begins("reserve", Way::Forward),
    &["the operator's skip was refused: nothing holds the saga up", "reserve was to begin forward"]
)]
#[case::nothing_begun_by_a_refusal(skipped, Outcome::then_begins_nothing, &["the operator's skip was refused"])]
#[case::in_flight_after_a_refusal(
    skipped,
    |it: Outcome| it.then_in_flight([("reserve", Way::Forward)]),
    &["the operator's skip was refused"]
)]
#[case::waits_after_a_refusal(skipped, |it: Outcome| it.then_waits_until(seconds(30)), &["the operator's skip was refused"])]
#[case::phase_after_a_refusal(skipped, |it: Outcome| it.then_is(Phase::Running), &["the operator's skip was refused"])]
fn a_failure_says_what_came(#[case] of: fn() -> SagaOutcome<Orders>, #[case] then: Then, #[case] parts: &[&str]) {
    says(&message(|| drop(then(of()))), parts);
}

#[test]
fn a_failure_has_the_timeline_with_what_is_new() {
    let message = message(|| drop(failed().then_ends(End::Compensated)));
    let expected = "\
after the failure of check, it was to end as compensated; what came of it has a +; so far:
         0ns  orders/o-1 started
         0ns  reserve forward, attempt 1, begun; unknown after 30s
         0ns  reserve forward, attempt 1, succeeded: 2
         0ns  check forward, attempt 1, begun; unknown after 30s
         0ns  insure forward, attempt 1, begun; unknown after 30s
         0ns  insure forward, attempt 1, succeeded: null
+        0ns  check forward, attempt 1, failed (refused): no (sold-out); for good
+        0ns  turned back: check failed: no (sold-out)
+        0ns  insure back, attempt 1, begun; unknown after 30s
";
    assert_eq!(message, expected);
    let nothing = self::message(|| drop(given().when_time_passes(seconds(1)).then_ends(End::Completed)));
    says(&nothing, &["after 1s, it was to end as completed; nothing came of it; so far:\n"]);
}

type Words = fn(Given) -> Given;
type Given = GivenSaga<Orders>;

#[rstest]
#[case(|it: Given| it.succeeded("pay", 1), &["pay is not in flight, and cannot be answered; in flight: reserve forward; so far:\n", "orders/o-1 started"])]
#[case(|it: Given| it.succeeded("pray", 1), &["there is no step pray; so far:"])]
#[case(|it: Given| it.undone("reserve"), &["reserve is on its way forward, where an attempt back was answered; so far:"])]
#[case(|it: Given| it.when_not_happened("reserve").and(), &["reserve is on its way forward, where an attempt settle was answered"])]
#[case(|it: Given| it.failed("reserve", refused("no")).failed("reserve", busy()), &["nothing is in flight"])]
#[case(
    |it: Given| it.succeeded("reserve", 2).succeeded("check", ()).failed("insure", refused("no")).succeeded("reserve", 2),
    &["reserve is on its way back, where an attempt forward or settle was answered"]
)]
#[case(|it: Given| it.acted(Action::Retry), &["the operator's retry was refused: the saga goes on by itself", "where it was to be accepted"])]
fn what_cannot_happen_is_refused(#[case] words: Words, #[case] parts: &[&str]) {
    says(&message(|| drop(words(given()))), parts);
}

#[test]
fn a_saga_that_cannot_be_started_says_why() {
    let start = |id: &'static str, order: Order| message(move || drop(given_saga::<Orders>(id, order)));
    says(
        &start("o-1", order(0)),
        &["orders is not started, because its input is invalid (price: nothing is free [zero])"],
    );
    says(&start("", order(1)), &["orders cannot be started: the saga's id is no name"]);

    struct Empty;
    impl Saga for Empty {
        const NAME: &'static str = "empty";
        type Input = u64;
        fn definition() -> Definition<Self> {
            Definition::new()
        }
    }
    says(&message(|| drop(given_saga::<Empty>("e", 1))), &["empty cannot be followed: the saga has no steps"]);

    struct Number;
    impl Saga for Number {
        const NAME: &'static str = "number";
        type Input = u64;
        fn definition() -> Definition<Self> {
            Definition::new().step(Step::new("one", Self::one))
        }
    }
    impl Number {
        async fn one(&self, _: &u64, _: &StepContext) -> Result<(), StepError> {
            Ok(())
        }
    }
    let number = message(|| drop(given_saga::<Number>("n", 1)));
    says(&number, &["number is not started, because its input is no JSON object: 1"]);
}

// Steps at work.

fn block_on<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future.into_future())
}

fn reserved() -> RanStep {
    block_on(run_step(Orders, "reserve", order(11)))
}

fn both() -> [Sent; 2] {
    ["tea", "milk"].map(|goods| Sent::of(Reserve { goods: goods.into() }).as_part(goods))
}

#[test]
fn a_step_sends_under_its_keys() {
    let ran = reserved().then_sends(both()).then_succeeds(2);
    assert_eq!(ran.result(), Ok(&2.into()));
    block_on(run_step(Orders, "reserve", order(11)).back().outcome("reserve", 2))
        .then_sends([Sent::of(Release { count: 2 })])
        .then_succeeds(());
    block_on(run_step(Orders, "check", order(11))).then_sends([]).then_succeeds(());
}

#[test]
fn a_step_sees_what_a_test_says() {
    let by_ann = Metadata { actor: Some("ann".into()), ..Metadata::default() };
    let post = run_step(Orders, "post", order(11)).of_saga("o-1").metadata(by_ann);
    block_on(post.started_at(Timestamp::from_micros(7))).then_succeeds(("orders/o-1", 7, "ann"));
    block_on(run_step(Orders, "post", order(11))).then_succeeds(("orders/test", 0, None::<&str>));
    block_on(run_step(Orders, "pay", order(11)).settle().attempt(2)).then_succeeds(7);
    block_on(run_step(Orders, "pay", order(11)).settle())
        .then_fails(&refused_as("not-happened", "it has not happened"));
}

fn refused_as(code: &str, message: &str) -> StepError {
    StepError::refused(code, message)
}

#[test]
fn a_step_meets_what_a_bus_answers() {
    let mut bus = MockCommandBus::new();
    bus.expect_dispatch().times(1).returning(|_| Ok(Receipt::none()));
    bus.expect_dispatch().times(1).returning(|_| Err(CommandError::Denied("no milk".into())));
    let ran = block_on(run_step(Orders, "reserve", order(11)).commands(bus));
    ran.then_sends(both()).then_fails(&refused_as("denied", "not allowed: no milk"));

    let mut queries = MockQueryBus::new();
    queries.expect_ask().returning(|_| Ok(Answer::json("12")));
    block_on(run_step(Orders, "pay", order(11)).queries(queries)).then_succeeds(12);
    let unknown = block_on(run_step(Orders, "pay", order(11)));
    unknown.then_fails(&refused_as("unknown-query", "a query failed: there is no query price"));
}

#[rstest]
#[case::other_commands(
    |it: RanStep| it.then_sends([Sent::of(Release { count: 1 })]),
    &["reserve forward sent other commands; expected (-) and sent (+):", "-         name: \"release\"", "+         name: \"reserve\""]
)]
#[case::other_keys(
    |it: RanStep| it.then_sends(both().map(|sent| sent.as_part("x"))),
    &["saga:orders:test:reserve:x", "saga:orders:test:reserve:tea"]
)]
#[case::other_content(
    |it: RanStep| it.then_sends(["tee", "milk"].map(|goods| Sent::of(Reserve { goods: goods.into() }))),
    &["\"tee\"", "\"tea\""]
)]
#[case::fewer(|it: RanStep| it.then_sends([]), &["- []\n", "+ [\n"])]
#[case::other_outcome(|it: RanStep| it.then_succeeds(3), &["reserve forward had another outcome; expected (-) and had (+):", "- Number(3)", "+ Number(2)"])]
#[case::not_failed(
    |it: RanStep| it.then_fails(&busy()),
    &["reserve forward succeeded: 2, where this was expected: Retry { reason: \"busy\" }", "it had sent: reserve {\"goods\":\"tea\"}, reserve"]
)]
fn a_failure_says_what_a_step_did(#[case] then: fn(RanStep) -> RanStep, #[case] parts: &[&str]) {
    says(&message(|| drop(then(reserved()))), parts);
}

#[test]
fn a_failed_step_says_how() {
    let failed = || block_on(run_step(Orders, "reserve", order(11)).back());
    let error = "Refused { code: \"no-outcome\"";
    says(
        &message(|| drop(failed().then_succeeds(()))),
        &["reserve back failed: ", error, "where this outcome was expected: null; it had sent: nothing"],
    );
    says(
        &message(|| drop(failed().then_fails(&busy()))),
        &["reserve back failed otherwise; expected (-) and given (+):", "- Retry {", "+ Refused {"],
    );
}

#[rstest]
#[case(|| run_step(Orders, "pray", order(1)), "orders has no step pray; it has reserve, check, insure, pay, post")]
#[case(|| run_step(Orders, "pay", order(0)), "the input of orders is invalid (price: nothing is free [zero])")]
#[case(|| run_step(Orders, "pay", order(1)).back(), "pay has no compensation")]
#[case(|| run_step(Orders, "post", order(1)).settle(), "post has no resolution")]
#[case(|| run_step(Orders, "pay", order(1)).outcome("pray", 1), "there is no step pray, and so no outcome of it")]
#[case(|| run_step(Orders, "pay", order(1)).of_saga(""), "the saga's id is no name")]
fn a_step_that_cannot_run_says_why(#[case] run: fn() -> portolan_testing::RunStep, #[case] part: &str) {
    says(&message(|| drop(run())), &[part]);
}
