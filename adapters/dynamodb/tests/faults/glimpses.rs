//! What readers see between any two items of a transaction that become visible one by one, slowly.

use super::support::Network;
use super::support::log::{all, event, fresh_log, name, wrote};
use futures::future::join_all;
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, Item, Position, Query, Read, Recorded, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long an item may stay invisible: many reads long.
const LONGEST: Duration = Duration::from_millis(500);
const WRITERS: u64 = 2;
/// What each of them appends at least.
const APPENDS: u64 = 3;
/// How often the reader looks at least while they write; they go on for as long as that takes.
const LOOKS: usize = 3;
/// How long a handle may wait for others: far longer than anything here is invisible, also on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three events with one number, in two streams.
fn append(number: u64) -> Append {
    let tag = if number.is_multiple_of(2) { "even" } else { "odd" };
    Append::new(["left-1", "right-1", "right-1"].map(|stream| event(stream, number).with_tags([name(tag)])))
}

async fn handle(network: &Network, log: &str) -> DynamoStore {
    network.builder(log).busy_timeout(PATIENCE).open().await.unwrap()
}

/// What a reader has seen so far.
#[derive(Default)]
struct Observer {
    log: Vec<Arc<Recorded>>,
    frontier: Option<Position>,
}

impl Observer {
    async fn looks(&mut self, store: &DynamoStore, acknowledged: &AtomicU64) {
        let acknowledged = Position::new(acknowledged.load(Ordering::SeqCst));
        let left = all(store, Read::stream(name("left-1"))).await;
        let right = all(store, Read::stream(name("right-1")).limit(3)).await;
        assert!(left.len() * 2 <= right.len(), "{} appends on the left, {} on the right", left.len(), right.len() / 2);
        assert_eq!(right.len() % 2, 0, "a part of an append was shown in its stream");
        for (revision, event) in (0..).zip(&left) {
            assert_eq!(event.revision, Revision::new(revision), "a gap in a stream");
        }
        let page = store.read(Read::log(Query::all())).await.unwrap();
        let (now, frontier) = (page.events, page.frontier);
        assert!(page.next.is_none());
        assert!(frontier >= self.frontier, "the frontier went back");
        assert!(frontier >= acknowledged.filter(|at| at.get() > 0), "acknowledged, and past the frontier");
        assert!(now.starts_with(&self.log), "an event appeared at or below a frontier");
        assert_eq!(now.last().map(|event| event.position), frontier, "the frontier tells of what is not shown");
        let positions: BTreeSet<_> = now.iter().map(|event| event.position).collect();
        assert!(left.iter().chain(&right).all(|event| positions.contains(&event.position)), "a stream ran ahead");
        let mut parts = BTreeMap::<_, u32>::new();
        now.iter().for_each(|event| *parts.entry(event.payload.clone()).or_default() += 1);
        assert!(parts.values().all(|parts| *parts == 3), "a part of an append was shown in the log: {parts:?}");
        if frontier.is_some() {
            let even = Query::of(Item::new().tag(name("even")));
            let found = all(store, Read::log(even.clone()).until(frontier)).await;
            let expected: Vec<_> = now.iter().filter(|event| even.matches(event)).cloned().collect();
            assert_eq!(found, expected, "the index disagrees with the log");
        }
        (self.log, self.frontier) = (now, frontier);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reader_sees_a_transaction_item_by_item() {
    join_all((0..8).map(|seed| async move {
        let (network, name_of_log) = (Network::new(), fresh_log());
        let reader = handle(&network, &name_of_log).await;
        network.reveal_one_by_one(LONGEST, seed);
        let (acknowledged, writing) = (AtomicU64::new(0), AtomicUsize::new(usize::try_from(WRITERS).unwrap()));
        let looked = AtomicUsize::new(0);
        let writers = join_all((0..WRITERS).map(|writer| {
            let (network, name_of_log, acknowledged, writing) = (&network, &name_of_log, &acknowledged, &writing);
            let looked = &looked;
            async move {
                let store = handle(network, name_of_log).await;
                let mut appends = 0;
                while appends < APPENDS || looked.load(Ordering::SeqCst) < LOOKS {
                    let done = wrote(&store, append(writer + WRITERS * appends)).await;
                    acknowledged.fetch_max(done.last.unwrap().get(), Ordering::SeqCst);
                    appends += 1;
                }
                writing.fetch_sub(1, Ordering::SeqCst);
                appends
            }
        }));
        let observing = async {
            let mut observer = Observer::default();
            while writing.load(Ordering::SeqCst) > 0 {
                observer.looks(&reader, &acknowledged).await;
                looked.fetch_add(1, Ordering::SeqCst);
            }
            observer.looks(&reader, &acknowledged).await;
            observer.log.len() as u64
        };
        let (appends, events) = futures::join!(writers, observing);
        assert_eq!(events, appends.iter().sum::<u64>() * 3);
    }))
    .await;
}

/// A record that is there, and one before it that is not visible yet: nothing is damaged, and nothing is shown out of order.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_late_is_waited_for() {
    let (network, log) = (Network::new(), fresh_log());
    let (first, second, reader) =
        (handle(&network, &log).await, handle(&network, &log).await, handle(&network, &log).await);
    // The key of the first record of the stream, and of no other.
    network.reveal_late(&format!("right-1\"}}{{\"S\":\"{:020}", 0), Duration::from_millis(1_500));
    let writes = async {
        let one = wrote(&first, append(0));
        let other = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            wrote(&second, Append::new(["right-1", "right-1"].map(|stream| event(stream, 1)))).await
        };
        futures::join!(one, other)
    };
    let looks = async {
        let mut seen = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            for read in [Read::stream(name("right-1")), Read::stream(name("right-1")).backward()] {
                seen.push(all(&reader, read).await.len());
            }
        }
        seen
    };
    let (_, seen) = futures::join!(writes, looks);
    assert!(seen.iter().all(|seen| [0, 2, 4].contains(seen)), "parts of appends: {seen:?}");
    assert_eq!(all(&reader, Read::stream(name("right-1"))).await.len(), 4);
}
