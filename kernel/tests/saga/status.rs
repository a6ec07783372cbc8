//! How a saga shows to people: what it does, which step matters, since when, what is due, and why.

use crate::world::Answer::{Refused, Silence, Unknown};
use crate::world::{Answer, Back, Forward, World, at, plan, script, step, undoable};
use portolan_kernel::domain::saga::{Action, Definition, Phase, Plan, Retry as Policy, SagaId, SagaState, Way};
use rstest::rstest;
use std::time::Duration;

const NO: Answer = Refused("no");
const QUIET: Answer = Silence { happened: false };

/// Two at once that can be undone, and a pivot. An attempt may take 5 s, a pause is one of 2 s.
fn together() -> Plan {
    let retry = Policy::attempts(2).first(Duration::from_secs(2)).jitter_percent(0);
    let undoable =
        |name| undoable(name).retry(retry.clone()).compensation_retry(retry.clone()).timeout(Duration::from_secs(5));
    plan(Definition::new().parallel([undoable("a"), undoable("b")]).step(step("pay").retry(retry.clone())))
}

/// The status once this many facts are recorded, and the times from the start on, in seconds.
#[rstest]
#[case::in_flight(&[], 3, "running, a forward, attempt 1", Some(0), Some(5))]
#[case::one_pauses_and_one_runs(&[("a", Forward, Answer::Retry), ("b", Forward, QUIET)], 4, "running, a forward, attempt 1 (not now)", Some(0), Some(2))]
#[case::all_pause(
    &[("a", Forward, Answer::Retry), ("b", Forward, Answer::Retry)], 5, "waiting, a forward, attempt 1 (not now)", Some(0), Some(2)
)]
#[case::the_other_pauses(&[("b", Forward, Answer::Retry)], 5, "waiting, b forward, attempt 1 (not now)", Some(0), Some(2))]
#[case::settling(
    &[("a", Forward, NO), ("b", Forward, Unknown { happened: true })], 7,
    "compensating, b settle, attempt 1 (a failed: no (no))", Some(0), Some(5)
)]
#[case::compensating(
    &[("pay", Forward, NO)], 9, "compensating, b back, attempt 1 (pay failed: no (no))", Some(0), Some(5)
)]
#[case::compensating_again(
    &[("pay", Forward, NO), ("b", Back, Answer::Retry)], 10, "compensating, b back, attempt 1 (not now)", Some(0), Some(2)
)]
#[case::held(
    &[("pay", Forward, NO), ("b", Back, NO), ("b", Back, NO)], 13,
    "needs-operator, b back, attempt 2 (b cannot be undone: no (no))", Some(2), None
)]
#[case::completed(&[], 8, "completed", Some(0), None)]
#[case::compensated(&[("a", Forward, NO), ("b", Forward, NO)], 7, "compensated (a failed: no (no))", Some(0), None)]
fn shown(
    #[case] answers: &[(&'static str, Way, Answer)],
    #[case] facts: usize,
    #[case] says: &str,
    #[case] since: Option<u64>,
    #[case] due: Option<u64>,
) {
    let mut world = World::new(together(), script(answers));
    world.settle_facts();
    while world.log.len() < facts {
        assert!(world.step(), "{}", world.trace());
        if world.log.len() < facts {
            world.settle_facts();
        }
    }
    let state = SagaState::fold(world.state.id().clone(), &world.log[..facts]).unwrap();
    let status = state.status(world.now);
    let seconds = |at: Option<portolan_kernel::values::Timestamp>| at.map(|at| at.as_micros() / 1_000_000 - 1);
    assert_eq!(
        (status.to_string().as_str(), seconds(status.since), seconds(status.due)),
        (says, since, due),
        "{}",
        world.trace()
    );
}

#[test]
fn what_is_left_is_named() {
    let once = undoable("a").compensation_retry(Policy::never());
    let plan = plan(Definition::new().step(once).step(step("pay")));
    let mut world = World::new(plan, script(&[("pay", Forward, NO), ("a", Back, NO)]));
    world.run().act(Action::Skip).run();
    let says = "aborted (not undone: a; an operator skipped a: because; pay failed: no (no))";
    assert_eq!(world.state.status(world.now).to_string(), says);
    crate::brief::check_brief(&world);
}

/// What was said last in leaving something as it is, whatever was said before.
#[rstest]
#[case::aborted(&[Action::Abort], "aborted it")]
#[case::skipped_twice(&[Action::Skip, Action::Skip], "skipped a")]
#[case::skipped_and_aborted(&[Action::Skip, Action::Abort], "aborted it")]
#[case::skipped_and_tried_again(&[Action::Skip, Action::Retry], "skipped b")]
fn an_operator_s_last_word_is_told(#[case] actions: &[Action], #[case] says: &str) {
    let once = |name| undoable(name).compensation_retry(Policy::never());
    let plan = plan(Definition::new().step(once("a")).step(once("b")).step(step("pay")));
    let mut world = World::new(plan, script(&[("pay", Forward, NO), ("a", Back, NO), ("b", Back, NO)]));
    for action in actions {
        world.run().act(*action);
    }
    world.run();
    let left = if actions.contains(&Action::Retry) { "b" } else { "a, b" };
    let says = format!("aborted (not undone: {left}; an operator {says}: because; pay failed: no (no))");
    assert_eq!(world.state.status(world.now).to_string(), says, "{}", world.trace());
    crate::brief::check_brief(&world);
}

#[test]
fn who_ends_it_at_once_is_told() {
    let mut world = World::new(together(), script(&[]));
    world.act(Action::Abort).run();
    assert_eq!(world.state.status(world.now).to_string(), "aborted (an operator aborted it: because)");
    crate::brief::check_brief(&world);
}

#[test]
fn phases_have_names() {
    for phase in Phase::ALL {
        assert_eq!(phase.name().parse(), Ok(phase));
    }
    assert!("stuck".parse::<Phase>().unwrap_err().to_string().contains("needs-operator"));
    let ends = Phase::ALL.into_iter().filter(|phase| phase.is_end()).map(Phase::name).collect::<Vec<_>>();
    assert_eq!(ends, ["completed", "compensated", "aborted"]);
    let new = SagaState::new(SagaId::new("demo", "1").unwrap());
    assert_eq!(new.status(at(1)).to_string(), "running");
}
