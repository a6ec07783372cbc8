//! ES-05: expectations.

use super::many::among_many_streams;
use crate::ask::{Ask, Store, event, name, nothing, places, some};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq, expect_is};
use portolan_kernel::ports::{AppendError, EventStore};
use portolan_kernel::values::{Append, Expected, Revision};

law! {
    dyn EventStore, es_05_expectations, "ES-05",
    "Expectations: at most one a stream, also of streams that are not written; all or nothing.",
    checks: [
        table_of_a_written_stream,
        table_of_a_stream_not_written if [SeveralStreams],
        table_of_two_streams if [SeveralStreams],
        table_without_events,
        no_expectation_is_any,
        two_of_one_stream_are_invalid,
        one_of_many_fails if [SeveralStreams],
        among_many_streams,
    ],
}

/// Streams of every length that matters, and what is written to bring them there.
const STREAMS: [(&str, Option<u64>); 4] =
    [("missing-1", None), ("one-1", Some(0)), ("two-1", Some(1)), ("many-1", Some(11))];

fn all_expectations() -> Vec<Expected> {
    let exact = [0, 1, 2, 10, 11, 12, u64::MAX].map(|n| Expected::Exact(Revision::new(n)));
    [Expected::NoStream, Expected::StreamExists].into_iter().chain(exact).collect()
}

async fn prepared(trial: &Trial<dyn EventStore>) -> Verdict<Store> {
    let store = trial.open().await?;
    for (stream, last) in STREAMS {
        if let Some(last) = last {
            store.wrote(some(stream, 0..=u32::try_from(last).unwrap_or(0))).await?;
        }
    }
    Ok(store)
}

/// Appends on these expectations. Either all hold and it is taken, or it is refused with a conflict about
/// one that does not, and the log is as it was.
async fn judged_rightly(store: &Store, append: Append, table: &[(&str, Option<u64>)]) -> Verdict<bool> {
    let last = |stream: &str| table.iter().find(|row| row.0 == stream).and_then(|row| row.1).map(Revision::new);
    let before = places(&store.log().await?);
    let expect = append.expect.clone();
    let failing: Vec<_> = expect.iter().filter(|(stream, expected)| !expected.holds(last(stream))).collect();
    let outcome = store.try_append(append).await;
    if failing.is_empty() {
        expect_is!(outcome, Ok(_), "an append whose expectations {expect:?} all hold of {table:?}");
        return Ok(true);
    }
    let named = match &outcome {
        Err(AppendError::Conflict { stream, expected, actual }) => Some(((stream.clone(), *expected), *actual)),
        _ => None,
    };
    let right = named.as_ref().is_some_and(|(named, actual)| failing.contains(&named) && *actual == last(&named.0));
    if !right {
        let what = format!("an append on {expect:?}, where {table:?}");
        let expected = format!("a conflict about one of {failing:?}, with its actual revision");
        return Err(crate::Broken::new(what, expected, format!("{outcome:?}")));
    }
    expect_eq!(places(&store.log().await?), before, "the log after the refusal of {expect:?}");
    Ok(false)
}

async fn table_of_a_written_stream(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    let mut table = STREAMS;
    for expected in all_expectations() {
        for row in 0..table.len() {
            let stream = table[row].0;
            let append = Append::new([event(stream, 50)]).expect(name(stream), expected);
            if judged_rightly(&store, append, &table).await? {
                table[row].1 = Some(table[row].1.map_or(0, |last| last + 1));
            }
        }
    }
    Ok(())
}

async fn table_of_a_stream_not_written(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for expected in all_expectations() {
        for (stream, _) in STREAMS {
            let append = Append::new([event("other-1", 0)]).expect(name(stream), expected);
            judged_rightly(&store, append, &STREAMS).await?;
        }
    }
    Ok(())
}

async fn table_of_two_streams(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    let mut table = STREAMS;
    for first in all_expectations() {
        for second in all_expectations() {
            for (one, two) in [(1, 2), (2, 1), (0, 3), (3, 0)] {
                let (left, right) = (table[one].0, table[two].0);
                let append = Append::new([event(left, 60), event(right, 61)]);
                let append = append.expect(name(left), first).expect(name(right), second);
                if judged_rightly(&store, append, &table).await? {
                    for row in [one, two] {
                        table[row].1 = Some(table[row].1.map_or(0, |last| last + 1));
                    }
                }
            }
        }
    }
    Ok(())
}

/// As many expectations as the suite asks of a store, of streams that are written and not, the system's too: all
/// hold but one, wherever it stands.
async fn one_of_many_fails(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = trial.open().await?;
    let streams: Vec<String> = (0..20).map(|n| if n % 3 == 0 { format!("$e-{n}") } else { format!("e-{n}") }).collect();
    let there = |n: usize| n.is_multiple_of(2);
    for n in (0..streams.len()).filter(|n| there(*n)) {
        store.wrote(some(&streams[n], 0..2)).await?;
    }
    let table: Vec<_> = (0..streams.len()).map(|n| (streams[n].as_str(), there(n).then_some(1))).collect();
    for wrong in 0..streams.len() {
        for mut append in [Append::new([event("other-1", 0)]), Append::new([event(&streams[wrong], 9)]), nothing()] {
            for (n, stream) in streams.iter().enumerate() {
                let right = if there(n) { Expected::Exact(Revision::new(1)) } else { Expected::NoStream };
                let other = if there(n) { Expected::NoStream } else { Expected::StreamExists };
                append = append.expect(name(stream), if n == wrong { other } else { right });
            }
            judged_rightly(&store, append, &table).await?;
        }
    }
    Ok(())
}

async fn table_without_events(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    let before = places(&store.log().await?);
    for expected in all_expectations() {
        for (stream, _) in STREAMS {
            judged_rightly(&store, nothing().expect(name(stream), expected), &STREAMS).await?;
        }
    }
    expect_eq!(places(&store.log().await?), before, "the log after appends without events");
    Ok(())
}

async fn no_expectation_is_any(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    for (stream, last) in STREAMS {
        let done = store.wrote(Append::new([event(stream, 70)])).await?;
        let next = Revision::after(last.map(Revision::new));
        expect_eq!(done.streams, [(name(stream), Some(next))], "an append that expects nothing of {stream}");
    }
    Ok(())
}

async fn two_of_one_stream_are_invalid(trial: &Trial<dyn EventStore>) -> Verdict {
    let store = prepared(trial).await?;
    let before = places(&store.log().await?);
    for second in [Expected::StreamExists, Expected::Exact(Revision::FIRST), Expected::NoStream] {
        let append = Append::new([event("one-1", 1)]);
        let append = append.expect(name("one-1"), Expected::StreamExists).expect(name("one-1"), second);
        let refusal = store.refused(append).await?;
        expect_is!(refusal, AppendError::Invalid(_), "two expectations of one stream");
        expect_eq!(places(&store.log().await?), before, "the log after the refusal");
    }
    Ok(())
}
