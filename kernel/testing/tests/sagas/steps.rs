//! Steps at work.

use super::*;

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
