//! Random processes: events, timers, answers, operators and clocks in any order, and the laws hold in every run.

use crate::brief::check_brief;
use crate::process_world::{Do, event, fed, feed, handler, resumed, started};
use crate::world::{Answer, Forward, Script, World, at};
use portolan_kernel::domain::saga::{
    Action, End, FailureClass, Intent, Reception, SagaEvent, SagaId, SagaState, Standing, Undo, next,
};
use portolan_kernel::values::{EventId, Position, Recorded, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

fn timers() -> impl Strategy<Value = String> {
    prop_oneof![Just("t"), Just("u")].prop_map(String::from)
}

/// What a timer does takes its time, lest it go on for ever.
fn plain(least: u64) -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (0..100u32).prop_map(Do::Send),
        4 => (timers(), least..3_000u64).prop_map(|(timer, after)| Do::Set(timer, after)),
        1 => timers().prop_map(Do::Cancel),
        1 => Just(Do::End),
    ]
}

fn some() -> impl Strategy<Value = Vec<Do>> {
    let nested = || proptest::collection::vec(plain(200), 0..3);
    let what = prop_oneof![
        6 => plain(0),
        2 => (timers(), nested()).prop_map(|(timer, what)| Do::When(timer, what)),
        1 => nested().prop_map(Do::OnFailure),
    ];
    proptest::collection::vec(what, 0..4)
}

/// Events of one process, and when each is fed.
fn events() -> impl Strategy<Value = Vec<(Timestamp, Arc<Recorded>)>> {
    proptest::collection::vec((0..1_500u64, some()), 1..8).prop_map(|events| {
        let mut now = 1_000;
        let fed = events.into_iter().zip(1..).map(|((pause, what), position)| {
            now += if position == 1 { 0 } else { pause };
            (at(now), event(position, &what))
        });
        fed.collect()
    })
}

/// Small numbers as answers, chosen by step and attempt; 0 is that all goes well.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![3 => Just(0u8), 2 => 1..7u8], 1..20)
}

fn script_of(answers: &[u8]) -> Script {
    let answers = answers.to_vec();
    Rc::new(move |step, _, attempt| {
        let place: usize = step.split('-').next().unwrap().parse().unwrap();
        match answers[(place * 3 + attempt as usize) % answers.len()] {
            1 => Answer::Retry,
            2 => Answer::Refused("no"),
            3 => Answer::Unknown { happened: true },
            4 => Answer::Unknown { happened: false },
            5 => Answer::Silence { happened: true },
            6 => Answer::Silence { happened: false },
            _ => Answer::Ok,
        }
    })
}

/// Runs on until a time long after all, since timers may set themselves anew for ever.
fn run(world: &mut World, events: &[(Timestamp, Arc<Recorded>)]) {
    fed(world, events);
    world.run_until(at(15_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever comes: it ends, or waits with a reason, and the laws hold.
    #[test]
    fn runs_keep_the_laws(events in events(), answers in answers()) {
        let mut world = started(script_of(&answers));
        run(&mut world, &events);
        check_laws(&world);
        check_truth(&world);
    }

    /// Gone on with from any fact, and fed from the first event, it comes to the same facts.
    #[test]
    fn a_crash_at_any_fact_changes_nothing(
        events in events(), answers in answers(), cut in any::<prop::sample::Index>(),
    ) {
        let mut world = started(script_of(&answers));
        run(&mut world, &events);
        // It is started and receives its first event in one append.
        let cut = cut.index(world.log.len() - 1) + 2;
        let mut after = resumed(script_of(&answers), &world.log[..cut]);
        run(&mut after, &events);
        prop_assert_eq!(after.trace(), world.trace());
        prop_assert_eq!(&after.log, &world.log);
        prop_assert_eq!(after.state, world.state);
    }

    /// Two feeders, one of them behind by any number of events, are as one.
    #[test]
    fn fed_twice_it_receives_once(
        events in events(), answers in answers(), again in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut world = started(script_of(&answers));
        run(&mut world, &events);
        let mut twice = started(script_of(&answers));
        let mut again = again.into_iter();
        for at in 0..events.len() {
            fed(&mut twice, &events[at..=at]);
            for again in again.by_ref().take(3) {
                prop_assert!(!feed(&mut twice, &events[again.index(at + 1)].1) , "it was fed before");
            }
        }
        twice.run_until(crate::world::at(15_000));
        prop_assert_eq!(twice.log, world.log);
    }

    /// Operators at any time, legal or not, and a clock that jumps: the laws hold, and what is refused changes nothing.
    #[test]
    fn operators_and_clocks_break_no_law(
        events in events(),
        answers in answers(),
        acts in proptest::collection::vec((0..6u8, 0..6usize, 0..6_000u64), 0..20),
    ) {
        let mut world = started(script_of(&answers));
        let mut events = events.into_iter();
        feed(&mut world, &events.next().unwrap().1);
        for (after, action, jump) in acts {
            for _ in 0..after {
                let now = world.now;
                world.step();
                prop_assert!(world.now >= now);
            }
            world.now = Timestamp::from_micros(world.now.as_micros() + jump * 1_000).min(Timestamp::from_micros(jump * 9_000_000));
            match Action::ALL.get(action) {
                Some(Action::Abort) | None => drop(events.next().map(|(_, event)| feed(&mut world, &event))),
                Some(action) => act(&mut world, *action),
            }
            check_laws(&world);
        }
        world.settle_facts();
        if world.state.end().is_none() {
            act(&mut world, Action::Abort);
            world.settle_facts();
        }
        prop_assert!(world.state.end().is_some());
        check_laws(&world);
    }

    /// Any facts in any order: taken in or refused, and never a panic; what is refused changes nothing; and the machine has an
    /// answer to every state that comes of it.
    #[test]
    fn any_facts_in_any_order(facts in proptest::collection::vec(fact(), 0..60), now in 0..5_000u64) {
        let handler = handler();
        let code = handler.open(handler.plan(), &Value::Null).unwrap();
        let mut state = SagaState::new(SagaId::new("demo", "1").unwrap());
        state.apply(&first()).unwrap();
        for fact in facts {
            let before = state.clone();
            if let Err(error) = state.apply(&fact) {
                prop_assert_eq!(&state, &before);
                prop_assert!(error.to_string().contains(&*serde_json::to_value(&fact).unwrap().as_object().unwrap().keys().next().unwrap().clone()));
            }
            let next = next(&state, at(now), &code);
            prop_assert!(next.record.len() < 200, "{:?}", next);
            prop_assert!(!state.status(at(now)).to_string().is_empty());
            for action in Action::ALL {
                if let Ok(acted) = state.act(action, None, "", at(now)) {
                    prop_assert_eq!(state.clone().apply(&acted), Ok(()));
                }
            }
            for run in &next.run {
                if let Ok(answer) = state.answer(&run.step, run.way, run.attempt, Ok(json!(1)), at(now)) {
                    prop_assert_eq!(state.clone().apply(&answer), Ok(()));
                }
            }
        }
    }
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

fn first() -> SagaEvent {
    SagaState::started(&SagaId::new("demo", "1").unwrap(), 1, handler().plan().clone(), Arc::default(), at(0))
}

fn intent() -> impl Strategy<Value = Intent> {
    let times = || (0..4_000u64).prop_map(at);
    prop_oneof![
        4 => (1..6u32, prop_oneof![8 => Just("tell"), 1 => Just("Tell")], 0..2u64).prop_map(|(place, name, millis)| {
            let run = serde_json::from_value(json!({
                "retry": {"attempts": 2, "first_ms": 100, "factor": 1, "longest_ms": 100, "jitter_percent": 0}, "timeout_ms": millis,
            }));
            let command = serde_json::from_value(json!({"name": "Tell it", "body": {"what": 1}})).unwrap();
            Intent::Send { step: format!("{place}-{name}"), command, run: run.unwrap() }
        }),
        4 => (timers(), times()).prop_map(|(timer, due)| Intent::SetTimer { timer, due }),
        2 => timers().prop_map(|timer| Intent::CancelTimer { timer }),
        1 => Just(Intent::End),
    ]
}

fn fact() -> impl Strategy<Value = SagaEvent> {
    let times = || (0..4_000u64).prop_map(at);
    let steps = || (1..5u32).prop_map(|place| format!("{place}-tell"));
    let attempts = || prop_oneof![9 => 1..4u32, 1 => Just(u32::MAX)];
    let classes = prop_oneof![Just(FailureClass::Retry), Just(FailureClass::Refused), Just(FailureClass::Unknown)];
    let intents = || proptest::collection::vec(intent(), 0..3);
    let knows = || {
        let knows = json!({"seen": [], "timers": {"t": [{"Send": 1}, {"Set": ["t", 0]}]}, "on_failure": null});
        prop_oneof![3 => Just(knows), 1 => Just(Value::Null)].prop_map(Arc::new)
    };
    let ends = prop_oneof![Just(End::Completed), Just(End::Compensated), Just(End::Aborted)];
    prop_oneof![
        1 => Just(first()),
        8 => (times(), 0..9u64, knows(), intents()).prop_map(|(at, position, state, intents)| SagaEvent::Received {
            at, event: EventId::from_bytes([1; 16]), position: Position::new(position).unwrap(), state, intents,
        }),
        4 => (times(), timers(), knows(), intents())
            .prop_map(|(at, timer, state, intents)| SagaEvent::Fired { at, timer, state, intents }),
        4 => (times(), steps(), knows(), intents())
            .prop_map(|(at, step, state, intents)| SagaEvent::Handled { at, step, state, intents }),
        8 => (times(), steps(), attempts(), times())
            .prop_map(|(at, step, attempt, until)| SagaEvent::Begun { at, step, way: Forward, attempt, until }),
        4 => (times(), steps(), attempts()).prop_map(|(at, step, attempt)| SagaEvent::Succeeded {
            at, step, way: Forward, attempt, outcome: Arc::default(),
        }),
        6 => (times(), steps(), attempts(), classes, proptest::option::of(times())).prop_map(
            |(at, step, attempt, class, retry_at)| SagaEvent::Failed {
                at, step, way: Forward, attempt, class, code: None, reason: "r".into(), retry_at,
            }
        ),
        1 => times().prop_map(|at| SagaEvent::TurnedBack { at, reason: "r".into() }),
        2 => (times(), steps()).prop_map(|(at, step)| SagaEvent::NeedsOperator { at, steps: vec![step], reason: "r".into() }),
        3 => (times(), 0..4usize, steps()).prop_map(|(at, action, step)| SagaEvent::Acted {
            at, action: Action::ALL[action], steps: vec![step], actor: None, note: String::new(),
        }),
        1 => (times(), ends).prop_map(|(at, end)| SagaEvent::Ended { at, end, left: vec![] }),
    ]
}

/// What was wanted so far.
#[derive(Default)]
struct Wanted<'a> {
    /// The steps that are to come, in order.
    to_send: Vec<&'a str>,
    timers: BTreeMap<&'a str, Timestamp>,
    ends: bool,
}

impl<'a> Wanted<'a> {
    fn want(&mut self, at: Timestamp, intents: &'a [Intent]) {
        for intent in intents {
            match intent {
                Intent::Send { step, .. } => self.to_send.push(step),
                Intent::SetTimer { timer, due } => {
                    assert!(*due > at, "a timer is set for later");
                    if !self.ends {
                        self.timers.insert(timer, *due);
                    }
                }
                Intent::CancelTimer { timer } => drop(self.timers.remove(&**timer)),
                Intent::End => {
                    self.ends = true;
                    self.timers.clear();
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn check_laws(world: &World) {
    check_brief(world);
    let mut wanted = Wanted::default();
    let mut flying: Option<(&str, u32)> = None;
    let mut finished: BTreeSet<&str> = BTreeSet::new();
    let (mut tried, mut due): (BTreeMap<&str, u32>, BTreeMap<&str, Timestamp>) = Default::default();
    let (mut received, mut held, mut aborted) = (None, false, false);
    assert!(matches!(&world.log[0], SagaEvent::Started { plan, .. } if plan.groups.is_empty()));
    for fact in &world.log[1..] {
        match fact {
            SagaEvent::Received { at, position, intents, .. } => {
                assert!(received < Some(*position), "in the order of the log, and once");
                assert!(!wanted.ends, "nothing is received after the end");
                received = Some(*position);
                wanted.want(*at, intents);
            }
            SagaEvent::Fired { at, timer, intents, .. } => {
                let due = wanted.timers.remove(&**timer).expect("it was set, and fires once");
                assert!(due <= *at, "never early");
                assert!(wanted.timers.values().all(|other| *other >= due), "in the order of their times");
                wanted.want(*at, intents);
            }
            SagaEvent::Handled { at, step, intents, .. } => {
                assert!(
                    flying.is_none() && !held && tried.contains_key(&**step) && finished.insert(step),
                    "it has failed"
                );
                wanted.want(*at, intents);
            }
            SagaEvent::Begun { at, step, attempt, .. } => {
                assert!(flying.replace((step, *attempt)).is_none() && !held, "one at a time");
                assert!(due.remove(&**step).is_none_or(|due| due <= *at), "never early");
                let first = wanted.to_send.iter().find(|step| !finished.contains(**step));
                assert_eq!(first, Some(&&**step), "in the order in which they were wanted");
                let count = tried.entry(step).or_default();
                *count += 1;
                assert!(*count <= 2, "no more attempts than there are");
            }
            SagaEvent::Succeeded { step, attempt, .. } => {
                assert_eq!(flying.take(), Some((&**step, *attempt)), "intent before outcome");
                finished.insert(step);
            }
            SagaEvent::Failed { step, attempt, retry_at, .. } => {
                assert_eq!(flying.take(), Some((&**step, *attempt)), "intent before outcome");
                due.extend(retry_at.map(|at| (&**step, at)));
            }
            SagaEvent::NeedsOperator { steps, reason, .. } => {
                assert!(flying.is_none() && steps.len() == 1 && !reason.is_empty());
                held = true;
            }
            SagaEvent::Acted { action, steps, .. } => {
                assert_ne!(*action, Action::Compensate);
                held = false;
                aborted |= *action == Action::Abort;
                for step in steps {
                    tried.insert(step, 0);
                    due.remove(&**step);
                    if *action == Action::Skip {
                        finished.insert(step);
                    }
                }
            }
            SagaEvent::Ended { end, .. } => {
                assert_eq!(fact, world.log.last().unwrap());
                let all = wanted.to_send.iter().all(|step| finished.contains(step));
                assert!(if aborted { *end == End::Aborted } else { *end == End::Completed && wanted.ends && all });
            }
            other => panic!("{other:?}"),
        }
    }
    if world.state.end().is_none() {
        let timers: BTreeMap<_, _> = world.state.timers().collect();
        assert_eq!(timers, wanted.timers);
        let sent: Vec<_> = world.state.plan().unwrap().steps().map(|step| &*step.name).collect();
        assert_eq!(sent, wanted.to_send);
    }
    assert!(world.state.plan().unwrap().steps().all(|step| step.undo == Undo::Pivot && step.command.is_some()));
}

/// Where nobody interfered, what it says is so, and nothing was left lying.
fn check_truth(world: &World) {
    for step in world.state.plan().unwrap().steps() {
        if world.state.standing(&step.name) == Some(&Standing::Done) {
            assert!(world.effects[&step.name], "{} happened", step.name);
        }
    }
    let next = world.next();
    assert_eq!(next.record, [], "all that is due is done");
    assert!(next.unanswered.is_none());
    let held = world.state.needs_operator();
    let all_done = world
        .state
        .plan()
        .unwrap()
        .steps()
        .all(|step| matches!(world.state.standing(&step.name), Some(Standing::Done | Standing::Passed)));
    // One whose timer sets itself anew may be at work at any time.
    assert!(held || all_done || !next.run.is_empty() || next.wake.is_some(), "{}", world.trace());
    let end = world.log.iter().any(|fact| match fact {
        SagaEvent::Received { intents, .. } | SagaEvent::Fired { intents, .. } | SagaEvent::Handled { intents, .. } => {
            intents.contains(&Intent::End)
        }
        _ => false,
    });
    assert_eq!(world.state.end().is_some(), end && all_done && !held, "{}", world.trace());
    let later = Position::new(100).unwrap();
    assert_eq!(world.state.reception(later), if end { Reception::Ended } else { Reception::New });
}
