//! Reads of a full store: a stream of ten events, and everything by position.

use crate::Run;
use crate::support::Outcome;
use crate::support::fixture::{Events, Kind, Random, stream};
use crate::support::report::{Beside, Peak, Sample, latencies, note};
use portolan::ports::EventStore;
use portolan::values::{Append, Query, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many events each stream has.
pub(crate) const EACH: u64 = 10;

/// Streams whose number ends with this digit are not loaded: others may append to them.
pub(crate) const RESERVED: u64 = 7;

/// So many one append of the filling has.
const FILLED_AT_ONCE: usize = 500;

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    let stored = run.options.stored;
    let (fills, loads, scans) = (
        format!("{stored} raw events, stored"),
        format!("load a stream of 10 out of {stored}"),
        "read everything by position",
    );
    if ![&*fills, &loads, scans].iter().any(|row| run.options.wants(row)) {
        return Ok(());
    }
    let peak = Peak::from_now();
    let place = kind.open().await?;
    let filled = fill(&place.store, 0..stored).await?;
    let mut beside = Beside { peak, ..Beside::default() };
    let loaded = load(&place.store, stored, run.options.time()).await?;
    let load_peak = Peak::from_now();
    let mapped = match place.mapped().await? {
        Some(store) => Some(load(&store, stored, run.options.time()).await?),
        None => None,
    };
    let scanned = scan(&place.store).await?;
    if scanned.done != stored {
        return Err(format!("{} events are read of {stored}", scanned.done).into());
    }
    run.row(kind, &loads, &loaded, &Beside::default());
    if let Some(mapped) = mapped {
        run.row(kind, &format!("{loads}, the file mapped"), &mapped, &Beside::default());
    }
    run.row(kind, scans, &scanned, &Beside { peak: load_peak, ..Beside::default() });
    beside.bytes_per_event = place.close().map(|bytes| bytes as f64 / stored as f64);
    run.row(kind, &fills, &filled, &beside);
    Ok(())
}

/// Stores the events with these numbers in streams of ten, each stream's far apart in the log.
pub(crate) async fn fill(store: &Arc<dyn EventStore>, numbers: std::ops::Range<u64>) -> Outcome<Sample> {
    let (first, streams) = (numbers.start / EACH, ((numbers.end - numbers.start) / EACH).max(1));
    let mut events = Events::from(numbers.start)?;
    let (start, mut latencies, mut done) = (Instant::now(), latencies(), 0);
    for _ in 0..EACH {
        for group in (first..first + streams).step_by(FILLED_AT_ONCE) {
            let group = group..(first + streams).min(group + FILLED_AT_ONCE as u64);
            let group = group.map(|number| Ok(events.next(&stream(number)?))).collect::<Outcome<Vec<_>>>()?;
            done += group.len() as u64;
            let one = Instant::now();
            store.append(Append::new(group)).await?;
            note(&mut latencies, one.elapsed());
        }
    }
    Ok(Sample { done, took: start.elapsed(), latencies })
}

/// Loads one stream after another, in an order that no cache foresees.
pub(crate) async fn load(store: &Arc<dyn EventStore>, stored: u64, time: Duration) -> Outcome<Sample> {
    let streams = (stored / EACH).max(1);
    let (start, mut latencies, mut random) = (Instant::now(), latencies(), Random(0x9E37_79B9));
    while start.elapsed() < time {
        let number = random.below(streams);
        if number % 10 == RESERVED {
            continue;
        }
        let id = stream(number)?;
        let one = Instant::now();
        let page = store.read(Read::stream(id)).await?;
        note(&mut latencies, one.elapsed());
        if page.events.len() as u64 != EACH {
            return Err(format!("a stream of {EACH} has {} events", page.events.len()).into());
        }
    }
    Ok(Sample { done: latencies.len() * EACH, took: start.elapsed(), latencies })
}

async fn scan(store: &Arc<dyn EventStore>) -> Outcome<Sample> {
    let (start, mut latencies, mut done) = (Instant::now(), latencies(), 0);
    let mut next = Some(Read::log(Query::all()).limit(1_000));
    while let Some(read) = next {
        let one = Instant::now();
        let page = store.read(read).await?;
        note(&mut latencies, one.elapsed());
        done += page.events.len() as u64;
        next = page.next;
    }
    Ok(Sample { done, took: start.elapsed(), latencies })
}
