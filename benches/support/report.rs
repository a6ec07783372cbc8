//! Rows: measured, printed as a table while they come, and written as JSON.

use super::Outcome;
use super::disk::Yardsticks;
use super::machine::{self, Machine};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Latencies in nanoseconds, to three digits.
pub(crate) type Latencies = Histogram<u64>;

/// So much is told of a latency, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// No latencies yet.
pub(crate) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are apart, and three digits are allowed")
}

/// Adds a latency.
pub(crate) fn note(latencies: &mut Latencies, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}

/// What was done, and how long it took.
pub(crate) struct Sample {
    /// How many of the row's unit: events, commands, sagas.
    pub(crate) done: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Of each request, from call to answer; empty where a row has none.
    pub(crate) latencies: Latencies,
}

impl Sample {
    /// How many a second.
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// One line of the table.
#[derive(Serialize)]
struct Row {
    store: String,
    scenario: String,
    unit: &'static str,
    done: u64,
    seconds: f64,
    per_second: f64,
    p50_micros: Option<f64>,
    p99_micros: Option<f64>,
    p999_micros: Option<f64>,
    times_fdatasync_growing: Option<f64>,
    times_fdatasync_preallocated: Option<f64>,
    times_rusqlite_loop: Option<f64>,
    bytes_per_event: Option<f64>,
    peak_mebibytes: Option<f64>,
}

/// What is known of a row beside its sample.
#[derive(Default)]
pub(crate) struct Beside {
    /// Bytes on disk, or in memory, for each event.
    pub(crate) bytes_per_event: Option<f64>,
    /// The disk, measured just before; for rows that wait for it.
    pub(crate) disk: Option<Yardsticks>,
    /// The most memory the process held meanwhile.
    pub(crate) peak: Option<Peak>,
}

/// The most memory this process holds, from when it is asked for.
pub(crate) struct Peak(());

impl Peak {
    /// From now on. Where the system keeps no such mark to be set back, the row has none.
    pub(crate) fn from_now() -> Option<Self> {
        machine::forget_peak().then_some(Self(()))
    }
}

/// All rows of one run.
#[derive(Serialize)]
pub(crate) struct Report {
    benchmark: &'static str,
    began_at_unix_seconds: u64,
    machine: Machine,
    payload_bytes: usize,
    rows: Vec<Row>,
    #[serde(skip)]
    began: Option<Instant>,
}

impl Report {
    /// Begins a table.
    pub(crate) fn begin(benchmark: &'static str, dir: &Path) -> Outcome<Self> {
        let machine = Machine::here(dir);
        say(&format!("{machine}\n"));
        say(
            "| store | scenario | per s | | p50 µs | p99 µs | p99.9 µs | × fdatasync | × preallocated | × rusqlite loop \
             | bytes/event | peak MiB |",
        );
        say("|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        Ok(Self {
            benchmark,
            began_at_unix_seconds: now,
            machine,
            payload_bytes: super::fixture::PAYLOAD_BYTES,
            rows: Vec::new(),
            began: Some(Instant::now()),
        })
    }

    /// Prints a row and keeps it.
    pub(crate) fn row(&mut self, store: &str, scenario: &str, unit: &'static str, sample: &Sample, beside: &Beside) {
        let at = |quantile: f64| {
            (!sample.latencies.is_empty()).then(|| sample.latencies.value_at_quantile(quantile) as f64 / 1e3)
        };
        let times =
            |yardstick: fn(&Yardsticks) -> f64| beside.disk.as_ref().map(|disk| sample.rate() / yardstick(disk));
        let row = Row {
            store: store.into(),
            scenario: scenario.into(),
            unit,
            done: sample.done,
            seconds: sample.took.as_secs_f64(),
            per_second: sample.rate(),
            p50_micros: at(0.5),
            p99_micros: at(0.99),
            p999_micros: at(0.999),
            times_fdatasync_growing: times(|disk| disk.growing),
            times_fdatasync_preallocated: times(|disk| disk.preallocated),
            times_rusqlite_loop: times(|disk| disk.rusqlite),
            bytes_per_event: beside.bytes_per_event,
            peak_mebibytes: beside.peak.as_ref().and_then(|_| machine::peak_bytes()).map(|peak| peak as f64 / MEBI),
        };
        let cell = |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
        say(&format!(
            "| {} | {} | {} | {unit} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.store,
            row.scenario,
            grouped(row.per_second),
            cell(row.p50_micros, 1),
            cell(row.p99_micros, 1),
            cell(row.p999_micros, 1),
            cell(row.times_fdatasync_growing, 2),
            cell(row.times_fdatasync_preallocated, 2),
            cell(row.times_rusqlite_loop, 2),
            cell(row.bytes_per_event, 0),
            cell(row.peak_mebibytes, 0),
        ));
        self.rows.push(row);
    }

    /// Writes all rows into `dir`.
    pub(crate) fn write(self, dir: &Path) -> Outcome<()> {
        let path = dir.join(format!("{}.json", self.benchmark));
        std::fs::write(&path, serde_json::to_vec_pretty(&self)?)?;
        let took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        say(&format!("\nIn {:.0} s; as JSON in {}.", took.as_secs_f64(), path.display()));
        Ok(())
    }
}

/// Bytes in a mebibyte.
pub(crate) const MEBI: f64 = 1_048_576.0;

/// A line for whoever waits.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
