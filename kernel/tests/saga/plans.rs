//! Plans: which can be followed, how two differ, how long they take; and the keys of their steps.

use crate::world::{Demo, plan, step, undoable};
use portolan_kernel::domain::saga::{Definition, PlanError, Retry, SagaId, SagaIdError, Settling, Step, Undo, Way};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeMap;
use std::time::Duration;

fn one(step: Step<Demo>) -> Definition<Demo> {
    Definition::new().step(step)
}

#[rstest]
#[case::no_steps(Definition::new(), "give it at least one")]
#[case::empty_group(one(step("a")).parallel([]), "group 2 has no steps")]
#[case::same_name(one(step("a")).step(step("a")), "two steps are called a")]
#[case::same_name_in_a_group(Definition::new().parallel([undoable("a"), undoable("a")]), "two steps are called a")]
#[case::no_name(one(step("")), "cannot name a step")]
#[case::bad_name(one(step("Debit it")), "lower-case letters")]
#[case::colon(one(step("a:b")), "lower-case letters")]
#[case::long_name(one(step(&"a".repeat(101))), "1 to 100")]
#[case::two_pivots(Definition::new().parallel([step("a"), step("b")]), "put one after the other")]
#[case::both(one(undoable("a").harmless()), "take one of them away")]
#[case::no_attempts(one(step("a").retry(Retry::attempts(0))), "give it at least 1")]
#[case::no_factor(one(step("a").retry(Retry::attempts(2).factor(0))), "makes all pauses equal")]
#[case::jitter(one(step("a").retry(Retry::attempts(2).jitter_percent(101))), "at most 100")]
#[case::no_time(one(step("a").timeout(Duration::ZERO)), "time-out of a is 0ns")]
#[case::micros(one(step("a").timeout(Duration::from_micros(1_500))), "whole milliseconds")]
#[case::for_ever(one(step("a").timeout(Duration::MAX)), "hundred years")]
#[case::pause(one(step("a").retry(Retry::attempts(2).first(Duration::MAX))), "first pause of a")]
#[case::no_time_for_the_whole(one(step("a")).timeout(Duration::ZERO), "time-out of the saga")]
#[case::compensation(one(undoable("a").compensation_retry(Retry::attempts(0))), "give it at least 1")]
#[case::compensation_time(one(undoable("a").compensation_timeout(Duration::ZERO)), "time-out of a")]
fn what_cannot_be_followed(#[case] definition: Definition<Demo>, #[case] says: &str) {
    let error = definition.plan().unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[rstest]
#[case::pivot(step("a"), Undo::Pivot, "keys")]
#[case::harmless(step("a").harmless(), Undo::Harmless, "none")]
#[case::harmless_and_resolved(step("a").harmless().resolve(Demo::resolve), Undo::Harmless, "resolve")]
#[case::outside(step("a").outside(), Undo::Pivot, "none")]
#[case::outside_and_resolved(step("a").outside().resolve(Demo::resolve), Undo::Pivot, "resolve")]
fn what_a_step_is(#[case] step: Step<Demo>, #[case] undo: Undo, #[case] settle: &str) {
    let plan = plan(one(step));
    let step = plan.step("a").unwrap();
    let settles = match step.settle {
        None => "none",
        Some(Settling::Keys(_)) => "keys",
        Some(Settling::Resolve(_)) => "resolve",
    };
    assert_eq!((&step.undo, settles), (&undo, settle));
}

#[test]
fn a_plan_takes_as_long_as_all_of_it() {
    let once = |step: Step<Demo>, millis| step.retry(Retry::never()).timeout(Duration::from_millis(millis)).outside();
    let undone = once(undoable("a"), 10).compensation_retry(Retry::never());
    let definition = one(undone).parallel([once(step("b"), 100), once(step("c").harmless(), 300)]);
    assert_eq!(plan(definition).longest(), Duration::from_millis(10 + 300 + 10));
    let settled = step("a").retry(Retry::never()).timeout(Duration::from_millis(10)).resolve(Demo::resolve);
    assert!(plan(one(settled)).longest() > Duration::from_millis(10 + 10 * 10));
}

#[test]
fn how_two_plans_differ_is_told() {
    let here = plan(one(undoable("a").timeout(Duration::from_secs(5))).step(step("b")).step(step("c")));
    assert_eq!(here.difference(&here.clone()), None);
    let there =
        plan(one(undoable("a").retry(Retry::attempts(2))).parallel([step("b"), undoable("d").when(|_, _| true)]));
    let difference = here.difference(&there).unwrap();
    for says in [
        "a.run.retry.attempts: 5 here, 2 there",
        "a.run.timeout_ms: 5000 here, 30000 there",
        "c is only here",
        "d is only there",
        "the groups are a; b; c here, and a; b d there",
    ] {
        assert!(difference.contains(says), "{says} in {difference}");
    }
    assert!(!difference.contains("b."), "{difference}");
    let timed = plan(one(step("a")).timeout(Duration::from_secs(1)));
    assert_eq!(timed.difference(&plan(one(step("a")))).unwrap(), "timeout_ms: 1000 here, none there");
}

#[rstest]
#[case::name("Transfer", "1", "lower-case")]
#[case::colon("a:b", "1", "lower-case")]
#[case::empty("transfer", "", "cannot be empty")]
#[case::control("transfer", "a\nb", "control characters")]
#[case::dot("transfer", ".", "no path can hold")]
#[case::dots("transfer", "..", "no path can hold")]
fn ids_that_are_none(#[case] name: &str, #[case] id: &str, #[case] says: &str) {
    let error = SagaId::new(name, id).unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
    assert!(SagaId::new("transfer", "...").is_ok());
}

#[test]
fn an_id_has_the_room_that_its_name_leaves() {
    let name = "n".repeat(100);
    let Err(SagaIdError::TooLong { room, .. }) = SagaId::new(&name, &"x".repeat(512)) else {
        panic!("there is no room")
    };
    assert!(SagaId::new(&name, &"x".repeat(room)).is_ok() && SagaId::new(&name, &"x".repeat(room + 1)).is_err());
    assert!(one(step(&name)).plan().is_ok());
}

/// Ids with what separates parts in them, and long ones.
fn ids() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a%:-]{1,6}",
        "[a%:]{395,400}",
        Just("\u{e9}".repeat(200)),
        Just(format!("{}:x", "\u{e9}".repeat(198))),
    ]
}

proptest! {
    /// Keys are names, and different for different sagas, steps, ways and parts (SG-1).
    #[test]
    fn keys_are_apart(
        of in proptest::collection::vec((prop_oneof![Just("s"), Just("s-s"), Just("saga")], ids(), "[a.-]{1,3}"), 2..8),
        part in proptest::option::of("[a:%]{1,3}"),
    ) {
        let mut seen = BTreeMap::new();
        for (name, id, step) in of {
            let saga = SagaId::new(name, &id).unwrap();
            for way in [Way::Forward, Way::Back] {
                let mut keys = vec![(None, saga.step_key(&step, way))];
                keys.extend(part.clone().map(|part| (Some(part.clone()), saga.part_key(&step, way, &part))));
                for (part, key) in keys {
                    let own = (saga.clone(), step.clone(), way, part);
                    let other = seen.insert(key.to_string(), own.clone());
                    prop_assert!(other.as_ref().is_none_or(|other| *other == own), "{key}: {own:?} and {other:?}");
                }
            }
            prop_assert_eq!(SagaId::of_stream(&saga.stream()), Some(saga));
        }
    }
}

#[test]
fn errors_of_plans_are_told_apart() {
    assert_eq!(Definition::<Demo>::new().plan(), Err(PlanError::NoSteps));
}
