//! More than one answer of DynamoDB holds.

use super::support::Network;
use super::support::log::{all, event, fresh_log, key, log, name, wrote};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::{Append, NewEvent, Query, Read, Recorded, Revision};
use std::sync::Arc;

/// An event of so many bytes that no compression and no mistake makes one piece of it look like another.
fn heavy(stream: &str, number: u64, bytes: usize) -> NewEvent {
    let mut random = fastrand::Rng::with_seed(number);
    let mut event = event(stream, number);
    event.payload = std::iter::repeat_with(|| random.u8(..)).take(bytes).collect::<Vec<_>>().into();
    event
}

fn given(events: &[Arc<Recorded>]) -> Vec<NewEvent> {
    events.iter().map(|event| event.event.clone()).collect()
}

/// A stream of 5 MB: of events smaller and larger than an item, in appends of one and of many.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_5_mb_reads_whole() {
    let (network, name_of_log) = (Network::new(), fresh_log());
    let store = network.store(&name_of_log).await;
    let limit = usize::try_from(store.capabilities().limits.event_bytes).unwrap();
    let mut events = Vec::new();
    for number in 0..12 {
        let sizes: &[usize] = match number % 4 {
            0 => &[70_000; 8],
            1 => &[390_000, 10, 410_000],
            2 => &[1_000; 60],
            _ => &[900_000],
        };
        let group: Vec<_> = (1_000 * number..).zip(sizes).map(|(id, bytes)| heavy("big-1", id, *bytes)).collect();
        wrote(&store, Append::new(group.clone())).await;
        wrote(&store, Append::new([event("other-1", number)])).await;
        events.extend(group);
    }
    let largest = limit - usize::try_from(events[0].bytes()).unwrap() + events[0].payload.len() - 100;
    wrote(&store, Append::new([heavy("big-1", 99_999, largest)])).await;
    events.push(heavy("big-1", 99_999, largest));
    let total: usize = events.iter().map(|event| event.payload.len()).sum();
    assert!(total > 5_000_000, "{total} bytes");

    for store in [store, network.store(&name_of_log).await] {
        let forward = all(&store, Read::stream(name("big-1"))).await;
        assert!(given(&forward) == events, "forward, byte for byte");
        for (revision, event) in (0..).zip(&forward) {
            assert_eq!(event.revision, Revision::new(revision));
        }
        let mut backward = all(&store, Read::stream(name("big-1")).backward()).await;
        backward.reverse();
        assert!(backward == forward, "backward is forward reversed");
        let by_pages = all(&store, Read::stream(name("big-1")).limit(7)).await;
        assert!(by_pages == forward, "in pages of 7");
        let after = all(&store, Read::stream_after(name("big-1"), Some(Revision::new(9)))).await;
        assert!(after == forward[10..], "after the middle of an item");
        let of_log = log(&store).await;
        let of_stream: Vec<_> = of_log.iter().filter(|event| event.stream == "big-1").cloned().collect();
        assert!(of_stream == forward, "in the log");
        let found = all(&store, Read::log(Query::stream(name("big-1")))).await;
        assert!(found == forward, "by query");
    }
}

/// Appends as large as the stated limits allow, and larger.
#[tokio::test(flavor = "multi_thread")]
async fn the_stated_limits_are_what_is_taken() {
    let store = Network::new().store(&fresh_log()).await;
    let limits = store.capabilities().limits;
    let streams = |count: u32| (0..count).map(|n| format!("wide-{n}"));
    let wide = |count: u32| {
        let events = streams(count).zip(0..).map(|(stream, n)| {
            let tags = (0..20).map(|tag| name(&format!("tag-{n}-{tag}")));
            event(&stream, n).with_tags(tags)
        });
        Append::new(events).key(key(&format!("wide-{count}")))
    };
    wrote(&store, wide(limits.append_streams)).await;
    let refused = store.append(wide(limits.append_streams + 1)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { limit, .. }) if limit == u64::from(limits.append_streams)));

    let many = |count: u32| Append::new((0..count).map(|n| event(&format!("many-{}", n % 40), n.into())));
    wrote(&store, many(limits.append_events)).await;
    let refused = store.append(many(limits.append_events + 1)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { limit, .. }) if limit == u64::from(limits.append_events)));

    // As many bytes as an append may have, spread as awkwardly as it goes: over few streams, in large events.
    let each = usize::try_from(limits.append_bytes).unwrap() / 4 - 1_000;
    let each = each.min(usize::try_from(limits.event_bytes).unwrap() - 1_000);
    let heavy = Append::new((0..4).map(|n| heavy(&format!("heavy-{n}"), n, each)));
    wrote(&store, heavy.clone()).await;
    let twice = Append::new(heavy.events.iter().chain(&heavy.events).cloned());
    assert!(matches!(store.append(twice).await, Err(AppendError::TooLarge { .. })));
    let events = log(&store).await.len();
    assert_eq!(
        events,
        limits.append_streams as usize + limits.append_events as usize + 4,
        "and nothing of the refused"
    );
}
