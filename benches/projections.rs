//! `cargo bench --bench projections`: how fast a worker catches up with a log.
//!
//! One worker on one thread, through the ports, from the first event to the last: pages read, events decoded from JSON,
//! rows folded and committed with the checkpoint.

use clap::Parser;
use portolan::Bytes;
use portolan::domain::{
    CellValue, CodecError, Event, EventError, Projection, RecordedAs, Row, RowColumn, RowValueError, Upcasters,
    row_cells, variant,
};
use portolan::drivers::{Alone, ProjectionOptions};
use portolan::memory::MemoryStore;
use portolan::ports::{EventStore, LeaseStore, RawEvent, ReadModelStore};
use portolan::sqlite::SqliteStore;
use portolan::tokio::{SystemClock, Tasks, UuidV7};
use portolan::values::{Append, Cell, Edition, EventType, Name, NewEvent, StreamId};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures how fast workers of projections catch up.")]
struct Options {
    /// Events in the log.
    #[arg(long, default_value_t = 300_000)]
    events: u64,
    /// Streams they are spread over, one row each.
    #[arg(long, default_value_t = 10_000)]
    streams: u64,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// The folder that files are written into.
    #[arg(long, default_value = "target/bench-projections")]
    dir: PathBuf,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize, Deserialize)]
enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { amount: u64, by: String },
}

impl Event for AccountEvent {
    const CATEGORY: &'static str = "account";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

struct Balance {
    balance: u64,
    deposits: u64,
}

impl Row for Balance {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<u64>("balance"), RowColumn::of::<u64>("deposits")];
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.balance.to_cell()?, self.deposits.to_cell()?])
    }
    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [balance, deposits] = row_cells(cells)?;
        Ok(Self { balance: CellValue::from_cell(balance)?, deposits: CellValue::from_cell(deposits)? })
    }
}

fn add(row: &mut Option<Balance>, event: &AccountEvent) {
    let row = row.get_or_insert(Balance { balance: 0, deposits: 0 });
    let AccountEvent::Deposited { amount, .. } = event;
    row.balance += amount;
    row.deposits += 1;
}

struct Counter;

impl Projection for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(_: &RecordedAs<AccountEvent>) -> Option<String> {
        Some("all".to_owned())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        add(row, event);
    }
}

struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().to_string())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        add(row, event);
    }
}

/// How long this thread has run, where Linux tells it: on a machine that others use too, the steadier measure. A store
/// with threads of its own works beside it.
fn on_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn fill(events: &dyn EventStore, options: &Options) -> Result<(), Failure> {
    let mut made = 0;
    while made < options.events {
        let some = (made..options.events.min(made + 500)).map(|n| {
            // Neighbours in the log are of different streams.
            let stream = StreamId::new(format!("account-{}", n * 7_919 % options.streams))?;
            let event = AccountEvent::Deposited { amount: n % 1_000, by: format!("user-{}", n % 97) };
            Ok(NewEvent::new(stream, EventType::new(event.event_type())?, event.encode()?))
        });
        let some = some.collect::<Result<Vec<_>, Failure>>()?;
        made += some.len() as u64;
        events.append(Append::new(some)).await?;
    }
    Ok(())
}

async fn measure<P: Projection>(
    store: &str,
    ports: (Arc<dyn EventStore>, Arc<dyn ReadModelStore>, Arc<dyn LeaseStore>),
    options: &Options,
) -> Result<(), Failure> {
    if !format!("{store}-{}", P::NAME).contains(&options.only) {
        return Ok(());
    }
    let tasks = Arc::new(Tasks::current());
    let rows = ports.1.clone();
    let runtime = (Arc::new(SystemClock) as _, Arc::new(UuidV7::new()) as _, tasks.clone() as _, tasks as _);
    let alone = Alone::new(ports, runtime, Upcasters::new(), ProjectionOptions::default(), Name::new("bench")?);
    let edition = Edition::first(1);
    let checkpoint = edition.checkpoint(&Name::new(P::NAME)?)?;
    let (began, ran) = (Instant::now(), on_cpu());
    let (work, run) = alone.folded::<P>(edition);
    let work = tokio::spawn(work);
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let said = alone.said(&Name::new(P::NAME)?, edition).await;
        if said.ok().flatten().is_some_and(|said| said.is_ready) {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let ran = (on_cpu() - ran).as_secs_f64();
    drop(run);
    work.await?;
    let reached = rows.checkpoint(checkpoint).await?.and_then(|stands| stands.position).map_or(0, |at| at.get());
    let rate = |seconds: f64| options.events as f64 / seconds;
    say(&format!("| {store} | {} | {:>10.0} | {:>10.0} | {reached} |", P::NAME, rate(took), rate(ran)));
    Ok(())
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.dir)?;
    let file = options.dir.join(format!("log-{}.db", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    say("| store | projection | events/s | events a second on the processor | position |");
    say("|---|---|---:|---:|---:|");
    runtime.block_on(async {
        if "memory-counter-balances".contains(&options.only) {
            let store = Arc::new(MemoryStore::new());
            fill(&*store, &options).await?;
            measure::<Counter>("memory", (store.clone(), store.clone(), store.clone()), &options).await?;
            measure::<Balances>("memory", (store.clone(), store.clone(), store), &options).await?;
        }
        if "sqlite-counter-balances".contains(&options.only) {
            let store = Arc::new(SqliteStore::open(&file).await?);
            fill(&*store, &options).await?;
            measure::<Counter>("sqlite", (store.clone(), store.clone(), store.clone()), &options).await?;
            measure::<Balances>("sqlite", (store.clone(), store.clone(), store), &options).await?;
        }
        Ok::<_, Failure>(())
    })?;
    std::fs::remove_dir_all(&options.dir)?;
    Ok(())
}
