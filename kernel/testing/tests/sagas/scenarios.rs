//! What happens to a saga.

use super::*;

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
