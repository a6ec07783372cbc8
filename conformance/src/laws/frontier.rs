//! ES-03, ES-04 and ES-17: what a reader may conclude from what it has seen.

use crate::ask::{Ask, Store, all_of, event, name, nothing, one, places, some, tagged};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, EventId, Expected, Item, Position, Query, Read, Recorded, Revision};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

law! {
    dyn EventStore, es_03_frontier, "ES-03",
    "Frontier: once a log read has returned position p, or a frontier at or above p, no later read shows an unseen \
     event at or below p: whatever other writers do, commit late, roll back or die. A log read sees everything \
     acknowledged before it began, so its frontier is at or above that, up to until. A read of a stream is a gapless \
     prefix with everything acknowledged before the read began.",
    checks: [
        a_tail_reader_misses_nothing,
        a_log_once_seen_only_grows,
        a_stream_holds_what_was_acknowledged,
    ],
}

law! {
    dyn EventStore, es_04_visible, "ES-04",
    "The frontier tells only of what is visible; an empty store has none. It never lies inside an append.",
    checks: [
        an_empty_store_has_none,
        it_is_the_end_of_the_log,
        it_never_passes_until,
        it_never_lies_inside_an_append,
        a_stream_read_has_one_too,
        it_does_not_count_what_was_refused,
    ],
}

law! {
    dyn EventStore, es_17_whole_appends, "ES-17",
    "A reader never sees part of an append, except by its own limit, until or query.",
    checks: [
        log_readers_see_all_of_an_append_or_none,
        stream_readers_see_all_of_an_append_or_none,
        readers_of_two_streams_see_both_or_none if [SeveralStreams],
        frontiers_beside_writers_end_an_append,
        a_large_append_is_seen_whole,
    ],
}

/// Writers of appends of three events each, of one id an append, until all have written `rounds` times;
/// meanwhile `reader` runs, and once more when they are done.
async fn beside_writers<F: Future<Output = Verdict>>(
    trial: &Trial<dyn EventStore>,
    store: &Store,
    streams: fn(u32) -> [String; 3],
    mut reader: impl FnMut() -> F,
) -> Verdict {
    let (done, rounds) = (Arc::new(AtomicBool::new(false)), u32::try_from(trial.rounds(40)).unwrap_or(1));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..rounds {
                    let number = writer * 10_000 + round;
                    store.wrote(Append::new(streams(writer).map(|stream| event(&stream, number)))).await?;
                    // Some appends are refused in between, and must not shake the others.
                    let doomed = some(&streams(writer)[0], 0..2).expect(name(&streams(writer)[0]), Expected::NoStream);
                    store.refused(doomed).await?;
                }
                Verdict::Ok(())
            })
        })
        .collect();
    let finished = done.clone();
    let writers = tokio::spawn(async move {
        let written = all_of(writers).await;
        finished.store(true, Ordering::SeqCst);
        written
    });
    while !done.load(Ordering::SeqCst) {
        reader().await?;
        tokio::task::yield_now().await;
    }
    all_of([writers]).await?;
    reader().await
}

fn one_stream(writer: u32) -> [String; 3] {
    core::array::from_fn(|_| format!("w-{writer}"))
}

fn two_streams(writer: u32) -> [String; 3] {
    [format!("a-{writer}"), format!("b-{writer}"), format!("a-{writer}")]
}

async fn a_tail_reader_misses_nothing(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    // By frontiers, and by the positions of the last events.
    let (by_frontier, by_position) = (&std::cell::RefCell::default(), &std::cell::RefCell::default());
    beside_writers(trial, store, one_stream, || async move {
        go_on(store, by_frontier, 7, true).await?;
        go_on(store, by_position, 2, false).await
    })
    .await?;
    let log = summary(&store.log().await?);
    expect_eq!(by_frontier.borrow().0, log, "what a reader saw that went on from each frontier");
    expect_eq!(by_position.borrow().0, log, "what a reader saw that went on from each last position");
    Ok(())
}

type Tail = std::cell::RefCell<(Vec<String>, Option<Position>)>;

/// One step of a reader of the tail: reads to the frontier, or one page.
async fn go_on(store: &Store, tail: &Tail, limit: u32, to_frontier: bool) -> Verdict {
    loop {
        let after = tail.borrow().1;
        let page = store.page(Read::log_after(Query::all(), after).limit(limit)).await?;
        let last = page.events.last().map(|event| event.position);
        let mut tail = tail.borrow_mut();
        tail.0.extend(summary(&page.events));
        match page.next {
            Some(_) => tail.1 = last.or(after),
            None => {
                tail.1 = if to_frontier { page.frontier.max(after) } else { last.or(after) };
                return Ok(());
            }
        }
    }
}

fn summary(events: &[Arc<Recorded>]) -> Vec<String> {
    events.iter().map(|event| format!("{}: {}@{}", event.position, event.stream, event.revision)).collect()
}

async fn a_log_once_seen_only_grows(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    let before = &std::cell::RefCell::new((Vec::<String>::new(), None));
    beside_writers(trial, store, one_stream, || async move {
        let pages = store.pages(Read::log(Query::all()).limit(50)).await?;
        let frontier = pages[0].frontier;
        let events: Vec<_> = pages.into_iter().flat_map(|page| page.events).collect();
        let now = summary(&events);
        let (seen, last) = before.replace((now.clone(), frontier));
        expect!(frontier >= last, "frontier {frontier:?} does not fall, after {last:?}");
        let known = now.get(..seen.len()).unwrap_or(&now);
        expect_eq!(known, seen, "the part of the log that was seen before");
        Ok(())
    })
    .await
}

async fn a_stream_holds_what_was_acknowledged(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let (acknowledged, rounds) = (Arc::new(AtomicU64::new(0)), trial.rounds(60) as u64);
    let writer = tokio::spawn({
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        async move {
            for round in 1..=rounds {
                store.wrote(some("a-1", 0..2)).await?;
                acknowledged.store(round * 2, Ordering::SeqCst);
            }
            Verdict::Ok(())
        }
    });
    loop {
        let least = acknowledged.load(Ordering::SeqCst);
        let events = store.all(Read::stream(name("a-1")).limit(30)).await?;
        expect!(events.len() as u64 >= least, "{least} events that were acknowledged, not only {}", events.len());
        for (event, revision) in events.iter().zip(0..) {
            expect_eq!(event.revision, Revision::new(revision), "the revisions of a prefix without gaps");
        }
        if least == rounds * 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    all_of([writer]).await?;
    Ok(())
}

async fn an_empty_store_has_none(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for _ in 0..2 {
        for read in [Read::log(Query::all()), Read::log(Query::all().with_system()), Read::stream(name("a-1"))] {
            for read in [read.clone(), read.clone().backward(), read.until(Position::new(5))] {
                expect_eq!(
                    store.page(read.clone()).await?.frontier,
                    None,
                    "the frontier of an empty store, by {read:?}"
                );
            }
        }
        // Neither of these makes it less empty.
        store.wrote(nothing()).await?;
        store.refused(one("a-1", 0).expect(name("a-1"), Expected::StreamExists)).await?;
    }
    Ok(())
}

fn queries() -> [Query; 4] {
    let tag = |tag| Query::of(Item::new().tag(name(tag)));
    [Query::all(), tag("first"), tag("missing"), Query::stream(name("a-1"))]
}

async fn it_is_the_end_of_the_log(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..3 {
        let done = store.wrote(Append::new([tagged("a-1", number, &["first"]), event("a-1", number)])).await?;
        for query in queries() {
            for read in
                [Read::log(query.clone()), Read::log(query.clone()).backward(), Read::log_after(query, done.last)]
            {
                for page in store.pages(read.clone().limit(1)).await? {
                    expect_eq!(
                        page.frontier,
                        done.last,
                        "the frontier of {read:?}, beside the last event acknowledged"
                    );
                }
            }
        }
    }
    Ok(())
}

async fn it_never_passes_until(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..6 {
        store.wrote(one(["a-1", "b-1"][number as usize % 2], number)).await?;
    }
    for until in store.log().await?.iter().map(|event| event.position) {
        let reads = [Read::log(Query::all()), Read::log(Query::stream(name("a-1"))), Read::stream(name("a-1"))];
        for read in reads.into_iter().flat_map(|read| [read.clone(), read.backward()]) {
            for page in store.pages(read.clone().until(Some(until)).limit(2)).await? {
                expect!(page.frontier <= Some(until), "a frontier up to {until}, not {:?}, of {read:?}", page.frontier);
                let past: Vec<_> = page.events.iter().filter(|event| event.position > until).collect();
                expect!(past.is_empty(), "no event past {until}, by {read:?}: {past:?}");
            }
        }
    }
    Ok(())
}

async fn it_never_lies_inside_an_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut ends = Vec::new();
    for number in 0..4 {
        let events =
            [tagged("a-1", number, &["first"]), event("a-1", number), event("a-1", number), event("a-1", number)];
        ends.push(store.wrote(Append::new(events)).await?.last);
        for query in queries() {
            for limit in [1, 2, 3, 5] {
                let read = Read::log(query.clone()).limit(limit);
                for page in store.pages(read.clone()).await?.into_iter().chain(store.pages(read.backward()).await?) {
                    expect!(ends.contains(&page.frontier), "a frontier at one of {ends:?}, not at {:?}", page.frontier);
                }
            }
        }
    }
    Ok(())
}

async fn a_stream_read_has_one_too(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let of_stream = store.wrote(some("a-1", 0..3)).await?.last;
    let of_log = store.wrote(one("b-1", 0)).await?.last;
    for read in [Read::stream(name("a-1")), Read::stream(name("a-1")).backward()] {
        for page in store.pages(read.clone().limit(2)).await? {
            let right = page.frontier >= of_stream && page.frontier <= of_log;
            expect!(right, "a frontier from {of_stream:?} to {of_log:?}, not {:?}", page.frontier);
        }
    }
    let missing = store.page(Read::stream(name("c-1"))).await?.frontier;
    expect!(missing <= of_log, "a frontier up to {of_log:?}, not {missing:?}, for a missing stream");
    Ok(())
}

async fn it_does_not_count_what_was_refused(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let last = store.wrote(one("a-1", 0)).await?.last;
    for _ in 0..3 {
        store.refused(some("a-1", 0..5).expect(name("a-1"), Expected::NoStream)).await?;
        store.wrote(nothing()).await?;
        expect_eq!(store.page(Read::log(Query::all())).await?.frontier, last, "the frontier after a refusal");
    }
    Ok(())
}

/// Every append is there with all three of its events, told by their id.
fn whole(events: &[Arc<Recorded>]) -> Verdict {
    let mut appends: BTreeMap<EventId, usize> = BTreeMap::new();
    events.iter().for_each(|event| *appends.entry(event.id).or_default() += 1);
    let torn: Vec<_> = appends.into_iter().filter(|(_, count)| *count != 3).collect();
    expect!(torn.is_empty(), "appends of three events each, not {torn:?} in {:?}", places(events));
    Ok(())
}

async fn log_readers_see_all_of_an_append_or_none(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    beside_writers(trial, store, one_stream, || async move {
        whole(&store.all(Read::log(Query::all()).limit(10_000)).await?)?;
        whole(&store.all(Read::log(Query::of(Item::new().category(name("w")))).limit(10)).await?)?;
        whole(&store.all(Read::log(Query::all()).backward().limit(7)).await?)
    })
    .await
}

async fn stream_readers_see_all_of_an_append_or_none(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    beside_writers(trial, store, one_stream, || async move {
        whole(&store.all(Read::stream(name("w-0")).limit(10)).await?)?;
        whole(&store.all(Read::stream(name("w-1")).backward().limit(7)).await?)
    })
    .await
}

/// Who has seen an append in one stream finds it in the other; `a` holds two events an append, `b` one.
async fn readers_of_two_streams_see_both_or_none(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    beside_writers(trial, store, two_streams, || async move {
        whole(&store.all(Read::log(Query::all()).limit(10)).await?)?;
        let last = |stream| store.page(Read::stream(name(stream)).limit(1));
        let count = |revision: Option<Revision>| revision.map_or(0, |last| last.get() + 1);
        let a = count(last("a-0").await?.revision);
        let b = count(last("b-0").await?.revision);
        let again = count(last("a-0").await?.revision);
        expect!(a <= b * 2 && b * 2 <= again, "{a} events in one stream, {b} in the other, then {again}");
        Ok(())
    })
    .await
}

/// As many events as every store takes in one append.
const LARGE: u32 = 120;

async fn a_large_append_is_seen_whole(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let rounds = u32::try_from(trial.rounds(20).max(6)).unwrap_or(6);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..rounds {
                store.wrote(Append::new((0..LARGE).map(|_| event("w-1", round)))).await?;
                tokio::task::yield_now().await;
            }
            Verdict::Ok(())
        }
    });
    loop {
        let done = writer.is_finished();
        for read in [Read::log(Query::all()), Read::stream(name("w-1")), Read::log(Query::all()).backward()] {
            let count = store.all(read.clone().limit(500)).await?.len();
            expect!(count % LARGE as usize == 0, "appends of {LARGE} events, not {count} of them, by {read:?}");
        }
        if done {
            return all_of([writer]).await.map(|_| ());
        }
        tokio::task::yield_now().await;
    }
}

async fn frontiers_beside_writers_end_an_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = &trial.open().await?;
    beside_writers(trial, store, one_stream, || async move {
        let frontier = store.page(Read::log(Query::all()).limit(1)).await?.frontier;
        if frontier.is_some() {
            whole(&store.all(Read::log(Query::all()).until(frontier)).await?)?;
        }
        Ok(())
    })
    .await
}
