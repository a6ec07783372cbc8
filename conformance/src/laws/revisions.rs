//! ES-01 and ES-02: revisions and positions.

use crate::ask::{Ask, Store, event, given, name, one, places, some};
use crate::law::law;
use crate::{Trial, Verdict, expect, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::{Append, Expected, Position, Query, Read, Recorded, Revision};
use std::sync::Arc;

law! {
    dyn EventStore, es_01_revisions, "ES-01",
    "Revisions in a stream are dense from 0. One append is contiguous in each of its streams. Revisions and positions \
     are never used again, also after a restart.",
    checks: [
        first_is_zero,
        dense_over_appends,
        dense_in_each_of_several_streams if [SeveralStreams],
        no_gap_after_refusals,
        outcome_names_the_revisions if [SeveralStreams],
        go_on_after_reopening if [Durability],
    ],
}

law! {
    dyn EventStore, es_02_positions, "ES-02",
    "Positions rise strictly over the whole store; density is not promised. Appends are not interleaved.",
    checks: [
        rise_over_all_streams,
        outcome_names_first_and_last,
        equal_by_every_way_of_reading,
        rise_within_an_append if [SeveralStreams],
        rise_after_reopening if [Durability],
        appends_stay_whole_beside_each_other,
    ],
}

async fn first_is_zero(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(one("a-1", 0)).await?;
    store.wrote(one("b-1", 0)).await?;
    expect_eq!(places(&store.log().await?), ["a-1@0", "b-1@0"], "the first events of two streams");
    Ok(())
}

async fn dense_over_appends(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut expected = 0;
    for (round, size) in [1, 3, 1, 7, 2, 20].into_iter().enumerate() {
        store.wrote(some("a-1", expected..expected + size)).await?;
        store.wrote(one("b-1", u32::try_from(round).unwrap_or(0))).await?;
        expected += size;
        expect_dense(&store, "a-1", expected).await?;
    }
    expect_dense(&store, "b-1", 6).await
}

async fn dense_in_each_of_several_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("b-1", 0..2)).await?;
    store
        .wrote(Append::new([event("a-1", 0), event("b-1", 2), event("a-1", 1), event("c-1", 0), event("b-1", 3)]))
        .await?;
    expect_dense(&store, "a-1", 2).await?;
    expect_dense(&store, "b-1", 4).await?;
    expect_dense(&store, "c-1", 1).await
}

async fn no_gap_after_refusals(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("a-1", 0..2)).await?;
    for _ in 0..3 {
        let refusal = store.refused(some("a-1", 2..5).expect(name("a-1"), Expected::NoStream)).await?;
        expect_is!(refusal, AppendError::Conflict { .. }, "an append that expects no stream");
    }
    store.wrote(one("a-1", 2)).await?;
    expect_dense(&store, "a-1", 3).await
}

async fn outcome_names_the_revisions(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    store.wrote(some("z-1", 0..3)).await?;
    let append = Append::new([event("b-1", 0), event("a-1", 0), event("b-1", 1)])
        .expect(name("z-1"), Expected::StreamExists)
        .expect(name("missing"), Expected::NoStream)
        .expect(name("a-1"), Expected::NoStream);
    let streams = store.wrote(append).await?.streams;
    let expected = [("b-1", Some(1)), ("a-1", Some(0)), ("z-1", Some(2)), ("missing", None)];
    let expected = expected.map(|(stream, last)| (name(stream), last.map(Revision::new)));
    expect_eq!(streams, expected, "the outcome's streams: the written in order, then the expected");
    Ok(())
}

async fn go_on_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    for life in 0..4 {
        let store = trial.open().await?;
        store.wrote(some("a-1", life * 2..life * 2 + 2)).await?;
        let _ = store.refused(one("a-1", 99).expect(name("a-1"), Expected::NoStream)).await?;
        expect_dense(&store, "a-1", life * 2 + 2).await?;
    }
    Ok(())
}

/// The stream holds exactly the events numbered from 0, at the revisions of their numbers.
async fn expect_dense(store: &Store, stream: &str, count: u32) -> Verdict {
    let events = store.all(Read::stream(name(stream))).await?;
    let expected: Vec<_> = (0..count).map(|n| format!("{stream}@{n}")).collect();
    expect_eq!(places(&events), expected, "the revisions of {stream}");
    let expected: Vec<_> = (0..count).map(|n| event(stream, n)).collect();
    expect_eq!(given(&events), expected, "the events of {stream}, in order");
    Ok(())
}

async fn rise_over_all_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let mut expected = Vec::new();
    for number in 0..12 {
        let stream = ["b-1", "a-1", "c-1"][number as usize % 3];
        store.wrote(one(stream, number)).await?;
        expected.push(event(stream, number));
    }
    let log = store.log().await?;
    expect_eq!(given(&log), expected, "the log, in order of writing");
    expect_rising(&log)
}

async fn outcome_names_first_and_last(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for size in [1, 4, 2] {
        let before = store.log().await?.len();
        let done = store.wrote(some("a-1", 0..size)).await?;
        let log = store.log().await?;
        let of_append: Vec<_> = log[before.min(log.len())..].iter().map(|event| event.position).collect();
        expect_eq!((done.first, done.last), (of_append.first().copied(), of_append.last().copied()), "first and last");
    }
    Ok(())
}

async fn equal_by_every_way_of_reading(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    for number in 0..6 {
        store.wrote(one(["a-1", "b-1"][number as usize % 2], number)).await?;
    }
    let of_log: Vec<_> = store.log().await?.into_iter().filter(|event| event.stream == "b-1").collect();
    expect_eq!(store.all(Read::stream(name("b-1"))).await?, of_log, "a stream, beside its part of the log");
    expect_eq!(store.all(Read::log(Query::stream(name("b-1")))).await?, of_log, "a stream's query, beside the log");
    Ok(())
}

async fn rise_within_an_append(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let events = ["b-1", "a-1", "b-1", "c-1", "a-1"].iter().zip(0..).map(|(stream, n)| event(stream, n));
    let events: Vec<_> = events.collect();
    store.wrote(Append::new(events.clone())).await?;
    let log = store.log().await?;
    expect_eq!(given(&log), events, "an append to several streams, in its own order");
    expect_rising(&log)
}

async fn rise_after_reopening(trial: &Trial<dyn EventStore>) -> Verdict {
    let mut seen: Vec<Position> = Vec::new();
    for life in 0..4 {
        let store = trial.open().await?;
        let done = store.wrote(one("a-1", life)).await?;
        expect!(done.first > seen.last().copied(), "position {:?} after {seen:?}", done.first);
        seen.extend(done.first);
    }
    expect_rising(&trial.open().await?.log().await?)
}

async fn appends_stay_whole_beside_each_other(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let writers = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..5 {
                store.wrote(some(&format!("w-{writer}"), round * 4..round * 4 + 4)).await?;
            }
            Verdict::Ok(())
        })
    });
    crate::ask::all_of(writers).await?;
    let log = store.log().await?;
    expect_eq!(log.len(), 4 * 5 * 4, "events of 20 appends of 4");
    for append in log.chunks(4) {
        let streams: Vec<_> = append.iter().map(|event| event.stream.as_str()).collect();
        expect!(streams.iter().all(|stream| *stream == streams[0]), "one append in a row, not {streams:?}");
    }
    expect_rising(&log)
}

fn expect_rising(log: &[Arc<Recorded>]) -> Verdict {
    for pair in log.windows(2) {
        expect!(pair[0].position < pair[1].position, "{} rises to {}", pair[0].position, pair[1].position);
    }
    Ok(())
}
