//! What the process of an order does, without a store: given, when, then.

use crate::orders::{Awaited, CancelOrder, Course, OrderEvent, Payments, Release, Reserve};
use portolan::domain::saga::{ActError, Action, End, Phase, StepError};
use portolan_testing::{GivenProcess, Sent, given_process};
use std::time::Duration;

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn order() -> String {
    "o-1".into()
}

fn placed(course: Course) -> OrderEvent {
    OrderEvent::Placed { order: order(), course }
}

/// An order that was placed, and whose goods are reserved.
fn given_an_order() -> GivenProcess<Payments<1>> {
    given_process(Payments::<1>, "o-1").received(placed(Course::Forgets)).accepted::<Reserve>()
}

#[test]
fn goods_are_reserved_and_the_payment_is_awaited() {
    given_process(Payments::<1>, "o-1")
        .when_receives(placed(Course::Pays))
        .then_sends([Sent::of(Reserve { order: order(), sold_out: false }).under("saga:order-payment:o-1:1-reserve")])
        .then_is_sending::<Reserve>()
        .then_sets_timer("payment", minutes(30))
        .then_timers([("payment", minutes(30))])
        .then_knows(Awaited { order: order(), paid_late: false });
}

#[test]
fn an_order_that_is_not_paid_within_30_minutes_is_cancelled() {
    given_an_order()
        .when_time_passes(minutes(30) - Duration::from_micros(1))
        .then_sends([])
        .then_is(Phase::Waiting)
        .then_waits_until(minutes(30))
        .and()
        .when_time_passes(Duration::from_micros(1))
        .then_fires("payment")
        .then_sends([Sent::of(CancelOrder { order: order() }), Sent::of(Release { order: order() })])
        .then_is_sending::<CancelOrder>()
        .and()
        .accepted::<CancelOrder>()
        .when_accepted::<Release>()
        .then_ends(End::Completed);
}

#[test]
fn one_that_is_paid_in_time_is_not() {
    given_an_order()
        .time_passed(minutes(29))
        .when_receives(OrderEvent::Paid { order: order() })
        .then_sends([])
        .then_timers([])
        .then_ends(End::Completed)
        .and()
        .when_time_passes(minutes(1))
        .then_sends([])
        .and()
        .when_receives(placed(Course::Pays))
        .then_passes_over("it has ended");
}

#[test]
fn one_that_was_paid_when_it_is_cancelled_is_not_cancelled_and_its_goods_are_released() {
    given_an_order()
        .time_passed(minutes(30))
        .when_fails::<CancelOrder>(StepError::retry("busy"))
        .then_tries_again::<CancelOrder>(..)
        .and()
        .time_passed(Duration::from_secs(1))
        .when_fails::<CancelOrder>(StepError::refused("Paid", "it is paid"))
        .then_goes_on_without::<CancelOrder>()
        .then_knows(Awaited { order: order(), paid_late: true })
        .then_is_sending::<Release>();
}

#[test]
fn goods_that_are_sold_out_are_for_an_operator_and_the_time_goes_on() {
    given_process(Payments::<1>, "o-1")
        .received(placed(Course::SoldOut))
        .when_fails::<Reserve>(StepError::refused("SoldOut", "it is sold out"))
        .then_needs_operator("it is sold out")
        .and()
        .when_operator(Action::Compensate)
        .then_refused(&ActError::NoWayBack)
        .and()
        .when_time_passes(minutes(30))
        .then_fires("payment")
        .then_is(Phase::NeedsOperator)
        .and()
        .when_operator(Action::Skip)
        .then_is_sending::<CancelOrder>();
}

#[test]
fn an_order_is_its_own_process_and_begins_with_its_placing() {
    let cancelled = OrderEvent::Cancelled { order: order() };
    given_an_order().when_receives(cancelled).then_passes_over("it is for no process");
    let other = OrderEvent::Paid { order: "o-2".into() };
    given_an_order().when_receives(other).then_passes_over("it is for order-payment/o-2");
    given_process(Payments::<1>, "o-1")
        .when_receives(OrderEvent::Paid { order: order() })
        .then_passes_over("nothing has started");
}

#[test]
fn what_was_left_to_wait_for_is_enough() {
    given_process(Payments::<1>, "o-1")
        .knew(Awaited { order: order(), paid_late: false })
        .waited_for("payment", minutes(5))
        .when_time_passes(minutes(5))
        .then_fires("payment")
        .then_sends([Sent::of(CancelOrder { order: order() }), Sent::of(Release { order: order() })]);
}
