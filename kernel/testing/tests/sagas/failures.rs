//! What a failed expectation of a saga says.

use super::*;

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
#[case::begins_nothing(failed, |it: Outcome| it.then_begins_nothing(), &["nothing was to begin"])]
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
#[case::nothing_begun_by_a_refusal(skipped, |it: Outcome| it.then_begins_nothing(), &["the operator's skip was refused"])]
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
#[case(|it: Given| it.failed("reserve", StepError::interrupted("we leave")), &["reserve was interrupted (we leave), and so goes on"])]
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
