//! An application, fresh, and equal to every other that is made here.

use super::jars::{Fresh, Held, Jar, Jars, Strict, look};
use super::outcome::{name, stream};
use async_trait::async_trait;
use core::future::pending;
use core::time::Duration;
use portolan::application::Runtime;
use portolan::ports::LeaseStore as _;
use portolan::prelude::*;
use portolan::tokio::{Tasks, UuidV7};
use portolan::values::{Append, Edition, EventId, Format, NewEvent, Tag, Timestamp};
use portolan_testing::TestClock;
use std::sync::Arc;

const NEVER: Duration = Duration::from_secs(3_600);

/// Whoever counts the coins never comes to an end.
struct Counting;

#[async_trait]
impl Middleware for Counting {
    async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError> {
        if command.name == "count-jar" { pending().await } else { next.run(command).await }
    }
}

fn allowed(command: &CommandEnvelope) -> Result<(), String> {
    if command.name == "break-jar" { Err("jars are not broken here".to_owned()) } else { Ok(()) }
}

/// Its time stands still, and its log has a few events. One of them, the last of `jar-odd`, no projection can read.
pub(crate) async fn application() -> Application {
    let clock = Arc::new(TestClock::at(Timestamp::from_micros(1_700_000_000_123_456)));
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let lease = Edition::first(1).checkpoint(&name("held")).unwrap();
    store.grant(lease, name("by hand"), NEVER).await.unwrap();
    for (n, (of, event_type, payload, by)) in (1..).zip(EVENTS) {
        let event = event(n, of, event_type, payload).with_tags(by.map(|by| by.parse::<Tag>().unwrap()));
        store.append(Append::new([event])).await.unwrap();
    }
    let tasks = Arc::new(Tasks::current());
    let runtime = Runtime::new(clock, Arc::new(UuidV7::new()), tasks.clone(), tasks);
    let options = ProjectionOptions::default().with_look(Duration::from_millis(5)).with_lease(NEVER);
    let application = Application::builder(store, runtime).aggregate::<Jar>().query(look);
    let application = application.middleware(Authorization::new(allowed)).middleware(Counting);
    let application = application.projection::<Jars>().projection::<Strict>().projection::<Held>();
    application.projection::<Fresh>().projection_options(options).build().await.unwrap()
}

/// Streams, types, payloads, and a tag.
const EVENTS: [(&str, &str, &str, Option<&str>); 8] = [
    ("jar-a", "jar.filled", r#"{"coins":10,"by":"ann"}"#, Some("by:ann")),
    ("jar-b", "jar.filled", r#"{"coins":5,"by":"bob"}"#, Some("by:bob")),
    ("note-1", "note.taken", r#"{"text":"größer 🦀 \u0000"}"#, Some("by:ann")),
    ("jar-a", "jar.filled", r#"{"coins":20,"by":"bob"}"#, Some("by:bob")),
    ("$audit-1", "audit.begun", "{}", None),
    ("jar-odd", "jar.filled", r#"{"coins":"many"}"#, None),
    ("jar-c", "jar.filled", r#"{"coins":40,"by":"ann"}"#, Some("by:ann")),
    ("jar-c", "jar.sealed", "null", None),
];

/// An event with an id of this number.
pub(crate) fn event(n: u8, of: &str, event_type: &str, payload: &str) -> NewEvent {
    let event = NewEvent::new(stream(of), event_type.parse().unwrap(), payload.to_owned());
    event.with_id(EventId::from_bytes([n; 16]))
}

/// One whose payload and metadata are any bytes.
pub(crate) fn binary_event(n: u8, of: &str) -> NewEvent {
    let event = NewEvent::new(stream(of), "scan.made".parse().unwrap(), &b"\x00\xff\xfe"[..]).with_version(7);
    let event = event.with_id(EventId::from_bytes([n; 16])).with_format(Format::Binary);
    event.with_metadata(&b"\xff no JSON"[..]).with_tags(["b", "a", "größe"].map(|tag| tag.parse::<Tag>().unwrap()))
}
