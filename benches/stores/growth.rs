//! One SQLite file that grows: what appends and loads become.

use crate::Run;
use crate::appends::all;
use crate::reads::{self, EACH, RESERVED};
use crate::support::Outcome;
use crate::support::chart::{Chart, Series};
use crate::support::fixture::{Events, Kind, Random, stream};
use crate::support::report::{Beside, Sample, latencies, note};
use portolan::ports::EventStore;
use portolan::values::{Append, Expected, Revision};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// In so many steps the file grows.
const STEPS: u64 = 20;

/// In flight, as the row says.
const CLIENTS: u64 = 64;

pub(crate) async fn rows(run: &mut Run) -> Outcome<()> {
    let kind = Kind::Sqlite(run.options.dir.clone());
    let place = kind.open().await?;
    let step = (run.options.grown / STEPS / EACH * EACH).max(EACH * CLIENTS * 10);
    let mut appends = Series::new("appends to streams long not used, 64 in flight");
    let mut syncs = Series::new("fdatasync of a growing file, times 10");
    let mut median = Series::new("load of 10, p50");
    let mut tail = Series::new("load of 10, p99");
    let extra = Arc::new(Mutex::new(HashMap::new()));
    for number in 0..STEPS {
        let grown = (number + 1) * step;
        reads::fill(&place.store, number * step..grown).await?;
        let disk = run.disk.now()?;
        let loads = reads::load(&place.store, grown, run.options.time()).await?;
        let misses = misses(&place.store, grown / EACH, &extra, run.options.time()).await?;
        let at = format!("{grown} stored");
        run.row(&kind, &format!("load a stream of {EACH}, {at}"), &loads, &Beside::default());
        let beside = Beside { disk: Some(disk), ..Beside::default() };
        run.row(&kind, &format!("single appends, 64 in flight, to streams long not used, {at}"), &misses, &beside);
        let millions = grown as f64 / 1e6;
        appends.add(millions, misses.rate());
        syncs.add(millions, disk.growing * 10.0);
        median.add(millions, loads.latencies.value_at_quantile(0.5) as f64 / 1e3);
        tail.add(millions, loads.latencies.value_at_quantile(0.99) as f64 / 1e3);
    }
    let bytes = place.close().unwrap_or_default();
    let chart = Chart {
        title: format!("One SQLite file up to {} million events, {} MiB", STEPS * step / 1_000_000, bytes >> 20),
        across: "million events stored",
        above: ("a second", [appends, syncs]),
        below: ("µs", [median, tail]),
    };
    chart.write(&run.options.dir.join("growth.svg"))
}

/// Appends one event each to streams in an order that no cache foresees; of the reserved ones, so that those that are
/// loaded stay as they are.
async fn misses(
    store: &Arc<dyn EventStore>,
    streams: u64,
    extra: &Arc<Mutex<HashMap<u64, u64>>>,
    time: Duration,
) -> Outcome<Sample> {
    // Each client has its own streams: no two of them expect the same revision.
    let own = streams / 10 / CLIENTS;
    all(CLIENTS, |client, start| {
        let (store, extra) = (store.clone(), extra.clone());
        async move {
            let (mut events, mut random) = (Events::from((client + 1) << 40)?, Random(client + streams));
            let mut latencies = latencies();
            while start.elapsed() < time {
                let number = (random.below(own) * CLIENTS + client) * 10 + RESERVED;
                let more = extra.lock().unwrap_or_else(PoisonError::into_inner).get(&number).copied().unwrap_or(0);
                let (id, last) = (stream(number)?, Revision::new(EACH - 1 + more));
                let append = Append::new([events.next(&id)]).expect(id, Expected::unchanged_since(Some(last)));
                let one = std::time::Instant::now();
                store.append(append).await?;
                note(&mut latencies, one.elapsed());
                extra.lock().unwrap_or_else(PoisonError::into_inner).insert(number, more + 1);
            }
            Ok(latencies)
        }
    })
    .await
}
