//! What happens to a process, and what a failed expectation of it says.

use super::*;
use portolan_kernel::Bytes;
use portolan_kernel::domain::saga::{AfterFailure, FailedIntent, Intents, Process};
use portolan_kernel::domain::{CodecError, Event, EventError, RecordedAs, variant};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventType, NewEvent, StreamId};
use portolan_testing::{GivenProcess, ProcessOutcome, given_process};

#[derive(Serialize, Deserialize)]
enum ParcelEvent {
    #[serde(rename = "parcel.sent")]
    Sent { parcel: String },
    #[serde(rename = "parcel.delayed")]
    Delayed { parcel: String, by: u64 },
    #[serde(rename = "parcel.arrived")]
    Arrived { parcel: String },
    #[serde(rename = "parcel.seen")]
    Seen {},
}

impl Event for ParcelEvent {
    const CATEGORY: &'static str = "parcel";

    fn event_type(&self) -> &'static str {
        variant::name(self)
    }

    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }

    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

macro_rules! commands {
    ($($command:ident = $name:literal),*) => {$(
        #[derive(Serialize, Deserialize, Clone)]
        struct $command {
            parcel: String,
        }

        impl Command for $command {
            const NAME: &'static str = $name;
        }
    )*};
}
commands!(Track = "track", Complain = "complain", Forget = "forget");

/// Tracks a parcel, and complains of one that does not arrive in time.
struct Parcels;

#[derive(Serialize, Deserialize, Default)]
struct Knows {
    parcel: String,
    untracked: bool,
}

impl Process for Parcels {
    const NAME: &'static str = "parcels";
    type Event = ParcelEvent;
    type State = Knows;

    fn correlate(event: &RecordedAs<ParcelEvent>) -> Option<String> {
        match &event.event {
            ParcelEvent::Sent { parcel } | ParcelEvent::Delayed { parcel, .. } | ParcelEvent::Arrived { parcel } => {
                Some(parcel.clone())
            }
            ParcelEvent::Seen {} => None,
        }
    }

    fn starts(event: &RecordedAs<ParcelEvent>) -> bool {
        matches!(event.event, ParcelEvent::Sent { .. })
    }

    fn on(&self, state: &mut Knows, event: &RecordedAs<ParcelEvent>, intents: &mut Intents) {
        match &event.event {
            ParcelEvent::Sent { parcel } => {
                parcel.clone_into(&mut state.parcel);
                intents
                    .send(Track { parcel: parcel.clone() })
                    .retry(Retry::attempts(2).first(seconds(2)).jitter_percent(0));
                intents.set_timer("arrival", seconds(100));
                intents.set_timer("look", seconds(10));
            }
            // Nobody waits so long, nor tries.
            ParcelEvent::Delayed { by: 999, parcel } => {
                _ = intents.send(Forget { parcel: parcel.clone() }).timeout(seconds(1_000_000));
            }
            ParcelEvent::Delayed { by, .. } => {
                intents.cancel_timer("look");
                intents.set_timer("arrival", seconds(*by));
            }
            ParcelEvent::Arrived { .. } => {
                intents.send(Forget { parcel: state.parcel.clone() });
                intents.end();
            }
            ParcelEvent::Seen {} => {}
        }
    }

    fn on_timer(&self, state: &mut Knows, timer: &str, intents: &mut Intents) {
        if timer == "arrival" {
            intents.send(Complain { parcel: state.parcel.clone() });
            intents.end();
        }
    }

    fn on_failed(&self, state: &mut Knows, failed: &FailedIntent, _: &mut Intents) -> AfterFailure {
        if failed.command::<Track>().is_none() {
            return AfterFailure::NeedsOperator;
        }
        state.untracked = true;
        AfterFailure::GoOn
    }
}

fn parcel() -> String {
    "p-1".into()
}

fn sent() -> ParcelEvent {
    ParcelEvent::Sent { parcel: parcel() }
}

fn delayed(by: u64) -> ParcelEvent {
    ParcelEvent::Delayed { parcel: parcel(), by }
}

fn arrived() -> ParcelEvent {
    ParcelEvent::Arrived { parcel: parcel() }
}

fn given() -> GivenProcess<Parcels> {
    given_process(Parcels, "p-1")
}

fn tracked() -> GivenProcess<Parcels> {
    given().received(sent()).accepted::<Track>()
}

#[test]
fn what_it_wants_is_known_when_it_wants_it() {
    given()
        .when_receives(sent())
        .then_sends([Sent::of(Track { parcel: parcel() }).under("saga:parcels:p-1:1-track")])
        .then_sets_timer("look", seconds(10))
        .then_timers([("arrival", seconds(100)), ("look", seconds(10))])
        .then_is_sending::<Track>()
        .then_is(Phase::Running)
        .and()
        .time_passed(seconds(5))
        .when_receives(delayed(200))
        .then_sends([])
        .then_cancels_timer("look")
        .then_sets_timer("arrival", seconds(200))
        .then_timers([("arrival", seconds(205))]);
}

#[test]
fn timers_fire_when_they_are_due_and_commands_go_one_after_the_other() {
    tracked()
        .when_time_passes(seconds(10))
        .then_fires("look")
        .then_sends([])
        .then_waits_until(seconds(100))
        .and()
        .when_time_passes(seconds(1_000))
        .then_fires("arrival")
        .then_sends([Sent::of(Complain { parcel: parcel() }).under("saga:parcels:p-1:2-complain")]);
    given()
        .received(sent())
        .when_receives(arrived())
        .then_sends([Sent::of(Forget { parcel: parcel() })])
        .then_is_sending::<Track>()
        .and()
        .when_receives(arrived())
        .then_passes_over("it has decided to end")
        .and()
        .accepted::<Track>()
        .when_accepted::<Forget>()
        .then_ends(End::Completed)
        .then_timers([]);
}

#[test]
fn commands_that_fail_are_tried_again_and_then_it_is_asked() {
    given()
        .received(sent())
        .when_fails::<Track>(busy())
        .then_tries_again::<Track>(seconds(2)..=seconds(2))
        .and()
        .time_passed(seconds(2))
        .when_fails::<Track>(busy())
        .then_goes_on_without::<Track>()
        .then_knows(Knows { parcel: parcel(), untracked: true });
    tracked()
        .received(arrived())
        .failed::<Forget>(refused("no"))
        .acted(Action::Retry)
        .when_fails::<Forget>(refused("no"))
        .then_needs_operator("forget failed: no");
    // Nobody answers: the attempt times out after half a minute, and the next does.
    given().received(sent()).when_time_passes(seconds(63)).then_goes_on_without::<Track>();
}

#[test]
fn a_state_is_given_and_stored_events_too() {
    given()
        .knew(Knows { parcel: "p-9".into(), untracked: true })
        .waited_for("arrival", seconds(3))
        .when_time_passes(seconds(3))
        .then_sends([Sent::of(Complain { parcel: "p-9".into() })]);
    given().waited_for("look", seconds(1)).when_time_passes(seconds(1)).then_fires("look").then_knows(Knows::default());
    let recorded = |stream: &str, event_type: &str| {
        let stream = StreamId::new(stream).expect("a stream");
        NewEvent::new(stream, EventType::new(event_type).expect("a type"), r#"{"parcel":"p-1"}"#)
    };
    given().when_recorded(recorded("parcel-7", "parcel.sent")).then_is_sending::<Track>();
    given().when_recorded(recorded("letter-7", "letter.sent")).then_passes_over("parcels receives no such events");
}

#[test]
fn an_event_is_for_the_process_that_it_is_correlated_with() {
    let other = || ParcelEvent::Sent { parcel: "p-2".into() };
    given().when_receives(other()).then_passes_over("it is for parcels/p-2");
    tracked()
        .when_receives(other())
        .then_passes_over("it is for parcels/p-2")
        .and()
        .when_receives(sent())
        .then_sends([Sent::of(Track { parcel: parcel() })]);
}

fn outcome() -> Outcome {
    tracked().when_receives(delayed(200))
}

fn passed_over() -> Outcome {
    tracked().when_receives(ParcelEvent::Seen {})
}

type Outcome = ProcessOutcome<Parcels>;
type Then = fn(Outcome) -> Outcome;

#[rstest]
#[case::sends(
    || tracked().when_receives(arrived()),
    |it: Outcome| it.then_sends([Sent::of(Track { parcel: "p-2".into() })]),
    &["it was to want other commands sent; expected (-) and wanted (+):", "-         name: \"track\"", "+         name: \"forget\"", "-             \"parcel\": String(\"p-2\")", "wants forget {\"parcel\":\"p-1\"} sent under saga:parcels:p-1:2-forget"]
)]
#[case::key(
    || tracked().when_receives(arrived()),
    |it: Outcome| it.then_sends([Sent::of(Forget { parcel: parcel() }).under("k-1")]),
    &["-             \"k-1\"", "+             \"saga:parcels:p-1:2-forget\""]
)]
#[case::sends_nothing(outcome, |it: Outcome| it.then_sends([Sent::of(Track { parcel: parcel() })]), &["+ []\n", "saga:parcels:p-1:track"])]
#[case::sets(outcome, |it: Outcome| it.then_sets_timer("arrival", seconds(1)), &["the timer arrival was to be set to 1s, and it is set to [200s]"])]
#[case::sets_another(outcome, |it: Outcome| it.then_sets_timer("look", seconds(1)), &["the timer look was to be set to 1s, and it is not set"])]
#[case::cancels(outcome, |it: Outcome| it.then_cancels_timer("arrival"), &["the timer arrival was to be cancelled"])]
#[case::timers(
    outcome,
    |it: Outcome| it.then_timers([("look", seconds(200))]),
    &["other timers were to be set; expected (-) and set (+):", "-         \"look\"", "+         \"arrival\""]
)]
#[case::fires(outcome, |it: Outcome| it.then_fires("arrival"), &["the timer arrival was to fire"])]
#[case::knows(
    outcome,
    |it: Outcome| it.then_knows(Knows { parcel: "p-2".into(), untracked: false }),
    &["it was to know something else; expected (-) and known (+):", "-     \"parcel\": String(\"p-2\")", "+     \"parcel\": String(\"p-1\")"]
)]
#[case::sending(outcome, |it: Outcome| it.then_is_sending::<Track>(), &["track was to be sent now, and nothing is"])]
#[case::sending_another(
    || tracked().when_receives(arrived()),
    |it: Outcome| it.then_is_sending::<Track>(),
    &["track was to be sent now, and forget is"]
)]
#[case::tries_again(outcome, |it: Outcome| it.then_tries_again::<Track>(..), &["track was to be tried again"])]
#[case::goes_on(outcome, |it: Outcome| it.then_goes_on_without::<Track>(), &["it was to go on without track"])]
#[case::operator(outcome, |it: Outcome| it.then_needs_operator("x"), &["it was to need an operator because of `x`"])]
#[case::ends(outcome, |it: Outcome| it.then_ends(End::Completed), &["after parcel.delayed, it was to end as completed"])]
#[case::waits(outcome, |it: Outcome| it.then_waits_until(seconds(1)), &["something was to be due after 1s, and it is after 200s"])]
#[case::phase(outcome, |it: Outcome| it.then_is(Phase::Running), &["it was to be running, and is waiting"])]
#[case::refused(outcome, |it: Outcome| it.then_refused(&ActError::NoWayBack), &["a refusal was expected: "])]
#[case::passes_over(outcome, |it: Outcome| it.then_passes_over(""), &["it was to be passed over because of ``; what came of it has a +"])]
#[case::passes_over_otherwise(
    passed_over,
    |it: Outcome| it.then_passes_over("it has ended"),
    &["parcel.seen was passed over: it is for no process; where it was to be passed over because of `it has ended`"]
)]
#[case::sends_when_passed_over(passed_over, |it: Outcome| it.then_sends([]), &["parcel.seen was passed over: it is for no process; where "])]
#[case::timers_when_passed_over(passed_over, |it: Outcome| it.then_timers([("arrival", seconds(100)), ("look", seconds(10))]), &["was passed over"])]
#[case::phase_when_passed_over(passed_over, |it: Outcome| it.then_is(Phase::Waiting), &["was passed over"])]
#[case::knows_when_passed_over(passed_over, |it: Outcome| it.then_knows(Knows { parcel: parcel(), untracked: false }), &["was passed over"])]
#[case::waits_when_passed_over(passed_over, |it: Outcome| it.then_waits_until(seconds(10)), &["was passed over"])]
#[case::sends_when_refused(
    || tracked().when_operator(Action::Skip),
    |it: Outcome| it.then_sends([]),
    &["the operator's skip was refused: nothing holds the saga up"]
)]
#[case::not_started(|| given().when_operator(Action::Abort), |it: Outcome| it.then_knows(Knows::default()), &["the operator's abort was refused"])]
#[case::knows_nothing(
    || given().when_time_passes(seconds(1)),
    |it: Outcome| it.then_knows(Knows::default()),
    &["it was to know {\"parcel\":\"\",\"untracked\":false}, and has not been started; nothing came of it"]
)]
fn a_failure_says_what_came(#[case] of: fn() -> Outcome, #[case] then: Then, #[case] parts: &[&str]) {
    says(&message(|| drop(then(of()))), parts);
}

#[test]
fn a_failure_has_the_timeline_with_what_is_new() {
    let message = message(|| drop(tracked().time_passed(seconds(1)).when_receives(arrived()).then_fires("look")));
    let expected = "\
after parcel.arrived, the timer look was to fire; what came of it has a +; so far:
         0ns  parcels/p-1 started
         0ns  received parcel.sent; knows {\"parcel\":\"p-1\",\"untracked\":false}; wants track {\"parcel\":\"p-1\"} sent under \
saga:parcels:p-1:1-track; sets the timer arrival to 100s; sets the timer look to 10s
         0ns  1-track forward, attempt 1, begun; unknown after 30s
         0ns  1-track forward, attempt 1, succeeded: null
+         1s  received parcel.arrived; knows {\"parcel\":\"p-1\",\"untracked\":false}; wants forget {\"parcel\":\"p-1\"} sent under \
saga:parcels:p-1:2-forget; ends when all is sent
+         1s  2-forget forward, attempt 1, begun; unknown after 31s
";
    assert_eq!(message, expected);
}

type Words = fn(Given) -> Given;
type Given = GivenProcess<Parcels>;

#[rstest]
#[case(|it: Given| it.accepted::<Track>(), &["track is not being sent, and nothing is; so far:\n"])]
#[case(|it: Given| it.received(sent()).accepted::<Forget>(), &["forget is not being sent, and track is; so far:\n", "parcels/p-1 started"])]
#[case(|it: Given| it.received(arrived()), &["parcel.arrived was passed over: nothing has started parcels/p-1, nor does this; where it was to be accepted"])]
#[case(|it: Given| it.received(sent()).received(delayed(999)), &["parcels/p-1 cannot receive parcel.delayed: the command of 2-forget may take", "raise its LONGEST", "so far:\n"])]
#[case(|it: Given| it.acted(Action::Retry), &["the operator's retry was refused"])]
#[case(|it: Given| it.received(sent()).received(arrived()).knew(Knows::default()), &["parcels/p-1 has ended, or will; so far:\n"])]
fn what_cannot_happen_is_refused(#[case] words: Words, #[case] parts: &[&str]) {
    says(&message(|| drop(words(given()))), parts);
}

#[test]
fn there_are_no_such_processes_or_events() {
    says(
        &message(|| drop(given_process(Parcels, ""))),
        &["there is no such process parcels: the saga's id is no name"],
    );
    let stream = StreamId::new("parcel-1").expect("a stream");
    let lost = NewEvent::new(stream, EventType::new("parcel.lost").expect("a type"), "{}");
    says(&message(|| drop(given().when_recorded(lost))), &["parcels/p-1 cannot receive parcel.lost: ", "so far:\n"]);
    let shown = format!("{:?} {:?}", tracked(), outcome());
    assert!(shown.contains("Started") && shown.contains("parcel.delayed"), "{shown}");
}
