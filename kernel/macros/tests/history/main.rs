//! One history by hand and by attributes, side by side: they do the same to every event that was ever stored.

mod by_hand;
mod codec;
mod derived;
mod old;
mod start_up;

use portolan_kernel::Bytes;
use portolan_kernel::domain::{Event, Unknown, Upcasters};
use portolan_kernel::ports::RawEvent;
use portolan_kernel::values::{EventType, Format, NewEvent, Position, Recorded, Revision, Timestamp};

/// Every type in every version that was stored, and a few that were not: what they read as.
const STORED: &[(&str, u32, &str, &[&str])] = &[
    (
        "user.created",
        1,
        r#"{"user_id":"1","mail":"a@b"}"#,
        &[r#"{"user_id":"1","email":"a@b","name":"Unknown","nick":null}"#],
    ),
    (
        "user.created",
        2,
        r#"{"user_id":"1","mail":"a@b","name":"Ann"}"#,
        &[r#"{"user_id":"1","email":"a@b","name":"Ann","nick":null}"#],
    ),
    (
        "user.created",
        3,
        r#"{"user_id":"1","email":"a@b","name":"Ann","nick":"A"}"#,
        &[r#"{"user_id":"1","email":"a@b","name":"Ann","nick":"A"}"#],
    ),
    ("user.mail-changed", 1, r#"{"user_id":"1","e_mail":"c@d"}"#, &[r#"{"user_id":"1","email":"c@d"}"#]),
    ("user.email-updated", 2, r#"{"user_id":"1","mail":"c@d"}"#, &[r#"{"user_id":"1","email":"c@d"}"#]),
    ("user.email-updated", 3, r#"{"user_id":"1","email":"c@d"}"#, &[r#"{"user_id":"1","email":"c@d"}"#]),
    (
        "user.address-set",
        1,
        r#"{"user_id":"1","address":"Way 1, Ulm"}"#,
        &[r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":["de"]}"#],
    ),
    (
        "user.address-set",
        2,
        r#"{"user_id":"1","street":"Way 1","city":"Ulm"}"#,
        &[r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":["de"]}"#],
    ),
    (
        "user.address-set",
        3,
        r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":[]}"#,
        &[r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":[]}"#],
    ),
    // More than 64 bits pass through what JSON libraries like to make a float of.
    (
        "user.limited",
        1,
        r#"{"limit":"340282366920938463463374607431768211455"}"#,
        &[r#"{"limit":340282366920938463463374607431768211455,"level":-1}"#],
    ),
    ("user.limited", 2, r#"{"limit":"7"}"#, &[r#"{"limit":7,"level":-1}"#]),
    (
        "user.limited",
        3,
        r#"{"limit":340282366920938463463374607431768211455}"#,
        &[r#"{"limit":340282366920938463463374607431768211455,"level":-1}"#],
    ),
    ("user.limited", 4, r#"{"limit":7,"level":2}"#, &[r#"{"limit":7,"level":2}"#]),
    ("user.deleted", 1, "{}", &["{}"]),
    ("user.newsletter-flagged", 1, r#"{"user_id":"1"}"#, &[]),
    ("user.newsletter-flagged", 2, r#"{"user_id":"1"}"#, &[]),
    ("legacy.user_probed", 1, "?", &[]),
    (
        "user.moved",
        1,
        r#"{"user_id":"1","address":"Way 1, Ulm","mail":"c@d"}"#,
        &[r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":["de"]}"#, r#"{"user_id":"1","email":"c@d"}"#],
    ),
    (
        "user.moved",
        2,
        r#"{"user_id":"1","address":"Way 1, Ulm"}"#,
        &[r#"{"user_id":"1","street":"Way 1","city":"Ulm","countries":["de"]}"#],
    ),
    // These fail.
    ("user.limited", 1, r#"{"limit":"many"}"#, &["user.limited version 2 cannot be upcast: invalid digit"]),
    (
        "user.created",
        2,
        r#"{"mail":1,"email":2}"#,
        &["user.created version 2 cannot be upcast: more than one of its fields would be `email`"],
    ),
    ("user.created", 4, "{}", &["it has version 4 after upcasting, and the application knows version 3"]),
    ("user.mail-changed", 2, "{}", &["user.mail-changed is unknown"]),
    ("user.newsletter-flagged", 3, "{}", &["user.newsletter-flagged is unknown"]),
    ("user.unheard", 1, "{}", &["user.unheard is unknown"]),
];

fn recorded(event_type: &str, version: u32, payload: &str) -> Recorded {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let stream = "user-1".parse().expect("it is a name");
    let event = NewEvent::new(stream, EventType::new(event_type).expect("it is a name"), payload).with_version(version);
    Recorded::new(event, Revision::FIRST, Position::new(1).expect("it is one"), Timestamp::from_micros(0))
}

/// What is read: each event as it would be written now.
fn read<E: Event>(recorded: &Recorded) -> Result<Vec<(String, u32, String)>, String> {
    let upcasters = Upcasters::of::<E>().expect("the history is right");
    let decoded = upcasters.decode::<E>(recorded, Unknown::Fail).map_err(|error| error.reason.to_string())?;
    let written = |event: &E| {
        let payload = event.encode().expect("it has such a form").to_vec();
        (event.event_type().to_owned(), event.version(), String::from_utf8(payload).expect("it is JSON"))
    };
    Ok(decoded.events.iter().map(written).collect())
}

#[test]
fn by_hand_and_by_attributes_do_the_same() {
    for (event_type, version, payload, expected) in STORED {
        let recorded = recorded(event_type, *version, payload);
        let (derived, by_hand) = (read::<derived::UserEvent>(&recorded), read::<by_hand::UserEvent>(&recorded));
        assert_eq!(derived, by_hand, "{event_type} version {version}");
        match derived {
            Ok(events) => {
                let payloads: Vec<_> = events.iter().map(|(_, _, payload)| &**payload).collect();
                assert_eq!(payloads, *expected, "{event_type} version {version}");
            }
            Err(error) => assert!(error.contains(expected[0]), "{error}"),
        }
    }
}

#[test]
fn the_same_hops_are_written() {
    // The order alone differs, which matters to nobody.
    let sorted = |history: portolan_kernel::domain::history::History| {
        let text = format!("{history:?}");
        let mut parts: Vec<_> = text.split(&[',', '{', '}', '[', ']'][..]).map(str::trim).map(str::to_owned).collect();
        parts.sort_unstable();
        parts
    };
    assert_eq!(sorted(derived::UserEvent::history()), sorted(by_hand::UserEvent::history()));
}

#[test]
fn each_variant_has_its_version() {
    use derived::UserEvent;
    let limited = UserEvent::Limited { limit: 1, level: 1 };
    let updated = UserEvent::EmailUpdated { user_id: String::new(), email: String::new() };
    assert_eq!([limited.version(), updated.version(), UserEvent::Deleted.version()], [4, 3, 1]);
}

#[test]
fn the_current_one_is_decoded_as_it_is() {
    let payload = r#"{ "limit" : 7, "level":2,"other":null}"#;
    let raw = RawEvent::new("user.limited".parse().expect("it is a name"), 4, Format::Json, payload.into());
    let upcast =
        Upcasters::of::<derived::UserEvent>().expect("it is right").upcast(raw.clone()).expect("it is current");
    assert_eq!(upcast, [raw]);
}
