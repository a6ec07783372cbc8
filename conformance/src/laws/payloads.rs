//! ES-14: what goes in comes out.

use crate::ask::{Ask, Store, carrying, event, given, key, name, one, tagged};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use bytes::Bytes;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, Capability, Clock, EventStore, ReadError};
use portolan_kernel::values::{Append, EventId, Expected, Format, Guard, Item, NewEvent, Query, Read, Tag};

law! {
    dyn EventStore, es_14_payloads, "ES-14",
    "Payload, metadata, id, tags, type, version and format come back as they were given, byte for byte: empty, large, \
     not UTF-8, long names, every Unicode normal form kept apart. Past a stated limit: TooLarge with the limit, \
     nothing written.",
    checks: [
        payloads_and_metadata,
        large_payloads,
        every_event_of_a_large_append,
        ids_and_versions,
        tags_in_their_order,
        names_of_every_kind,
        names_that_look_alike_are_apart,
        come_back_after_reopening if [Durability],
        past_a_limit_is_too_large,
        too_many_streams_are_too_large if [SeveralStreams],
        too_large_a_note if [Keys],
        too_large_a_query,
        too_large_a_guard if [Guard],
        recorded_at_is_the_clocks,
    ],
}

/// Bytes that stores like to change.
const BYTES: &[&[u8]] = &[
    b"",
    b" ",
    b"null",
    b"0",
    b"\"\"",
    b"{}",
    b"[]",
    b"{ }",
    b" {\"a\":1} ",
    b"{\"a\":1}\n",
    b"{\"b\":1,\"a\":2}",
    b"{\"a\" : 1 ,\t\"b\":2}",
    b"{\"a\":1.0}",
    b"{\"a\":1e3}",
    b"{\"a\":-0}",
    b"{\"a\":0.10}",
    b"{\"a\":1,\"a\":2}",
    b"{\"a\":123456789012345678901234567890}",
    b"{\"a\":18446744073709551615,\"b\":-9223372036854775808}",
    b"{\"a\":0.1000000000000000055511151231257827}",
    b"\"\\u0041\\/\\ud83e\\udd80\"",
    b"{\"a\":\"\\ud800\"}",
    b"true",
    "\"e\u{301}\u{e9}\"".as_bytes(),
    b"{\"\":null}",
    b"{\"a\":null}",
    b"[1,[2,[3,[]]]]",
    b"{broken",
    b"text",
    b"\0",
    b"a\0b",
    b"a\0\0",
    b"\0a",
    b"\xff\xfe\0\x80",
    b"\xef\xbb\xbf{}",
    b"\r\n",
    b"'; DROP TABLE events; --",
    b"AAECAw==",
    b"<a>&amp;</a>",
];

/// What is written comes back, from the stream and from the log.
async fn comes_back(store: &Store, events: Vec<NewEvent>) -> Verdict {
    for event in events {
        let stream = event.stream.clone();
        let done = store.wrote(Append::new([event.clone()])).await?;
        let last = done.streams.first().and_then(|(_, last)| *last);
        let before = last.and_then(|last| last.get().checked_sub(1)).map(portolan_kernel::values::Revision::new);
        let of_stream = store.all(Read::stream_after(stream.clone(), before)).await?;
        expect_eq!(given(&of_stream), core::slice::from_ref(&event), "an event that comes back from its stream");
        let of_log = store.all(Read::log(Query::stream(stream)).backward().limit(1)).await?;
        expect_eq!(given(&of_log[..1.min(of_log.len())]), [event], "an event that comes back from the log");
    }
    Ok(())
}

fn varied() -> Vec<NewEvent> {
    let of = |bytes: &[u8], number| {
        let bytes = Bytes::copy_from_slice(bytes);
        let payload = |format| carrying("a-1", number, bytes.clone(), format);
        [payload(Format::Json), payload(Format::Binary), event("a-1", number).with_metadata(bytes.clone())]
    };
    BYTES.iter().zip(0..).flat_map(|(bytes, number)| of(bytes, number)).collect()
}

async fn payloads_and_metadata(trial: &Trial<dyn EventStore>) -> Verdict {
    comes_back(&trial.open().await?, varied()).await
}

async fn large_payloads(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = usize::try_from(store.capabilities().limits.event_bytes).unwrap_or(usize::MAX) - 64;
    let noise: Vec<u8> = (0..(1u32 << 20) + 3).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sizes =
        [255, 256, 4_095, 4_096, 65_535, 65_536, 70_000, 400 << 10, (1 << 20) + 3].map(|size: usize| size.min(limit));
    let part = |size: usize| Bytes::copy_from_slice(&noise[..size]);
    let events = sizes.into_iter().zip(0..).flat_map(|(size, number)| {
        let payload = carrying("a-1", number, part(size), Format::Binary);
        let metadata = tagged("a-1", number, &["t", "u"]).with_metadata(part(size));
        // And both, as far as the limit allows.
        let both = carrying("a-1", number, part(size / 2), Format::Binary).with_metadata(part(size / 2));
        let others = [metadata, both.with_tags([name("t")])].into_iter().filter(move |_| number % 2 == 0);
        [payload].into_iter().chain(others)
    });
    comes_back(&store, events.collect()).await
}

async fn every_event_of_a_large_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let events = (0..120).map(|number| {
        let mut event = tagged("a-1", number, &["t", &format!("t{number}")]).with_version(number + 1);
        event.event_type = name(&format!("k{number}"));
        event.with_metadata(format!("of {number}")).with_format(if number % 2 == 0 {
            Format::Json
        } else {
            Format::Binary
        })
    });
    let events: Vec<_> = events.collect();
    store.wrote(Append::new(events.clone())).await?;
    expect_eq!(given(&store.all(Read::stream(name("a-1"))).await?), events, "the 120 events of one append");
    let tagged = store.all(Read::log(Query::of(Item::new().tag(name("t"))))).await?;
    expect_eq!(given(&tagged), events, "the 120 events of one append, by their tag");
    for number in [0, 63, 64, 99, 100, 119] {
        let (tag, kind) = (name(&format!("t{number}")), name(&format!("k{number}")));
        for item in [Item::new().tag(tag), Item::new().event_type(kind)] {
            let found = store.all(Read::log(Query::of(item.clone()))).await?;
            expect_eq!(given(&found), events[number..=number], "one of 120 events, by {item:?}");
        }
    }
    Ok(())
}

async fn ids_and_versions(trial: &Trial<dyn EventStore>) -> Verdict {
    let ids = [[0; 16], [0xff; 16], core::array::from_fn(|n| u8::try_from(n * 16 + 1).unwrap_or(0))];
    let versions = [1, 2, 255, 65_536, u32::MAX];
    let events = ids
        .into_iter()
        .flat_map(|id| versions.map(|version| event("a-1", 0).with_id(EventId::from_bytes(id)).with_version(version)));
    comes_back(&trial.open().await?, events.collect()).await
}

async fn tags_in_their_order(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let most = usize::try_from(store.capabilities().limits.event_tags).unwrap_or(100).min(100);
    let many: Vec<String> = (0..most).rev().map(|n| format!("tag:{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let sets: [&[&str]; 9] = [
        &[],
        &["a"],
        &["b", "a"],
        &["a", "a"],
        &["a", "b", "a"],
        &["A", "a"],
        &["e\u{301}", "\u{e9}"],
        &[" a", "a ", "a,b", "a\"b"],
        &many,
    ];
    let events =
        sets.iter().filter(|tags| tags.len() <= most).zip(0..).map(|(tags, number)| tagged("a-1", number, tags));
    comes_back(&store, events.collect()).await
}

/// Names that stores like to change, confuse or choke on.
fn names() -> Vec<String> {
    let long = ["x".repeat(512), "\u{e9}".repeat(256), "\u{1f980}".repeat(128), format!("{}y", "x".repeat(511))];
    let short = [
        "a",
        "A",
        "a b",
        " a",
        "a ",
        "a/b",
        "a\\b",
        "a%2Fb",
        "%",
        "a?b#c&d=e",
        "\"a\"",
        "'a'",
        "a,b",
        "a:b",
        "a;b",
        "*",
        "_",
        "[a]",
        "{a}",
        "<a>",
        "NULL",
        "null",
        "0",
        "00",
        "true",
        "\u{e9}",
        "e\u{301}",
        "\u{212b}",
        "\u{c5}",
        "\u{fb01}",
        "fi",
        "\u{df}",
        "ss",
        "\u{130}",
        "i\u{307}",
        "\u{200b}a",
        "\u{feff}a",
        "\u{202e}a",
        "\u{10ffff}",
        "\u{1f980}",
        ".",
        "..",
        "+",
        "a+b",
        "--",
        "-",
        "a-",
        "$",
        "$a",
        "~",
    ];
    short.into_iter().map(str::to_string).chain(long).collect()
}

async fn names_of_every_kind(trial: &Trial<dyn EventStore>) -> Verdict {
    let events = names().into_iter().zip(0..).map(|(text, number)| {
        NewEvent::new(name(&text), name(&text), "{}").with_tags([name::<Tag>(&text)]).with_version(number + 1)
    });
    comes_back(&trial.open().await?, events.collect()).await
}

async fn names_that_look_alike_are_apart(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for text in names() {
        // Also a text that was once written as another's equal would conflict here.
        store.wrote(tagged_alike(&text).expect(name(&text), Expected::NoStream)).await?;
    }
    for text in names() {
        let of_stream = store.all(Read::stream(name(&text))).await?;
        expect_eq!(given(&of_stream), tagged_alike(&text).events, "the stream {text:?}");
        let item = portolan_kernel::values::Item::new;
        for item in [item().tag(name(&text)), item().event_type(name(&text)), item().stream(name(&text))] {
            let found = store.all(Read::log(Query::of(item.clone()).with_system())).await?;
            expect_eq!(given(&found), tagged_alike(&text).events, "the events of {item:?}");
        }
    }
    Ok(())
}

fn tagged_alike(text: &str) -> Append {
    Append::new([NewEvent::new(name(text), name(text), "{}").with_tags([name::<Tag>(text)])])
}

async fn come_back_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut events = varied();
    events.truncate(usize::try_from(store.capabilities().limits.append_events).unwrap_or(usize::MAX));
    store.wrote(Append::new(events.clone())).await?;
    store.wrote(Append::new([tagged("b-1", 0, &["b", "a", "b"]).with_version(7)])).await?;
    events.push(tagged("b-1", 0, &["b", "a", "b"]).with_version(7));
    drop(store);
    expect_eq!(given(&trial.open().await?.log().await?), events, "the log in the next life");
    Ok(())
}

/// The append is refused as too large, with this limit, and leaves nothing.
async fn too_large(store: &Store, append: Append, stated: u64, what: &str) -> Verdict {
    let newest = Read::log(Query::all()).backward().limit(1);
    let before = store.page(newest.clone()).await?;
    let refusal = store.refused(append).await?;
    expect_is!(refusal, AppendError::TooLarge { limit, .. } if *limit == stated, "{what} past {stated}");
    expect_eq!(store.page(newest).await?.frontier, before.frontier, "the frontier after the refusal");
    Ok(())
}

/// Sizes past which the suite does not go to reach a limit.
const MOST_BYTES: u64 = 256 << 20;
const MOST_COUNT: u32 = 20_000;

async fn past_a_limit_is_too_large(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limits = store.capabilities().limits;
    if limits.event_tags <= MOST_COUNT {
        let with = |count: u32| event("a-1", 0).with_tags((0..count).map(|n| name(&format!("t{n}"))));
        store.wrote(Append::new([with(limits.event_tags)])).await?;
        too_large(&store, Append::new([with(limits.event_tags + 1)]), limits.event_tags.into(), "tags").await?;
    }
    if limits.append_events <= MOST_COUNT {
        let of = |count: u32| Append::new((0..count).map(|_| NewEvent::new(name("m-1"), name("t"), "")));
        store.wrote(of(limits.append_events)).await?;
        too_large(&store, of(limits.append_events + 1), limits.append_events.into(), "events").await?;
    }
    if limits.event_bytes <= MOST_BYTES {
        let size = usize::try_from(limits.event_bytes).unwrap_or(usize::MAX);
        let names = "a-1".len() + "t".len();
        let payload = Bytes::from(vec![b'x'; size + 1 - names]);
        let event = NewEvent::new(name("a-1"), name("t"), payload).with_format(Format::Binary);
        too_large(&store, Append::new([event.clone()]), limits.event_bytes, "bytes of an event").await?;
        let mut event = event.clone().with_metadata(event.payload);
        event.payload = Bytes::new();
        too_large(&store, Append::new([event]), limits.event_bytes, "bytes of an event's metadata").await?;
    }
    let most = limits.append_bytes.div_ceil(limits.event_bytes / 2);
    if limits.append_bytes <= MOST_BYTES && most < limits.append_events.into() {
        let payload = Bytes::from(vec![b'x'; usize::try_from(limits.event_bytes / 2).unwrap_or(0)]);
        let event = NewEvent::new(name("a-1"), name("t"), payload).with_format(Format::Binary);
        too_large(&store, Append::new((0..most).map(|_| event.clone())), limits.append_bytes, "bytes of all").await?;
    }
    Ok(())
}

async fn too_many_streams_are_too_large(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limits = store.capabilities().limits;
    if limits.append_streams < limits.append_events.min(MOST_COUNT) {
        let of = |count: u32| Append::new((0..count).map(|n| event(&format!("s-{n}"), 0)));
        store.wrote(of(limits.append_streams)).await?;
        too_large(&store, of(limits.append_streams + 1), limits.append_streams.into(), "streams").await?;
        let expected = (1..=limits.append_streams).map(|n| name(&format!("e-{n}")));
        let expecting = expected.fold(one("s-0", 0), |append, stream| append.expect(stream, Expected::NoStream));
        too_large(&store, expecting, limits.append_streams.into(), "streams, most of them only expected").await?;
    }
    Ok(())
}

async fn too_large_a_note(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = store.capabilities().limits.note_bytes;
    if limit <= MOST_BYTES {
        let with = |id: &str, size: u64| {
            one("a-1", 0).key(key(id, 1).with_note(vec![0xee; usize::try_from(size).unwrap_or(0)]))
        };
        let done = store.wrote(with("k", limit)).await?;
        expect_eq!(done.note.len() as u64, limit, "the size of the note");
        too_large(&store, with("l", limit + 1), limit, "bytes of a note").await?;
        expect_eq!(store.recalled("l").await?, None, "the key of the refused append");
    }
    Ok(())
}

/// A query of so many terms, of which the last is `last`.
fn of_terms(count: u32, last: &str) -> Query {
    let streams = (2..count).map(|n| name(&format!("missing-{n}"))).chain([name(last)]);
    Query::of(streams.fold(Item::new(), Item::stream))
}

async fn too_large_a_query(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = store.capabilities().limits.query_terms;
    if limit <= MOST_COUNT {
        store.wrote(one("a-1", 0)).await?;
        let read = |count| Read::log(of_terms(count, "a-1"));
        expect_eq!(store.all(read(limit)).await?.len(), 1, "events found by the last of {limit} terms");
        for count in [limit + 1, limit + 100] {
            let answer = store.read(read(count)).await;
            let stated = u64::from(limit);
            expect_is!(answer, Err(ReadError::TooLarge { limit, .. }) if *limit == stated, "{count} terms past {stated}");
        }
    }
    Ok(())
}

async fn too_large_a_guard(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let limit = store.capabilities().limits.query_terms;
    if limit <= MOST_COUNT {
        store.wrote(one("a-1", 0)).await?;
        let guarded = |count| one("b-1", 0).guard(Guard::new(of_terms(count, "a-1"), None));
        let refusal = store.refused(guarded(limit)).await?;
        expect_is!(refusal, AppendError::GuardFailed { .. }, "a guard of {limit} terms, of which the last fails");
        too_large(&store, guarded(limit + 1), limit.into(), "terms of a guard").await?;
    }
    Ok(())
}

async fn recorded_at_is_the_clocks(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let several = trial.has(Capability::SeveralStreams);
    for round in 0..3 {
        trial.clock().advance(Duration::from_secs(61));
        let other = if several { "b-1" } else { "a-1" };
        store.wrote(Append::new([event("a-1", round), event(other, round)])).await?;
        let log = store.log().await?;
        let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let real = portolan_kernel::values::Timestamp::default().plus(real);
        for event in &log[log.len().saturating_sub(2)..] {
            // A store without keys that expire may keep to a clock of its own.
            let at = event.recorded_at;
            let by_real = at <= real.plus(Duration::from_secs(60)) && at.plus(Duration::from_secs(60)) >= real;
            expect!(
                at == trial.clock().now() || by_real,
                "recorded at {:?} or about {real:?}, not {at:?}",
                trial.clock().now()
            );
        }
    }
    Ok(())
}
