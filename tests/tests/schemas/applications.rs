//! Applications that come and go on one store.

use super::jars::{builder, careless, careless_of_commands, first, second};
use super::stores::{Before, Way, registrations};
use portolan::application::{Application, ApplicationBuilder, BuildError, Storage};
use portolan::domain::compatibility::Compatibility;
use portolan::drivers::{SchemaOptions, SchemaRefusal};
use portolan::ports::{AppendError, EventStore, ReadError, SchemaError, SchemaSubject};
use portolan::prelude::*;
use portolan::values::{Append, EventType, NewEvent};
use portolan_testing::{Fault, Faulty, ReadFault};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

fn kept(application: ApplicationBuilder) -> ApplicationBuilder {
    application.register_schemas(SchemaOptions::new())
}

fn filled() -> SchemaSubject {
    SchemaSubject::event(Name::new("jar.filled").unwrap())
}

fn fill() -> SchemaSubject {
    SchemaSubject::command(Name::new("fill").unwrap())
}

fn refusal(built: Result<Application, BuildError>) -> String {
    built.unwrap_err().to_string()
}

/// What stands in the stream, a line each.
async fn lines(storage: &Storage) -> Vec<String> {
    let of = registrations(&storage.events).await;
    of.iter().map(|event| format!("{} {}", event.event_type, str::from_utf8(&event.payload).unwrap())).collect()
}

/// One store, opened anew by each process.
async fn a_life(open: impl AsyncFn() -> Storage) {
    let told = [
        concat!(
            r#"schema.registered {"kind":"event","name":"jar.filled","version":1,"category":"jar","#,
            r##""schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"##,
            r#""coins":{"format":"uint32","minimum":0,"type":"integer"}},"required":["coins"],"type":"object"}}"#,
        ),
        concat!(
            r#"schema.registered {"kind":"command","name":"fill","version":1,"category":"jar","#,
            r##""schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","additionalProperties":false,"properties":{"##,
            r#""coins":{"format":"uint32","minimum":0,"type":"integer"},"jar":{"type":"string"}},"#,
            r#""required":["jar","coins"],"title":"Fill","type":"object"}}"#,
        ),
    ];
    let old = kept(builder(open().await).aggregate::<first::Jar>()).build().await.unwrap();
    assert_eq!(lines(&open().await).await, told);
    // Again: there is nothing new.
    kept(builder(open().await).aggregate::<first::Jar>()).build().await.unwrap();
    assert_eq!(lines(&open().await).await, told);

    let changed = kept(builder(open().await).aggregate::<careless::Jar>()).build().await;
    assert_eq!(
        refusal(changed),
        "schemas: event jar.filled version 1 has changed since it was registered:\n  \
         /properties/coins/format: was \"uint32\", is \"int64\"\n  \
         /properties/coins/minimum: was 0, is nothing\n  \
         /properties/note: was nothing, is {\"type\":\"string\"}\n  \
         /required: was nothing, is \"note\"\n\
         undo that, or raise its version to 2, and say in its history how an event of version 1 becomes one of that"
    );
    let changed = kept(builder(open().await).aggregate::<careless_of_commands::Jar>()).build().await;
    assert_eq!(
        refusal(changed),
        "schemas: command fill version 1 has changed since it was registered:\n  \
         /properties/by: was nothing, is {\"type\":\"string\"}\n  \
         /required: was nothing, is \"by\"\n\
         undo that, or raise its version to 2"
    );
    let asked = SchemaOptions::new().category("jar", Compatibility::Backward);
    let incompatible = builder(open().await).aggregate::<second::Jar>().register_schemas(asked).build().await;
    assert_eq!(
        refusal(incompatible),
        "schemas: event jar.filled version 2 is not backward compatible with version 1:\n  \
         in what version 1 has written, /properties/note: it is required, and need not be written\n\
         make it so, or ask for less in the application's `SchemaOptions`"
    );
    assert_eq!(lines(&open().await).await, told, "what is refused leaves nothing");

    let asked = || SchemaOptions::new().events(Compatibility::Forward).commands(Compatibility::Backward);
    let new = builder(open().await).aggregate::<second::Jar>().register_schemas(asked());
    let new = new.build().await.unwrap().ports().schemas;
    assert_eq!(lines(&open().await).await.len(), 4);
    // The old process starts again beside it, and tells what the new one has registered.
    kept(builder(open().await).aggregate::<first::Jar>()).build().await.unwrap();
    builder(open().await).aggregate::<first::Jar>().register_schemas(asked()).build().await.unwrap();
    assert_eq!(lines(&open().await).await.len(), 4);
    let old = old.ports().schemas;
    for (registry, current) in [(&old, 1), (&new, 2)] {
        let note = registry.schema(filled(), 2).await.unwrap().schema.unwrap();
        assert_eq!(note["properties"]["note"]["type"], "string");
        assert!(matches!(registry.schema(filled(), 3).await, Err(SchemaError::Unknown { version: 3, .. })));
        let listed = registry.list().await.unwrap();
        let listed: Vec<_> = listed.into_iter().map(|of| (of.subject, of.versions, of.current)).collect();
        assert_eq!(listed, [(filled(), vec![1, 2], Some(current)), (fill(), vec![1, 2], Some(current))]);
    }
}

#[tokio::test]
async fn a_life_in_memory() {
    let store = MemoryStore::builder().build();
    a_life(async || store.clone().into()).await;
}

#[tokio::test]
async fn a_life_on_a_file() {
    let dir = tempfile::tempdir().unwrap();
    a_life(async || SqliteStore::builder(dir.path().join("jars.db")).open().await.unwrap().into()).await;
}

/// Processes that start at once on one file: each has opened it, and read that there is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_at_once_all_are_built_and_each_version_is_registered_once() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || -> Storage { SqliteStore::builder(dir.path().join("jars.db")).open().await.unwrap().into() };
    let (mut processes, barrier) = (Vec::new(), Arc::new(tokio::sync::Barrier::new(6)));
    for _ in 0..6 {
        let mut storage = open().await;
        storage.events = Before::one_of(storage.events, &barrier);
        processes.push(tokio::spawn(kept(builder(storage).aggregate::<second::Jar>()).build()));
    }
    for process in processes {
        process.await.unwrap().unwrap();
    }
    let mut lines = lines(&open().await).await;
    lines.sort();
    lines.dedup();
    assert_eq!((lines.len(), registrations(&open().await.events).await.len()), (3, 3), "{lines:#?}");
}

#[tokio::test]
async fn without_registration_nothing_is_kept_and_the_application_tells_its_own() {
    let store = MemoryStore::builder().build();
    let schemas = builder(store.clone()).aggregate::<second::Jar>().build().await.unwrap().ports().schemas;
    assert!(lines(&store.into()).await.is_empty());
    let listed = schemas.list().await.unwrap();
    assert_eq!((listed[0].versions.clone(), listed[0].current), (vec![1, 2], Some(2)), "old versions are known");
    assert_eq!(listed[0].category.as_deref(), Some("jar"));
    assert_eq!(schemas.schema(filled(), 1).await.unwrap().schema, None);
    assert!(schemas.schema(filled(), 2).await.unwrap().schema.is_some());
    assert!(matches!(schemas.schema(filled(), 3).await, Err(SchemaError::Unknown { .. })));
}

async fn on(
    faulty: impl FnOnce(Faulty<MemoryStore>) -> Faulty<MemoryStore>,
) -> (Result<Application, BuildError>, usize) {
    let store = Arc::new(MemoryStore::builder().build());
    let mut storage = Storage::from((*store).clone());
    storage.events = Arc::new(faulty(Faulty::new(store.clone())));
    let built = kept(builder(storage).aggregate::<first::Jar>()).build().await;
    let events: Arc<dyn EventStore> = store;
    (built, registrations(&events).await.len())
}

#[tokio::test]
async fn a_store_that_is_busy_or_cannot_tell_is_asked_again() {
    for fault in [Fault::Busy, Fault::Conflict, Fault::LostOnTheWay, Fault::LostAnswer] {
        let (built, registered) = on(|store| store.first_writes(2, fault.clone())).await;
        assert!(built.is_ok(), "{fault:?}");
        assert_eq!(registered, 2, "{fault:?}");
    }
    let (built, registered) = on(|store| store.first_reads(2, ReadFault::Busy)).await;
    assert!(built.is_ok());
    assert_eq!(registered, 2);
}

#[tokio::test]
async fn a_store_that_fails_is_told_of() {
    for broken in
        [on(|store| store.nth_write(1, Fault::Broken)).await, on(|store| store.nth_read(1, ReadFault::Broken)).await]
    {
        let (built, registered) = broken;
        let Err(BuildError::Schema(SchemaRefusal::Store(source))) = &built else { panic!("it was built") };
        assert!(source.get().is::<AppendError>() || source.get().is::<ReadError>(), "{source:?}");
        let text = refusal(built);
        assert!(text.starts_with("schemas: the schemas cannot be registered in the stream $schemas: "), "{text}");
        assert!(text.contains("as the script of the test has it"), "{text}");
        assert_eq!(registered, 0);
    }
    // Not for ever.
    let (built, _) = on(|store| store.first_writes(1000, Fault::Busy)).await;
    assert!(matches!(&built, Err(BuildError::Schema(SchemaRefusal::Busy(_)))));
    assert!(refusal(built).contains("busy"));
    let (built, _) = on(|store| store.first_writes(1000, Fault::Conflict)).await;
    assert!(matches!(&built, Err(BuildError::Schema(SchemaRefusal::Busy(_)))));
}

/// Nobody who can append to the stream past all judges stops applications with it.
#[tokio::test]
async fn what_is_no_registration_is_passed_over_as_what_is_newer() {
    let store = MemoryStore::builder().build();
    let write = async |event_type: &str, payload: &str| {
        let stream = StreamId::new("$schemas").unwrap();
        let event = NewEvent::new(stream, EventType::new(event_type).unwrap(), payload.to_owned());
        store.append(Append::new([event])).await.unwrap();
    };
    write("schema.withdrawn", "{}").await;
    write("schema.registered", r#"{"kind":"saga","name":"a","version":1,"later":true}"#).await;
    let schemas = kept(builder(store.clone()).aggregate::<first::Jar>()).build().await.unwrap().ports().schemas;
    assert_eq!(schemas.list().await.unwrap().len(), 2);
    for unreadable in [
        "{",
        r#"{"kind":"event","version":1}"#,
        r#"{"kind":"event","name":"","version":1}"#,
        r#"{"kind":"event","name":"jar.filled","version":7,"category":""}"#,
        r#"{"kind":"event","name":"jar.filled","version":-1}"#,
    ] {
        write("schema.registered", unreadable).await;
    }
    assert_eq!(schemas.list().await.unwrap().len(), 2);
    assert!(matches!(schemas.schema(filled(), 7).await, Err(SchemaError::Unknown { .. })));
    let again = kept(builder(store.clone()).aggregate::<second::Jar>()).build().await.unwrap().ports().schemas;
    // What comes after is read.
    assert!(schemas.schema(filled(), 2).await.unwrap().schema.is_some());
    assert_eq!(again.list().await.unwrap().len(), 2);
}

/// What was first in the stream stays, whatever is appended past the registration.
#[tokio::test]
async fn no_later_entry_changes_what_is_registered() {
    let store = MemoryStore::builder().build();
    let schemas = kept(builder(store.clone()).aggregate::<first::Jar>()).build().await.unwrap().ports().schemas;
    let before = schemas.schema(filled(), 1).await.unwrap();
    let stream = StreamId::new("$schemas").unwrap();
    let forged = r#"{"kind":"event","name":"jar.filled","version":1,"schema":true}"#;
    let event = NewEvent::new(stream, EventType::new("schema.registered").unwrap(), forged);
    store.append(Append::new([event])).await.unwrap();
    schemas.list().await.unwrap();
    assert_eq!(schemas.schema(filled(), 1).await.unwrap(), before);
    kept(builder(store).aggregate::<first::Jar>()).build().await.unwrap();
}

/// It takes another part of the events, and tells one of them otherwise.
#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "jar")]
enum Coins {
    Filled { coins: u64 },
}

#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "jar", history = first::JarEvent)]
enum SomeCoins {
    Filled { coins: u64 },
}

#[tokio::test]
async fn two_that_tell_a_version_otherwise_are_refused_unless_one_only_reads_it() {
    let store = MemoryStore::builder().build();
    let two = builder(store.clone()).aggregate::<first::Jar>().events::<Coins>();
    let text = refusal(two.build().await);
    assert!(
        text.starts_with("schemas: schemas::jars::first::JarEvent and schemas::applications::Coins tell"),
        "{text}"
    );
    assert!(text.contains("\n  /properties/coins/format: was \"uint32\", is \"uint64\"\n"), "{text}");
    let reading = builder(store).aggregate::<first::Jar>().events::<SomeCoins>().build().await.unwrap();
    let schema = reading.ports().schemas.schema(filled(), 1).await.unwrap().schema.unwrap();
    assert_eq!(schema["properties"]["coins"]["format"], "uint32");
}

/// An event type of the jars, told by another category.
#[derive(Event, JsonSchema, Serialize, Deserialize)]
#[event(category = "box")]
enum Boxes {
    #[event(name = "jar.filled")]
    Filled { coins: u32 },
}

/// What is asked of one category would else be asked of both, or of neither.
#[tokio::test]
async fn a_type_of_two_categories_is_refused() {
    let store = MemoryStore::builder().build();
    let two = builder(store).aggregate::<first::Jar>().events::<Boxes>().build().await;
    let Err(BuildError::Schema(SchemaRefusal::TwoCategories { subject, first, second, .. })) = two else {
        panic!("it was built")
    };
    assert_eq!((subject, &*first, &*second), (filled(), "jar", "box"));
}

#[tokio::test]
async fn a_category_that_nothing_is_of_is_refused() {
    let asked = SchemaOptions::new().category("jars", Compatibility::Full);
    let built = builder(MemoryStore::builder().build()).aggregate::<first::Jar>().register_schemas(asked).build().await;
    let Err(BuildError::Schema(SchemaRefusal::NoSuchCategory { category })) = built else { panic!("it was built") };
    assert_eq!(category, "jars");
}

/// More types than one append takes are registered in several.
#[tokio::test]
async fn what_is_too_much_for_one_append_is_registered_in_several() {
    let store = MemoryStore::builder().build();
    let mut storage = Storage::from(store.clone());
    storage.events = Arc::new(Before(storage.events, Way::Narrow));
    kept(builder(storage).aggregate::<second::Jar>()).build().await.unwrap();
    assert_eq!(lines(&store.into()).await.len(), 3);
}
