//! What an index keeps of a saga: the same as its state shows, and something whatever it meets.

use crate::world::{Answer, Back, Demo, Forward, Settle, World, at, plan, script, step, undoable};
use portolan_kernel::domain::saga::{
    Action, Brief, Definition, End, FailureClass, Phase, Retry, SagaEvent, SagaState, Way,
};
use portolan_kernel::values::Timestamp;
use rstest::rstest;
use std::time::Duration;

/// What an index keeps shows the same, fact by fact.
pub(crate) fn check_brief(world: &World) {
    let mut state = SagaState::new(world.state.id().clone()).keeping_keys_for(world.kept);
    let mut brief = Brief::first(&world.log[0]);
    for (at, fact) in world.log.iter().enumerate() {
        state.apply(fact).unwrap();
        if at > 0 {
            brief.apply(fact);
        }
        for now in [fact.at(), world.now] {
            assert_eq!(brief.status(now), state.status(now), "after {:#?}", &world.log[..=at]);
            check_driven(world, &state, &brief, now);
        }
        let known = (state.version(), state.started_at(), state.deadline(), state.end());
        assert_eq!((Some(brief.version), Some(brief.started_at), brief.deadline, brief.end()), known);
    }
    assert_eq!(brief.unread, None);
}

/// Whoever takes it over by what the index keeps drives it by the time at which something is to be done.
fn check_driven(world: &World, state: &SagaState, brief: &Brief, now: Timestamp) {
    let status = brief.status(now);
    let (Phase::Waiting | Phase::NeedsOperator) = status.phase else { return };
    let next = world.next_of(state, now);
    let by = if next.record.is_empty() { next.wake } else { Some(now) };
    let is_driven = by.is_none_or(|by| status.due.is_some_and(|due| due <= by));
    assert!(is_driven, "due {:?}, and to be done by {by:?}: {next:#?}, after {}", status.due, world.trace());
}

/// Past a pivot that was passed over in doubt there is no finding out first.
#[test]
fn tried_again_past_a_pivot_in_doubt() {
    let unknown = || Answer::Unknown { happened: false };
    let retry = Retry::never();
    let pay = step("pay").outside().retry(retry.clone());
    let next = undoable("next").outside().resolve(Demo::resolve).retry(retry.clone());
    let plan = plan(Definition::new().step(pay).step(next));
    let answers = [("pay", Forward, unknown()), ("next", Forward, unknown())];
    let unsettled = (1..=20).map(|_| ("next", Settle, unknown()));
    let answers: Vec<_> = answers.into_iter().chain(unsettled).collect();
    let mut world = World::new(plan, script(&answers));
    world.run().act(Action::Skip).run();
    let held = world.state.status(world.now);
    assert_eq!((held.phase, held.way), (Phase::NeedsOperator, Some(Settle)), "{}", world.trace());
    world.act(Action::Retry);
    check_brief(&world);
    assert_eq!(world.state.status(world.now).way, Some(Forward));
}

/// An operator says that a pivot has not happened, and what was to be found out about it is of no interest any more.
#[test]
fn turned_back_at_a_pivot_in_doubt() {
    let unknown = || Answer::Unknown { happened: false };
    let pay = step("pay").outside().resolve(Demo::resolve).retry(Retry::never());
    let plan = plan(Definition::new().step(undoable("debit")).step(pay));
    let unsettled = (1..=20).map(|_| ("pay", Settle, unknown()));
    let answers: Vec<_> = [("pay", Forward, unknown())].into_iter().chain(unsettled).collect();
    let mut world = World::new(plan, script(&answers));
    world.run();
    let held = world.state.status(world.now);
    assert_eq!((held.phase, held.way), (Phase::NeedsOperator, Some(Settle)), "{}", world.trace());
    world.act(Action::Compensate);
    check_brief(&world);
    world.run();
    check_brief(&world);
    assert!(world.trace().ends_with("compensate() BACK debit<1 debit<+ COMPENSATED"), "{}", world.trace());
}

/// What is due first is due, whichever step shows.
#[rstest]
#[case::another_step(None, 2_000)]
#[case::the_time_for_the_whole(Some(1_500), 2_500)]
fn what_is_due_first_shows(#[case] timeout: Option<u64>, #[case] due: u64) {
    let ms = Duration::from_millis;
    let slow = Retry::attempts(2).first(ms(60_000)).longest(ms(60_000)).jitter_percent(0);
    let quick = Retry::attempts(2).first(ms(1_000)).jitter_percent(0);
    let mut definition = Definition::new();
    if let Some(timeout) = timeout {
        definition = definition.timeout(ms(timeout));
    }
    let quick = if timeout.is_some() { slow.clone() } else { quick };
    let plan = plan(definition.parallel([undoable("a").retry(slow), undoable("b").retry(quick)]));
    let mut world = World::new(plan, script(&[("a", Forward, Answer::Retry), ("b", Forward, Answer::Retry)]));
    while world.trace() != "a>1 b>1 a>-retry b>-retry" {
        assert!(world.step(), "{}", world.trace());
    }
    let stands = world.state.status(world.now);
    assert_eq!((stands.phase, stands.step.as_deref(), stands.due), (Phase::Waiting, Some("a"), Some(at(due))));
    check_brief(&world);
}

fn begun(step: &str, way: Way, attempt: u32) -> SagaEvent {
    SagaEvent::Begun { at: at(2_000), step: step.into(), way, attempt, until: at(9_000) }
}

fn failed(step: &str, reason: &str) -> SagaEvent {
    let (way, attempt, class) = (Forward, 1, FailureClass::Retry);
    let (at, retry_at, code) = (at(3_000), Some(at(4_000)), None);
    SagaEvent::Failed { at, step: step.into(), way, attempt, class, code, reason: reason.into(), retry_at }
}

/// Steps of no plan, attempts that nobody began, and a first fact that is none.
#[test]
fn any_fact_follows_any() {
    let mut brief = Brief::first(&begun("new", Back, 7));
    assert_eq!(brief.unread.as_deref(), Some("its first fact is missing"));
    assert_eq!((brief.version, brief.started_at), (0, at(2_000)));
    assert_eq!(brief.status(at(0)).to_string(), "running, new back, attempt 7");
    brief.apply(&failed("unheard-of", "no"));
    brief.apply(&failed("new", "not now"));
    assert_eq!(brief.status(at(0)).to_string(), "waiting, new forward, attempt 0 (not now)");
    brief.pass_over("a fact from the future");
    assert_eq!(brief.status(at(0)).phase, Phase::Waiting);
    assert_eq!(brief.unread.as_deref(), Some("a fact from the future"));
    let end = || SagaEvent::Ended { at: at(5_000), end: End::Completed, left: Vec::new() };
    brief.apply(&end());
    assert_eq!((brief.end(), &brief.unread), (Some(End::Completed), &None));
    let ended = brief.clone();
    brief.apply(&begun("new", Forward, 1));
    brief.pass_over("after the end");
    assert_eq!(brief, ended);
}

/// However many steps are begun together, and however much there is to say of them.
#[rstest]
#[case::few(10)]
#[case::many(5_000)]
fn it_stays_small(#[case] steps: usize) {
    let mut brief = Brief::first(&begun("first", Forward, 1));
    for n in 0..steps {
        brief.apply(&begun(&format!("step-{n}"), Forward, 1));
        brief.apply(&failed(&format!("step-{n}"), &"no".repeat(5_000)));
    }
    let names = || (0..steps).map(|n| format!("step-{n}")).collect();
    brief.apply(&SagaEvent::NeedsOperator { at: at(5_000), steps: names(), reason: "é".repeat(5_000) });
    let reason = brief.status(at(0)).reason.unwrap();
    assert!(reason.len() <= 603 && reason.ends_with("é…"), "{reason}");
    assert!(format!("{brief:?}").len() < 100_000);
    brief.apply(&SagaEvent::Ended { at: at(6_000), end: End::Aborted, left: names() });
    assert!(format!("{brief:?}").len() < 2_000);
}

/// However many timers a process has, those that are due first show.
#[test]
fn timers_stay_few() {
    let mut world = crate::process_world::started(script(&[]));
    let set: Vec<_> =
        (0..500).map(|n| crate::process_world::set(&format!("{n}{}", "t".repeat(700)), 1_000 - n)).collect();
    crate::process_world::feed(&mut world, &crate::process_world::event(1, &set));
    let mut brief = Brief::first(&world.log[0]);
    brief.apply(&world.log[1]);
    assert_eq!(brief.status(world.now).due, Some(at(1_501)));
    assert!(format!("{brief:?}").len() < 100_000);
}

/// A timer that is not kept is due all the same, once those that are kept have fired; it may be looked for too early.
#[test]
fn timers_that_are_not_kept_fire() {
    let mut world = crate::process_world::started(script(&[]));
    let set: Vec<_> = (1..=100).map(|n| crate::process_world::set(&format!("{n:03}"), n)).collect();
    crate::process_world::feed(&mut world, &crate::process_world::event(1, &set));
    let mut brief = Brief::first(&world.log[0]);
    brief.apply(&world.log[1]);
    for fired in 1..=100 {
        world.now = at(1_000 + fired);
        let before = world.log.len();
        world.settle_facts();
        assert_eq!(world.log.len(), before + 1, "{}", world.trace());
        brief.apply(&world.log[before]);
        check_driven(&world, &world.state, &brief, world.now);
    }
    crate::process_world::feed(&mut world, &crate::process_world::event(2, &[crate::process_world::Do::End]));
    brief.apply(world.log.last().unwrap());
    assert_eq!(brief.status(world.now).due, None, "no timer outlives its process");
}

/// However many steps are begun together, none waits for somebody who looks at the others alone.
#[test]
fn steps_that_are_not_kept_are_tried_again() {
    let names: Vec<_> = (0..100).map(|n| format!("s{n:03}")).collect();
    let pausing = |n: u64| Retry::attempts(2).first(Duration::from_millis(n)).longest(Duration::from_millis(n));
    let steps = names.iter().enumerate().map(|(n, name)| undoable(name).retry(pausing(100_000 - 1_000 * n as u64)));
    let plan = plan(Definition::new().parallel(steps));
    let mut world = World::new(plan, std::rc::Rc::new(|_, _, _| Answer::Retry));
    while world.now == at(1_000) {
        assert!(world.step());
    }
    let mut brief = Brief::first(&world.log[0]);
    world.log[1..].iter().for_each(|fact| brief.apply(fact));
    check_driven(&world, &world.state, &brief, at(1_000));
}
