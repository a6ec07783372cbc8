//! Appends with an expected revision: one client, many, and many events at once.

use crate::Run;
use crate::support::Outcome;
use crate::support::fixture::{Events, Kind, stream};
use crate::support::report::{Latencies, Sample, latencies, note};
use portolan::ports::EventStore;
use portolan::values::{Append, Expected, Revision, StreamId};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Over so many streams single appends go.
const STREAMS: u64 = 100_000;

/// So many events each of them gets; a row that has written them all is done.
const EACH: u64 = 10;

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    for clients in [1, 64, 1_024] {
        let name = if clients == 1 {
            "single appends, one client".into()
        } else {
            format!("single appends, {clients} in flight")
        };
        if !run.options.wants(&name) {
            continue;
        }
        let mut beside = run.disk.beside(kind)?;
        let place = kind.open().await?;
        let sample = singles(&place.store, clients, run.options.time()).await?;
        if kind.is_durable() {
            beside.bytes_per_event = place.close().map(|bytes| bytes as f64 / sample.done as f64);
        }
        run.row(kind, &name, &sample, &beside);
    }
    let name = "appends of 100 to one stream, one client";
    if run.options.wants(name) {
        let mut beside = run.disk.beside(kind)?;
        let place = kind.open().await?;
        let sample = of_100(&place.store, run.options.time()).await?;
        if kind.is_durable() {
            beside.bytes_per_event = place.close().map(|bytes| bytes as f64 / sample.done as f64);
        }
        run.row(kind, name, &sample, &beside);
    }
    Ok(())
}

/// Lets so many clients append at once.
pub(crate) async fn singles(store: &Arc<dyn EventStore>, clients: u64, time: Duration) -> Outcome<Sample> {
    let share = (STREAMS / clients).max(1);
    let at_work = AT_WORK.min(usize::try_from(ALL_AT_WORK / clients)?.max(1));
    all(clients, |number, start| client(store.clone(), number * share..(number + 1) * share, at_work, start + time))
        .await
}

/// Runs these clients side by side.
pub(crate) async fn all<F>(clients: u64, client: impl Fn(u64, Instant) -> F) -> Outcome<Sample>
where
    F: Future<Output = Outcome<Latencies>> + Send + 'static,
{
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        tasks.spawn(client(number, start));
    }
    let mut all = latencies();
    while let Some(finished) = tasks.join_next().await {
        all.add(finished??)?;
    }
    Ok(Sample { done: all.len(), took: start.elapsed(), latencies: all })
}

/// So many streams a client has at work at a time, and so many all clients together at most. A row that is cut short has
/// a tenth of first events so, as a whole one has.
const AT_WORK: usize = 100;
const ALL_AT_WORK: u64 = 6_400;

/// Appends one event to each of the streams at work in turn, and knows each stream's revision.
async fn client(
    store: Arc<dyn EventStore>,
    streams: std::ops::Range<u64>,
    at_work: usize,
    until: Instant,
) -> Outcome<Latencies> {
    let mut events = Events::from(streams.start << 20)?;
    let names = streams.map(stream).collect::<Outcome<Vec<StreamId>>>()?;
    let mut latencies = latencies();
    let rounds = names.chunks(at_work).flat_map(|names| (0..EACH).map(move |round| (round, names)));
    for (round, names) in rounds {
        let expected = Expected::unchanged_since(round.checked_sub(1).map(Revision::new));
        for name in names {
            let append = Append::new([events.next(name)]).expect(name.clone(), expected);
            let one = Instant::now();
            store.append(append).await?;
            let done = Instant::now();
            note(&mut latencies, done - one);
            if done >= until {
                return Ok(latencies);
            }
        }
    }
    Ok(latencies)
}

async fn of_100(store: &Arc<dyn EventStore>, time: Duration) -> Outcome<Sample> {
    let (id, mut events) = (stream(0)?, Events::from(0)?);
    let (start, mut latencies, mut last) = (Instant::now(), latencies(), None);
    while start.elapsed() < time {
        let append =
            Append::new((0..100).map(|_| events.next(&id))).expect(id.clone(), Expected::unchanged_since(last));
        let one = Instant::now();
        let appended = store.append(append).await?;
        note(&mut latencies, one.elapsed());
        last = appended.streams.first().and_then(|(_, revision)| *revision);
    }
    Ok(Sample { done: latencies.len() * 100, took: start.elapsed(), latencies })
}
