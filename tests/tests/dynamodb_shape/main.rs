//! The ports against a store that is as unlike a local file as can be: the shape of DynamoDB. Its vocabulary is
//! typed in `table` (items, conditional transactions, reads that see a transaction item by item); an append is
//! planned as one transaction in `append`, a read as queries in `read`. The laws run on it all, and so show that
//! no port asks for what such a store cannot give.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod append;
mod interleaving;
mod read;
mod store;
mod table;

use portolan_conformance::{Place, event_store_laws};
use portolan_kernel::ports::{AppendError, EventStore, StoreId};
use portolan_kernel::values::{Append, EventType, IdempotencyKey, Name, NewEvent, Query, Read, StreamId};
use store::DynamoShape;

event_store_laws! {
    open: async |place: &Place| Ok::<_, String>(DynamoShape::new(identity(), place.clock(), 1)),
    lacks: { Durability: "it lives in memory", SeveralProcesses: "it lives in memory" },
}

fn identity() -> StoreId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    StoreId::from_bytes(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
}

struct Noon;
impl portolan_kernel::ports::Clock for Noon {
    fn now(&self) -> portolan_kernel::values::Timestamp {
        portolan_kernel::values::Timestamp::from_micros(43_200_000_000)
    }
}

fn shape(seed: u64) -> DynamoShape {
    DynamoShape::new(identity(), std::sync::Arc::new(Noon), seed)
}

fn event(stream: &str) -> NewEvent {
    NewEvent::new(StreamId::new(stream).unwrap(), EventType::new("t").unwrap(), "{}")
}

fn key(id: &str) -> IdempotencyKey {
    IdempotencyKey::new(Name::new("test").unwrap(), Name::new(id).unwrap(), [1; 32])
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_token_and_several_by_the_key() {
    let store = shape(1);
    store.reader.table.lose_answers(1);
    let once = store.append(Append::new([event("a-1")])).await.unwrap();
    store.reader.table.lose_answers(1);
    let kept = Append::new([event("a-1")]).key(key("k"));
    let twice = store.append(kept.clone()).await.unwrap();
    assert!(once.last < twice.first);
    assert!(store.append(kept).await.unwrap().repeated);
    assert_eq!(store.read(Read::log(Query::all())).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn an_append_of_the_stated_limits_fits_one_transaction() {
    let store = shape(1);
    let limits = store.capabilities().limits;
    let streams = limits.append_streams;
    let many = (0..limits.append_events).map(|n| {
        let tag = portolan_kernel::values::Tag::new(format!("tag:{n}")).unwrap();
        event(&format!("a-{}", n % streams)).with_tags([tag])
    });
    store.append(Append::new(many)).await.unwrap();
    let large = u64::from(streams).min(limits.append_bytes / limits.event_bytes);
    let bytes = usize::try_from(limits.event_bytes).unwrap() - 10;
    let heavy = (0..large).map(|n| {
        let mut event = event(&format!("a-{n}"));
        event.payload = vec![0; bytes].into();
        event
    });
    store.append(Append::new(heavy)).await.unwrap();
    let refused = store.append(Append::new((0..=streams).map(|n| event(&format!("b-{n}"))))).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { limit, .. }) if limit == u64::from(streams)), "{refused:?}");
}
