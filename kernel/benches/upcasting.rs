//! `cargo bench -p portolan-kernel --bench upcasting`: what it costs to decode a stored event, by how old it is.
//!
//! The payload is about 150 bytes of JSON with an object in it. Each row is the best of several rounds, in nanoseconds an
//! event, from a recorded one to the typed one. Beside the chains stand two other ways to follow them: as hops by hand
//! that each make a JSON value of the payload and print it, and as one JSON value that is changed three times and read
//! without being printed. Ratios of one run count; absolute figures are the machine's.

use portolan_kernel::Bytes;
use portolan_kernel::domain::history::{Histories, History, Hop};
use portolan_kernel::domain::{CodecError, Event, EventError, Unknown, Upcasters, variant};
use portolan_kernel::ports::{RawEvent, UpcastError, Upcaster};
use portolan_kernel::values::{EventType, NewEvent, Position, Recorded, Revision, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
enum UserEvent {
    #[serde(rename = "user.created")]
    Created(Created),
}

#[derive(Serialize, Deserialize)]
struct Created {
    user_id: String,
    email: String,
    name: String,
    place: Place,
    at: u64,
}

#[derive(Serialize, Deserialize)]
struct Place {
    street: String,
    city: String,
    tags: Vec<String>,
}

impl Event for UserEvent {
    const CATEGORY: &'static str = "user";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn version(&self) -> u32 {
        4
    }
    fn history() -> History {
        let of = |version| Hop::from("user.created", version);
        History::new()
            .current("user.created", 4)
            .hop(of(1).add("name", "Unknown").to("user.created", 2))
            .hop(of(2).rename("mail", "email").to("user.created", 3))
            .hop(of(3).add("at", 0).to("user.created", 4))
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

/// What one hop does to a payload.
fn hop(version: u32, object: &mut Map<String, Value>) {
    match version {
        1 => drop(object.insert("name".into(), "Unknown".into())),
        2 => drop(object.remove("mail").map(|mail| object.insert("email".into(), mail))),
        _ => drop(object.insert("at".into(), 0.into())),
    }
}

/// The same hops by hand.
struct ByHand(u32);

impl Upcaster for ByHand {
    fn from(&self) -> (EventType, u32) {
        (EventType::new("user.created").expect("a type"), self.0)
    }
    fn to(&self) -> Vec<(EventType, u32)> {
        vec![(EventType::new("user.created").expect("a type"), self.0 + 1)]
    }
    fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError> {
        let failed = |error: serde_json::Error| UpcastError::new(&event, error.to_string());
        let mut object = serde_json::from_slice(&event.payload).map_err(failed)?;
        hop(self.0, &mut object);
        let payload = serde_json::to_vec(&object).map_err(failed)?.into();
        Ok(vec![RawEvent::new(event.event_type, self.0 + 1, event.format, payload)])
    }
}

fn recorded(version: u32) -> Recorded {
    let mut payload = json!({
        "user_id": "6f9619ff-8b86-d011",
        "place": { "street": "Way 1", "city": "Ulm", "tags": ["home", "billing"] },
    });
    let said = [
        ("name", "Ann Example".into(), version >= 2),
        ("mail", "ann@example.org".into(), version < 3),
        ("email", "ann@example.org".into(), version >= 3),
        ("at", json!(1_700_000_000), version >= 4),
    ];
    for (field, value, _) in said.into_iter().filter(|(.., is_there)| *is_there) {
        payload[field] = value;
    }
    let stream = "user-1".parse().expect("a stream");
    let event = NewEvent::new(stream, EventType::new("user.created").expect("a type"), payload.to_string());
    let at = Position::new(1).expect("a position");
    Recorded::new(event.with_version(version), Revision::FIRST, at, Timestamp::from_micros(0))
}

/// What is measured, and its name.
type Row<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// The best of several rounds each; rounds take turns, so that a slow moment of the machine is everybody's.
fn measure(mut rows: Vec<Row<'_>>) -> Vec<(&'static str, Duration)> {
    const TIMES: u32 = 20_000;
    let mut best = vec![Duration::MAX; rows.len()];
    for _ in 0..40 {
        for ((_, decode), best) in rows.iter_mut().zip(&mut best) {
            let begun = Instant::now();
            (0..TIMES).for_each(|_| decode());
            *best = (*best).min(begun.elapsed() / TIMES);
        }
    }
    rows.iter().map(|(name, _)| *name).zip(best).collect()
}

fn main() {
    let untold = Upcasters::new();
    let declared = Upcasters::of::<UserEvent>().expect("its history is right");
    let mut histories = Histories::new();
    let by_hand = History::new().hop(ByHand(1)).hop(ByHand(2)).hop(ByHand(3));
    histories.add("the benchmark", by_hand);
    let by_hand = histories.judge().expect("its history is right");
    let decode = |upcasters, version| -> Box<dyn FnMut() + '_> {
        let recorded = recorded(version);
        let upcasters: &Upcasters = upcasters;
        Box::new(move || {
            let decoded = upcasters.decode::<UserEvent>(black_box(&recorded), Unknown::Fail);
            black_box(decoded.expect("it decodes"));
        })
    };
    let old = recorded(1);
    let as_a_value = || {
        let mut object: Map<String, Value> = serde_json::from_slice(black_box(&old.payload)).expect("JSON");
        (1..4).for_each(|version| hop(version, &mut object));
        let created: Created = serde_json::from_value(Value::Object(object)).expect("it decodes");
        black_box(created);
    };
    let rows = vec![
        ("current, no history", decode(&untold, 4)),
        ("current", decode(&declared, 4)),
        ("chain of one", decode(&declared, 3)),
        ("chain of three", decode(&declared, 1)),
        ("chain of three by hand, a JSON value a hop", decode(&by_hand, 1)),
        ("chain of three as one JSON value, not printed", Box::new(as_a_value)),
    ];
    for (name, took) in measure(rows) {
        let _ = writeln!(std::io::stdout(), "{name:<48} {:>6} ns/event", took.as_nanos());
    }
}
