//! ES-15: every way of reading.

use super::many::a_query_of_many_terms;
use super::world;
use crate::ask::{Ask, Store, event, given, name, one, places, some};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, Direction, Item, Position, Query, Read, Recorded, Revision, StreamId};
use std::sync::Arc;

law! {
    dyn EventStore, es_15_reads, "ES-15",
    "By stream and by query, each with direction, exclusive start, limit and until, in every combination. Backward is \
     forward reversed. Past the end is empty. A missing stream is an empty page.",
    checks: [
        every_query,
        every_combination_of_a_query,
        every_combination_of_a_stream,
        a_missing_stream_is_empty,
        past_the_end_is_empty,
        an_empty_store_is_empty,
        several_streams_of_one_append if [SeveralStreams],
        a_query_of_many_terms,
        as_before_after_reopening if [Durability],
    ],
}

/// All pages of the read, in both directions, hold what they should.
async fn reads_rightly(store: &Store, log: &[Arc<Recorded>], read: Read) -> Verdict {
    for direction in [Direction::Forward, Direction::Backward] {
        let read = if direction == Direction::Backward { read.clone().backward() } else { read.clone() };
        let expected = world::expected(log, &read);
        let actual = store.all(read.clone()).await?;
        expect_eq!(summary(&actual), summary(&expected), "the events of {read:?}");
        expect_eq!(actual, expected, "the events of {read:?}, in full");
    }
    Ok(())
}

fn summary(events: &[Arc<Recorded>]) -> Vec<String> {
    events.iter().map(|event| format!("{}: {}@{}", event.position, event.stream, event.revision)).collect()
}

async fn every_query(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let log = world::write(&store).await?;
    for query in world::queries() {
        for limit in [1, 3, Read::DEFAULT_LIMIT] {
            reads_rightly(&store, &log, Read::log(query.clone()).limit(limit)).await?;
        }
    }
    Ok(())
}

async fn every_combination_of_a_query(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let log = world::write(&store).await?;
    let item = Item::new;
    let queries = [
        Query::all(),
        Query::all().with_system(),
        Query::of(item().category(name("account"))),
        Query::of(item().tag(name("a"))).or(item().event_type(name("deposited"))),
        Query::of(item().stream(name("account-ann"))),
        Query::of(item().event_type(name("missing"))),
        Query::of(item().stream(name("account-bob")))
            .or(item().tag(name("a")))
            .or(item().category(name("$x")))
            .with_system(),
    ];
    let bounds: Vec<Option<Position>> = [None]
        .into_iter()
        .chain([0, 4, 5, 10, 13, 17].into_iter().map(|at| log.get(at).map(|event| event.position)))
        .chain([Some(Position::MAX)])
        .collect();
    for query in queries {
        for start in &bounds {
            for until in &bounds {
                for limit in [1, 2, 100] {
                    reads_rightly(&store, &log, Read::log_after(query.clone(), *start).until(*until).limit(limit))
                        .await?;
                }
            }
        }
    }
    Ok(())
}

async fn every_combination_of_a_stream(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..6 {
        store.wrote(one("a-1", number * 2)).await?;
        store.wrote(one("a-2", number)).await?;
        store.wrote(one("a-1", number * 2 + 1)).await?;
    }
    let log = store.log().await?;
    let untils = [None].into_iter().chain(log.iter().step_by(3).map(|event| Some(event.position)));
    for until in untils.chain([Position::new(Position::MAX.get())]) {
        let past = [12, 1_000, (1 << 32) + 1, i64::MAX as u64, u64::MAX].map(Some);
        for start in [None, Some(0), Some(1), Some(5), Some(10), Some(11)].into_iter().chain(past) {
            for limit in [1, 5, 12, u32::MAX] {
                let read = Read::stream_after(name("a-1"), start.map(Revision::new)).until(until).limit(limit);
                reads_rightly(&store, &log, read.clone()).await?;
                let last =
                    log.iter().rev().find(|event| event.stream == "a-1" && until.is_none_or(|u| event.position <= u));
                let revision = store.page(read.clone()).await?.revision;
                expect_eq!(revision, last.map(|event| event.revision), "the revision on the page of {read:?}");
                let revision = store.page(read.clone().backward()).await?.revision;
                expect_eq!(
                    revision,
                    last.map(|event| event.revision),
                    "the revision on the page of {read:?}, backward"
                );
            }
        }
    }
    Ok(())
}

/// The read has one empty page, about nothing.
async fn finds_nothing(store: &Store, read: Read) -> Verdict {
    let pages = store.pages(read.clone()).await?;
    let found: Vec<_> = pages.iter().flat_map(|page| places(&page.events)).collect();
    expect_eq!(found, [""; 0], "the events of {read:?}");
    Ok(())
}

async fn a_missing_stream_is_empty(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("a-1", 0..3)).await?;
    for missing in ["a-2", "a", "a-", "A-1", "a-1 ", "a-11", "$a-1"] {
        let missing: StreamId = name(missing);
        for read in [Read::stream(missing.clone()), Read::stream_after(missing.clone(), Some(Revision::FIRST))] {
            for read in [read.clone(), read.backward()] {
                expect_eq!(store.page(read.clone()).await?.revision, None, "the revision of a missing stream");
                finds_nothing(&store, read).await?;
            }
        }
        finds_nothing(&store, Read::log(Query::stream(missing))).await?;
    }
    Ok(())
}

async fn past_the_end_is_empty(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("a-1", 0..3)).await?;
    let log = store.log().await?;
    let (first, last) = (log.first().map(|event| event.position), log.last().map(|event| event.position));
    for revision in [2, 3, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
        finds_nothing(&store, Read::stream_after(name("a-1"), Some(Revision::new(revision)))).await?;
    }
    finds_nothing(&store, Read::stream_after(name("a-1"), Some(Revision::FIRST)).backward()).await?;
    finds_nothing(&store, Read::log_after(Query::all(), last)).await?;
    finds_nothing(&store, Read::log_after(Query::all(), Some(Position::MAX))).await?;
    finds_nothing(&store, Read::log_after(Query::all(), first).backward()).await?;
    finds_nothing(&store, Read::log_after(Query::all(), last).until(first)).await?;
    let before_first =
        first.and_then(|first| Position::new(first.get().saturating_sub(1))).filter(|p| Some(*p) < first);
    if let Some(before) = before_first {
        finds_nothing(&store, Read::log(Query::all()).until(Some(before))).await?;
        finds_nothing(&store, Read::stream(name("a-1")).until(Some(before)).backward()).await?;
    }
    Ok(())
}

async fn an_empty_store_is_empty(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for read in [Read::log(Query::all()), Read::log(Query::all().with_system()), Read::stream(name("a-1"))] {
        finds_nothing(&store, read.clone()).await?;
        finds_nothing(&store, read.clone().backward()).await?;
        finds_nothing(&store, read.until(Position::new(1))).await?;
    }
    Ok(())
}

async fn several_streams_of_one_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let events: Vec<_> = (0..9).map(|number| event(["a-1", "b-1", "c-1"][number as usize % 3], number)).collect();
    store.wrote(Append::new(events.clone())).await?;
    for stream in ["a-1", "b-1", "c-1"] {
        let expected: Vec<_> = events.iter().filter(|event| event.stream == stream).cloned().collect();
        expect_eq!(given(&store.all(Read::stream(name(stream))).await?), expected, "stream {stream}");
    }
    let both = Query::of(Item::new().stream(name("c-1")).stream(name("a-1")));
    let expected: Vec<_> = events.iter().filter(|event| event.stream != "b-1").cloned().collect();
    expect_eq!(given(&store.all(Read::log(both).limit(2)).await?), expected, "two streams, in the order of the log");
    Ok(())
}

async fn as_before_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let log = world::write(&store).await?;
    drop(store);
    let store = trial.open().await?;
    for query in world::queries() {
        reads_rightly(&store, &log, Read::log(query).limit(5)).await?;
    }
    reads_rightly(&store, &log, Read::stream(name("account-ann"))).await
}
