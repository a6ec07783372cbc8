//! Every plan a query can take answers as `Query::matches` does, and so does every guard. Snapshots are found
//! by their revision.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

extern crate alloc;

use alloc::sync::Arc;
use portolan_kernel::ports::{AppendError, EventStore, Snapshot, SnapshotStore};
use portolan_kernel::values::*;
use portolan_sqlite::SqliteStore;

fn name<T: for<'a> TryFrom<&'a str, Error: core::fmt::Debug>>(text: impl AsRef<str>) -> T {
    T::try_from(text.as_ref()).unwrap()
}

/// A log in which streams, types and tags are common, rare and (system) hidden; with more kinds than one
/// query merges.
async fn filled(random: &mut fastrand::Rng) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    for _ in 0..400 {
        let events = (0..random.u32(1..4)).map(|_| any_event(random)).collect::<Vec<_>>();
        store.append(Append::new(events)).await.unwrap();
    }
    (folder, store)
}

fn any_event(random: &mut fastrand::Rng) -> NewEvent {
    let tags = (0..random.usize(0..4)).map(|_| any_tag(random)).collect::<Vec<_>>();
    NewEvent::new(any_stream(random), any_type(random), "{}").with_tags(tags)
}

fn any_stream(random: &mut fastrand::Rng) -> StreamId {
    match random.u32(0..10) {
        0 => name(format!("$system-{}", random.u32(0..3))),
        1 => name("$"),
        2 => name(format!("lone{}", random.u32(0..100))),
        3 => name("e\u{301}-1"),
        4 => name("\u{e9}-1"),
        _ => name(format!("{}-{}", random.choice(["a", "b", "c'd\"e"]).unwrap(), random.u32(0..8))),
    }
}

fn any_type(random: &mut fastrand::Rng) -> EventType {
    name(if random.u32(0..40) == 0 { "rare".into() } else { format!("t{}", random.u32(0..4)) })
}

fn any_tag(random: &mut fastrand::Rng) -> Tag {
    name(if random.u32(0..40) == 0 { "rare".into() } else { format!("tag {}", random.u32(0..5)) })
}

fn any_query(random: &mut fastrand::Rng) -> Query {
    let mut query = Query::all();
    for _ in 0..random.u32(0..4) {
        let mut item = Item::new();
        for _ in 0..[0, 0, 1, 2, 70][random.usize(0..5)] {
            item = item.stream(any_stream(random));
        }
        for _ in 0..[0, 0, 0, 1, 2][random.usize(0..5)] {
            item = item.category(name(any_stream(random).category()));
        }
        for _ in 0..[0, 0, 1, 2][random.usize(0..4)] {
            item = item.event_type(any_type(random));
        }
        for _ in 0..[0, 0, 1, 2][random.usize(0..4)] {
            item = item.tag(any_tag(random));
        }
        query = query.or(item);
    }
    if random.bool() { query.with_system() } else { query }
}

async fn read_all(store: &SqliteStore, read: Read) -> Vec<Arc<Recorded>> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    let mut frontier = None;
    while let Some(read) = next {
        let page = store.read(read.clone()).await.unwrap();
        assert!(page.events.len() <= read.limit as usize);
        assert_eq!(*frontier.get_or_insert(page.frontier), page.frontier, "one chain of pages saw two frontiers");
        events.extend(page.events);
        next = page.next;
    }
    events
}

fn maybe_position(random: &mut fastrand::Rng, last: u64) -> Option<Position> {
    if random.bool() { None } else { Position::new(random.u64(0..last + 20)) }
}

#[tokio::test]
async fn log_reads_are_the_log_filtered() {
    let mut random = fastrand::Rng::with_seed(1);
    let (_folder, store) = filled(&mut random).await;
    let all = read_all(&store, Read::log(Query::all().with_system())).await;
    let last = all.last().unwrap().position.get();
    let mut found = 0;
    for _ in 0..400 {
        let (query, after, until) = (any_query(&mut random), maybe_position(&mut random, last), None);
        let until = if random.bool() { until } else { maybe_position(&mut random, last) };
        let backward = random.bool();
        let mut expected: Vec<_> = all
            .iter()
            .filter(|event| query.matches(event))
            .filter(|event| until.is_none_or(|until| event.position <= until))
            .filter(|event| {
                after.is_none_or(|after| if backward { event.position < after } else { event.position > after })
            })
            .cloned()
            .collect();
        let read = Read::log_after(query, after).until(until).limit(random.u32(1..40));
        let read = if backward { read.backward() } else { read };
        if backward {
            expected.reverse();
        }
        found += expected.len();
        assert_eq!(read_all(&store, read.clone()).await, expected, "{read:?}");
    }
    assert!(found > 5_000, "the queries found too little to prove anything: {found}");
}

#[tokio::test]
async fn stream_reads_are_the_log_filtered() {
    let mut random = fastrand::Rng::with_seed(2);
    let (_folder, store) = filled(&mut random).await;
    let all = read_all(&store, Read::log(Query::all().with_system())).await;
    let last = all.last().unwrap().position.get();
    for _ in 0..500 {
        let stream = any_stream(&mut random);
        let after = if random.bool() { None } else { Some(Revision::new(random.u64(0..30))) };
        let (until, backward) = (maybe_position(&mut random, last), random.bool());
        let within: Vec<_> = all
            .iter()
            .filter(|event| event.stream == stream && until.is_none_or(|until| event.position <= until))
            .cloned()
            .collect();
        let mut expected: Vec<_> = within
            .iter()
            .filter(|event| {
                after.is_none_or(|after| if backward { event.revision < after } else { event.revision > after })
            })
            .cloned()
            .collect();
        let read = Read::stream_after(stream, after).until(until).limit(random.u32(1..10));
        let read = if backward { read.backward() } else { read };
        if backward {
            expected.reverse();
        }
        let page = store.read(read.clone()).await.unwrap();
        assert_eq!(page.revision, within.last().map(|event| event.revision), "{read:?}");
        assert_eq!(read_all(&store, read.clone()).await, expected, "{read:?}");
    }
}

#[tokio::test]
async fn guards_are_exact() {
    let mut random = fastrand::Rng::with_seed(3);
    let (_folder, store) = filled(&mut random).await;
    let all = read_all(&store, Read::log(Query::all().with_system())).await;
    let last = all.last().unwrap().position.get();
    let mut verdicts = [0, 0, 0];
    for _ in 0..600 {
        let guard = Guard::new(any_query(&mut random), maybe_position(&mut random, last));
        let stands = |position: Position| {
            let event = all.iter().find(|event| event.position == position);
            event.is_some_and(|event| guard.none_of.matches(event)) && Some(position) > guard.after
        };
        let is_past = guard.after.is_some_and(|after| after.get() > last);
        let some_stands = all.iter().any(|event| stands(event.position));
        match store.append(Append::default().guard(guard.clone())).await {
            Ok(_) => {
                assert!(!some_stands && !is_past, "{guard:?} held");
                verdicts[0] += 1;
            }
            Err(AppendError::GuardFailed { position }) => {
                assert!(stands(position), "{guard:?} failed for {position}");
                verdicts[1] += 1;
            }
            Err(AppendError::Invalid(_)) => {
                assert!(is_past, "{guard:?} is not past the frontier");
                verdicts[2] += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(verdicts.iter().all(|count| *count > 3), "{verdicts:?} says too little");
}

/// Far more events than one page looks at, hardly any of which match.
#[tokio::test]
async fn a_page_that_finds_nothing_ends_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    let common = NewEvent::new(name("s-1"), name("common"), "{}");
    for _ in 0..5 {
        store.append(Append::new(vec![common.clone(); 10_000])).await.unwrap();
    }
    let hidden = NewEvent::new(name("s-1"), name("common"), "{}").with_tags([name("rare"), name("other")]);
    store.append(Append::new([hidden])).await.unwrap();
    // No index helps: it names no stream, type or tag that is rare, and the last condition no index knows.
    let query = Query::of(Item::new()).or(Item::new()).with_system();
    let none = Query::of(Item::new().category(name("s")).tag(name("absent")))
        .or(Item::new().stream(name("s-1")).tag(name("rare")));
    let mut pages = 0;
    let mut next = Some(Read::log(none));
    let mut found = Vec::new();
    while let Some(read) = next {
        let page = store.read(read).await.unwrap();
        pages += 1;
        found.extend(page.events);
        next = page.next;
    }
    assert_eq!(found.len(), 1);
    assert!(pages > 2, "50,001 events were looked at in {pages} pages");
    let page = store.read(Read::log(query).limit(u32::MAX)).await.unwrap();
    assert_eq!(page.events.len(), 10_000, "a page holds at most what the capabilities say");
}

#[tokio::test]
async fn pages_are_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    let large = NewEvent::new(name("s-1"), name("t"), vec![7; 3 << 20]).with_format(Format::Binary);
    store.append(Append::new(vec![large; 5])).await.unwrap();
    for read in [Read::log(Query::all()), Read::stream(name("s-1")), Read::log(Query::stream(name("s-1"))).backward()] {
        assert_eq!(store.read(read.clone()).await.unwrap().events.len(), 2, "{read:?}");
        assert_eq!(read_all(&store, read).await.len(), 5);
    }
}

/// Two threads make such a page.
#[tokio::test]
async fn long_pages_of_everything_are_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    let event = |n: usize| {
        let stream = if n.is_multiple_of(7) { name("$s-1") } else { name(format!("s-{}", n % 10)) };
        NewEvent::new(stream, name("t"), vec![b'7'; if (1_500..1_900).contains(&n) { 20_000 } else { 2 }])
    };
    for first in [0, 1_500] {
        store.append(Append::new((first..first + 1_500).map(event))).await.unwrap();
    }
    for query in [Query::all(), Query::all().with_system()] {
        let expected: Vec<_> = (0..3_000).filter(|n| query.matches(&event(*n))).map(|n| n as u64 + 1).collect();
        for (limit, until) in [(511, None), (512, None), (1_001, None), (1_000, Position::new(2_901)), (10_000, None)] {
            let (mut found, mut next) = (Vec::new(), Some(Read::log(query.clone()).limit(limit).until(until)));
            while let Some(read) = next {
                let page = store.read(read).await.unwrap();
                assert!(page.events.len() <= limit as usize);
                assert!(page.events.iter().map(|event| event.bytes()).sum::<u64>() < (4 << 20) + 2 * 20_100);
                assert_eq!(page.frontier, until.or(Position::new(3_000)));
                assert!(page.next.as_ref().is_none_or(|next| next.limit == limit && next.until == page.frontier));
                found.extend(page.events.iter().map(|event| event.position.get()));
                next = page.next;
            }
            let seen = expected.iter().filter(|n| until.is_none_or(|until| **n <= until.get()));
            assert!(seen.eq(&found), "limit {limit}, until {until:?}");
        }
    }
}

#[tokio::test]
async fn snapshots_are_found_by_revision_overwritten_and_deleted_by_bound() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    let snapshot = |stream: &str, kind: &str, revision: u64, state: &'static [u8]| {
        Snapshot::new(name(stream), name(kind), Revision::new(revision), 3, state, Timestamp::from_micros(9))
            .with_format(Format::Binary)
    };
    for kept in [
        snapshot("s", "k", 2, b"old"),
        snapshot("s", "k", 2, b"\0two"),
        snapshot("s", "k", 5, b""),
        snapshot("s", "other", 9, b"o"),
        snapshot("t", "k", 9, b"t"),
    ] {
        store.save(kept).await.unwrap();
    }
    drop(store);
    let store = SqliteStore::open(folder.path().join("log.db")).await.unwrap();
    let load = async |at_most: Option<u64>| store.load(name("s"), name("k"), at_most.map(Revision::new)).await.unwrap();
    assert_eq!(load(None).await, Some(snapshot("s", "k", 5, b"")));
    assert_eq!(load(Some(u64::MAX)).await, Some(snapshot("s", "k", 5, b"")));
    assert_eq!(load(Some(4)).await, Some(snapshot("s", "k", 2, b"\0two")));
    assert_eq!(load(Some(1)).await, None);
    store.delete(name("s"), name("k"), Some(Revision::new(5))).await.unwrap();
    assert_eq!((load(Some(4)).await, load(None).await), (None, Some(snapshot("s", "k", 5, b""))));
    store.delete(name("s"), name("k"), None).await.unwrap();
    assert_eq!(load(None).await, None);
    for (stream, kind) in [("s", "other"), ("t", "k")] {
        assert!(store.load(name(stream), name(kind), None).await.unwrap().is_some(), "{stream} {kind}");
    }
}

/// A stream longer than a page, some of it of large events, between events of others: small pages, pages cut off by their
/// bytes, and starts anywhere, in both directions.
#[tokio::test]
async fn long_streams_are_read_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(folder.path().join("log.db"));
    let mut store = open().await.unwrap();
    let stream: StreamId = name("long-1");
    let mut expected = Vec::new();
    for n in 0..130_u64 {
        let events = (0..10_u64).map(|m| {
            let other = name(format!("other-{}", (n + m) % 3));
            let bytes = if (300..900).contains(&(n * 7)) { 20_000 } else { 10 };
            NewEvent::new(
                if m < 7 { stream.clone() } else { other },
                name("told"),
                format!("\"{}\"", "x".repeat(bytes)),
            )
        });
        let appended = store.append(Append::new(events)).await.unwrap();
        expected.extend((0..7).map(|m| appended.first.unwrap().get() + m));
        if n % 40 == 0 {
            drop(store);
            store = open().await.unwrap();
        }
    }
    let last = expected.len() as u64 - 1;
    for limit in [1, 3, 255, 256, 257, 1_000] {
        for start in [None, Some(0), Some(5), Some(254), Some(437), Some(last - 1), Some(last), Some(last + 1)] {
            for backward in [false, true] {
                let from = Read::stream_after(stream.clone(), start.map(Revision::new)).limit(limit);
                let mut next = Some(if backward { from.backward() } else { from });
                let (mut found, mut pages) = (Vec::new(), 0);
                while let Some(read) = next.take().filter(|_| pages < 5 || limit > 3) {
                    let page = store.read(read).await.unwrap();
                    assert!(page.events.iter().map(|event| event.payload.len()).sum::<usize>() < 5 << 20);
                    found.extend(page.events.iter().map(|event| event.position.get()));
                    (next, pages) = (page.next, pages + 1);
                }
                let all: Vec<u64> = match (backward, start.map(|start| usize::try_from(start).unwrap())) {
                    (false, start) => expected.iter().skip(start.map_or(0, |start| start + 1)).copied().collect(),
                    (true, start) => expected.iter().take(start.unwrap_or(expected.len())).rev().copied().collect(),
                };
                assert!(found.len() == all.len() || pages == 5, "{limit} from {start:?}");
                assert_eq!(found, all[..found.len()], "{limit} from {start:?}");
            }
        }
    }
    assert_eq!(store.verify().await.unwrap(), [""; 0]);
}
