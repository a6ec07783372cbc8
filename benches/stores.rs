//! `cargo bench --bench stores`: five rows a store, three with an inline projection, through the port `EventStore`, beside the disk.
//!
//! Payloads are about 150 bytes of JSON; events have no tags, metadata and keys. The yardsticks are measured
//! in the same run, in the same folder: `fdatasync` after each 4 KiB, appended to a growing file and
//! written into a file that was allocated before. Ratios of one run count; absolute figures are the machine's.

use clap::Parser;
use portolan::memory::MemoryStore;
use portolan::ports::{EventStore, Inline, InlineRows};
use portolan::sqlite::SqliteStore;
use portolan::values::{
    Append, Cell, Collection, ColumnType, EventType, Expected, Index, Name, NewEvent, Query, Read, Recorded, Revision,
    RowKey, StreamId,
};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;

#[derive(Parser)]
#[command(about = "Measures the stores through their port, beside the disk.")]
struct Options {
    /// Events stored before loads and scans are measured, in streams of 10.
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The folder that files are written into; the disk to be measured.
    #[arg(long, default_value = "target/bench-stores")]
    dir: PathBuf,
    /// Only stores whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Latencies of one row; each covers `events` events.
struct Row {
    name: &'static str,
    events: u64,
    took: Duration,
    latencies: Vec<Duration>,
}

impl Row {
    fn print(mut self, store: &str, fsyncs: f64) {
        self.latencies.sort_unstable();
        let at = |percent: usize| {
            let index = self.latencies.len().saturating_sub(1) * percent / 100;
            self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let rate = self.events as f64 / self.took.as_secs_f64();
        let (name, p50, p99) = (self.name, at(50), at(99));
        say(&format!("| {store} | {name} | {rate:>12.0} | {p50:>9.1} | {p99:>9.1} | {:>8.2} |", rate / fsyncs));
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Counts the events of each stream, in rows with an index.
struct Counts {
    collection: Collection,
}

impl Counts {
    fn inline(name: &str, unique: bool) -> Outcome<Arc<dyn Inline>> {
        let index = Index::new(Name::new("n")?, [Name::new("n")?]);
        let by_stream = Index::new(Name::new("stream")?, [Name::new("stream")?]);
        let columns = Collection::new(Name::new(name)?, 1).column(Name::new("n")?, ColumnType::Integer);
        let columns = columns.column(Name::new("stream")?, ColumnType::Text).index(index);
        let collection = if unique { columns.index(by_stream.unique()) } else { columns };
        Ok(Arc::new(Self { collection }))
    }
}

impl Inline for Counts {
    fn collection(&self) -> Collection {
        self.collection.clone()
    }

    fn wants(&self) -> Query {
        Query::all()
    }

    fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String> {
        let key = RowKey::new(event.stream.as_str()).map_err(|error| error.to_string())?;
        let n = match rows.get(&key)?.as_deref() {
            Some([Cell::Integer(n), _]) => *n,
            _ => 0,
        };
        rows.set(key, Some(vec![Cell::Integer(n + 1), Cell::Text(event.stream.to_string())]));
        Ok(())
    }
}

fn stream(number: u64) -> Outcome<StreamId> {
    Ok(StreamId::new(format!("account-{number:06}"))?)
}

fn event(stream: StreamId, amount: u64) -> Outcome<NewEvent> {
    let payload = format!(
        r#"{{"account_id":"{stream}","amount":{amount},"currency":"EUR","reference":"invoice 2026-{amount:08}","note":"a payload of about one hundred and fifty bytes"}}"#
    );
    Ok(NewEvent::new(stream, EventType::new("account.deposited")?, payload))
}

/// Appends one event to each of many streams in turn, knowing each stream's revision.
async fn client(store: Arc<dyn EventStore>, first: u64, streams: u64, until: Instant) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::new();
    for turn in 0.. {
        let id = stream(first + turn % streams)?;
        let last = (turn / streams).checked_sub(1).map(Revision::new);
        let append = Append::new([event(id.clone(), turn)?]).expect(id, Expected::unchanged_since(last));
        let start = Instant::now();
        store.append(append).await?;
        latencies.push(start.elapsed());
        if Instant::now() >= until {
            break;
        }
    }
    Ok(latencies)
}

async fn in_flight(
    store: &Arc<dyn EventStore>,
    clients: u64,
    base: u64,
    time: Duration,
) -> Outcome<(Duration, Vec<Duration>)> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..clients {
        tasks.spawn(client(store.clone(), base + n * 1_000, 1_000, start + time));
    }
    let mut latencies = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        latencies.extend(finished??);
    }
    Ok((start.elapsed(), latencies))
}

async fn appends_of_100(store: &Arc<dyn EventStore>, time: Duration) -> Outcome<Row> {
    let id = StreamId::new("batch-1")?;
    let (start, mut latencies, mut last) = (Instant::now(), Vec::new(), None);
    while start.elapsed() < time {
        let events = (0..100).map(|n| event(id.clone(), n)).collect::<Outcome<Vec<_>>>()?;
        let append = Append::new(events).expect(id.clone(), Expected::unchanged_since(last));
        let one = Instant::now();
        let appended = store.append(append).await?;
        latencies.push(one.elapsed());
        last = appended.streams.first().and_then(|(_, revision)| *revision);
    }
    Ok(Row { name: "appends of 100", events: latencies.len() as u64 * 100, took: start.elapsed(), latencies })
}

/// Stores events in streams of 10, each stream's events far apart in the log.
async fn fill(store: &Arc<dyn EventStore>, stored: u64) -> Outcome<()> {
    let streams = (stored / 10).max(1);
    for round in 0..10 {
        for first in (0..streams).step_by(500) {
            let numbers = first..streams.min(first + 500);
            let events = numbers.map(|n| event(StreamId::new(format!("stored-{n}"))?, round));
            let events = events.collect::<Outcome<Vec<_>>>()?;
            store.append(Append::new(events)).await?;
        }
    }
    Ok(())
}

async fn loads(store: &Arc<dyn EventStore>, stored: u64, time: Duration) -> Outcome<Row> {
    let streams = (stored / 10).max(1);
    let (start, mut latencies, mut random) = (Instant::now(), Vec::new(), 0x9E37_79B9_u64);
    while start.elapsed() < time {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = StreamId::new(format!("stored-{}", (random >> 33) % streams))?;
        let one = Instant::now();
        let page = store.read(Read::stream(id)).await?;
        latencies.push(one.elapsed());
        if page.events.len() != 10 {
            return Err(format!("a stream of 10 has {} events", page.events.len()).into());
        }
    }
    Ok(Row { name: "load a stream of 10", events: latencies.len() as u64 * 10, took: start.elapsed(), latencies })
}

async fn scan(store: &Arc<dyn EventStore>) -> Outcome<Row> {
    let (start, mut latencies, mut events) = (Instant::now(), Vec::new(), 0);
    let mut next = Some(Read::log(Query::all()).limit(1_000));
    while let Some(read) = next {
        let one = Instant::now();
        let page = store.read(read).await?;
        latencies.push(one.elapsed());
        events += page.events.len() as u64;
        next = page.next;
    }
    Ok(Row { name: "scan, pages of 1,000", events, took: start.elapsed(), latencies })
}

async fn appends(name: &str, store: &Arc<dyn EventStore>, options: &Options, fsyncs: f64) -> Outcome<()> {
    let time = Duration::from_secs_f64(options.seconds);
    let (took, latencies) = in_flight(store, 1, 0, time).await?;
    Row { name: "single appends", events: latencies.len() as u64, took, latencies }.print(name, fsyncs);
    let (took, latencies) = in_flight(store, 64, 1_000_000, time).await?;
    Row { name: "single appends, 64 in flight", events: latencies.len() as u64, took, latencies }.print(name, fsyncs);
    appends_of_100(store, time).await?.print(name, fsyncs);
    Ok(())
}

async fn measure(name: &str, store: Arc<dyn EventStore>, options: &Options, fsyncs: f64) -> Outcome<()> {
    let time = Duration::from_secs_f64(options.seconds);
    appends(name, &store, options, fsyncs).await?;
    fill(&store, options.stored).await?;
    loads(&store, options.stored, time).await?.print(name, fsyncs);
    scan(&store).await?.print(name, fsyncs);
    Ok(())
}

/// `fdatasync` after each 4 KiB: how many a second.
fn disk(dir: &Path, allocated: bool, time: Duration) -> Outcome<Row> {
    let path = dir.join("yardstick");
    let mut file = File::create(&path)?;
    let (block, room) = ([7_u8; 4096], 64 << 20_u64);
    if allocated {
        for _ in 0..room / 4096 {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        file.seek(SeekFrom::Start(0))?;
    }
    let (start, mut latencies) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let one = Instant::now();
        if allocated && (latencies.len() as u64).is_multiple_of(room / 4096) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&block)?;
        file.sync_data()?;
        latencies.push(one.elapsed());
    }
    let took = start.elapsed();
    std::fs::remove_file(path)?;
    let name = if allocated { "fdatasync, allocated file" } else { "fdatasync, growing file" };
    Ok(Row { name, events: latencies.len() as u64, took, latencies })
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.dir)?;
    let time = Duration::from_secs_f64(options.seconds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    say("| store | row | events/s | p50 µs | p99 µs | × fdatasync |");
    say("|---|---|---:|---:|---:|---:|");
    let growing = disk(&options.dir, false, time)?;
    let fsyncs = growing.events as f64 / growing.took.as_secs_f64();
    growing.print("disk", fsyncs);
    disk(&options.dir, true, time)?.print("disk", fsyncs);

    let file = options.dir.join(format!("log-{}.db", std::process::id()));
    runtime.block_on(async {
        for (name, unique) in [("inline", false), ("inline, unique", true)] {
            if "memory".contains(&options.only) {
                let store = MemoryStore::builder().inline(Counts::inline("counts", unique)?).build();
                let store: Arc<dyn EventStore> = Arc::new(store);
                appends(&format!("memory, {name}"), &store, &options, fsyncs).await?;
            }
            if "sqlite".contains(&options.only) {
                let path = options.dir.join(format!("inline-{}-{unique}.db", std::process::id()));
                let store = SqliteStore::builder(&path).inline(Counts::inline("counts", unique)?).open().await?;
                let store: Arc<dyn EventStore> = Arc::new(store);
                appends(&format!("sqlite, {name}"), &store, &options, fsyncs).await?;
                drop(store);
                remove(&path);
            }
        }
        if "memory".contains(&options.only) {
            measure("memory", Arc::new(MemoryStore::new()), &options, fsyncs).await?;
        }
        if "sqlite".contains(&options.only) {
            let store = SqliteStore::open(&file).await?;
            measure("sqlite", Arc::new(store), &options, fsyncs).await?;
            let bytes = std::fs::metadata(&file)?.len();
            say(&format!("\nThe SQLite file has {} MiB without its write-ahead log.", bytes >> 20));
        }
        Outcome::Ok(())
    })?;
    remove(&file);
    Ok(())
}

fn remove(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", file.display()));
    }
}
