//! Histories: what their chains are judged by (UP-02), and what their hops make of stored events (UP-01).

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

use portolan_kernel::Bytes;
use portolan_kernel::domain::history::{Histories, History, HistoryError, Hop, HopFrom, Pieces};
use portolan_kernel::domain::{
    CodecError, DecodeReason, Event, EventError, EventSet, OrRaw, Unknown, Upcasters, variant,
};
use portolan_kernel::ports::{RawEvent, UpcastError, Upcaster};
use portolan_kernel::values::{EventType, Format, NewEvent, Position, Recorded, Revision, Timestamp};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn judged(history: History) -> Result<Upcasters, HistoryError> {
    let mut histories = Histories::new();
    histories.add("UserEvent", history);
    histories.judge()
}

fn raw(event_type: &str, version: u32, payload: &str) -> RawEvent {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    RawEvent::new(EventType::new(event_type).unwrap(), version, Format::Json, payload)
}

/// What has become of it: type, version and payload each.
fn become_of(upcasters: &Upcasters, event: RawEvent) -> Result<Vec<(String, u32, String)>, UpcastError> {
    let text = |event: RawEvent| {
        let payload = String::from_utf8(event.payload.to_vec()).unwrap();
        (event.event_type.to_string(), event.version, payload)
    };
    Ok(upcasters.upcast(event)?.into_iter().map(text).collect())
}

fn of(event_type: &str, version: u32, payload: &str) -> (String, u32, String) {
    (event_type.into(), version, payload.into())
}

fn a(version: u32) -> HopFrom {
    Hop::from("a", version)
}

/// A hop by hand.
struct ByHand(&'static str, u32, &'static str, u32);

impl Upcaster for ByHand {
    fn from(&self) -> (EventType, u32) {
        (EventType::new(self.0).unwrap(), self.1)
    }
    fn to(&self) -> Vec<(EventType, u32)> {
        vec![(EventType::new(self.2).unwrap(), self.3)]
    }
    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        Ok(vec![RawEvent::new(EventType::new(self.2).unwrap(), self.3, event.format, event.payload)])
    }
}

/// Each with the words of the error that name the type, the hop, and the mend.
#[rstest]
#[case::gap_below(History::new().current("a", 3).hop(a(2).to("a", 3)), &["a version 1 leads nowhere", "version 3 is current", "add a hop from a version 1"])]
#[case::gap_within(History::new().current("a", 4).hop(a(1).to("a", 2)).hop(a(3).to("a", 4)), &["a version 2 leads nowhere", "add a hop from a version 2"])]
#[case::gap_at_the_end(History::new().current("a", 3).hop(a(1).to("a", 2)), &["a version 2 leads nowhere", "version 3 is current"])]
#[case::no_hop_at_all(History::new().current("a", 2), &["a version 1 leads nowhere"])]
#[case::gap_that_nobody_tells(History::new().hop(a(1).to("a", 2)).hop(a(3).to("a", 4)), &["a version 2 leads nowhere", "or retire it"])]
#[case::gap_between_starts(History::new().hop(a(1).to("b", 1)).hop(a(3).to("b", 1)), &["a version 2 leads nowhere"])]
#[case::gap_of_a_retired_type(History::new().current("b", 1).hop(a(2).retire()), &["a version 1 leads nowhere"])]
#[case::gap_after_a_rename(History::new().current("b", 3).hop(a(1).to("b", 2)), &["b version 2 leads nowhere", "version 3 is current"])]
#[case::two_ways(History::new().current("a", 2).hop(a(1).to("a", 2)).hop(a(1).add("x", 1).to("a", 2)), &["two hops start from a version 1", "take one of them out"])]
#[case::two_ways_one_by_hand(History::new().current("a", 2).hop(a(1).to("a", 2)).hop(ByHand("a", 1, "a", 2)), &["two hops start from a version 1"])]
#[case::two_currents(History::new().current("a", 1).current("a", 2), &["writes a in version 1", "in version 2", "give both the same version"])]
#[case::past(History::new().current("a", 2).hop(a(1).to("a", 3)), &["from a version 1 leads to a version 3", "version 2 is current", "raise the version of the event to 3"])]
#[case::from_current(History::new().current("a", 1).hop(a(1).retire()), &["starts from a version 1", "version 1 is current", "take the hop out"])]
#[case::from_past_the_current(History::new().current("a", 1).hop(a(2).to("a", 3)), &["starts from a version 2", "version 1 is current"])]
#[case::back(History::new().hop(a(2).to("a", 1)), &["from a version 2 leads back to version 1"])]
#[case::to_itself(History::new().hop(a(1).to("a", 1)), &["leads back to version 1"])]
#[case::circle(History::new().hop(a(1).to("b", 1)).hop(Hop::from("b", 1).to("c", 1)).hop(Hop::from("c", 1).to("a", 1)), &["circle: a version 1 to b version 1 to c version 1 to a version 1"])]
#[case::circle_by_hand(History::new().hop(ByHand("a", 1, "b", 1)).hop(ByHand("b", 1, "a", 1)), &["circle: a version 1 to b version 1 to a version 1"])]
#[case::nowhere(History::new().current("b", 1).hop(a(1).to("c", 1)), &["UserEvent", "from a version 1 leads to c", "does not store", "correct the name"])]
#[case::no_name(History::new().hop(Hop::from("", 1).retire()), &["UserEvent", "\"\"", "cannot be empty"])]
#[case::to_no_name(History::new().hop(a(1).to("b\n", 1)), &["b\\n", "control characters"])]
#[case::current_no_name(History::new().current("", 1), &["cannot be empty"])]
#[case::version_zero(History::new().hop(a(0).to("a", 1)), &["a has a version 0", "begin at 1"])]
#[case::current_zero(History::new().current("a", 0), &["a has a version 0"])]
#[case::no_default(History::new().hop(a(1).add("x", NoJson).to("a", 2)), &["hop from a version 1", "`x` is added with has no JSON"])]
#[case::two_functions(History::new().hop(a(1).with(|x: u8| x).split(|_: u8| Pieces::new()).to_any([("a", 2)])), &["hop from a version 1", "leave one out"])]
fn a_wrong_history_is_refused_and_says_the_mend(#[case] history: History, #[case] words: &[&str]) {
    let error = judged(history).unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

struct NoJson;

impl Serialize for NoJson {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has none"))
    }
}

#[rstest]
#[case::nothing(History::new())]
#[case::current_alone(History::new().current("a", 1))]
#[case::chain(History::new().current("a", 3).hop(a(1).to("a", 2)).hop(a(2).to("a", 3)))]
#[case::chain_that_nobody_tells(History::new().hop(a(1).to("a", 2)).hop(a(2).to("a", 3)))]
#[case::late_start_that_nobody_tells(History::new().hop(a(4).to("a", 5)))]
#[case::retired(History::new().current("b", 1).hop(a(1).to("a", 2)).hop(a(2).retire()))]
#[case::renamed_at_version_two(History::new().current("b", 3).hop(a(1).to("b", 2)).hop(Hop::from("b", 2).to("b", 3)))]
#[case::into_an_older_type(History::new().current("b", 2).hop(Hop::from("b", 1).to("b", 2)).hop(a(1).to("b", 2)))]
#[case::diamond(History::new().current("d", 1)
    .hop(Hop::from("a", 1).split(|_: u8| Pieces::new()).to_any([("b", 1), ("c", 1)]))
    .hop(Hop::from("b", 1).to("d", 1)).hop(Hop::from("c", 1).to("d", 1)))]
#[case::same_current_twice(History::new().current("a", 1).current("a", 1))]
fn a_right_history_is_taken(#[case] history: History) {
    judged(history).unwrap();
}

#[test]
fn an_event_type_counts_once_and_two_may_not_contradict_each_other() {
    let mut histories = Histories::of::<UserEvent>();
    histories.event::<UserEvent>();
    OrRaw::<UserEvent>::histories(&mut histories);
    assert!(histories.judge().is_ok());
    histories.add("another", History::new().hop(Hop::from("user.created", 1).retire()));
    let error = histories.judge().unwrap_err().to_string();
    assert!(error.contains("UserEvent") && error.contains("another"), "{error}");
}

#[test]
fn a_chain_is_followed_to_its_ends() {
    #[derive(Deserialize)]
    struct Address {
        address: String,
    }
    #[derive(Serialize)]
    struct Part {
        part: String,
    }
    fn split(old: Address) -> Pieces {
        old.address.split('/').fold(Pieces::new(), |pieces, part| {
            let (event_type, version) = if part.starts_with('c') { ("city", 1) } else { ("street", 2) };
            pieces.event(event_type, version, &Part { part: part.into() })
        })
    }
    let history = History::new()
        .current("city", 2)
        .current("street", 2)
        .hop(Hop::from("moved", 1).rename("a", "address").to("moved", 2))
        .hop(Hop::from("moved", 2).split(split).to_any([("city", 1), ("street", 2)]))
        .hop(Hop::from("city", 1).add("land", "de").to("city", 2))
        .hop(Hop::from("street", 1).try_with(|old: u64| old.checked_sub(1).ok_or("it is none")).to("street", 2))
        .hop(Hop::from("gone", 1).retire());
    let upcasters = judged(history).unwrap();
    let become_of = |event| become_of(&upcasters, event);
    // Depth first, so that results stay where the event was that they are of.
    assert_eq!(
        become_of(raw("moved", 1, r#"{"a":"c1/s1/c2"}"#)).unwrap(),
        [
            of("city", 2, r#"{"part":"c1","land":"de"}"#),
            of("street", 2, r#"{"part":"s1"}"#),
            of("city", 2, r#"{"part":"c2","land":"de"}"#),
        ]
    );
    assert_eq!(become_of(raw("gone", 1, "not even JSON")).unwrap(), []);
    assert_eq!(become_of(raw("street", 1, "7")).unwrap(), [of("street", 2, "6")]);
    assert_eq!(become_of(raw("street", 2, " 7 ")).unwrap(), [of("street", 2, " 7 ")], "the current one is untouched");
    let failures = [
        (raw("street", 1, "0"), "street version 1 cannot be upcast: it is none"),
        (raw("street", 1, "-1"), "street version 1 cannot be upcast: invalid value"),
        (raw("city", 1, "[]"), "city version 1 cannot be upcast: invalid type"),
        (raw("moved", 1, r#"{"a":3}"#), "moved version 2 cannot be upcast: address: invalid type"),
        (
            raw("moved", 1, r#"{"a":"","address":""}"#),
            "moved version 1 cannot be upcast: more than one of its fields would be `address`",
        ),
    ];
    for (event, words) in failures {
        let error = become_of(event).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
    let mut packed = raw("city", 1, "{}");
    packed.format = Format::Binary;
    assert!(become_of(packed).unwrap_err().to_string().contains("its payload is Binary"));
}

#[test]
fn what_a_hop_did_not_tell_of_is_refused() {
    let history = History::new()
        .hop(a(1).split(|_: u8| Pieces::new().event("b", 2, &1)).to_any([("b", 1)]))
        .hop(a(2).split(|_: u8| Pieces::new().event("b", 1, &NoJson)).to_any([("b", 1)]));
    let upcasters = judged(history).unwrap();
    let error = become_of(&upcasters, raw("a", 1, "0")).unwrap_err().to_string();
    assert!(error.contains("gave b version 2, which it does not tell of"), "{error}");
    let error = become_of(&upcasters, raw("a", 2, "0")).unwrap_err().to_string();
    assert!(error.contains("b has no payload: it has none"), "{error}");
}

/// Version 2 has a name.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum UserEvent {
    #[serde(rename = "user.created")]
    Created { name: String },
}

impl Event for UserEvent {
    const CATEGORY: &'static str = "user";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn version(&self) -> u32 {
        2
    }
    fn history() -> History {
        let named = Hop::from("user.created", 1).add("name", "Unknown").to("user.created", 2);
        History::new().current("user.created", 2).hop(named)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

fn recorded(event_type: &str, version: u32, payload: &'static str) -> Recorded {
    let event = NewEvent::new("user-1".parse().unwrap(), EventType::new(event_type).unwrap(), payload);
    let at = Position::new(1).unwrap();
    Recorded::new(event.with_version(version), Revision::FIRST, at, Timestamp::from_micros(0))
}

#[test]
fn the_future_is_known_before_its_payload_is_looked_at() {
    let upcasters = Upcasters::of::<UserEvent>().unwrap();
    for event in [recorded("user.created", 3, r#"{"names":[]}"#), recorded("user.deleted", 1, "{}")] {
        let error = upcasters.decode::<UserEvent>(&event, Unknown::Fail).unwrap_err();
        assert!(error.reason.is_unknown(), "{error}");
        let raw = upcasters.decode::<OrRaw<UserEvent>>(&event, Unknown::Fail).unwrap().events;
        assert!(matches!(&raw[..], [OrRaw::Raw(raw)] if raw.version == event.version && raw.payload == event.payload));
    }
    // Nobody has told which version is current, and the payload may be of any shape.
    let error = Upcasters::new().decode::<UserEvent>(&recorded("user.created", 3, r#"{"name":""}"#), Unknown::Fail);
    assert!(matches!(error.unwrap_err().reason, DecodeReason::WrongVersion { stored: 3, current: 2 }));
}

#[test]
fn what_is_skipped_is_counted_and_told() {
    let told = Arc::new(AtomicUsize::new(0));
    let hook = told.clone();
    let upcasters = Upcasters::of::<UserEvent>().unwrap().on_skipped(move |event: &Recorded| {
        assert_eq!(event.version, 3);
        hook.fetch_add(1, Ordering::Relaxed);
    });
    let decoded = upcasters.decode::<UserEvent>(&recorded("user.created", 3, "?"), Unknown::Skip).unwrap();
    assert_eq!((decoded.events, decoded.skipped, told.load(Ordering::Relaxed)), (vec![], 1, 1));
    // An old version that nothing leads on from, and a payload that does not fit, are mistakes: nobody skips them.
    let old = Upcasters::new().decode::<UserEvent>(&recorded("user.created", 1, r#"{"name":""}"#), Unknown::Skip);
    assert!(matches!(old.unwrap_err().reason, DecodeReason::WrongVersion { stored: 1, current: 2 }));
    let broken = upcasters.decode::<UserEvent>(&recorded("user.created", 2, "{}"), Unknown::Skip);
    assert!(matches!(broken.unwrap_err().reason, DecodeReason::Event(EventError::Payload(_))));
    assert_eq!(told.load(Ordering::Relaxed), 1);
    let known = upcasters.decode::<OrRaw<UserEvent>>(&recorded("user.created", 1, "{}"), Unknown::Fail).unwrap();
    assert_eq!(known.events, [OrRaw::Event(UserEvent::Created { name: "Unknown".into() })]);
}

#[test]
fn a_reader_of_events_that_nobody_registered_has_their_history() {
    let none = Arc::new(Upcasters::new());
    let covering = none.covering::<UserEvent>().unwrap();
    let named = covering.decode::<UserEvent>(&recorded("user.created", 1, "{}"), Unknown::Fail).unwrap().events;
    assert_eq!(named, [UserEvent::Created { name: "Unknown".into() }]);
    assert!(Arc::ptr_eq(&covering, &covering.covering::<UserEvent>().unwrap()), "it is there already");
}
