//! Keys that the store may have forgotten: what is in doubt is neither tried again under them, nor found out about by them.

use crate::brief::check_brief;
use crate::process_world::{Do, event, feed, started, tells};
use crate::world::{Answer, Back, Demo, Forward, Settle, World, plan, script, step, undoable, word};
use portolan_kernel::domain::saga::{
    ActError, Action, Definition, FailureClass, Phase, Plan, Retry as Policy, SagaEvent, Settling, Step, StepError, Way,
};
use portolan_kernel::values::Timestamp;
use rstest::rstest;
use std::collections::BTreeMap;
use std::time::Duration;

const KEPT: Duration = Duration::from_secs(800);
/// An eighth less.
const COUNTED_ON: u64 = 700;
const LATER: Duration = Duration::from_secs(1_000);

const QUIET: Answer = Answer::Silence { happened: true };
const LOST: Answer = Answer::Unknown { happened: true };
const NO: Answer = Answer::Refused("no");
const BUSY: Answer = Answer::Retry;

/// Two attempts with a pause of ten seconds.
fn twice() -> Policy {
    Policy::attempts(2).first(Duration::from_secs(10)).jitter_percent(0)
}

fn book() -> Step<Demo> {
    undoable("book").retry(twice()).compensation_retry(twice())
}

/// A step, a pivot, and one more after it.
fn trip(book: Step<Demo>) -> Plan {
    let mail = step("mail").retry(twice()).harmless();
    plan(Definition::new().step(book).step(step("pay").retry(twice())).step(mail))
}

fn world(plan: Plan, answers: &[(&'static str, Way, Answer)]) -> World {
    World::new(plan, script(answers)).keeping_keys_for(KEPT)
}

/// Runs until there is a fact of this word. Then nobody is there for a long time.
fn away_after(world: &mut World, last: &str) {
    while !world.log.iter().any(|fact| word(fact) == last) {
        assert!(world.step(), "{}", world.trace());
    }
    world.now = world.now.plus(LATER);
}

/// What is gone on with after nobody was there for longer than keys are kept.
#[rstest]
#[case::in_flight(book(), &[("book", Forward, QUIET)], "book>1", "book>1 book>-unknown STOP(book)")]
#[case::pausing(book(), &[("book", Forward, LOST)], "book>-unknown", "book>1 book>-unknown STOP(book)")]
#[case::refused_after_an_unknown_one(
    book().retry(Policy::attempts(3)), &[("book", Forward, LOST), ("book", Forward, BUSY)], "book>-retry",
    "book>1 book>-unknown book>2 book>-retry STOP(book)"
)]
#[case::settling(book(), &[("book", Forward, LOST), ("book", Forward, LOST), ("book", Settle, QUIET)], "book?1",
    "book>1 book>-unknown book>2 book>-unknown! book?1 book?-unknown STOP(book)"
)]
#[case::a_pivot(
    book(), &[("pay", Forward, QUIET)], "pay>1", "book>1 book>+ pay>1 pay>-unknown STOP(pay)"
)]
#[case::past_the_pivot(
    book(), &[("mail", Forward, QUIET)], "mail>1",
    "book>1 book>+ pay>1 pay>+ mail>1 mail>-unknown STOP(mail)"
)]
#[case::a_compensation(
    book(), &[("pay", Forward, NO), ("book", Back, QUIET)], "book<1",
    "book>1 book>+ pay>1 pay>-refused! BACK book<1 book<-unknown STOP(book)"
)]
#[case::settled_without_a_key(
    book().outside().resolve(Demo::resolve), &[("book", Forward, QUIET)], "book>1",
    "book>1 book>-unknown book?1 book?+ pay>1 pay>+ mail>1 mail>+ COMPLETED"
)]
#[case::compensated_under_another_key(
    book().outside(), &[("book", Forward, QUIET)], "book>1",
    "book>1 book>-unknown BACK book<1 book<+ COMPENSATED"
)]
#[case::known_not_to_have_happened(
    book(), &[("book", Forward, BUSY)], "book>-retry",
    "book>1 book>-retry book>2 book>+ pay>1 pay>+ mail>1 mail>+ COMPLETED"
)]
#[case::known_not_to_be_undone(
    book(), &[("pay", Forward, NO), ("book", Back, NO)], "book<-refused",
    "book>1 book>+ pay>1 pay>-refused! BACK book<1 book<-refused book<2 book<+ COMPENSATED"
)]
#[case::done_long_ago(
    book(), &[("pay", Forward, NO)], "book>+",
    "book>1 book>+ pay>1 pay>-refused! BACK book<1 book<+ COMPENSATED"
)]
fn gone_on_with_too_late(
    #[case] book: Step<Demo>,
    #[case] answers: &[(&'static str, Way, Answer)],
    #[case] after: &str,
    #[case] trace: &str,
) {
    let mut world = world(trip(book), answers);
    away_after(&mut world, after);
    world.run();
    assert_eq!(world.trace(), trace);
    check_brief(&world);
    let status = world.state.status(world.now);
    if status.phase == Phase::NeedsOperator {
        let reason = status.reason.unwrap();
        assert!(reason.contains(", and its key may be forgotten by now: "), "{reason}");
        // Tried again it is not, however often somebody asks.
        let refused = world.state.act(Action::Retry, None, "", world.now).unwrap_err();
        assert!(matches!(refused, ActError::KeyForgotten { .. }), "{refused}");
    }
    let turned_back = world.log.iter().find_map(|fact| match fact {
        SagaEvent::TurnedBack { reason, .. } if trace.contains("book>-unknown BACK") => Some(reason),
        _ => None,
    });
    let is_told = |reason: &String| reason.starts_with("book failed, and its key may be forgotten by now: ");
    assert!(turned_back.is_none_or(is_told), "{turned_back:?}");
    // Where keys are kept for good, it is gone on with.
    let mut kept = World::new(world.plan.clone(), script(answers));
    away_after(&mut kept, after);
    assert!(!kept.run().trace().contains("STOP"), "{}", kept.trace());
}

/// When the first attempt at this step was begun.
fn first_begun(world: &World, of: &str) -> Timestamp {
    let begun = |fact: &SagaEvent| matches!(fact, SagaEvent::Begun { step, .. } if step == of);
    world.log.iter().find(|fact| begun(fact)).unwrap().at()
}

const IN_TIME: Duration = Duration::from_secs(COUNTED_ON - 30);
const TOO_LATE: Duration = Duration::from_millis(1_000 * (COUNTED_ON - 30) + 1);

/// It counts when the first attempt was begun that may have had its effect; and the next has to be over in time.
#[rstest]
#[case::in_time(&[LOST, LOST], IN_TIME, Some("retry(mail) mail>3 mail>+ COMPLETED"))]
#[case::too_late(&[LOST, LOST], TOO_LATE, None)]
#[case::refused_after_an_unknown_one(&[LOST, NO], TOO_LATE, None)]
#[case::not_answered(&[QUIET, LOST], TOO_LATE, None)]
#[case::known_not_to_have_happened(&[NO], LATER, Some("retry(mail) mail>2 mail>+ COMPLETED"))]
#[case::busy_to_the_end(&[BUSY, BUSY], LATER, Some("retry(mail) mail>3 mail>+ COMPLETED"))]
#[case::the_first_had_no_effect(&[BUSY, LOST], TOO_LATE, Some("retry(mail) mail>3 mail>+ COMPLETED"))]
fn an_operator_who_comes_late(#[case] answers: &[Answer], #[case] after: Duration, #[case] trace: Option<&str>) {
    let answers: Vec<_> = answers.iter().map(|answer| ("mail", Forward, answer.clone())).collect();
    let mut world = world(trip(book()), &answers);
    world.run();
    let first = first_begun(&world, "mail");
    world.now = first.plus(after);
    let refused = world.state.act(Action::Retry, None, "", world.now).err();
    match trace {
        Some(trace) => {
            let before = world.trace().len() + 1;
            world.act(Action::Retry).run();
            assert_eq!(&world.trace()[before..], trace);
        }
        None => {
            let expected = ActError::KeyForgotten { step: "mail".into(), way: Forward, since: first };
            assert_eq!(refused, Some(expected));
            assert_eq!(world.state.first_begun("mail", Forward), Some(first));
            let told = refused.unwrap().to_string();
            assert!(told.contains("unknown whether mail has happened") && told.contains("skip it, or"), "{told}");
        }
    }
    check_brief(&world);
}

/// What an operator can do about it.
#[rstest]
#[case::skip(&[("book", Forward, QUIET)], "book>1", Action::Skip, "skip(book) pay>1 pay>+ mail>1 mail>+ COMPLETED")]
#[case::abort(&[("book", Forward, QUIET)], "book>1", Action::Abort, "abort() ABORTED(book)")]
#[case::compensate(&[("book", Forward, QUIET)], "book>1", Action::Compensate, "compensate() BACK STOP(book)")]
#[case::compensate_while_it_pauses(&[("book", Forward, LOST)], "book>-unknown", Action::Compensate, "compensate() BACK STOP(book)")]
#[case::compensate_a_pivot(
    &[("pay", Forward, QUIET)], "pay>1", Action::Compensate, "compensate() BACK book<1 book<+ COMPENSATED"
)]
#[case::compensate_a_pivot_that_was_being_settled(
    &[("pay", Forward, LOST), ("pay", Forward, LOST), ("pay", Settle, QUIET)], "pay?1", Action::Compensate,
    "compensate() BACK book<1 book<+ COMPENSATED"
)]
#[case::skip_a_compensation(
    &[("pay", Forward, NO), ("book", Back, QUIET)], "book<1", Action::Skip, "skip(book) ABORTED(book)"
)]
fn what_is_left_to_do(
    #[case] answers: &[(&'static str, Way, Answer)],
    #[case] after: &str,
    #[case] action: Action,
    #[case] trace: &str,
) {
    let mut world = world(trip(book()), answers);
    away_after(&mut world, after);
    world.run();
    let before = world.trace().len() + 1;
    world.act(action).run();
    assert_eq!(&world.trace()[before..], trace);
    if trace.ends_with("STOP(book)") {
        // It cannot be found out here, and nothing is undone on a guess.
        assert!(world.state.act(Action::Retry, None, "", world.now).is_err());
        world.act(Action::Skip).run();
        assert!(world.trace().ends_with("skip(book) ABORTED(book)"), "{}", world.trace());
    }
    check_brief(&world);
}

/// One that may be tried again is; the others stay.
#[test]
fn those_that_can_be_tried_again_are() {
    let [doubtful, refused] = ["a", "b"].map(|name| step(name).retry(Policy::never()).harmless());
    let plan = plan(Definition::new().step(step("pay")).parallel([doubtful, refused]));
    let mut world = world(plan, &[("a", Forward, LOST), ("b", Forward, NO)]);
    world.run();
    assert!(world.trace().ends_with("STOP(a,b)"), "{}", world.trace());
    world.now = world.now.plus(LATER);
    world.act(Action::Retry).run();
    assert!(world.trace().ends_with("retry(b) b>2 b>+ STOP(a)"), "{}", world.trace());
    assert!(world.state.act(Action::Retry, None, "", world.now).is_err());
    check_brief(&world);
}

/// The others of its group are answered and tried again first.
#[test]
fn others_go_on_before_an_operator_is_asked() {
    let [a, b] = ["a", "b"].map(|name| undoable(name).retry(twice()));
    let mut world = world(plan(Definition::new().parallel([a, b])), &[("a", Forward, QUIET), ("b", Forward, BUSY)]);
    away_after(&mut world, "b>-retry");
    world.run();
    assert_eq!(world.trace(), "a>1 b>1 b>-retry a>-unknown b>2 b>+ STOP(a)");
    check_brief(&world);
}

/// The time for the whole has passed too, and what is in doubt cannot be settled any more.
#[test]
fn turned_back_too_late() {
    let plan = plan(Definition::new().timeout(Duration::from_secs(60)).step(undoable("first")).step(book()));
    let mut world = world(plan, &[("book", Forward, LOST)]);
    away_after(&mut world, "book>-unknown");
    world.run();
    assert_eq!(world.trace(), "first>1 first>+ book>1 book>-unknown BACK STOP(book)");
    world.act(Action::Skip).run();
    assert!(world.trace().ends_with("skip(book) first<1 first<+ ABORTED(book)"), "{}", world.trace());
    check_brief(&world);
}

/// Told by the facts alone: no attempt at what is in doubt lasts longer than its key is counted on.
pub(crate) fn check_keys(world: &World, counted_on: Duration) {
    let mut begun = BTreeMap::new();
    let mut doubts: BTreeMap<(&str, bool), Timestamp> = BTreeMap::new();
    for fact in &world.log {
        match fact {
            SagaEvent::Begun { at, step, way, until, .. } => {
                let resolves = matches!(world.plan.step(step).unwrap().settle, Some(Settling::Resolve(_)));
                let doubt = doubts.get(&(&**step, *way == Back)).filter(|_| *way != Settle || !resolves);
                let is_in_time = doubt.is_none_or(|first| *until <= first.plus(counted_on));
                assert!(is_in_time, "{fact:?} is in doubt since {doubt:?}: {}", world.trace());
                begun.insert((&**step, *way), *at);
            }
            SagaEvent::Failed { step, way: way @ (Forward | Back), class: FailureClass::Unknown, .. } => {
                doubts.entry((step, *way == Back)).or_insert(begun[&(&**step, *way)]);
            }
            SagaEvent::Succeeded { step, .. }
            | SagaEvent::Failed { step, way: Settle, class: FailureClass::Refused, .. } => {
                doubts.remove(&(&**step, false));
            }
            _ => {}
        }
    }
}

/// What is refused to whoever runs an attempt once more proves nothing of whoever began it, also on the way back.
#[rstest]
#[case::own(true, "book<2 book<+ COMPENSATED")]
#[case::of_another(false, "STOP(book)")]
fn a_compensation_that_another_began(#[case] is_own: bool, #[case] trace: &str) {
    let mut world = world(trip(book()), &[("pay", Forward, NO), ("book", Back, QUIET)]);
    while world.log.last().map(word).as_deref() != Some("book<1") {
        world.settle_facts();
        world.step();
        world.settle_facts();
    }
    let refused = world.state.answer("book", Back, 1, Err(StepError::refused("no", "no")), world.now).unwrap();
    world.record(if is_own { refused } else { refused.of_another() });
    world.now = world.now.plus(LATER);
    world.run();
    assert!(world.trace().ends_with(trace), "{}", world.trace());
}

/// A process is asked what to do, as about any command that has failed.
#[rstest]
#[case::handled(&[Do::OnFailure(vec![Do::End]), Do::Send(1)], "1-tell-it~(2-tell-it,end) 2-tell-it>1 2-tell-it>+ COMPLETED")]
#[case::not_handled(&[Do::Send(1)], "STOP(1-tell-it)")]
fn processes(#[case] what: &[Do], #[case] trace: &str) {
    let mut world = started(tells(&[("1", 1, QUIET)])).keeping_keys_for(KEPT);
    assert!(feed(&mut world, &event(1, what)));
    away_after(&mut world, "1-tell-it>1");
    world.run();
    assert!(world.trace().ends_with(&format!("1-tell-it>1 1-tell-it>-unknown {trace}")), "{}", world.trace());
    if world.state.needs_operator() {
        assert!(world.state.act(Action::Retry, None, "", world.now).is_err());
        world.act(Action::Skip).run();
    }
    check_brief(&world);
}
