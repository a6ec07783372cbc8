//! A history of three versions with every kind of change, and a log from all of its times.

use portolan::domain::Event;
use portolan::domain::history::Pieces;
use portolan::ports::EventStore;
use portolan::values::{Append, EventType, NewEvent, Position, StreamId};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "user", version = 3, retired(NewsletterFlagged, until = 2))]
#[event(retired(Moved, until = 1, split = split_move, into(AddressSet, EmailUpdated)))]
pub(crate) enum UserEvent {
    Created {
        #[event(was = "mail", since = 3)]
        email: String,
        #[event(added = 2, default = "Unknown")]
        name: String,
    },
    #[event(renamed_from = "MailChanged", since = 2)]
    EmailUpdated {
        #[event(was = "mail", since = 3)]
        email: String,
    },
    #[event(upcast(from = 1, with = two_lines))]
    AddressSet { street: String, city: String },
}

#[derive(Deserialize)]
pub(crate) struct OneLine {
    address: String,
}

#[derive(Serialize)]
pub(crate) struct TwoLines {
    street: String,
    city: String,
}

pub(crate) fn two_lines(old: OneLine) -> TwoLines {
    let (street, city) = old.address.split_once(", ").unwrap();
    TwoLines { street: street.into(), city: city.into() }
}

#[derive(Deserialize)]
pub(crate) struct Moved {
    address: String,
    mail: String,
}

#[derive(Serialize)]
pub(crate) struct Mail {
    mail: String,
}

pub(crate) fn split_move(old: Moved) -> Pieces {
    Pieces::new().event("user.address-set", 2, &two_lines(OneLine { address: old.address })).event(
        "user.email-updated",
        2,
        &Mail { mail: old.mail },
    )
}

/// Type, version and payload of what was stored over the years.
pub(crate) const OLD: [(&str, u32, &str); 9] = [
    ("user.created", 1, r#"{"mail":"a@b"}"#),
    ("user.mail-changed", 1, r#"{"mail":"c@d"}"#),
    ("user.newsletter-flagged", 1, r#"{}"#),
    ("user.address-set", 1, r#"{"address":"Way 1, Ulm"}"#),
    ("user.moved", 1, r#"{"address":"Lane 2, Bonn","mail":"e@f"}"#),
    ("user.created", 2, r#"{"mail":"g@h","name":"Ann"}"#),
    ("user.newsletter-flagged", 2, r#"{}"#),
    ("user.email-updated", 2, r#"{"mail":"i@j"}"#),
    ("user.created", 3, r#"{"email":"k@l","name":"Bob"}"#),
];

/// What everybody reads.
pub(crate) const SEEN: [&str; 8] = [
    r#"user.created {"email":"a@b","name":"Unknown"}"#,
    r#"user.email-updated {"email":"c@d"}"#,
    r#"user.address-set {"street":"Way 1","city":"Ulm"}"#,
    r#"user.address-set {"street":"Lane 2","city":"Bonn"}"#,
    r#"user.email-updated {"email":"e@f"}"#,
    r#"user.created {"email":"g@h","name":"Ann"}"#,
    r#"user.email-updated {"email":"i@j"}"#,
    r#"user.created {"email":"k@l","name":"Bob"}"#,
];

/// An event as it would be written now.
pub(crate) fn told<E: Event>(event: &E) -> String {
    let payload = event.encode().unwrap();
    format!("{} {}", event.event_type(), std::str::from_utf8(&payload).unwrap())
}

pub(crate) fn stored((event_type, version, payload): (&str, u32, &str)) -> NewEvent {
    let stream = StreamId::new("user-1").unwrap();
    NewEvent::new(stream, EventType::new(event_type).unwrap(), payload.to_owned()).with_version(version)
}

/// Writes them one after another, as over the years; gives the last position.
pub(crate) async fn write(store: &dyn EventStore, events: impl IntoIterator<Item = (&str, u32, &str)>) -> Position {
    let mut last = None;
    for event in events {
        last = store.append(Append::new([stored(event)])).await.unwrap().last;
    }
    last.unwrap()
}
