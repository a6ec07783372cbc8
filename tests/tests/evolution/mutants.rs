//! Wrong histories, each found by the checks that are named beside it and by no other.

use super::events::{Moved, OneLine, UserEvent, split_move, two_lines};
use portolan::domain::history::{Histories, History, Hop, Pieces};
use portolan::domain::{Event, Upcasters};
use portolan::ports::RawEvent;
use portolan::values::{EventType, Format};

/// What has become of an event, or why nothing has.
fn become_of(upcasters: &Upcasters, event_type: &str, version: u32, payload: &str) -> Vec<String> {
    let payload = portolan::Bytes::copy_from_slice(payload.as_bytes());
    let raw = RawEvent::new(EventType::new(event_type).unwrap(), version, Format::Json, payload);
    match upcasters.upcast(raw) {
        Ok(events) => events
            .iter()
            .map(|event| {
                let payload = std::str::from_utf8(&event.payload).unwrap();
                format!("{} {} {payload}", event.event_type, event.version)
            })
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

type Check = (&'static str, fn(&Upcasters) -> bool);

const CHECKS: [Check; 8] = [
    ("an added field has its default", |of| {
        become_of(of, "user.created", 1, r#"{"mail":"a"}"#) == [r#"user.created 3 {"email":"a","name":"Unknown"}"#]
    }),
    ("a field that is there stays", |of| {
        become_of(of, "user.created", 1, r#"{"mail":"a","name":"b"}"#) == [r#"user.created 3 {"email":"a","name":"b"}"#]
    }),
    ("a field keeps its value under its new name", |of| {
        become_of(of, "user.created", 2, r#"{"mail":"a","name":"b"}"#) == [r#"user.created 3 {"email":"a","name":"b"}"#]
    }),
    ("a type goes on under its new name", |of| {
        become_of(of, "user.mail-changed", 1, r#"{"mail":"a"}"#) == [r#"user.email-updated 3 {"email":"a"}"#]
    }),
    ("a function makes the payload", |of| {
        become_of(of, "user.address-set", 1, r#"{"address":"a, b"}"#)
            == [r#"user.address-set 3 {"street":"a","city":"b"}"#]
    }),
    ("one becomes several in order", |of| {
        become_of(of, "user.moved", 1, r#"{"address":"a, b","mail":"c"}"#)
            == [r#"user.address-set 3 {"street":"a","city":"b"}"#, r#"user.email-updated 3 {"email":"c"}"#]
    }),
    ("a retired type is passed over in every version", |of| {
        (1..=2).all(|version| become_of(of, "user.newsletter-flagged", version, "{}").is_empty())
    }),
    ("the current version is untouched", |of| {
        let payload = r#"{ "email": "a","name":"b","mail":"c"}"#;
        become_of(of, "user.created", 3, payload) == [format!("user.created 3 {payload}")]
    }),
];

/// The right history, but for one hop.
fn history(wrong: Option<Hop>, instead_of: (&str, u32)) -> History {
    let right: [((&str, u32), Hop); 10] = [
        (("user.created", 1), Hop::from("user.created", 1).add("name", "Unknown").to("user.created", 2)),
        (("user.created", 2), Hop::from("user.created", 2).rename("mail", "email").to("user.created", 3)),
        (("user.mail-changed", 1), Hop::from("user.mail-changed", 1).to("user.email-updated", 2)),
        (
            ("user.email-updated", 2),
            Hop::from("user.email-updated", 2).rename("mail", "email").to("user.email-updated", 3),
        ),
        (("user.address-set", 1), Hop::from("user.address-set", 1).with(two_lines).to("user.address-set", 2)),
        (("user.address-set", 2), Hop::from("user.address-set", 2).to("user.address-set", 3)),
        (
            ("user.moved", 1),
            Hop::from("user.moved", 1).split(split_move).to_any([("user.address-set", 2), ("user.email-updated", 2)]),
        ),
        (("user.newsletter-flagged", 1), Hop::from("user.newsletter-flagged", 1).retire()),
        (("user.newsletter-flagged", 2), Hop::from("user.newsletter-flagged", 2).retire()),
        (("user.other", 1), Hop::from("user.other", 1).retire()),
    ];
    let mut history =
        History::new().current("user.created", 3).current("user.email-updated", 3).current("user.address-set", 3);
    for (from, hop) in right {
        if wrong.is_none() || from != instead_of {
            history = history.hop(hop);
        }
    }
    match wrong {
        Some(hop) => history.hop(hop),
        None => history,
    }
}

fn upcasters(history: History) -> Upcasters {
    let mut histories = Histories::new();
    histories.add("the test", history);
    histories.judge().unwrap()
}

fn failing(upcasters: &Upcasters) -> Vec<&'static str> {
    CHECKS.iter().filter(|(_, check)| !check(upcasters)).map(|(name, _)| *name).collect()
}

#[test]
fn the_right_history_passes_every_check() {
    assert_eq!(failing(&upcasters(history(None, ("", 0)))), [""; 0]);
    assert_eq!(failing(&upcasters(UserEvent::history())), [""; 0], "the derived one too");
}

fn in_no_order(_: Moved) -> Pieces {
    // The second piece first, of constants, since pieces tell nobody what they are.
    Pieces::new().event("user.email-updated", 2, &serde_json::json!({"mail": "c"})).event(
        "user.address-set",
        2,
        &serde_json::json!({"street": "a", "city": "b"}),
    )
}

fn half(_: Moved) -> Pieces {
    Pieces::new().event("user.address-set", 2, &serde_json::json!({"street": "a", "city": "b"}))
}

fn swapped(old: OneLine) -> serde_json::Value {
    two_lines(old);
    serde_json::json!({"street": "b", "city": "a"})
}

/// What is wrong, the hop, the version that it stands for, and the checks that find it.
type Mutant = (&'static str, Hop, (&'static str, u32), &'static [&'static str]);

#[test]
fn each_wrong_hop_is_found_by_the_checks_that_are_named() {
    let of = Hop::from;
    let both = [("user.address-set", 2), ("user.email-updated", 2)];
    let mutants: [Mutant; 10] = [
        ("forgets the field", of("user.created", 1).to("user.created", 2), ("user.created", 1), &[CHECKS[0].0]),
        (
            "another default",
            of("user.created", 1).add("name", "").to("user.created", 2),
            ("user.created", 1),
            &[CHECKS[0].0],
        ),
        (
            "overwrites what is there",
            of("user.created", 1)
                .with(|old: serde_json::Value| serde_json::json!({"mail": old["mail"], "name": "Unknown"}))
                .to("user.created", 2),
            ("user.created", 1),
            &[CHECKS[1].0],
        ),
        (
            "renames another field",
            of("user.created", 2).rename("name", "email").to("user.created", 3),
            ("user.created", 2),
            &[CHECKS[0].0, CHECKS[1].0, CHECKS[2].0],
        ),
        ("retires what was renamed", of("user.mail-changed", 1).retire(), ("user.mail-changed", 1), &[CHECKS[3].0]),
        (
            "swaps what it reads",
            of("user.address-set", 1).with(swapped).to("user.address-set", 2),
            ("user.address-set", 1),
            &[CHECKS[4].0],
        ),
        (
            "leaves the function out",
            of("user.address-set", 1).to("user.address-set", 2),
            ("user.address-set", 1),
            &[CHECKS[4].0],
        ),
        ("pieces in no order", of("user.moved", 1).split(in_no_order).to_any(both), ("user.moved", 1), &[CHECKS[5].0]),
        ("half of the pieces", of("user.moved", 1).split(half).to_any(both), ("user.moved", 1), &[CHECKS[5].0]),
        (
            "does not retire the second version",
            of("user.newsletter-flagged", 2).to("user.created", 3),
            ("user.newsletter-flagged", 2),
            &[CHECKS[6].0],
        ),
    ];
    for (name, hop, instead_of, expected) in mutants {
        assert_eq!(failing(&upcasters(history(Some(hop), instead_of))), expected, "{name}");
    }
}

/// A chain that makes a current event of another is refused before any event is read, so the last check has a mutant of its
/// own: a hop from what is current.
#[test]
fn a_hop_from_the_current_version_is_no_history() {
    let mut histories = Histories::new();
    let wrong = Hop::from("user.created", 3).rename("mail", "email").to("user.created", 4);
    histories.add("the test", history(None, ("", 0)).hop(wrong));
    assert!(histories.judge().unwrap_err().to_string().contains("take the hop out"));
    // Where nobody tells what is current, it is found by the check.
    let mut histories = Histories::new();
    histories.add(
        "the test",
        History::new().hop(Hop::from("user.created", 3).rename("mail", "other").to("user.created", 4)),
    );
    let upcasters = histories.judge().unwrap();
    assert!(!CHECKS[7].1(&upcasters), "{}", CHECKS[7].0);
}
