//! A log moves into a table, and is read from there.

mod support;

use futures::TryStreamExt;
use portolan_conformance::ReferenceStore;
use portolan_dynamodb::DynamoStore;
use portolan_dynamodb_emulator::endpoint_of_family;
use portolan_kernel::drivers::{EventStoreExt, Migration, ReplayClock};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, EventType, NewEvent, Query, Read, StreamId, Tag, Timestamp};
use std::sync::Arc;
use support::{Network, fresh_name};

async fn told(store: &dyn EventStore) -> Vec<(NewEvent, Timestamp)> {
    let all: Vec<_> = store.read_all(Read::log(Query::all())).try_collect().await.expect("it can be read");
    all.iter().map(|event| (event.event.clone(), event.recorded_at)).collect()
}

/// Into a table, whose appends hold fewer streams than there are, and back.
#[tokio::test]
async fn a_log_moves_into_a_table_and_back() {
    let network = Network::to(&endpoint_of_family().expect("a DynamoDB for tests"));
    let clock = Arc::new(ReplayClock::new());
    let source: Arc<dyn EventStore> = Arc::new(ReferenceStore::new(clock.clone()));
    let event = |n: usize| {
        let stream = StreamId::new(format!("s-{}", n % 120)).expect("a name");
        let tag = Tag::new(format!("t:{}", n % 3)).expect("a name");
        NewEvent::new(stream, EventType::new("e").expect("a name"), format!("{n}")).with_tags([tag])
    };
    for n in 0..6 {
        source.append(Append::new((100 * n..100 * n + 100).map(event))).await.expect("it is written");
    }
    let table = DynamoStore::builder(network.client(), fresh_name()).create_if_missing().clock(clock.clone());
    let table: Arc<dyn EventStore> = Arc::new(table.open().await.expect("it opens"));
    let back: Arc<dyn EventStore> = Arc::new(ReferenceStore::new(clock.clone()));
    for (from, to) in [(&source, &table), (&table, &back)] {
        let migration = Migration::new(from.clone(), to.clone(), Arc::default()).keep_times(clock.clone());
        migration.run(|_| {}).await.expect("it moves");
        assert_eq!(migration.verify().await.expect("they agree").missing, 0);
        assert_eq!(told(&**to).await, told(&**from).await);
    }
}
