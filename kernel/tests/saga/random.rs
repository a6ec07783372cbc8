//! Random plans, answers, operators and clocks: the laws hold in every run.

use crate::brief::check_brief;
use crate::forgotten::check_keys;
use crate::world::{Answer, Back, Demo, Forward, Script, Settle, World, step};
use portolan_kernel::domain::saga::{
    Action, Definition, End, FailureClass, Plan, Retry as Policy, SagaEvent, SagaState, Settling, Standing, Step,
    StepPlan, Undo, Way,
};
use portolan_kernel::values::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// A step, in small numbers.
#[derive(Debug, Clone)]
struct Gene {
    undo: u8,
    settle: u8,
    condition: u8,
    attempts: u32,
}

fn gene() -> impl Strategy<Value = Gene> {
    (0..3u8, 0..3u8, 0..4u8, 1..4u32).prop_map(|(undo, settle, condition, attempts)| Gene {
        undo,
        settle,
        condition,
        attempts,
    })
}

fn plan_of(genes: &[Vec<Gene>], timeout: Option<u64>) -> (Plan, BTreeSet<String>) {
    let mut definition = Definition::new();
    if let Some(timeout) = timeout {
        definition = definition.timeout(Duration::from_millis(timeout));
    }
    let mut passed = BTreeSet::new();
    for (at, group) in genes.iter().enumerate() {
        let mut has_pivot = false;
        let steps: Vec<Step<Demo>> = group
            .iter()
            .enumerate()
            .map(|(place, gene)| {
                let name = format!("{}{place}", char::from(b'a' + u8::try_from(at).unwrap()));
                let retry = Policy::attempts(gene.attempts).also_refused(["again"]);
                let mut step = step(&name).retry(retry.clone()).timeout(Duration::from_millis(500));
                step = match gene.undo {
                    1 if !has_pivot => {
                        has_pivot = true;
                        step
                    }
                    2 => step.harmless(),
                    _ => step.compensate(Demo::undo).compensation_retry(retry),
                };
                step = match gene.settle {
                    1 => step.outside(),
                    2 => step.outside().resolve(Demo::resolve),
                    _ => step,
                };
                match gene.condition {
                    0 | 1 => step,
                    holds => {
                        if holds == 3 {
                            passed.insert(name);
                        }
                        step.when(|_, _| true)
                    }
                }
            })
            .collect();
        definition = definition.parallel(steps);
    }
    (definition.plan().unwrap(), passed)
}

fn groups() -> impl Strategy<Value = Vec<Vec<Gene>>> {
    proptest::collection::vec(proptest::collection::vec(gene(), 1..4), 1..4)
}

/// Small numbers as answers, chosen by attempt; 0 is that all goes well.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![3 => Just(0u8), 4 => 1..12u8], 1..40)
}

fn script_of(answers: Vec<u8>, plan: &Plan) -> Script {
    let plan = plan.clone();
    Rc::new(move |step, way, attempt| {
        // Some number that is another for each attempt.
        let hash =
            step.bytes().fold(way as usize * 7 + attempt as usize * 31, |sum, byte| sum * 13 + usize::from(byte));
        let settles = plan.step(step).unwrap().settle.is_some();
        match (answers[hash % answers.len()], way) {
            (1 | 2, _) => Answer::Retry,
            (3, Forward | Back) => Answer::Refused("no"),
            (4, Forward | Back) => Answer::Refused("again"),
            (5, Forward | Back) => Answer::Unknown { happened: true },
            (6, Forward | Back) => Answer::Unknown { happened: false },
            (7, Forward | Back) => Answer::Silence { happened: true },
            (8, _) => Answer::Silence { happened: false },
            // What cannot be shut out may also come after its compensation; nothing can be done about that.
            (9, Forward) if settles => Answer::Later,
            (10, Settle) => Answer::Unknown { happened: false },
            (_, Settle) => Answer::Truth,
            _ => Answer::Ok,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the answers: it ends or waits with a reason, the laws hold, and its end is the truth.
    #[test]
    fn runs_keep_the_laws(genes in groups(), answers in answers(), timeout in proptest::option::of(1..4_000u64)) {
        let (plan, passed) = plan_of(&genes, timeout);
        let mut world = World::new(plan.clone(), script_of(answers, &plan));
        world.passed = passed;
        world.run();
        check_laws(&world);
        check_truth(&world);
        check_brief(&world);
    }

    /// Gone on with from any fact, it comes to the same facts.
    #[test]
    fn a_crash_at_any_fact_changes_nothing(genes in groups(), answers in answers(), at in any::<prop::sample::Index>()) {
        // The truth of the world is not in the facts; answers that depend on it would differ.
        let (plan, passed) = plan_of(&genes, Some(3_000));
        let truthless = script_of(answers, &plan);
        let truthless: Script = Rc::new(move |step, way, attempt| match truthless(step, way, attempt) {
            Answer::Truth if attempt % 2 == 0 => Answer::Refused("not-happened"),
            Answer::Truth => Answer::Unknown { happened: false },
            Answer::Later => Answer::Silence { happened: false },
            other => other,
        });
        let mut world = World::new(plan.clone(), truthless.clone());
        world.passed = passed.clone();
        world.run();
        let cut = at.index(world.log.len()) + 1;
        let mut resumed = World::resumed(plan, truthless, &world.log[..cut]);
        resumed.passed = passed;
        prop_assert_eq!(&resumed.run().log, &world.log);
        prop_assert_eq!(resumed.state, world.state);
    }

    /// Operators at any time, legal or not, and a clock that jumps: the laws hold, and what is refused changes nothing.
    #[test]
    fn operators_and_clocks_break_no_law(
        genes in groups(),
        answers in answers(),
        acts in proptest::collection::vec((0..12u8, 0..4usize, 0..6_000u64), 0..20),
        timeout in proptest::option::of(1..4_000u64),
    ) {
        let (plan, passed) = plan_of(&genes, timeout);
        let mut world = World::new(plan.clone(), script_of(answers, &plan));
        world.passed = passed;
        for (after, action, jump) in acts {
            for _ in 0..after {
                world.step();
            }
            world.now = at_micros(world.now.as_micros() + jump * 1_000).min(at_micros(jump * 9_000_000));
            act(&mut world, Action::ALL[action]);
            check_laws(&world);
        }
        // In the end an operator who gives up.
        while { world.run(); world.state.end().is_none() } {
            world.act(Action::Abort);
        }
        check_laws(&world);
        check_brief(&world);
    }

    /// The same where keys are kept for four seconds: nothing that is in doubt is begun when its key may be forgotten.
    #[test]
    fn keys_that_may_be_forgotten_are_not_relied_on(
        genes in groups(),
        answers in answers(),
        acts in proptest::collection::vec((0..12u8, 0..4usize, 0..3_000u64), 0..20),
        timeout in proptest::option::of(1..4_000u64),
    ) {
        let (plan, passed) = plan_of(&genes, timeout);
        let kept = Duration::from_secs(4);
        let mut world = World::new(plan.clone(), script_of(answers, &plan)).keeping_keys_for(kept);
        world.passed = passed;
        for (after, action, jump) in acts {
            for _ in 0..after {
                world.step();
            }
            world.now = at_micros(world.now.as_micros() + jump * 1_000);
            let acted = world.state.act(Action::ALL[action], None, "", world.now);
            acted.into_iter().for_each(|fact| world.record(fact));
            check_laws(&world);
        }
        let mut tries = 0;
        while { world.run(); world.state.end().is_none() } {
            tries += 1;
            // Whoever may not try again, or no longer wants to, can skip.
            let action = if tries < 3 { Action::Retry } else { Action::Skip };
            let retried = world.state.act(action, None, "", world.now);
            let skipped = || world.state.act(Action::Skip, None, "", world.now).unwrap();
            let acted = retried.unwrap_or_else(|_| skipped());
            world.record(acted);
        }
        check_laws(&world);
        check_keys(&world, kept - kept / 8);
        check_brief(&world);
    }

    /// An operator who insists brings every saga to an end that is true.
    #[test]
    fn retrying_comes_to_an_end(genes in groups(), answers in answers()) {
        let (plan, passed) = plan_of(&genes, None);
        let mut world = World::new(plan.clone(), script_of(answers, &plan));
        world.passed = passed;
        for _ in 0..40 {
            world.run();
            check_laws(&world);
            if world.state.end().is_some() {
                break;
            }
            world.act(Action::Retry);
        }
        check_truth(&world);
        check_brief(&world);
    }
}

fn at_micros(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn act(world: &mut World, action: Action) {
    let before = world.state.clone();
    match world.state.allows(action) {
        Ok(_) => drop(world.act(action)),
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            let forced = SagaEvent::Acted { at: world.now, action, steps: vec![], actor: None, note: String::new() };
            assert!(world.state.apply(&forced).is_err(), "{forced:?}");
            assert_eq!(world.state, before);
        }
    }
}

fn check_laws(world: &World) {
    let (plan, log) = (&world.plan, &world.log);
    let of = |step: &str| plan.step(step).unwrap();
    let mut flying: BTreeMap<(&str, Way), u32> = BTreeMap::new();
    let mut happened: Vec<&str> = Vec::new();
    let mut undoing: Vec<&str> = Vec::new();
    let mut finished: BTreeSet<&str> = BTreeSet::new();
    let mut tried: BTreeMap<(&str, Way), u32> = BTreeMap::new();
    let mut due: BTreeMap<(&str, Way), Timestamp> = BTreeMap::new();
    let mut closed: BTreeSet<&str> = BTreeSet::new();
    let (mut is_back, mut interfered) = (false, false);
    for fact in log {
        match fact {
            SagaEvent::Begun { step, way, attempt, at, .. } => {
                assert!(flying.insert((step, *way), *attempt).is_none(), "one attempt at a time");
                assert!(!(is_back && *way == Forward), "no step runs after it has turned back: {step}");
                assert!(due.remove(&(&**step, *way)).is_none_or(|due| due <= *at), "never early");
                if *way == Back {
                    assert!(
                        is_back && flying.keys().all(|(_, way)| *way == Back),
                        "what is in flight is settled first"
                    );
                    if *attempt == 1 {
                        undoing.push(step);
                    }
                } else if *way == Forward && *attempt == 1 {
                    let own = plan.groups.iter().position(|group| group.iter().any(|of| of.name == *step)).unwrap();
                    let before = plan.groups[..own].iter().flatten();
                    assert!(before.clone().all(|of| finished.contains(&*of.name)), "in the order of the plan");
                }
                let closes = *way == Settle && matches!(of(step).settle, Some(Settling::Keys(_)));
                let is_past = happened.iter().any(|step| of(step).undo == Undo::Pivot);
                assert!(!(closes && is_past), "no key is closed past the pivot: {step}");
                *tried.entry((step, *way)).or_default() += 1;
                let most = match way {
                    Forward => of(step).run.retry.attempts,
                    Settle => of(step).settle.as_ref().unwrap().effort().retry.attempts,
                    Back => compensation(of(step)).unwrap(),
                };
                assert!(tried[&(&**step, *way)] <= most, "no more attempts than there are: {step}");
            }
            SagaEvent::Succeeded { step, way, attempt, .. } => {
                assert_eq!(flying.remove(&(step, *way)), Some(*attempt), "intent before outcome");
                if *way == Back {
                    happened.retain(|of| of != step);
                } else {
                    let is_pivot = of(step).undo == Undo::Pivot;
                    assert!(!is_pivot || closed.is_empty(), "{step} happened, and {closed:?} never can");
                    happened.push(step);
                    finished.insert(step);
                }
            }
            SagaEvent::Failed { step, way, attempt, retry_at, class, .. } => {
                let by_keys = matches!(of(step).settle, Some(Settling::Keys(_)));
                if by_keys && (*way, *class) == (Settle, FailureClass::Refused) {
                    closed.insert(step);
                }
                assert_eq!(flying.remove(&(step, *way)), Some(*attempt), "intent before outcome");
                if let Some(retry_at) = retry_at {
                    due.insert((step, *way), *retry_at);
                }
            }
            SagaEvent::Passed { step, .. } => drop(finished.insert(step)),
            SagaEvent::TurnedBack { .. } => {
                assert!(
                    happened.iter().all(|step| of(step).undo != Undo::Pivot),
                    "there is no way back past the pivot"
                );
                is_back = true;
            }
            SagaEvent::Acted { action, steps, .. } => {
                interfered = true;
                for step in steps {
                    tried.retain(|(of, _), _| of != step);
                    due.retain(|(of, _), _| of != step);
                    if *action == Action::Skip {
                        finished.insert(step);
                        happened.retain(|of| of != step);
                    }
                }
                if *action == Action::Compensate {
                    tried.retain(|(_, way), _| *way != Settle);
                }
            }
            SagaEvent::NeedsOperator { steps, reason, .. } => {
                assert!(!steps.is_empty() && !reason.is_empty() && flying.is_empty(), "{fact:?}");
            }
            SagaEvent::Ended { end, .. } => {
                assert_eq!(fact, log.last().unwrap());
                let undone = || happened.iter().all(|step| of(step).undo == Undo::Harmless);
                match end {
                    End::Completed => assert!(plan.steps().all(|step| finished.contains(&*step.name))),
                    End::Compensated => assert!(is_back && undone(), "never reported as compensated: {happened:?}"),
                    End::Aborted => assert!(interfered),
                }
            }
            _ => {}
        }
    }
    // In reverse order of having happened, as far as it is known that they have.
    let order: Vec<&str> = log
        .iter()
        .filter_map(|fact| match fact {
            SagaEvent::Succeeded { step, way: Forward | Settle, .. } if undoing.contains(&&**step) => Some(&**step),
            _ => None,
        })
        .collect();
    undoing.retain(|step| order.contains(step));
    assert!(undoing.iter().eq(order.iter().rev()), "{undoing:?} undoes {order:?}");
}

fn compensation(step: &StepPlan) -> Option<u32> {
    match &step.undo {
        Undo::Compensation(effort) => Some(effort.retry.attempts),
        Undo::Harmless | Undo::Pivot => None,
    }
}

/// Where nobody interfered, what it says is so.
fn check_truth(world: &World) {
    let stands = |step: &StepPlan| world.effects.get(&step.name).copied().unwrap_or_default();
    for step in world.plan.steps() {
        let is_passed = world.state.standing(&step.name) == Some(&Standing::Passed);
        match world.state.end() {
            Some(End::Completed) => assert_eq!(stands(step), !is_passed, "{}", step.name),
            Some(End::Compensated) if step.undo != Undo::Harmless => assert!(!stands(step), "{}", step.name),
            _ => {}
        }
        // A compensation that has to be harmless where nothing has happened runs only for effects elsewhere.
        let undone = world.state.standing(&step.name) == Some(&Standing::Undone);
        let known = world.log.iter().any(
            |fact| matches!(fact, SagaEvent::Succeeded { step: of, way: Forward | Settle, .. } if *of == step.name),
        );
        if undone && matches!(step.settle, Some(Settling::Keys(_) | Settling::Resolve(_))) {
            assert!(known, "{} was undone, and nobody knew that it had happened", step.name);
        }
    }
}

/// The fold alone tells all: a state is equal to the fold of its log.
#[test]
fn a_state_is_the_fold_of_its_facts() {
    let (plan, _) = plan_of(&[vec![Gene { undo: 0, settle: 0, condition: 0, attempts: 2 }; 3]], None);
    let mut world = World::new(plan, crate::world::script(&[("a1", Forward, Answer::Refused("no"))]));
    world.run();
    assert_eq!(SagaState::fold(world.state.id().clone(), &world.log), Ok(world.state));
}
