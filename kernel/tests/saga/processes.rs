//! Processes: what they do about events, timers and failures, one case at a time.

use crate::process_world::{
    DemoEvent, Do, Scripted, Tell, event, feed, handler, recorded, resumed, set, started, tells, when,
};
use crate::world::{Answer, World, at};
use portolan_kernel::domain::history::{History, Hop, Pieces};
use portolan_kernel::domain::saga::{
    Action, Conditions as _, Effort, End, Intent, Intents, Misfit, Phase, PlanError, Process, ReactionError, Reception,
    Retry, SagaEvent, SagaHandler, SagaState, StepContext,
};
use portolan_kernel::domain::{
    CodecError, Command, Event, EventError, RecordedAs, Unknown, Upcasters, query_of, variant,
};
use portolan_kernel::ports::{Body, RawEvent};
use portolan_kernel::values::{Format, Position};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use Do::{Cancel, OnFailure, Send};

/// A world that has received this.
fn world(what: &[Do], answers: &[(&'static str, u32, Answer)]) -> World {
    let mut world = started(tells(answers));
    assert!(feed(&mut world, &event(1, what)));
    world
}

#[rstest]
#[case::nothing(&[], &[], "@1")]
#[case::ends(&[Do::End], &[], "@1(end) COMPLETED")]
#[case::in_order(&[Send(1), Send(2), Do::End], &[], "@1(1-tell-it,2-tell-it,end) 1-tell-it>1 1-tell-it>+ 2-tell-it>1 2-tell-it>+ COMPLETED")]
#[case::sent_though_it_ends(&[Do::End, Send(1)], &[], "@1(end,1-tell-it) 1-tell-it>1 1-tell-it>+ COMPLETED")]
#[case::tried_again(
    &[Send(1), Send(2)], &[("1", 1, Answer::Retry)],
    "@1(1-tell-it,2-tell-it) 1-tell-it>1 1-tell-it>-retry 1-tell-it>2 1-tell-it>+ 2-tell-it>1 2-tell-it>+"
)]
#[case::fires_once(&[set("t", 50)], &[], "@1(+t) !t")]
#[case::fires_and_does(&[when("t", &[Send(1), Do::End]), set("t", 50)], &[], "@1(+t) !t(1-tell-it,end) 1-tell-it>1 1-tell-it>+ COMPLETED")]
#[case::set_anew(&[set("t", 50), set("t", 60)], &[], "@1(+t,+t) !t")]
#[case::cancelled(&[set("t", 50), Cancel("t".into())], &[], "@1(+t,-t)")]
#[case::gone_at_the_end(&[set("t", 50), Do::End], &[], "@1(+t,end) COMPLETED")]
#[case::none_after_the_end(&[Do::End, set("t", 50)], &[], "@1(end,+t) COMPLETED")]
#[case::in_the_order_of_their_times(&[set("b", 50), set("a", 60), set("c", 50)], &[], "@1(+b,+a,+c) !b !c !a")]
#[case::refused(&[Send(1), Send(2)], &[("1", 1, Answer::Refused("no"))], "@1(1-tell-it,2-tell-it) 1-tell-it>1 1-tell-it>-refused! STOP(1-tell-it)")]
#[case::refused_and_handled(
    &[OnFailure(vec![Send(3)]), Send(1), Send(2)], &[("1", 1, Answer::Refused("no"))],
    "@1(1-tell-it,2-tell-it) 1-tell-it>1 1-tell-it>-refused! 1-tell-it~(3-tell-it,4-tell-it) 2-tell-it>1 2-tell-it>+ 3-tell-it>1 \
     3-tell-it>+ 4-tell-it>1 4-tell-it>+"
)]
#[case::handled_though_it_ends(
    &[OnFailure(vec![set("t", 1)]), Send(1), Do::End], &[("1", 1, Answer::Refused("no"))],
    "@1(1-tell-it,end) 1-tell-it>1 1-tell-it>-refused! 1-tell-it~(2-tell-it,+t) 2-tell-it>1 2-tell-it>+ COMPLETED"
)]
#[case::unknown_to_the_end(
    &[Send(1)], &[("1", 1, Answer::Unknown { happened: true }), ("1", 2, Answer::Retry)],
    "@1(1-tell-it) 1-tell-it>1 1-tell-it>-unknown 1-tell-it>2 1-tell-it>-retry! STOP(1-tell-it)"
)]
#[case::timers_go_on_while_a_command_is_at_work(
    &[when("t", &[Send(2)]), set("t", 50), Send(1)], &[("1", 1, Answer::Silence { happened: true })],
    "@1(+t,1-tell-it) 1-tell-it>1 !t(2-tell-it) 1-tell-it>-unknown 1-tell-it>2 1-tell-it>+ 2-tell-it>1 2-tell-it>+"
)]
#[case::timers_go_on_while_an_operator_is_needed(
    &[set("t", 50), Send(1)], &[("1", 1, Answer::Refused("no"))],
    "@1(+t,1-tell-it) 1-tell-it>1 1-tell-it>-refused! STOP(1-tell-it) !t"
)]
fn runs(#[case] what: &[Do], #[case] answers: &[(&'static str, u32, Answer)], #[case] trace: &str) {
    assert_eq!(world(what, answers).run().trace(), trace);
}

/// Not before its time, also when a clock goes back; and once.
#[test]
fn timers_fire_at_their_time() {
    let mut world = world(&[set("t", 50)], &[]);
    for now in [1_049, 10, 1_049] {
        world.now = at(now);
        assert_eq!(world.settle_facts().wake, Some(at(1_050)));
    }
    assert_eq!(world.trace(), "@1(+t)");
    world.now = at(1_050);
    assert_eq!(world.settle_facts().wake, None);
    world.now = at(10);
    world.settle_facts();
    world.now = at(9_000);
    world.settle_facts();
    assert_eq!(world.trace(), "@1(+t) !t");
}

/// What was due while nobody looked fires once, and one that sets itself anew does so from then on.
#[test]
fn overdue_timers_fire_once() {
    let every = [when("t", &[set("t", 100)]), set("t", 100)];
    let mut world = resumed(tells(&[]), &world(&every, &[]).log);
    world.now = at(5_000);
    assert_eq!(world.settle_facts().wake, Some(at(5_100)));
    assert_eq!(world.trace(), "@1(+t) !t(+t)");
}

#[test]
fn a_timer_of_no_time_is_one_of_a_little() {
    let mut intents = Intents::new(at(5), 0, Duration::from_secs(1));
    intents.set_timer("none", Duration::ZERO);
    intents.set_timer("nanos", Duration::from_nanos(1_000_001));
    intents.set_timer("ever", Duration::MAX);
    let due = |intent: &Intent| match intent {
        Intent::SetTimer { due, .. } => due.as_micros(),
        other => panic!("{other:?}"),
    };
    assert_eq!(intents.finish().unwrap().iter().map(due).collect::<Vec<_>>(), [6_000, 6_001, u64::MAX]);
    let mut late = Intents::new(at(u64::MAX / 1_000).plus(Duration::MAX), 0, Duration::from_secs(1));
    late.set_timer("ever", Duration::MAX);
    assert_eq!(late.finish(), Ok(vec![Intent::CancelTimer { timer: "ever".into() }]));
}

#[test]
fn events_are_received_once_and_in_order() {
    let mut world = world(&[], &[]);
    assert!(!feed(&mut world, &event(1, &[Send(1)])), "it was received");
    assert!(feed(&mut world, &event(5, &[])));
    assert!(!feed(&mut world, &event(4, &[])), "a later one was received");
    let Some(SagaEvent::Received { at, event, state, .. }) = world.log.last().cloned() else { panic!() };
    for position in [1, 5] {
        let position = Position::new(position).unwrap();
        let again = SagaEvent::Received { at, event, position, state: state.clone(), intents: vec![] };
        let error = world.state.apply(&again).unwrap_err();
        assert!(error.why.contains("it has received the event"), "{error}");
    }
    assert_eq!(world.state.received_to(), Position::new(5));
    assert_eq!(world.state.process_state().unwrap()["seen"], json!(["event 1", "event 5"]));
}

#[test]
fn what_has_ended_stays_ended() {
    let mut world = world(&[Send(1), Do::End], &[("1", 1, Answer::Silence { happened: true })]);
    world.settle_facts();
    let next = event(2, &[]);
    assert_eq!((world.state.reception(next.position), world.state.is_ending()), (Reception::Ended, true));
    let received = handler().arrivals(&next).unwrap()[0].react(&world.state, world.now).unwrap();
    assert!(world.state.apply(&received).unwrap_err().why.contains("decided to end"));
    world.run();
    assert_eq!((world.state.end(), world.state.reception(next.position)), (Some(End::Completed), Reception::Ended));
    assert!(world.state.apply(&received).unwrap_err().why.contains("it has ended"));
}

#[rstest]
#[case::retry(Action::Retry, "retry(1-tell-it) 1-tell-it>2 1-tell-it>+ 2-tell-it>1 2-tell-it>+")]
#[case::skip(Action::Skip, "skip(1-tell-it) 2-tell-it>1 2-tell-it>+")]
#[case::abort(Action::Abort, "abort() ABORTED")]
fn operators(#[case] action: Action, #[case] then: &str) {
    let mut world = world(&[Send(1), Send(2)], &[("1", 1, Answer::Refused("no"))]);
    world.run();
    assert_eq!(world.state.status(world.now).phase, Phase::NeedsOperator);
    assert!(feed(&mut world, &event(2, &[])), "events are received while an operator is needed");
    world.act(action).run();
    assert_eq!(world.trace().split_once("@2 ").unwrap().1, then);
}

/// There is no way back, whatever an operator wants and whatever time it takes.
#[test]
fn processes_are_not_compensated() {
    let mut world = world(&[Send(1)], &[("1", 1, Answer::Refused("no"))]);
    for _ in 0..2 {
        let refused = world.state.act(Action::Compensate, None, "", world.now).unwrap_err();
        assert!(refused.to_string().contains("a process has no way back"));
        let turned = world.state.apply(&SagaEvent::TurnedBack { at: world.now, reason: "r".into() }).unwrap_err();
        assert!(turned.why.contains("no way back") || turned.why.contains("operator"), "{turned}");
        world.run();
    }
}

#[test]
fn a_process_that_waits_says_for_what() {
    let mut world = world(&[set("t", 50), set("u", 40)], &[]);
    let status = world.state.status(world.now);
    assert_eq!((status.phase, status.due, status.since), (Phase::Waiting, Some(at(1_040)), Some(at(1_000))));
    assert_eq!(status.to_string(), "waiting (it waits for an event, or the timer u)");
    world.run();
    let status = world.state.status(world.now);
    assert_eq!((status.phase, status.due, status.since), (Phase::Waiting, None, Some(at(1_050))));
    assert_eq!(status.reason.as_deref(), Some("it waits for an event"));
    world.act(Action::Abort).run();
    assert_eq!(world.state.status(world.now).to_string(), "aborted (an operator aborted it: because)");
}

#[test]
fn a_process_at_work_is_due_when_its_timer_is() {
    let mut world = world(&[Send(1), set("t", 50)], &[("1", 1, Answer::Silence { happened: true })]);
    world.settle_facts();
    let status = world.state.status(world.now);
    assert_eq!(
        (status.phase, status.step.as_deref(), status.due),
        (Phase::Running, Some("1-tell-it"), Some(at(1_050)))
    );
    let mut held = self::world(&[Send(1), set("t", 9_000)], &[("1", 1, Answer::Refused("no"))]);
    held.settle_facts();
    held.step();
    held.settle_facts();
    let status = held.state.status(held.now);
    assert_eq!((status.phase, status.due), (Phase::NeedsOperator, Some(at(10_000))));
    assert_eq!(status.reason.as_deref(), Some("1-tell-it failed: no (no)"));
}

/// A changed handler changes no past: what was wanted is done as it was recorded, and what it knows is as it was.
#[test]
fn what_was_done_is_recorded() {
    let mut world = world(&[Send(7)], &[]);
    let run = world.settle_facts().run.remove(0);
    let command = run.command.unwrap();
    assert_eq!((&*command.name, &*command.body), ("Tell it", &json!({"what": 7})));
    let bus: Arc<dyn portolan_kernel::ports::CommandBus> = Arc::new(NoBus);
    let context = StepContext::new(world.state.id().clone(), &run.step, bus, Arc::new(NoBus)).unwrap();
    let envelope = context.within(Some(Duration::from_secs(1))).recorded_envelope(&command).unwrap();
    assert_eq!((&*envelope.name, envelope.id.as_deref()), ("Tell it", Some("saga:demo:1:1-tell-it")));
    assert_eq!(envelope.within, Some(Duration::from_secs(1)));
    assert_eq!(envelope.metadata.more["saga"], json!("demo/1"));
    let Body::Encoded(bytes, Format::Json) = envelope.body else { panic!("it is JSON") };
    assert_eq!(serde_json::from_slice::<Tell>(&bytes).unwrap(), Tell { what: 7 });
}

struct NoBus;

#[async_trait::async_trait]
impl portolan_kernel::ports::CommandBus for NoBus {
    async fn dispatch(
        &self,
        command: portolan_kernel::ports::CommandEnvelope,
    ) -> Result<portolan_kernel::ports::Receipt, portolan_kernel::ports::CommandError> {
        Err(portolan_kernel::ports::CommandError::UnknownCommand(command.name))
    }
    fn commands(&self) -> Vec<portolan_kernel::ports::CommandInfo> {
        vec![]
    }
}

#[async_trait::async_trait]
impl portolan_kernel::ports::QueryBus for NoBus {
    async fn ask(
        &self,
        query: portolan_kernel::ports::QueryEnvelope,
    ) -> Result<portolan_kernel::ports::Answer, portolan_kernel::ports::QueryError> {
        Err(portolan_kernel::ports::QueryError::UnknownQuery(query.name))
    }
    fn queries(&self) -> Vec<portolan_kernel::ports::QueryInfo> {
        vec![]
    }
}

/// Whoever asked for an operator has changed nothing.
#[test]
fn an_operator_is_needed_without_a_reaction() {
    let mut world = world(&[Send(1)], &[("1", 1, Answer::Refused("no"))]);
    world.run();
    assert_eq!(world.state.process_state().unwrap()["seen"], json!(["event 1"]));
    let mut handled = self::world(&[OnFailure(vec![]), Send(1)], &[("1", 1, Answer::Refused("no"))]);
    handled.run();
    let seen = &handled.state.process_state().unwrap()["seen"];
    assert_eq!(*seen, json!(["event 1", "1-tell-it 1 Refused Some(\"no\")"]));
}

#[rstest]
#[case::no_attempts(Retry::attempts(0), Duration::from_secs(1), "give it at least 1")]
#[case::too_long(Retry::attempts(3), Duration::from_secs(1), "raise its LONGEST")]
#[case::no_time(Retry::never(), Duration::ZERO, "time-out")]
fn commands_that_cannot_be_tried_so(#[case] retry: Retry, #[case] timeout: Duration, #[case] says: &str) {
    let mut intents = Intents::new(at(0), 0, Duration::from_secs(2));
    intents.send(Tell { what: 1 }).retry(retry).timeout(timeout);
    let error = intents.finish().unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn names_of_steps_are_names() {
    struct Odd;
    impl serde::Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    impl<'de> serde::Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }
    impl Command for Odd {
        const NAME: &'static str =
            "Überweisung von einem Konto auf ein anderes, mit einem Namen, der für einen Schritt viel zu lang ist";
    }
    let mut intents = Intents::new(at(0), 41, Duration::from_secs(3_600));
    intents.send(Odd);
    intents.send(Odd);
    let names = intents.finish().unwrap().into_iter().map(|intent| match intent {
        Intent::Send { step, .. } => step,
        other => panic!("{other:?}"),
    });
    let names: Vec<_> = names.collect();
    assert!(names[0].starts_with("42--berweisung-von-") && names[0].len() == 100, "{names:?}");
    assert!(names[1].starts_with("43--"));
}

/// Reactions that are mistakes: nothing is recorded, and everybody sees why it does not go on.
#[test]
fn what_cannot_be_recorded_is_told() {
    let mut world = world(&[when("t", &[Do::Break]), set("t", 50), Send(1)], &[]);
    world.run();
    assert_eq!(world.trace(), "@1(+t,1-tell-it) 1-tell-it>1 1-tell-it>+");
    let Some(ReactionError::Unrecordable(why)) = world.next().unanswered else { panic!("{:?}", world.next()) };
    assert!(why.contains("state"), "{why}");
    let broken = handler().arrivals(&event(2, &[Do::Break])).unwrap()[0].react(&world.state, world.now);
    assert!(matches!(broken, Err(ReactionError::Unrecordable(_))));
    // A handler that can goes on.
    let other = |_: &str, _: &portolan_kernel::domain::saga::Outcomes| Some(true);
    let unanswered = portolan_kernel::domain::saga::next(&world.state, world.now, &other).unanswered;
    assert_eq!(unanswered, Some(ReactionError::NoProcess));
}

#[test]
fn a_state_that_the_code_cannot_read_is_told() {
    let mut world = started(tells(&[]));
    let received = SagaState::received(
        event(1, &[]).id,
        Position::new(1).unwrap(),
        portolan_kernel::domain::saga::Reaction::new(json!({"seen": 7}), vec![]),
        world.now,
    );
    world.record(received);
    let error = handler().arrivals(&event(2, &[])).unwrap()[0].react(&world.state, world.now).unwrap_err();
    assert!(error.to_string().contains("seen: "), "{error}");
    let code = world.code.as_ref().unwrap();
    let fired = code.fired("t", world.state.process_state().map(|state| &**state), world.state.intents(at(2)));
    assert!(matches!(fired, Err(ReactionError::State(_))));
}

#[test]
fn a_handler_tells_that_it_is_a_processes() {
    let handler = handler();
    assert_eq!((handler.name().as_str(), handler.version(), handler.is_process()), ("demo", 1, true));
    assert_eq!(handler.events(), Some(&query_of::<DemoEvent>().unwrap()));
    assert_eq!(handler.description(), "Does as it is told.");
    assert_eq!(handler.plan().longest(), Duration::from_secs(2), "keys are kept for longer");
    assert_eq!(
        serde_json::to_value(&**handler.plan()).unwrap(),
        json!({"groups": [], "process": {"longest_ms": 2_000}})
    );
    let by_hand = handler.input(b"{}").unwrap_err();
    assert_eq!(by_hand[0].code, "starts-by-events");
    // A saga of the same name is another thing.
    let saga = SagaHandler::new(crate::world::Demo).unwrap();
    assert_eq!(saga.open(handler.plan(), &Value::Null).unwrap_err(), Misfit::Kind);
    assert_eq!(handler.open(saga.plan(), &Value::Null).unwrap_err(), Misfit::Kind);
    assert!(saga.arrivals(&event(1, &[])).unwrap().is_empty() && saga.events().is_none());
    assert_eq!(handler.plan().difference(handler.plan()), None);
    let mut grown = world(&[Send(1)], &[]);
    grown.run();
    assert_eq!(handler.plan().difference(grown.state.plan().unwrap()), None);
    assert_eq!(saga.plan().difference(handler.plan()).map(|told| told.contains("process.longest_ms")), Some(true));
}

struct Unlike<const VERSION: u32, const LONGEST: u64>;

impl<const VERSION: u32, const LONGEST: u64> Process for Unlike<VERSION, LONGEST> {
    const NAME: &'static str = "unlike";
    const VERSION: u32 = VERSION;
    const LONGEST: Duration = Duration::from_micros(LONGEST);
    type Event = DemoEvent;
    type State = ();
    fn correlate(_: &RecordedAs<DemoEvent>) -> Option<String> {
        None
    }
    fn starts(_: &RecordedAs<DemoEvent>) -> bool {
        true
    }
    fn on(&self, (): &mut (), _: &RecordedAs<DemoEvent>, _: &mut Intents) {}
}

#[test]
fn definitions_are_judged() {
    assert!(matches!(SagaHandler::process(Unlike::<0, 1_000>), Err(PlanError::Version { .. })));
    assert!(matches!(SagaHandler::process(Unlike::<1, 1>), Err(PlanError::Duration { .. })));
    let uncorrelated = SagaHandler::process(Unlike::<1, 1_000>).unwrap();
    assert!(uncorrelated.arrivals(&event(1, &[])).unwrap().is_empty(), "it is for no process");
}

/// An event that two became of, in a later version.
#[derive(Serialize, Deserialize)]
enum Pair {
    #[serde(rename = "pair.one")]
    One { key: String, starts: bool },
}

impl Event for Pair {
    const CATEGORY: &'static str = "pair";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<portolan_kernel::Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
    fn history() -> History {
        let split = |old: Vec<(String, bool)>| {
            let piece = |pieces: Pieces, (key, starts): (String, bool)| {
                pieces.event("pair.one", 1, &json!({"key": key, "starts": starts}))
            };
            old.into_iter().fold(Pieces::new(), piece)
        };
        History::new().current("pair.one", 1).hop(Hop::from("pair.several", 1).split(split).to_any([("pair.one", 1)]))
    }
}

struct Pairs;

impl Process for Pairs {
    const NAME: &'static str = "demo";
    type Event = Pair;
    type State = Vec<bool>;
    fn correlate(event: &RecordedAs<Pair>) -> Option<String> {
        let Pair::One { key, .. } = &event.event;
        Some(key.clone())
    }
    fn starts(event: &RecordedAs<Pair>) -> bool {
        let Pair::One { starts, .. } = &event.event;
        *starts
    }
    fn on(&self, seen: &mut Vec<bool>, event: &RecordedAs<Pair>, _: &mut Intents) {
        seen.push(Self::starts(event));
    }
}

/// The events that one has become are received together by each process that they are for; one that is started by the second of
/// them has not seen the first.
#[test]
fn events_that_one_has_become() {
    let mut several = (*recorded(&Pair::One { key: "1".into(), starts: true }, 1)).clone();
    several.event.event_type = portolan_kernel::values::EventType::new("pair.several").unwrap();
    several.event.payload = json!([["1", false], ["2", false], ["1", true], ["1", false]]).to_string().into();
    let several = Arc::new(several);
    let handler = SagaHandler::process(Pairs).unwrap();
    let arrivals = handler.arrivals(&several).unwrap();
    assert_eq!(arrivals.iter().map(|of| (of.key(), of.starts())).collect::<Vec<_>>(), [("1", true), ("2", false)]);
    let state = started(tells(&[])).state;
    let SagaEvent::Received { state: seen, .. } = arrivals[0].react(&state, at(1)).unwrap() else { panic!() };
    assert_eq!(*seen, json!([true, false]));
    // One that had been started sees all of them.
    let mut world = started(tells(&[]));
    let before = portolan_kernel::domain::saga::Reaction::new(json!([]), vec![]);
    world.record(SagaState::received(several.id, Position::new(0).unwrap(), before, world.now));
    let SagaEvent::Received { state: seen, .. } = arrivals[0].react(&world.state, at(1)).unwrap() else { panic!() };
    assert_eq!(*seen, json!([false, true, false]));
}

struct Lenient;

impl Process for Lenient {
    const NAME: &'static str = "lenient";
    type Event = DemoEvent;
    type State = ();

    fn correlate(event: &RecordedAs<DemoEvent>) -> Option<String> {
        Scripted::correlate(event)
    }
    fn starts(event: &RecordedAs<DemoEvent>) -> bool {
        Scripted::starts(event)
    }
    fn on_unknown() -> Unknown {
        Unknown::Skip
    }
    fn on(&self, (): &mut (), _: &RecordedAs<DemoEvent>, _: &mut Intents) {}
}

#[test]
fn what_is_unknown_is_an_error_unless_it_is_to_be_skipped() {
    let mut newer = (*event(1, &[])).clone();
    newer.event.event_type = portolan_kernel::values::EventType::new("demo.undone").unwrap();
    let newer = Arc::new(newer);
    let error = handler().arrivals(&newer).unwrap_err();
    assert!(error.to_string().contains("demo.undone"), "{error}");
    let lenient = SagaHandler::process(Lenient).unwrap().reading_by(&Arc::new(Upcasters::new())).unwrap();
    assert!(lenient.arrivals(&newer).unwrap().is_empty());
    assert_eq!(lenient.arrivals(&event(1, &[])).unwrap()[0].key(), "1");
    assert_eq!(Scripted::NAME, "demo");
}

/// What cannot follow in a process, after `@1(+t,1-tell-it,end...)`.
#[rstest]
#[case::no_timer(fired("u", 2_000), "the timer u is not set")]
#[case::early(fired("t", 1_049), "the timer t is not due yet")]
#[case::not_failed(SagaEvent::Handled { at: at(1), step: "1-tell-it".into(), state: Arc::default(), intents: vec![] }, "has not failed")]
#[case::no_step(SagaEvent::Handled { at: at(1), step: "x".into(), state: Arc::default(), intents: vec![] }, "there is no step x")]
#[case::ended_while_it_waits(SagaEvent::Ended { at: at(1), end: End::Completed, left: vec![] }, "has not come to be completed")]
#[case::step_of_another_place(wants(send("3-x", 1_000)), "step 2 is called 3-x")]
#[case::step_without_a_name(wants(send("2-X", 1_000)), "cannot name a step")]
#[case::step_without_time(wants(send("2-x", 0)), "time-out")]
#[case::timer_in_the_past(wants(Intent::SetTimer { timer: "t".into(), due: at(1_000) }), "a time that has passed")]
fn what_cannot_follow(#[case] fact: SagaEvent, #[case] why: &str) {
    let mut world = world(&[set("t", 50), Send(1)], &[]);
    while world.state.standing("1-tell-it") != Some(&portolan_kernel::domain::saga::Standing::Done) {
        world.settle_facts();
        world.step();
    }
    let before = world.state.clone();
    let error = world.state.apply(&fact).unwrap_err();
    assert!(error.why.contains(why), "{error}");
    assert_eq!(world.state, before);
}

fn fired(timer: &str, now: u64) -> SagaEvent {
    SagaEvent::Fired { at: at(now), timer: timer.into(), state: Arc::default(), intents: vec![] }
}

fn wants(intent: Intent) -> SagaEvent {
    let (event, position) = (event(2, &[]).id, Position::new(2).unwrap());
    SagaEvent::Received { at: at(1_000), event, position, state: Arc::default(), intents: vec![intent] }
}

fn send(step: &str, millis: u64) -> Intent {
    let run = Effort::new(Retry::never(), Duration::from_millis(millis));
    let command = serde_json::from_value(json!({"name": "tell", "body": {}})).unwrap();
    Intent::Send { step: step.into(), command, run }
}

#[test]
fn a_plain_saga_receives_nothing() {
    let mut world = World::new(
        crate::world::plan(portolan_kernel::domain::saga::Definition::new().step(crate::world::step("a"))),
        tells(&[]),
    );
    assert_eq!(world.state.reception(Position::new(1).unwrap()), Reception::NoProcess);
    assert!(world.state.apply(&wants(Intent::End)).unwrap_err().why.contains("it is no process"));
    assert!(!world.state.is_process() && world.state.process_state().is_none());
    let unstarted = SagaState::new(world.state.id().clone());
    assert_eq!(unstarted.reception(Position::new(1).unwrap()), Reception::NotStarted);
}

#[test]
fn a_process_starts_without_steps() {
    let mut plan = (**handler().plan()).clone();
    plan.groups =
        crate::world::plan(portolan_kernel::domain::saga::Definition::new().step(crate::world::step("a"))).groups;
    let id = portolan_kernel::domain::saga::SagaId::new("demo", "1").unwrap();
    let first = SagaState::started(&id, 1, Arc::new(plan), Arc::default(), at(1));
    assert!(SagaState::new(id).apply(&first).unwrap_err().why.contains("starts without steps"));
}
