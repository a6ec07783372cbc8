//! Facts: how they are stored, and that any of them in any order is an answer.

use crate::world::{Answer, Back, Demo, Forward, World, at, plan, script, step, undoable};
use portolan_kernel::domain::saga::{
    Action, Definition, Effort, End, FailureClass, Intent, Outcomes, Retry, SagaEvent, SagaId, SagaState, Way, next,
};
use portolan_kernel::domain::{Event as _, EventError};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventId, EventType, Format, Position, StreamId};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn raw(fact: &SagaEvent) -> RawEvent {
    stored(fact.event_type(), fact.version(), fact.encode().unwrap())
}

fn stored(event_type: &str, version: u32, payload: impl Into<portolan_kernel::Bytes>) -> RawEvent {
    RawEvent::new(EventType::new(event_type).unwrap(), version, Format::Json, payload.into())
}

#[rstest]
#[case(
    SagaEvent::Begun { at: at(1), step: "debit".into(), way: Forward, attempt: 1, until: at(6) },
    "$saga.begun",
    json!({"at": 1_000, "step": "debit", "way": "forward", "attempt": 1, "until": 6_000})
)]
#[case(
    SagaEvent::Succeeded { at: at(1), step: "debit".into(), way: Way::Settle, attempt: 1, outcome: Arc::new(json!({"x": 1.5})) },
    "$saga.succeeded",
    json!({"at": 1_000, "step": "debit", "way": "settle", "attempt": 1, "outcome": {"x": 1.5}})
)]
#[case(
    SagaEvent::Failed {
        at: at(1), step: "debit".into(), way: Back, attempt: 2, class: FailureClass::Refused, code: Some("no".into()),
        reason: "because".into(), retry_at: Some(at(2)),
    },
    "$saga.failed",
    json!({
        "at": 1_000, "step": "debit", "way": "back", "attempt": 2, "class": "refused", "code": "no", "reason": "because",
        "retry_at": 2_000,
    })
)]
#[case(
    SagaEvent::Failed {
        at: at(1), step: "debit".into(), way: Forward, attempt: 1, class: FailureClass::Unknown, code: None,
        reason: "because".into(), retry_at: None,
    },
    "$saga.failed",
    json!({"at": 1_000, "step": "debit", "way": "forward", "attempt": 1, "class": "unknown", "reason": "because"})
)]
#[case(SagaEvent::Passed { at: at(1), step: "debit".into() }, "$saga.passed", json!({"at": 1_000, "step": "debit"}))]
#[case(
    SagaEvent::KeyClosed { at: at(1), step: "debit".into(), scope: "command:withdraw".into(), key: "k".into() },
    "$saga.key-closed",
    json!({"at": 1_000, "step": "debit", "scope": "command:withdraw", "key": "k"})
)]
#[case(SagaEvent::TurnedBack { at: at(1), reason: "r".into() }, "$saga.turned-back", json!({"at": 1_000, "reason": "r"}))]
#[case(
    SagaEvent::NeedsOperator { at: at(1), steps: vec!["debit".into()], reason: "r".into() },
    "$saga.needs-operator",
    json!({"at": 1_000, "steps": ["debit"], "reason": "r"})
)]
#[case(
    SagaEvent::Acted { at: at(1), action: Action::Skip, steps: vec!["debit".into()], actor: Some("ann".into()), note: "n".into() },
    "$saga.acted",
    json!({"at": 1_000, "action": "skip", "steps": ["debit"], "actor": "ann", "note": "n"})
)]
#[case(
    SagaEvent::Received {
        at: at(1), event: EventId::from_bytes([7; 16]), position: Position::MAX, state: Arc::new(json!({"paid": false})),
        intents: vec![
            Intent::SetTimer { timer: "pay".into(), due: at(2) }, Intent::CancelTimer { timer: "ship".into() }, Intent::End,
        ],
    },
    "$saga.received",
    json!({
        "at": 1_000, "event": "07070707-0707-0707-0707-070707070707", "position": "9223372036854775807", "state": {"paid": false},
        "intents": [{"set-timer": {"timer": "pay", "due": 2_000}}, {"cancel-timer": {"timer": "ship"}}, "end"],
    })
)]
#[case(
    SagaEvent::Fired { at: at(1), timer: "pay".into(), state: Arc::default(), intents: vec![sent()] },
    "$saga.fired",
    json!({
        "at": 1_000, "timer": "pay", "state": null,
        "intents": [{"send": {
            "step": "1-cancel-order", "command": {"name": "cancel-order", "body": {"order": "o-1"}},
            "run": {
                "retry": {"attempts": 5, "first_ms": 100, "factor": 2, "longest_ms": 30_000, "jitter_percent": 50},
                "timeout_ms": 5_000,
            },
        }}],
    })
)]
#[case(
    SagaEvent::Handled { at: at(1), step: "1-pay".into(), state: Arc::new(json!(7)), intents: vec![] },
    "$saga.handled",
    json!({"at": 1_000, "step": "1-pay", "state": 7})
)]
#[case(
    SagaEvent::Ended { at: at(1), end: End::Aborted, left: vec!["debit".into()] },
    "$saga.ended",
    json!({"at": 1_000, "end": "aborted", "left": ["debit"]})
)]
fn stored_forms(#[case] fact: SagaEvent, #[case] stored_type: &str, #[case] payload: serde_json::Value) {
    let raw = raw(&fact);
    assert_eq!((raw.event_type.as_str(), raw.version), (stored_type, 1));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&raw.payload).unwrap(), payload);
    assert_eq!(SagaEvent::decode(&raw), Ok(fact));
}

fn sent() -> Intent {
    let run = Effort::new(Retry::default(), Duration::from_secs(5));
    let command = serde_json::from_value(json!({"name": "cancel-order", "body": {"order": "o-1"}})).unwrap();
    Intent::Send { step: "1-cancel-order".into(), command, run }
}

#[rstest]
#[case("event", json!("no-id"))]
#[case("position", json!("9223372036854775808"))]
#[case("position", json!(7))]
#[case("intents", json!([{"send": {"step": "1-x", "colour": "red"}}]))]
#[case("intents", json!(["hurry"]))]
fn receptions_that_are_none_are_refused(#[case] field: &str, #[case] value: serde_json::Value) {
    let mut received =
        json!({"at": 1, "event": "07070707-0707-0707-0707-070707070707", "position": "7", "state": null});
    assert!(SagaEvent::decode(&stored("$saga.received", 1, received.to_string())).is_ok());
    received[field] = value;
    let refused = SagaEvent::decode(&stored("$saga.received", 1, received.to_string()));
    assert!(matches!(refused, Err(EventError::Payload(_))), "{refused:?}");
}

#[test]
fn the_plan_is_stored_for_a_person_to_read() {
    let step = undoable("debit").when(|_, _| true).timeout(Duration::from_secs(5));
    let plan = plan(Definition::new().timeout(Duration::from_secs(60)).step(step));
    let id = SagaId::new("demo", "1").unwrap();
    let fact = SagaState::started(&id, 3, Arc::new(plan), Arc::new(json!({"amount": 7})), at(1));
    let raw = raw(&fact);
    assert_eq!(raw.event_type.as_str(), "$saga.started");
    let retry = |attempts, first, longest| json!({"attempts": attempts, "first_ms": first, "factor": 2, "longest_ms": longest, "jitter_percent": 50});
    let expected = json!({
        "at": 1_000, "name": "demo", "version": 3, "input": {"amount": 7}, "deadline": 60_001_000,
        "plan": {
            "timeout_ms": 60_000,
            "groups": [[{
                "name": "debit",
                "conditional": true,
                "run": {"retry": retry(5, 100, 30_000), "timeout_ms": 5_000},
                "undo": {"compensation": {"retry": retry(10, 200, 60_000), "timeout_ms": 5_000}},
                "settle": {"keys": {"retry": retry(10, 200, 60_000), "timeout_ms": 5_000}},
            }]],
        },
    });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&raw.payload).unwrap(), expected);
    assert_eq!(SagaEvent::decode(&raw), Ok(fact));
}

#[test]
fn facts_of_a_newer_kernel_are_told_and_not_guessed() {
    let unknown = stored("$saga.postponed", 1, "{}");
    assert!(matches!(SagaEvent::decode(&unknown), Err(EventError::UnknownType(_))));
    let plan = json!({"groups": [], "priority": 1});
    let started = json!({"at": 1, "name": "demo", "version": 1, "plan": plan, "input": null});
    let newer = stored("$saga.started", 1, started.to_string());
    assert!(
        matches!(SagaEvent::decode(&newer), Err(EventError::Payload(error)) if error.to_string().contains("priority"))
    );
}

fn passed(step: &str) -> SagaEvent {
    SagaEvent::Passed { at: at(1), step: step.into() }
}

#[test]
fn streams_are_of_the_category_of_the_facts() {
    let id = SagaId::new("transfer-money", "a:b-c").unwrap();
    assert_eq!(id.stream().category(), SagaEvent::CATEGORY);
    assert!(id.stream().is_system());
    for other in ["$saga-x", "account-1", "$saga-X:1", "$saga-x:", "$sagax-y:1"] {
        assert_eq!(SagaId::of_stream(&StreamId::new(other).unwrap()), None, "{other}");
    }
}

fn steps() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("nobody")].prop_map(String::from)
}

fn ways() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Forward), Just(Way::Settle), Just(Back)]
}

fn fact() -> impl Strategy<Value = SagaEvent> {
    let times = || (0..4_000u64).prop_map(at);
    let attempts = || prop_oneof![9 => 1..4u32, 1 => Just(u32::MAX)];
    let classes = prop_oneof![Just(FailureClass::Retry), Just(FailureClass::Refused), Just(FailureClass::Unknown)];
    let actions = (0..4usize).prop_map(|action| Action::ALL[action]);
    let ends = prop_oneof![Just(End::Completed), Just(End::Compensated), Just(End::Aborted)];
    let lists = || proptest::collection::vec(steps(), 0..3);
    prop_oneof![
        1 => times().prop_map(|at| start(at.as_micros())),
        8 => (times(), steps(), ways(), attempts(), times())
            .prop_map(|(at, step, way, attempt, until)| SagaEvent::Begun { at, step, way, attempt, until }),
        8 => (times(), steps(), ways(), attempts()).prop_map(|(at, step, way, attempt)| SagaEvent::Succeeded {
            at, step, way, attempt, outcome: Arc::default(),
        }),
        8 => (times(), steps(), ways(), attempts(), classes, proptest::option::of(times())).prop_map(
            |(at, step, way, attempt, class, retry_at)| SagaEvent::Failed {
                at, step, way, attempt, class, code: None, reason: "r".into(), retry_at,
            }
        ),
        1 => steps().prop_map(|step| passed(&step)),
        1 => steps().prop_map(|step| SagaEvent::KeyClosed { at: at(1), step, scope: "s".into(), key: "k".into() }),
        2 => times().prop_map(|at| SagaEvent::TurnedBack { at, reason: "r".into() }),
        2 => (times(), lists()).prop_map(|(at, steps)| SagaEvent::NeedsOperator { at, steps, reason: "r".into() }),
        4 => (times(), actions, lists()).prop_map(|(at, action, steps)| SagaEvent::Acted {
            at, action, steps, actor: None, note: String::new(),
        }),
        1 => (times(), ends, lists()).prop_map(|(at, end, left)| SagaEvent::Ended { at, end, left }),
    ]
}

/// A saga with steps of each kind.
fn start(micros: u64) -> SagaEvent {
    let first = undoable("a").when(|_, _| true);
    let group = [undoable("b").outside(), step("c")];
    let last = step("d").harmless().resolve(Demo::resolve);
    let plan = plan(Definition::new().timeout(Duration::from_secs(3)).step(first).parallel(group).step(last));
    let id = SagaId::new("demo", "1").unwrap();
    let now = portolan_kernel::values::Timestamp::from_micros(micros);
    SagaState::started(&id, 1, Arc::new(plan), Arc::default(), now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any facts in any order: taken in or refused, and never a panic; what is refused changes nothing; and the machine has an
    /// answer to every state that comes of it.
    #[test]
    fn any_facts_in_any_order(first in any::<bool>(), facts in proptest::collection::vec(fact(), 0..60), now in 0..5_000u64) {
        let mut state = SagaState::new(SagaId::new("demo", "1").unwrap());
        if first {
            state.apply(&start(0)).unwrap();
        }
        for fact in facts {
            let before = state.clone();
            if let Err(error) = state.apply(&fact) {
                prop_assert_eq!(&state, &before);
                prop_assert!(error.to_string().contains(fact.event_type()));
            }
            let conditions = |_: &str, _: &Outcomes| Some(true);
            let next = next(&state, at(now), &conditions);
            prop_assert!(next.record.len() < 200, "{:?}", next);
            prop_assert!(!state.status(at(now)).to_string().is_empty());
            for action in Action::ALL {
                if let Ok(acted) = state.act(action, None, "", at(now)) {
                    let mut acted_on = state.clone();
                    prop_assert_eq!(acted_on.apply(&acted), Ok(()));
                }
            }
            for run in &next.run {
                let answer = state.answer(&run.step, run.way, run.attempt, Ok(json!(1)), at(now));
                if let Ok(answer) = answer {
                    prop_assert_eq!(state.clone().apply(&answer), Ok(()));
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_says_why() {
    let mut world = World::new(plan(Definition::new().step(step("a"))), script(&[]));
    let error = world.state.apply(&passed("a")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "$saga.passed cannot be the next fact of saga demo/1: a has no condition, or was begun before; read its stream from the \
         beginning"
    );
    world.run();
    let after = world.state.apply(&passed("a")).unwrap_err();
    assert_eq!((after.fact, &*after.why), ("$saga.passed", "it has ended"));
}

/// Facts that the machine never makes, after this many that it did: `a>1 a>+ b>1 b>-retry BACK a<1 a<+ COMPENSATED`.
#[rstest]
#[case::attempt_left_out(1, begun("a", Forward, 2), "cannot follow attempt 0")]
#[case::group_left_out(1, begun("b", Forward, 1), "cannot go forward")]
#[case::back_before_the_turn(3, begun("a", Back, 1), "cannot go back")]
#[case::settled_without_doubt(5, begun("b", Way::Settle, 1), "cannot go settle")]
#[case::twice(2, begun("a", Forward, 2), "cannot go forward")]
#[case::forward_after_the_turn(6, begun("b", Forward, 2), "cannot go forward")]
#[case::undone_and_done_again(8, begun("a", Back, 2), "cannot go back")]
#[case::turned_twice(6, SagaEvent::TurnedBack { at: at(1), reason: "r".into() }, "has turned back before")]
#[case::ended_too_early(3, ended(End::Completed), "has not come to be completed")]
#[case::compensated_too_early(6, ended(End::Compensated), "has not come to be compensated")]
#[case::aborted_by_nobody(3, ended(End::Aborted), "has not come to be aborted")]
#[case::no_step(3, SagaEvent::NeedsOperator { at: at(1), steps: vec!["x".into()], reason: "r".into() }, "there is no step x")]
fn what_cannot_follow(#[case] after: usize, #[case] fact: SagaEvent, #[case] why: &str) {
    let slow = portolan_kernel::domain::saga::Retry::attempts(2).first(Duration::from_secs(9));
    let steps = Definition::new().step(undoable("a")).step(undoable("b").retry(slow));
    let mut world = World::new(plan(steps.timeout(Duration::from_secs(1))), script(&[("b", Forward, Answer::Retry)]));
    assert_eq!(world.run().trace(), "a>1 a>+ b>1 b>-retry BACK a<1 a<+ COMPENSATED");
    let mut state = SagaState::fold(world.state.id().clone(), &world.log[..after]).unwrap();
    let error = state.apply(&fact).unwrap_err();
    assert!(error.why.contains(why), "{error}");
}

fn begun(step: &str, way: Way, attempt: u32) -> SagaEvent {
    SagaEvent::Begun { at: at(1), step: step.into(), way, attempt, until: at(2) }
}

fn ended(end: End) -> SagaEvent {
    SagaEvent::Ended { at: at(1), end, left: vec![] }
}

/// The first answer that is recorded counts (SG-3).
#[test]
fn late_and_repeated_answers_are_dropped() {
    let plan = plan(Definition::new().step(undoable("a").timeout(Duration::from_millis(10))));
    let mut world = World::new(plan, script(&[("a", Forward, Answer::Silence { happened: true })]));
    world.settle_facts();
    let state = world.state.clone();
    let answer = |of: &SagaState| of.answer("a", Forward, 1, Ok(json!(1)), at(1_001));
    assert!(answer(&state).is_ok());
    world.run();
    let late = answer(&world.state).unwrap_err();
    assert_eq!(late.to_string(), "attempt 1 of a, forward, is no longer in flight; drop its answer");
    let mut twice = state.clone();
    twice.apply(&answer(&state).unwrap()).unwrap();
    assert!(answer(&twice).is_err());
    assert!(state.answer("a", Back, 1, Ok(json!(1)), at(1_001)).is_err());
    assert!(state.answer("nobody", Forward, 1, Ok(json!(1)), at(1_001)).is_err());
}

#[test]
fn reasons_are_cut() {
    let world = World::new(plan(Definition::new().step(undoable("a"))), script(&[]));
    let mut world = world;
    world.settle_facts();
    let long = portolan_kernel::domain::saga::StepError::retry("\u{e9}".repeat(2_000));
    let SagaEvent::Failed { reason, .. } = world.state.answer("a", Forward, 1, Err(long), world.now).unwrap() else {
        panic!("it failed");
    };
    assert_eq!(reason.len(), 500);
}

#[test]
fn one_input_is_one_start() {
    let id = SagaId::new("demo", "1").unwrap();
    let plan = Arc::new(plan(Definition::new().step(step("a"))));
    let started = SagaState::started(&id, 1, plan, Arc::new(json!({"a": 1, "b": [2]})), at(1));
    let state = SagaState::fold(id.clone(), [&started]).unwrap();
    assert!(state.is_of(&json!({"b": [2], "a": 1})));
    assert!(!state.is_of(&json!({"a": 1})));
    assert!(!SagaState::new(id).is_of(&json!(null)));
    assert!(state.clone().apply(&started).is_err(), "it is started once");
}
