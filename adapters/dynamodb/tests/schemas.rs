//! Schemas are registered in a table as in any store (UP-06).

mod support;

use core::time::Duration;
use futures::future::{BoxFuture, join_all};
use portolan_dynamodb::DynamoStore;
use portolan_dynamodb_emulator::endpoint;
use portolan_kernel::drivers::{SchemaCatalogue, SchemaOptions, SchemaRefusal, StoredSchemas, register_schemas};
use portolan_kernel::ports::{EventStore, IdSource, Schema, SchemaRegistry, SchemaSubject, Sleep};
use portolan_kernel::values::{EventId, Name, Read, Revision, StreamId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::Network;

struct Ids(AtomicU64);

impl IdSource for Ids {
    fn new_id(&self) -> EventId {
        // Pauses are shares that depend on the last bytes.
        let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        EventId::from_bytes((u128::from(n) << 64 | u128::from(n)).to_be_bytes())
    }
}

struct Asleep;

impl Sleep for Asleep {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

async fn open(table: &str) -> Arc<dyn EventStore> {
    let endpoint = endpoint().expect("a DynamoDB for tests");
    let client = Network::to(&endpoint).client();
    let store = DynamoStore::builder(client, table).create_if_missing().open().await;
    Arc::new(store.expect("a table"))
}

fn subject(n: u32) -> SchemaSubject {
    SchemaSubject::event(Name::new(format!("jar.type-{n}")).expect("a name"))
}

async fn start(table: &str, types: u32, schema: Value) -> Result<StoredSchemas, SchemaRefusal> {
    let own = (0..types).fold(SchemaCatalogue::new(), |own, n| {
        own.with_current(Schema::new(subject(n), 1, Some(schema.clone())), Name::new("jar").ok())
    });
    let ids = Ids(AtomicU64::new(u64::from(std::process::id())));
    register_schemas(own, &SchemaOptions::new(), open(table).await, &ids, &Asleep).await
}

async fn registered(table: &str) -> Option<Revision> {
    let stream = StreamId::new("$schemas").expect("a name");
    open(table).await.read(Read::stream(stream).limit(1)).await.expect("it is read").revision
}

#[tokio::test]
async fn what_is_registered_stays_for_the_next_process() {
    let table = "schemas";
    let text = json!({ "type": "string" });
    start(table, 2, text.clone()).await.expect("they are new");
    let again = start(table, 2, text.clone()).await.expect("they are the same");
    assert_eq!(registered(table).await, Some(Revision::new(1)));
    assert_eq!(again.schema(subject(1), 1).await.expect("it is known").schema, Some(text));
    let changed = start(table, 2, json!({ "type": "integer" })).await;
    assert!(matches!(changed, Err(SchemaRefusal::Changed { version: 1, .. })), "{changed:?}");
}

/// More than one append takes, of several at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_at_once_all_start_and_each_version_is_registered_once() {
    let table = "many-schemas";
    let most = open(table).await.capabilities().limits.append_events;
    let processes = (0..3).map(|_| tokio::spawn(start(table, most + 5, json!({ "type": "string" }))));
    for process in join_all(processes).await {
        process.expect("no panic").expect("it starts");
    }
    assert_eq!(registered(table).await, Some(Revision::new(u64::from(most) + 4)));
}
