//! ES-16 and ES-18: pages, and streams that need many.

use super::many::the_stores_own_limit_bounds_a_page;
use super::world;
use crate::ask::{Ask, Store, carrying, event, given, name, one, places, some, tagged};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use bytes::Bytes;
use portolan_kernel::ports::{EventStore, ReadError};
use portolan_kernel::values::{Append, Format, Item, NewEvent, Page, Query, Read};

law! {
    dyn EventStore, es_16_pages, "ES-16",
    "limit bounds one page, after filtering; 0 is ReadError::Invalid. A page may hold fewer, even none. next is the \
     complete continuing read with its frontier fixed; only next = None means the end was reached. Every chain of \
     pages ends, and all its pages see one frontier.",
    checks: [
        limits_bound_a_page,
        a_limit_of_zero_is_invalid,
        pages_at_their_boundaries,
        sparse_matches_are_all_found,
        pages_do_not_see_what_comes_later,
        next_is_a_read_of_its_own,
        a_reader_goes_on_from_the_frontier,
        the_stores_own_limit_bounds_a_page,
    ],
}

law! {
    dyn EventStore, es_18_large_streams, "ES-18",
    "A stream larger than any backend page (over 1 MiB, over 1,000 events) reads whole.",
    checks: [over_1000_events, over_1_mib, a_large_log_of_many_streams],
}

/// A log of several streams, one append an event.
async fn prepared(trial: &Trial<dyn EventStore>) -> Verdict<Store> {
    let store = trial.open().await?;
    for number in 0..12 {
        let tags: &[&str] = if number % 5 == 0 { &["rare"] } else { &["often"] };
        store.wrote(Append::new([tagged(["a-1", "b-1"][number as usize % 2], number, tags)])).await?;
    }
    Ok(store)
}

/// Reads of every kind, forward and backward.
fn reads() -> Vec<Read> {
    let rare = Query::of(Item::new().tag(name("rare")));
    let reads =
        [Read::stream(name("a-1")), Read::log(Query::all()), Read::log(rare), Read::log(Query::stream(name("b-1")))];
    reads.into_iter().flat_map(|read| [read.clone(), read.backward()]).collect()
}

async fn limits_bound_a_page(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for read in reads() {
        for limit in [1, 2, 5, 11, 12, 13, u32::MAX] {
            for page in store.pages(read.clone().limit(limit)).await? {
                expect!(
                    page.events.len() as u64 <= u64::from(limit),
                    "at most {limit} events: {:?}",
                    places(&page.events)
                );
            }
        }
    }
    Ok(())
}

async fn a_limit_of_zero_is_invalid(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for read in reads() {
        expect_is!(store.read(read.clone().limit(0)).await, Err(ReadError::Invalid(_)), "{read:?} with a limit of 0");
    }
    Ok(())
}

/// Streams of one event fewer, as many, and one more than one, two and three pages hold.
async fn pages_at_their_boundaries(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = 4;
    for length in [1, 3, 4, 5, 7, 8, 9, 11, 12, 13] {
        let stream = format!("s-{length}");
        store.wrote(some(&stream, 0..length)).await?;
        let expected: Vec<_> = (0..length).map(|revision| format!("{stream}@{revision}")).collect();
        for read in [Read::stream(name(&stream)), Read::log(Query::stream(name(&stream)))] {
            let forward = store.all(read.clone().limit(limit)).await?;
            expect_eq!(places(&forward), expected, "{length} events in pages of {limit}");
            let mut backward = places(&store.all(read.backward().limit(limit)).await?);
            backward.reverse();
            expect_eq!(backward, expected, "{length} events in pages of {limit}, backward");
        }
    }
    Ok(())
}

async fn sparse_matches_are_all_found(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(Append::new([tagged("a-1", 0, &["needle"])])).await?;
    for round in 0..8 {
        store.wrote(some("hay-1", round * 40..round * 40 + 40)).await?;
    }
    store.wrote(Append::new([tagged("a-1", 1, &["needle"])])).await?;
    let log = store.log().await?;
    for limit in [1, 2, 10, 1_000] {
        for read in [Read::log(Query::of(Item::new().tag(name("needle")))), Read::log(Query::stream(name("a-1")))] {
            for read in [read.clone().limit(limit), read.limit(limit).backward()] {
                expect_eq!(
                    store.all(read.clone()).await?,
                    world::expected(&log, &read),
                    "two events of 322, by {read:?}"
                );
            }
        }
    }
    Ok(())
}

async fn pages_do_not_see_what_comes_later(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for read in reads() {
        for limit in [1, 2, 3] {
            let log = store.log().await?;
            let read = read.clone().limit(limit);
            let mut pages: Vec<Page> = vec![store.page(read.clone()).await?];
            while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
                // Another writer, between the first pages, with something for every read.
                if pages.len() < 3 {
                    store.wrote(Append::new([tagged("a-1", 100, &["rare"])])).await?;
                    store.wrote(Append::new([tagged("b-1", 100, &["often"])])).await?;
                }
                pages.push(store.page(next).await?);
                expect!(pages.len() < 5_000, "a chain of pages that ends, for {read:?}");
            }
            let frontiers: Vec<_> = pages.iter().map(|page| page.frontier).collect();
            expect!(frontiers.iter().all(|frontier| *frontier == frontiers[0]), "one frontier, not {frontiers:?}");
            let revisions: Vec<_> = pages.iter().map(|page| page.revision).collect();
            expect!(revisions.iter().all(|last| *last == revisions[0]), "one last revision, not {revisions:?}");
            let events: Vec<_> = pages.into_iter().flat_map(|page| page.events).collect();
            expect_eq!(places(&events), places(&world::expected(&log, &read)), "{read:?} beside a writer");
        }
    }
    Ok(())
}

/// Each `next` can be asked again and gives the same; so nothing of it is kept elsewhere.
async fn next_is_a_read_of_its_own(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for read in reads() {
        let pages = store.pages(read.clone().limit(2)).await?;
        let nexts: Vec<_> = pages.iter().filter_map(|page| page.next.clone()).collect();
        for (next, page) in nexts.iter().zip(&pages[1..]).rev() {
            expect_eq!(
                store.page(next.clone()).await?.events,
                page.events,
                "a page of {read:?} asked again, by {next:?}"
            );
        }
    }
    Ok(())
}

async fn a_reader_goes_on_from_the_frontier(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for query in [Query::all(), Query::of(Item::new().tag(name("rare"))), Query::of(Item::new().tag(name("missing")))] {
        let mut after = None;
        let mut seen = Vec::new();
        for round in 0..4 {
            for page in store.pages(Read::log_after(query.clone(), after).limit(3)).await? {
                seen.extend(given(&page.events));
                if page.next.is_none() {
                    after = page.frontier;
                }
            }
            let expected = given(&store.all(Read::log(query.clone())).await?);
            expect_eq!(seen, expected, "what was seen going on from the frontier {after:?}, by {query:?}");
            store.wrote(Append::new([tagged("a-1", 50 + round, &["rare"]), event("a-1", 60 + round)])).await?;
        }
    }
    Ok(())
}

async fn over_1000_events(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let step = store.capabilities().limits.append_events.min(100);
    let mut count = 0;
    while count <= 1_000 {
        store.wrote(some("a-1", count..count + step)).await?;
        store.wrote(one("b-1", count)).await?;
        count += step;
    }
    expect_whole(&store, (0..count).map(|number| event("a-1", number)).collect()).await
}

async fn over_1_mib(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limits = store.capabilities().limits;
    let size = limits.event_bytes.min(limits.append_bytes).min(300 << 10) / 2;
    let payload = Bytes::from(vec![b'x'; usize::try_from(size).unwrap_or(0)]);
    let large = |number| carrying("a-1", number, payload.clone(), Format::Binary);
    let count = u32::try_from((1 << 20) / size + 2).unwrap_or(0);
    for number in 0..count {
        store.wrote(Append::new([large(number)])).await?;
    }
    expect_whole(&store, (0..count).map(large).collect()).await
}

/// The stream `a-1` holds these events, however it is read.
async fn expect_whole(store: &Store, expected: Vec<NewEvent>) -> Verdict {
    let reads = [Read::stream(name("a-1")), Read::log(Query::stream(name("a-1")))];
    for read in reads.into_iter().flat_map(|read| [read.clone(), read.limit(u32::MAX)]) {
        let events = store.all(read.clone()).await?;
        expect_eq!(events.len(), expected.len(), "the number of events, by {read:?}");
        expect!(given(&events) == expected, "the events as they were given, in order, by {read:?}");
        let mut backward = store.all(read.clone().backward()).await?;
        backward.reverse();
        expect!(backward == events, "backward the same as forward, by {read:?}");
    }
    Ok(())
}

async fn a_large_log_of_many_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limits = store.capabilities().limits;
    let step = limits.append_events.min(100);
    let mut count = 0;
    while count <= 1_000 {
        store.wrote(some(&format!("s-{}", count / step), count..count + step)).await?;
        count += step;
    }
    for read in [Read::log(Query::all()), Read::log(Query::of(Item::new().category(name("s")))).limit(u32::MAX)] {
        let ids: Vec<_> = store.all(read.clone()).await?.iter().map(|event| event.id).collect();
        let expected: Vec<_> = (0..count).map(|number| event("s-0", number).id).collect();
        expect!(ids == expected, "all {count} events in order, not {}, by {read:?}", ids.len());
    }
    Ok(())
}
