//! Reads between any two steps of several appends, while single items of each become visible one by one.

use super::{event, key, shape, store::DynamoShape};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::task::{Context, noop_waker_ref};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, Appended, Expected, Item, Position, Query, Read, Recorded, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn tag(name: &str) -> Tag {
    Tag::new(name).unwrap()
}

/// All pages of a read, and the frontier they agree on.
fn all(store: &DynamoShape, read: Read) -> (Vec<Arc<Recorded>>, Option<Position>) {
    let (mut events, mut next, mut frontier) = (Vec::new(), Some(read), None);
    while let Some(read) = next {
        let continued = !events.is_empty() || frontier.is_some();
        let page = store.reader.page(&read).unwrap();
        assert!(!continued || page.frontier == frontier, "pages of one read see one frontier");
        (frontier, next) = (page.frontier, page.next);
        events.extend(page.events);
    }
    (events, frontier)
}

#[derive(Default)]
struct Observer {
    seen: BTreeSet<Position>,
    frontier: Option<Position>,
    acknowledged: Vec<Appended>,
}

impl Observer {
    fn looks(&mut self, store: &DynamoShape) {
        // What is shown of one stream of an append is shown of the other from then on, and of the log.
        let halves = |stream: &str| all(store, Read::stream(event(stream).stream).limit(3)).0;
        let (left, right) = (halves("left-1"), halves("right-1"));
        let of_appends =
            |events: &[Arc<Recorded>]| -> BTreeSet<Tag> { events.iter().map(|e| e.tags[1].clone()).collect() };
        assert!(of_appends(&left).is_subset(&of_appends(&right)), "a part of an append was shown");
        for (n, event) in left.iter().enumerate() {
            assert_eq!(event.revision.get(), n as u64, "a gap in a stream");
        }

        let (log, frontier) = all(store, Read::log(Query::all()).limit(5));
        let positions: BTreeSet<_> = log.iter().map(|event| event.position).collect();
        let then: BTreeSet<_> = positions.iter().copied().filter(|at| Some(*at) <= self.frontier).collect();
        assert_eq!(then, self.seen, "an event appeared at or below a frontier");
        assert!(frontier >= self.frontier, "the frontier went back");
        assert!(left.iter().all(|event| positions.contains(&event.position)), "a stream ran ahead of the log");
        for appended in &self.acknowledged {
            assert!(appended.last <= frontier, "acknowledged, and past the frontier");
        }
        let mut parts = BTreeMap::<_, u32>::new();
        log.iter().for_each(|event| *parts.entry(&event.tags[1]).or_default() += 1);
        assert!(parts.values().all(|parts| *parts == 3), "a part of an append was shown in the log: {parts:?}");

        let even = Query::of(Item::new().tag(tag("even")));
        let by_index = all(store, Read::log(even.clone()).until(frontier)).0;
        let filtered: Vec<_> = log.into_iter().filter(|event| even.matches(event)).collect();
        assert_eq!(by_index, if frontier.is_some() { filtered } else { by_index.clone() }, "the index disagrees");
        (self.seen, self.frontier) = (positions, frontier);
    }
}

#[test]
fn no_reader_sees_a_transaction_item_by_item() {
    for seed in 0..60 {
        let store = shape(seed);
        let append = |n: u64| {
            let tags = [tag(if n.is_multiple_of(2) { "even" } else { "odd" }), tag(&format!("append:{n}"))];
            let lone = format!("lone-{n}");
            let streams = if n < 3 { ["left-1", "right-1", "right-1"] } else { [lone.as_str(); 3] };
            let events = streams.map(|stream| event(stream).with_tags(tags.clone()));
            store.append(Append::new(events)).boxed()
        };
        let mut running: Vec<BoxFuture<'_, _>> = (0..6).map(append).collect();
        let mut observer = Observer::default();
        let mut chance = seed;
        while !running.is_empty() {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let which = usize::try_from(chance >> 33).unwrap() % running.len();
            if let Some(outcome) = poll_once(&mut running[which]) {
                drop(running.swap_remove(which));
                observer.acknowledged.push(outcome.unwrap());
            }
            observer.looks(&store);
        }
        assert_eq!(observer.seen.len(), 18);
    }
}

#[test]
fn a_repetition_beside_its_original_is_told_so_although_the_key_is_late() {
    for seed in 0..60 {
        let store = shape(seed);
        let once = Append::new([event("a-1")]).expect(event("a-1").stream, Expected::NoStream).key(key("k"));
        let mut first = store.append(once.clone()).boxed();
        assert!(poll_once(&mut first).is_none(), "it has been written and not yet answered");
        let mut again = store.append(once).boxed();
        let told = core::iter::repeat_with(|| poll_once(&mut again)).flatten().next();
        assert!(told.unwrap().unwrap().repeated);
    }
}

fn poll_once<T>(future: &mut BoxFuture<'_, T>) -> Option<T> {
    match future.poll_unpin(&mut Context::from_waker(noop_waker_ref())) {
        std::task::Poll::Ready(outcome) => Some(outcome),
        std::task::Poll::Pending => None,
    }
}
