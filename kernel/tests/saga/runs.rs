//! Whole runs, fact by fact: success, failure at every step, and what is unknown at every step.

use crate::world::Answer::{Later, Refused, Retry, Silence, Unknown};
use crate::world::{Answer, Back, Forward, Settle, World, plan, script, step, undoable, word};
use portolan_kernel::domain::saga::{Action, Definition, Plan, Retry as Policy, SagaEvent, Way};
use rstest::rstest;

const NO: Answer = Refused("no");
const LOST: Answer = Unknown { happened: false };
const DONE: Answer = Unknown { happened: true };

/// Two steps that can be undone, a pivot, and one after it; two attempts each, also back and to settle.
fn shop() -> Plan {
    let twice = || Policy::attempts(2);
    let undoable = |name| undoable(name).retry(twice()).compensation_retry(twice());
    let pivot = step("pay").retry(twice());
    plan(
        Definition::new()
            .step(undoable("book"))
            .step(undoable("pack"))
            .step(pivot)
            .step(step("mail").retry(twice()).harmless()),
    )
}

type Answers<'a> = &'a [(&'static str, Way, Answer)];

#[rstest]
#[case::all_well(&[], "book>1 book>+ pack>1 pack>+ pay>1 pay>+ mail>1 mail>+ COMPLETED")]
#[case::again(&[("book", Forward, Retry)], "book>1 book>-retry book>2 book>+ pack>1 pack>+ pay>1 pay>+ mail>1 mail>+ COMPLETED")]
// Failure at every step.
#[case::first(&[("book", Forward, NO)], "book>1 book>-refused! BACK COMPENSATED")]
#[case::second(&[("pack", Forward, NO)], "book>1 book>+ pack>1 pack>-refused! BACK book<1 book<+ COMPENSATED")]
#[case::pivot(
    &[("pay", Forward, NO)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>-refused! BACK pack<1 pack<+ book<1 book<+ COMPENSATED"
)]
#[case::past_the_pivot(
    &[("mail", Forward, NO)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>+ mail>1 mail>-refused! STOP(mail)"
)]
#[case::attempts_end(
    &[("pack", Forward, Retry), ("pack", Forward, Retry)],
    "book>1 book>+ pack>1 pack>-retry pack>2 pack>-retry! BACK book<1 book<+ COMPENSATED"
)]
// Unknown at every step: found out by the next attempt, or by settling.
#[case::unknown_then_well(
    &[("book", Forward, DONE), ("pay", Forward, Unknown { happened: true }), ("mail", Forward, LOST)],
    "book>1 book>-unknown book>2 book>+ pack>1 pack>+ pay>1 pay>-unknown pay>2 pay>+ mail>1 mail>-unknown mail>2 mail>+ COMPLETED"
)]
#[case::unknown_and_had_happened(
    &[("pack", Forward, DONE), ("pack", Forward, LOST)],
    "book>1 book>+ pack>1 pack>-unknown pack>2 pack>-unknown! pack?1 pack?+ pay>1 pay>+ mail>1 mail>+ COMPLETED"
)]
#[case::unknown_and_had_not(
    &[("pack", Forward, LOST), ("pack", Forward, LOST)],
    "book>1 book>+ pack>1 pack>-unknown pack>2 pack>-unknown! pack?1 pack?-refused! BACK book<1 book<+ COMPENSATED"
)]
#[case::unknown_pivot_had_happened(
    &[("pay", Forward, DONE), ("pay", Forward, Silence { happened: false })],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>-unknown pay>2 pay>-unknown! pay?1 pay?+ mail>1 mail>+ COMPLETED"
)]
#[case::unknown_pivot_had_not(
    &[("pay", Forward, LOST), ("pay", Forward, LOST)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>-unknown pay>2 pay>-unknown! pay?1 pay?-refused! BACK pack<1 pack<+ book<1 book<+ \
     COMPENSATED"
)]
#[case::unknown_past_the_pivot(
    &[("mail", Forward, LOST), ("mail", Forward, LOST)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>+ mail>1 mail>-unknown mail>2 mail>-unknown! STOP(mail)"
)]
#[case::refused_after_unknown_is_no_proof(
    &[("pack", Forward, DONE), ("pack", Forward, NO)],
    "book>1 book>+ pack>1 pack>-unknown pack>2 pack>-refused! pack?1 pack?+ pay>1 pay>+ mail>1 mail>+ COMPLETED"
)]
#[case::busy_after_unknown_is_no_proof(
    &[("pack", Forward, DONE), ("pack", Forward, Retry)],
    "book>1 book>+ pack>1 pack>-unknown pack>2 pack>-retry! pack?1 pack?+ pay>1 pay>+ mail>1 mail>+ COMPLETED"
)]
#[case::a_late_effect_is_shut_out(
    &[("pack", Forward, Retry), ("pack", Forward, Later)],
    "book>1 book>+ pack>1 pack>-retry pack>2 pack>-unknown! pack?1 pack?-refused! BACK book<1 book<+ COMPENSATED"
)]
#[case::settling_is_tried_again(
    &[("pack", Forward, DONE), ("pack", Forward, DONE), ("pack", Settle, Retry), ("pack", Settle, LOST)],
    "book>1 book>+ pack>1 pack>-unknown pack>2 pack>-unknown! pack?1 pack?-retry pack?2 pack?-unknown pack?3 pack?+ pay>1 pay>+ \
     mail>1 mail>+ COMPLETED"
)]
// The way back.
#[case::compensation_again(
    &[("pay", Forward, NO), ("pack", Back, NO), ("book", Back, LOST)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>-refused! BACK pack<1 pack<-refused pack<2 pack<+ book<1 book<-unknown book<2 book<+ \
     COMPENSATED"
)]
#[case::compensation_fails(
    &[("pay", Forward, NO), ("pack", Back, NO), ("pack", Back, NO)],
    "book>1 book>+ pack>1 pack>+ pay>1 pay>-refused! BACK pack<1 pack<-refused pack<2 pack<-refused! STOP(pack)"
)]
#[case::compensation_remains_unknown(
    &[("pack", Forward, NO), ("book", Back, DONE), ("book", Back, Silence { happened: true })],
    "book>1 book>+ pack>1 pack>-refused! BACK book<1 book<-unknown book<2 book<-unknown! STOP(book)"
)]
fn run_by_run(#[case] answers: Answers<'_>, #[case] trace: &str) {
    check(&shop(), answers, trace);
}

/// Runs it, compares its facts, and runs on from every one of them: the facts are the same ones (SG-2).
fn check(plan: &Plan, answers: Answers<'_>, trace: &str) {
    let mut world = World::new(plan.clone(), script(answers));
    assert_eq!(world.run().trace(), trace);
    for facts in 1..=world.log.len() {
        let mut resumed = World::resumed(plan.clone(), script(answers), &world.log[..facts]);
        resumed.effects = effects_at(answers, &world.log[..facts]);
        assert_eq!(resumed.run().log, world.log, "after a crash at fact {facts}");
    }
}

/// What had happened by then, also in the attempts that were in flight.
fn effects_at(answers: Answers<'_>, facts: &[SagaEvent]) -> std::collections::BTreeMap<String, bool> {
    let mut effects = std::collections::BTreeMap::new();
    let script = script(answers);
    for fact in facts {
        let SagaEvent::Begun { step, way, attempt, .. } = fact else { continue };
        let happens = matches!(
            script(step, *way, *attempt),
            Answer::Ok | Unknown { happened: true } | Silence { happened: true }
        );
        match way {
            Forward if happens => drop(effects.insert(step.clone(), true)),
            Back if happens => drop(effects.insert(step.clone(), false)),
            _ => {}
        }
    }
    effects
}

/// Three at once, then a pivot.
fn fan() -> Plan {
    let undoable = |name| undoable(name).retry(Policy::attempts(2));
    plan(Definition::new().parallel([undoable("a"), undoable("b"), undoable("c")]).step(step("end")))
}

#[rstest]
#[case::all_well(&[], "a>1 b>1 c>1 a>+ b>+ c>+ end>1 end>+ COMPLETED")]
#[case::one_fails_and_the_others_are_settled_first(
    &[("a", Forward, NO)],
    "a>1 b>1 c>1 a>-refused! BACK b>+ c>+ c<1 c<+ b<1 b<+ COMPENSATED"
)]
#[case::in_flight_and_not_tried_again(
    &[("a", Forward, NO), ("b", Forward, Retry)],
    "a>1 b>1 c>1 a>-refused! BACK b>-retry! c>+ c<1 c<+ COMPENSATED"
)]
#[case::in_flight_and_unknown(
    &[("a", Forward, NO), ("b", Forward, DONE), ("c", Forward, LOST)],
    "a>1 b>1 c>1 a>-refused! BACK b>-unknown! b?1 b?+ c>-unknown! c?1 c?-refused! b<1 b<+ COMPENSATED"
)]
#[case::pausing_in_doubt(
    &[("a", Forward, DONE), ("b", Forward, NO)],
    "a>1 b>1 c>1 a>-unknown b>-refused! BACK a?1 a?+ c>+ c<1 c<+ a<1 a<+ COMPENSATED"
)]
#[case::the_last_fails(
    &[("end", Forward, NO)],
    "a>1 b>1 c>1 a>+ b>+ c>+ end>1 end>-refused! BACK c<1 c<+ b<1 b<+ a<1 a<+ COMPENSATED"
)]
fn begun_together(#[case] answers: Answers<'_>, #[case] trace: &str) {
    check(&fan(), answers, trace);
}

/// A pivot among steps that can be undone: what has become of it is awaited, and decides.
#[rstest]
#[case::pivot_well(&[("a", Forward, NO)], "a>1 pay>1 a>-refused! pay>+ STOP(a)")]
#[case::pivot_fails(&[("a", Forward, NO), ("pay", Forward, Retry)], "a>1 pay>1 a>-refused! pay>-retry BACK COMPENSATED")]
#[case::pivot_unknown_and_happened(
    &[("a", Forward, NO), ("pay", Forward, DONE)],
    "a>1 pay>1 a>-refused! pay>-unknown pay?1 pay?+ STOP(a)"
)]
#[case::pivot_unknown_and_not_happened(
    &[("a", Forward, NO), ("pay", Forward, LOST)],
    "a>1 pay>1 a>-refused! pay>-unknown pay?1 pay?-refused! BACK COMPENSATED"
)]
#[case::the_other_is_in_doubt_and_goes_on(
    &[("a", Forward, DONE), ("pay", Forward, NO)],
    "a>1 pay>1 a>-unknown pay>-refused! BACK a?1 a?+ a<1 a<+ COMPENSATED"
)]
#[case::in_doubt_it_waits_for_the_pivot_and_closes_no_key(
    &[("a", Forward, LOST), ("a", Forward, LOST)],
    "a>1 pay>1 a>-unknown pay>+ a>2 a>-unknown! STOP(a)"
)]
#[case::in_doubt_it_waits_for_the_pivot_and_is_settled_on_the_way_back(
    &[("a", Forward, Unknown { happened: true }), ("a", Forward, LOST), ("pay", Forward, Silence { happened: false }), ("pay", Forward, NO)],
    "a>1 pay>1 a>-unknown a>2 a>-unknown! pay>-unknown pay>2 pay>-refused! pay?1 pay?-refused! BACK a?1 a?+ a<1 a<+ COMPENSATED"
)]
fn a_pivot_in_a_group(#[case] answers: Answers<'_>, #[case] trace: &str) {
    let steps = [undoable("a").retry(Policy::attempts(2)), step("pay").retry(Policy::attempts(2))];
    check(&plan(Definition::new().parallel(steps)), answers, trace);
}

/// Effects elsewhere: what cannot be found out is compensated, or needs an operator.
#[rstest]
#[case::compensated_in_doubt(&[("call", Forward, LOST)], "call>1 call>-unknown! BACK call<1 call<+ COMPENSATED")]
#[case::refused(&[("call", Forward, NO)], "call>1 call>-refused! BACK COMPENSATED")]
#[case::pivot_in_doubt(
    &[("post", Forward, DONE)],
    "call>1 call>+ post>1 post>-unknown! STOP(post)"
)]
#[case::pivot_refused(&[("post", Forward, NO)], "call>1 call>+ post>1 post>-refused! BACK call<1 call<+ COMPENSATED")]
fn effects_elsewhere(#[case] answers: Answers<'_>, #[case] trace: &str) {
    let once = |step: portolan_kernel::domain::saga::Step<_>| step.retry(Policy::never()).outside();
    check(&plan(Definition::new().step(once(undoable("call"))).step(once(step("post")))), answers, trace);
}

/// Past a pivot the only way is on, and a closed key could never be used again.
#[rstest]
#[case::had_happened(DONE)]
#[case::had_not(LOST)]
fn past_the_pivot_no_key_is_closed(#[case] lost: Answer) {
    let plan = plan(Definition::new().step(step("pay")).step(step("ship").retry(Policy::never())));
    let answers = [("ship", Forward, lost)];
    check(&plan, &answers, "pay>1 pay>+ ship>1 ship>-unknown! STOP(ship)");
    let mut world = World::new(plan, script(&answers));
    world.run().act(Action::Retry).run();
    assert!(world.trace().ends_with("STOP(ship) retry(ship) ship>2 ship>+ COMPLETED"), "{}", world.trace());
}

/// A resolution closes nothing, and is asked past the pivot too.
#[rstest]
#[case::happened(&[("post", Forward, DONE)], "pay>1 pay>+ post>1 post>-unknown! post?1 post?+ COMPLETED")]
#[case::not_happened(&[("post", Forward, LOST)], "pay>1 pay>+ post>1 post>-unknown! post?1 post?-refused! STOP(post)")]
fn resolved_past_the_pivot(#[case] answers: Answers<'_>, #[case] trace: &str) {
    let post = step("post").retry(Policy::never()).resolve(crate::world::Demo::resolve);
    check(&plan(Definition::new().step(step("pay")).step(post)), answers, trace);
}

#[test]
fn codes_that_are_tried_again() {
    let policy = Policy::attempts(3).also_refused(["sold-out"]);
    let plan = plan(Definition::new().step(step("a").retry(policy)));
    let answers = [("a", Forward, Refused("sold-out")), ("a", Forward, Refused("other"))];
    check(&plan, &answers, "a>1 a>-refused a>2 a>-refused! BACK COMPENSATED");
}

#[rstest]
#[case::all_hold(&[], "a>1 a>+ b>1 c>1 b>+ c>+ d>1 d>+ COMPLETED")]
#[case::one_of_a_group(&["b"], "a>1 a>+ b/ c>1 c>+ d>1 d>+ COMPLETED")]
#[case::a_whole_group(&["b", "c"], "a>1 a>+ b/ c/ d>1 d>+ COMPLETED")]
#[case::all(&["a", "b", "c", "d"], "a/ b/ c/ d/ COMPLETED")]
fn conditions(#[case] passed: &[&str], #[case] trace: &str) {
    let step = |name| undoable(name).when(|_, _| true);
    let plan = plan(Definition::new().step(step("a")).parallel([step("b"), step("c")]).step(step("d")));
    let mut world = World::new(plan.clone(), script(&[]));
    world.passed = passed.iter().map(|step| step.to_string()).collect();
    assert_eq!(world.run().trace(), trace);
    // What was passed over is not undone.
    let mut world = World::new(plan, script(&[("d", Forward, NO)]));
    world.passed = ["b".to_owned()].into();
    assert_eq!(world.run().trace(), "a>1 a>+ b/ c>1 c>+ d>1 d>-refused! BACK c<1 c<+ a<1 a<+ COMPENSATED");
}

#[test]
fn a_condition_that_the_code_does_not_know_waits_and_is_told() {
    let plan = plan(Definition::new().step(step("a")).step(step("b").when(|_, _| true)));
    let mut world = World::new(plan, script(&[]));
    world.unknown = ["b".to_owned()].into();
    assert_eq!(world.run().trace(), "a>1 a>+");
    assert_eq!(world.next().missing, ["b"]);
    world.unknown.clear();
    assert_eq!(world.run().trace(), "a>1 a>+ b>1 b>+ COMPLETED");
    assert!(world.next().missing.is_empty());
}

/// What follows is known at once: from the start the first intent, and from each outcome the next, or the end.
#[test]
fn what_follows_from_an_answer_is_known_with_it() {
    let plan = plan(Definition::new().step(undoable("a")).step(undoable("b")).step(step("c")));
    let mut world = World::new(plan, script(&[]));
    let mut appends = Vec::new();
    while world.state.end().is_none() {
        appends.push(world.next().record.iter().map(word).collect::<String>());
        world.step();
    }
    assert_eq!(appends, ["a>1", "b>1", "c>1", "COMPLETED"]);
}

#[test]
fn steps_see_the_outcomes_of_the_groups_before_and_compensations_all() {
    let plan = plan(Definition::new().step(undoable("a")).parallel([undoable("b"), undoable("c")]).step(step("d")));
    let mut world = World::new(plan, script(&[("d", Forward, NO)]));
    world.run();
    let seen = |step, way| {
        let outcomes = world.state.outcomes_for(step, way);
        ["a", "b", "c", "d"].into_iter().filter(|of| outcomes.has(of)).collect::<String>()
    };
    let expected = [("a", ""), ("b", "a"), ("c", "a"), ("d", "abc")];
    assert_eq!(expected.map(|(step, _)| (step, &*seen(step, Forward).leak())), expected);
    assert_eq!(seen("a", Back), "abc");
    assert_eq!(world.state.outcomes_for("d", Forward).get::<String>("b"), Ok(Some("b".into())));
}
