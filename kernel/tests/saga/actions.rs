//! Operators: what is allowed in which state, and what comes of it.

use crate::world::Answer::{Refused, Silence, Unknown};
use crate::world::{Answer, Back, Forward, Settle, World, at, plan, script, step, undoable};
use portolan_kernel::domain::saga::{
    Action, Definition, Phase, Plan, Retry as Policy, SagaEvent, SagaId, SagaState, Way,
};
use rstest::rstest;
use std::time::Duration;

const NO: Answer = Refused("no");
const LOST: Answer = Unknown { happened: false };
const QUIET: Answer = Silence { happened: false };

/// A step that can be undone, a pivot elsewhere, and one after it; one attempt each, but two to settle.
fn post() -> Plan {
    let undoable = undoable("book").retry(Policy::never()).compensation_retry(Policy::never());
    let pivot = step("post").retry(Policy::never()).outside();
    plan(Definition::new().step(undoable).step(pivot).step(step("mail").retry(Policy::never()).harmless()))
}

fn world(answers: &[(&'static str, Way, Answer)]) -> World {
    World::new(post(), script(answers))
}

/// Which actions are allowed, and why not, in every state there is.
#[rstest]
#[case::in_flight(&[("book", Forward, QUIET)], false, "running", "-goes on | -nothing holds | + | +")]
#[case::pivot_in_flight(&[("post", Forward, QUIET)], false, "running", "-goes on | -nothing holds | -pivot post has happened | +")]
#[case::pivot_in_doubt(&[("post", Forward, LOST)], true, "needs-operator", "post | post | + | +")]
#[case::past_the_pivot(&[("mail", Forward, NO)], true, "needs-operator", "mail | mail | -past its pivot post | +")]
#[case::past_and_in_flight(&[("mail", Forward, QUIET)], false, "running", "-goes on | -nothing holds | -past its pivot post | +")]
#[case::on_the_way_back(
    &[("post", Forward, NO), ("book", Back, QUIET)], false, "compensating", "-goes on | -nothing holds | -on its way back | +"
)]
#[case::compensation_sticks(
    &[("post", Forward, NO), ("book", Back, NO)], true, "needs-operator", "book | book | -on its way back | +"
)]
#[case::completed(&[], true, "completed", "-ended: completed | -ended: completed | -ended: completed | -ended: completed")]
#[case::compensated(
    &[("book", Forward, NO)], true, "compensated",
    "-ended: compensated | -ended: compensated | -ended: compensated | -ended: compensated"
)]
fn what_is_allowed(
    #[case] answers: &[(&'static str, Way, Answer)],
    #[case] ends: bool,
    #[case] phase: &str,
    #[case] allowed: &str,
) {
    let mut world = world(answers);
    if ends {
        world.run();
    } else {
        // Until the one in flight stays silent.
        let is_last = |fact: &SagaEvent, of: &str, way: Way| matches!(fact, SagaEvent::Begun { step, way: own, .. } if step == of && *own == way);
        let (of, way, _) = answers.iter().find(|(.., answer)| *answer == QUIET).unwrap();
        while !is_last(world.log.last().unwrap(), of, *way) {
            world.step();
            world.settle_facts();
        }
    }
    assert_eq!(world.state.status(world.now).phase.name(), phase);
    let allowed: Vec<_> = allowed.split(" | ").collect();
    for (action, expected) in Action::ALL.into_iter().zip(allowed) {
        match (world.state.allows(action), expected.strip_prefix('-')) {
            (Ok(steps), None) => {
                assert_eq!(if steps.is_empty() { "+".into() } else { steps.join(",") }, expected, "{action}")
            }
            (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{action}: {error}"),
            (other, _) => panic!("{action}: {other:?}, expected {expected}"),
        }
    }
}

#[rstest]
#[case::retry(&[("mail", Forward, NO)], Action::Retry, "STOP(mail) retry(mail) mail>2 mail>+ COMPLETED")]
#[case::skip(&[("mail", Forward, NO)], Action::Skip, "STOP(mail) skip(mail) COMPLETED")]
#[case::abort(&[("mail", Forward, NO)], Action::Abort, "STOP(mail) abort() ABORTED(book,post)")]
#[case::retry_in_doubt(&[("post", Forward, LOST)], Action::Retry, "STOP(post) retry(post) post>2 post>+ mail>1 mail>+ COMPLETED")]
#[case::skip_in_doubt(&[("post", Forward, LOST)], Action::Skip, "STOP(post) skip(post) mail>1 mail>+ COMPLETED")]
#[case::skip_in_doubt_leaves_no_way_back(
    &[("post", Forward, LOST), ("mail", Forward, NO)], Action::Skip,
    "STOP(post) skip(post) mail>1 mail>-refused! STOP(mail)"
)]
#[case::compensate_in_doubt(&[("post", Forward, LOST)], Action::Compensate, "STOP(post) compensate() BACK book<1 book<+ COMPENSATED")]
#[case::abort_in_doubt(&[("post", Forward, LOST)], Action::Abort, "STOP(post) abort() ABORTED(book,post)")]
#[case::retry_compensation(
    &[("post", Forward, NO), ("book", Back, NO)], Action::Retry, "STOP(book) retry(book) book<2 book<+ COMPENSATED"
)]
#[case::skipped_compensation_is_never_compensated(
    &[("post", Forward, NO), ("book", Back, NO)], Action::Skip, "STOP(book) skip(book) ABORTED(book)"
)]
#[case::abort_compensation(
    &[("post", Forward, NO), ("book", Back, NO)], Action::Abort, "STOP(book) abort() ABORTED(book)"
)]
fn acting(#[case] answers: &[(&'static str, Way, Answer)], #[case] action: Action, #[case] trace: &str) {
    let mut world = world(answers);
    world.run().act(action).run();
    let whole = world.trace();
    assert_eq!(&whole[whole.find("STOP").unwrap()..], trace);
    // Also when the process ends between the operator's act and what follows from it.
    let acted = world.log.iter().position(|fact| matches!(fact, SagaEvent::Acted { .. })).unwrap();
    let mut resumed = World::resumed(post(), script(answers), &world.log[..=acted]);
    resumed.effects.clone_from(&world.effects);
    assert_eq!(resumed.run().log, world.log);
    let SagaEvent::Acted { actor, note, .. } = &world.log[acted] else { unreachable!() };
    assert_eq!((actor.as_deref(), &**note), (Some("ann"), "because"));
}

#[test]
fn attempts_begin_anew() {
    let thrice = undoable("book").retry(Policy::never()).compensation_retry(Policy::attempts(2));
    let plan = plan(Definition::new().step(thrice).step(step("post").retry(Policy::never())));
    let answers = [("post", Forward, NO), ("book", Back, NO), ("book", Back, NO), ("book", Back, NO)];
    let mut world = World::new(plan, script(&answers));
    world.run().act(Action::Retry).run();
    let trace = world.trace();
    assert!(trace.ends_with("STOP(book) retry(book) book<3 book<-refused book<4 book<+ COMPENSATED"), "{trace}");
}

#[test]
fn a_pause_can_be_cut_short() {
    let slow = Policy::attempts(2).first(Duration::from_secs(3_600)).longest(Duration::from_secs(3_600));
    let plan = plan(Definition::new().step(undoable("a").retry(slow)));
    let mut world = World::new(plan, script(&[("a", Forward, Answer::Retry)]));
    world.settle_facts();
    world.step();
    assert_eq!(world.state.status(world.now).phase, Phase::Waiting);
    world.act(Action::Retry);
    let next = world.settle_facts();
    assert_eq!(next.run[0].attempt, 2);
    assert_eq!(world.now, at(1_000));
}

#[test]
fn compensating_on_the_way_settles_what_is_in_flight() {
    let twice = |name| undoable(name).retry(Policy::attempts(2));
    let plan = plan(Definition::new().step(twice("a")).parallel([twice("b"), twice("c")]));
    let mut world = World::new(plan, script(&[("b", Forward, Unknown { happened: true })]));
    while world.log.len() < 5 {
        world.step();
        world.settle_facts();
    }
    world.act(Action::Compensate).run();
    assert_eq!(
        world.trace(),
        "a>1 a>+ b>1 c>1 compensate() BACK b>-unknown! b?1 b?+ c>+ c<1 c<+ b<1 b<+ a<1 a<+ COMPENSATED"
    );
}

#[test]
fn settling_that_sticks_is_tried_anew() {
    let plan = plan(Definition::new().step(undoable("a").retry(Policy::never())).step(step("b")));
    let mut answers = vec![("a", Forward, Unknown { happened: true })];
    answers.extend((0..10).map(|_| ("a", Settle, LOST)));
    let mut world = World::new(plan.clone(), script(&answers));
    world.run();
    assert!(world.trace().ends_with("a?10 a?-unknown! STOP(a)"), "{}", world.trace());
    world.act(Action::Retry).run();
    assert!(world.trace().ends_with("retry(a) a?11 a?+ b>1 b>+ COMPLETED"), "{}", world.trace());

    let mut world = World::new(plan, script(&answers));
    world.run().act(Action::Compensate).run();
    assert!(world.trace().ends_with("compensate() BACK a?11 a?+ a<1 a<+ COMPENSATED"), "{}", world.trace());
}

#[test]
fn nothing_is_done_to_what_was_not_started() {
    let state = SagaState::new(SagaId::new("demo", "1").unwrap());
    for action in Action::ALL {
        assert_eq!(state.allows(action).unwrap_err().to_string(), "the saga has not been started");
        assert_eq!(action.name().parse(), Ok(action));
    }
    assert!("restart".parse::<Action>().unwrap_err().to_string().contains("compensate"));
}
