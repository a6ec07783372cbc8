//! Time: pauses, time-outs, and clocks that jump.

use crate::world::Answer::{Refused, Silence};
use crate::world::{Answer, Forward, World, at, plan, script, step, undoable};
use portolan_kernel::domain::saga::{Definition, Effort, Phase, Plan, Retry, SagaEvent, Way};
use proptest::prelude::*;
use rstest::rstest;
use std::time::Duration;

const QUIET: Answer = Silence { happened: false };
const HAPPENED: Answer = Silence { happened: true };

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The whole may take 4 s, an attempt 1.5 s, and there are two, with a pause of 1 s.
fn plan_in_time() -> Plan {
    let twice = Retry::attempts(2).first(ms(1_000)).jitter_percent(0);
    let undoable = undoable("a").retry(twice.clone()).timeout(ms(1_500));
    let pivot = step("b").retry(twice.clone()).timeout(ms(1_500));
    plan(Definition::new().timeout(ms(4_000)).step(undoable).step(pivot).step(step("c").retry(twice).harmless()))
}

#[rstest]
#[case::all_in_time(&[], "1000 COMPLETED")]
#[case::attempt_times_out(&[("a", Forward, QUIET)], "3500 COMPLETED")]
#[case::turns_back_in_a_pause(&[("a", Forward, QUIET), ("b", Forward, Answer::Retry), ("b", Forward, QUIET)],
    // 2500 time-out, 3500 again, 3500 retry, 4500 begun, 5000 overdue, 6000 time-out, settled, back.
    "6000 COMPENSATED")]
#[case::the_pivot_happens_after_the_deadline(&[("a", Forward, HAPPENED), ("b", Forward, Answer::Retry), ("b", Forward, HAPPENED)],
    "6000 COMPLETED")]
#[case::past_the_pivot_it_goes_on(&[("c", Forward, QUIET)], "32000 COMPLETED")]
fn ends_at(#[case] answers: &[(&'static str, Way, Answer)], #[case] ends: &str) {
    let mut world = World::new(plan_in_time(), script(answers));
    world.run();
    let end = world.log.last().unwrap();
    assert_eq!(format!("{} {}", end.at().as_micros() / 1_000, crate::world::word(end)), ends, "{}", world.trace());
}

/// Between two attempts it turns back as soon as the time has passed, and not when the next attempt is due.
#[test]
fn the_time_for_the_whole_ends_a_pause() {
    let slow = Retry::attempts(2).first(ms(60_000)).longest(ms(60_000));
    let plan = plan(Definition::new().timeout(ms(2_000)).step(undoable("a")).step(undoable("b").retry(slow)));
    let mut world = World::new(plan, script(&[("b", Forward, Answer::Retry)]));
    world.run();
    assert_eq!(world.trace(), "a>1 a>+ b>1 b>-retry BACK a<1 a<+ COMPENSATED");
    assert_eq!(world.now, at(3_000));
}

#[test]
fn past_the_pivot_it_shows_as_overdue() {
    let mut world = World::new(plan_in_time(), script(&[("c", Forward, Refused("no"))]));
    world.run();
    assert!(!world.state.status(at(4_999)).is_overdue);
    let status = world.state.status(at(5_000));
    assert_eq!((status.is_overdue, status.phase), (true, Phase::NeedsOperator));
    assert_eq!(
        status.to_string(),
        "needs-operator, c forward, attempt 1, overdue (c failed and there is no way back: no (no))"
    );
}

/// What was due while nobody looked happens once.
#[test]
fn overdue_at_restart_fires_once() {
    let mut world = World::new(plan_in_time(), script(&[("a", Forward, QUIET)]));
    world.settle_facts();
    let mut resumed = World::resumed(plan_in_time(), script(&[("a", Forward, QUIET)]), &world.log);
    resumed.now = at(2_900);
    resumed.run();
    assert!(resumed.trace().starts_with("a>1 a>-unknown a>2 a>+ b>1"), "{}", resumed.trace());
    let SagaEvent::Failed { retry_at, .. } = &resumed.log[2] else { panic!("{:?}", resumed.log[2]) };
    assert_eq!(*retry_at, Some(at(3_900)));
}

/// Nothing happens early when the clock goes back, and nothing twice.
#[test]
fn a_clock_that_goes_back_makes_nothing_early() {
    let mut world = World::new(plan_in_time(), script(&[("a", Forward, QUIET)]));
    world.settle_facts();
    world.now = at(2_500);
    assert_eq!(world.settle_facts().wake, Some(at(3_500)));
    world.now = at(10);
    let next = world.settle_facts();
    assert_eq!((next.run.len(), next.wake), (0, Some(at(3_500))));
    world.now = at(3_499);
    assert_eq!(world.settle_facts().run, []);
    world.now = at(3_500);
    assert_eq!(world.settle_facts().run.len(), 1);
    world.now = at(0);
    assert_eq!(world.settle_facts().run.len(), 1);
    assert_eq!(world.trace(), "a>1 a>-unknown a>2");
}

#[test]
fn a_clock_that_goes_far_forward_ends_what_was_in_time() {
    let mut world = World::new(plan_in_time(), script(&[]));
    world.settle_facts();
    world.now = at(4_000_000_000_000);
    world.run();
    // It had not begun to happen, in a world where answers come when somebody looks.
    assert_eq!(world.trace(), "a>1 a>-unknown BACK a?1 a?-refused! COMPENSATED");
}

#[rstest]
#[case(1, 100)]
#[case(2, 300)]
#[case(3, 900)]
#[case(4, 1_000)]
#[case(u32::MAX, 1_000)]
fn pauses(#[case] attempt: u32, #[case] millis: u64) {
    let retry = Retry::attempts(9).first(ms(100)).factor(3).longest(ms(1_000));
    assert_eq!(retry.pause(attempt), ms(millis));
}

/// However often there is no pause between two attempts.
#[test]
fn no_pause_never_grows() {
    let at_once = Retry::attempts(u32::MAX).first(Duration::ZERO);
    assert_eq!(at_once.pause(u32::MAX), Duration::ZERO);
    assert_eq!(Effort::new(at_once, ms(1)).longest(), ms(u64::from(u32::MAX)));
}

#[test]
fn the_longest_is_the_sum_of_all() {
    let effort = Effort::new(Retry::attempts(4).first(ms(100)).factor(2).longest(ms(300)), ms(1_000));
    assert_eq!(effort.longest(), ms(4_000 + 100 + 200 + 300));
    let endless = Effort::new(Retry::attempts(u32::MAX), ms(1));
    assert!(endless.longest() > Duration::from_secs(u64::from(u32::MAX) * 29));
}

proptest! {
    /// The same saga, step and attempt, the same pause; never longer than said, and never shorter than jitter allows.
    #[test]
    fn jitter_stays_within_its_bounds(percent in 0..=100u8, first in 1..10_000u64) {
        let retry = Retry::attempts(2).first(ms(first)).longest(ms(first)).jitter_percent(percent);
        let plan = plan(Definition::new().step(undoable("a").retry(retry)));
        let paused = || {
            let mut world = World::new(plan.clone(), script(&[("a", Forward, Answer::Retry)]));
            world.settle_facts();
            world.step();
            world.next().wake.unwrap().as_micros() - world.now.as_micros()
        };
        let paused_for = paused();
        prop_assert_eq!(paused_for, paused());
        prop_assert!(paused_for <= first * 1_000 && paused_for + 1 >= first * 10 * u64::from(100 - percent), "{}", paused_for);
    }
}
