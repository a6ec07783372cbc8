//! `cargo bench --bench projections`: how fast projections catch up, and how far they are behind live appends.
//!
//! A log is filled with deposits to many accounts. Then an application is started with one projection, on a runtime of
//! one thread, and the time is taken until it has caught up: once a counter, all events into one row, and once rows by
//! account. Then these are made anew beside themselves, while somebody reads a row again and again: how long that takes,
//! and how long a read does meanwhile. Last, events are appended at a steady rate, and each is waited for in the rows: what
//! that takes is the lag.

#[path = "../support/mod.rs"]
mod support;

use crate::support::Outcome;
use crate::support::fixture::remove;
use crate::support::report::{Beside, Peak, Report, Sample, latencies, say};
use clap::Parser;
use portolan::domain::{CellValue, Row, RowColumn, RowIndex, RowValueError, row_cells};
use portolan::memory::MemoryStore;
use portolan::ports::ProjectionState;
use portolan::prelude::*;
use portolan::sqlite::SqliteStore;
use portolan::values::{Append, Cell, EventType, NewEvent};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Measures the projections of an application.")]
struct Options {
    /// How many events are in the log.
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// How many accounts they are of.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// How many events a second are appended live.
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// How long they are, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only the stores whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// The folder that files are written into.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    dir: PathBuf,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize, Deserialize)]
enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { amount: u64 },
}

impl Event for AccountEvent {
    const CATEGORY: &'static str = "account";
    fn event_type(&self) -> &'static str {
        variant::name(self)
    }
    fn encode(&self) -> Result<portolan::Bytes, CodecError> {
        variant::encode(self)
    }
    fn decode(raw: &RawEvent) -> Result<Self, EventError> {
        variant::decode(&raw.event_type, &raw.payload)
    }
}

#[derive(Default)]
struct Balance {
    balance: u64,
    deposits: u64,
}

impl Row for Balance {
    const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<u64>("balance"), RowColumn::of::<u64>("deposits")];
    const INDEXES: &'static [RowIndex] = &[RowIndex::new("balance", &["balance"])];
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(vec![self.balance.to_cell()?, self.deposits.to_cell()?])
    }
    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
        let [balance, deposits] = row_cells(cells)?;
        Ok(Self { balance: CellValue::from_cell(balance)?, deposits: CellValue::from_cell(deposits)? })
    }
}

fn apply(row: &mut Option<Balance>, event: &AccountEvent) {
    let AccountEvent::Deposited { amount } = event;
    let row = row.get_or_insert_default();
    row.balance += amount;
    row.deposits += 1;
}

/// All deposits in one row.
struct Counter;

impl Projection for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(_: &RecordedAs<AccountEvent>) -> Option<String> {
        Some("all".into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        apply(row, &event.event);
    }
}

/// A row an account.
struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u16 = 1;
    type Event = AccountEvent;
    type Row = Balance;
    fn key(event: &RecordedAs<AccountEvent>) -> Option<String> {
        Some(event.stream().id().into())
    }
    fn apply(row: &mut Option<Balance>, event: &RecordedAs<AccountEvent>) {
        apply(row, &event.event);
    }
}

fn deposit(account: u64) -> Outcome<NewEvent> {
    let payload = format!(
        r#"{{"amount":{account},"currency":"EUR","reference":"invoice 2026-{account:08}","note":"about one hundred and fifty bytes, as payloads are"}}"#
    );
    Ok(NewEvent::new(StreamId::new(format!("account-{account}"))?, EventType::new("account.deposited")?, payload))
}

async fn fill(storage: &Storage, options: &Options) -> Outcome<()> {
    for first in (0..options.stored).step_by(1_000) {
        // A prime step spreads neighbours in the log over all accounts.
        let numbers = (first..options.stored.min(first + 1_000)).map(|n| n * 7_919 % options.accounts);
        storage.events.append(Append::new(numbers.map(deposit).collect::<Outcome<Vec<_>>>()?)).await?;
    }
    Ok(())
}

/// How long this thread has run, where Linux tells it: on a machine that others use too, the steadier measure. A store
/// with threads of its own works beside it.
fn on_cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

async fn caught_up<P: Projection>(storage: &Storage) -> Outcome<(Application, Duration, Duration)> {
    let last = storage.events.read(portolan::values::Read::log(Query::all()).backward().limit(1)).await?;
    let last = last.events.first().map(|event| event.position).ok_or("an empty log")?;
    let (began, ran) = (Instant::now(), on_cpu());
    let application = Application::builder(storage.clone(), Runtime::tokio()).projection::<P>().build().await?;
    application.ports().projections.wait_for(Name::new(P::NAME)?, last).await?;
    Ok((application, began.elapsed(), on_cpu().saturating_sub(ran)))
}

/// How long a rebuild takes, and each read of a row, first for a second beside nothing and then beside the rebuild. A read
/// that finds other rows than those of the whole log ends it with an error.
async fn rebuild(application: &Application, options: &Options) -> Outcome<(Duration, Vec<Duration>, Vec<Duration>)> {
    let ports = application.ports();
    let (name, rows) = (Name::new(Balances::NAME)?, ports.projections.get::<Balances>());
    let mut read = 0_u64;
    let mut one = async || {
        // The same step as in the log, so that each account has its share.
        let account = read * 7_919 % options.accounts;
        read += 1;
        let began = Instant::now();
        let row = rows.get(account.to_string()).await?.ok_or("an account without a row")?;
        let share = options.stored / options.accounts;
        if !(share..=share + 1).contains(&row.deposits) {
            return Err(format!("account {account} is read with {} of {share} deposits", row.deposits).into());
        }
        let took = began.elapsed();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Outcome::Ok(took)
    };
    let (mut before, mut meanwhile) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        before.push(one().await?);
    }
    let edition = ports.projections.status(name.clone()).await?.edition;
    ports.projections.rebuild(Balances::NAME).await?;
    let (began, mut looked) = (Instant::now(), Instant::now());
    loop {
        meanwhile.push(one().await?);
        if looked.elapsed() > Duration::from_millis(100) {
            looked = Instant::now();
            let status = ports.projections.status(name.clone()).await?;
            if status.edition != edition {
                break;
            }
            if let ProjectionState::Stopped { reason } = status.state {
                return Err(reason.into());
            }
        }
    }
    let took = began.elapsed();
    before.sort_unstable();
    meanwhile.sort_unstable();
    Ok((took, before, meanwhile))
}

async fn lag(storage: &Storage, application: &Application, options: &Options) -> Outcome<Vec<Duration>> {
    let ports = application.ports();
    let (begun, time) = (Instant::now(), Duration::from_secs_f64(options.seconds));
    let (mut sent, mut waits) = (0_u64, tokio::task::JoinSet::new());
    while begun.elapsed() < time {
        // What is due by now, as many clients would send it, in one append.
        let due = u64::try_from(begun.elapsed().as_micros())? * options.rate / 1_000_000;
        if due > sent {
            let events = (sent..due).map(|n| deposit(n % options.accounts)).collect::<Outcome<Vec<_>>>()?;
            let appended = storage.events.append(Append::new(events)).await?;
            let (acknowledged, projections) = (Instant::now(), ports.projections.clone());
            let position = appended.last.ok_or("an append without a position")?;
            waits.spawn(async move {
                projections.wait_for(Name::new(Balances::NAME)?, position).await?;
                Outcome::Ok(acknowledged.elapsed())
            });
            sent = due;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut lags = Vec::new();
    while let Some(lag) = waits.join_next().await {
        lags.push(lag??);
    }
    lags.sort_unstable();
    Ok(lags)
}

async fn measure(name: &str, storage: Storage, options: &Options, report: &mut Report) -> Outcome<()> {
    fill(&storage, options).await?;
    let mut row = |scenario: &str, took: Duration, peak| {
        let sample = Sample { done: options.stored, took, latencies: latencies() };
        report.row(name, scenario, "events", &sample, &Beside { peak, ..Beside::default() });
    };
    let rate = |ran: Duration| options.stored as f64 / ran.as_secs_f64();
    let peak = Peak::from_now();
    let (application, took, counting) = caught_up::<Counter>(&storage).await?;
    application.shutdown().await;
    row("projection catches up, a counter", took, peak);
    let peak = Peak::from_now();
    let (application, took, keying) = caught_up::<Balances>(&storage).await?;
    row("projection catches up, rows by account", took, peak);
    let peak = Peak::from_now();
    let (took, before, meanwhile) = rebuild(&application, options).await?;
    row("projection made anew beside reads, rows by account", took, peak);
    let lags = lag(&storage, &application, options).await?;
    application.shutdown().await;
    say(&format!(
        "\n{name}: events a second on the caller's processor time: {:.0} counted, {:.0} into rows. A read of a row: {}; beside \
         the rebuild: {}. Behind live appends at {} events/s: {}.\n",
        rate(counting),
        rate(keying),
        spread(&before),
        spread(&meanwhile),
        options.rate,
        spread(&lags)
    ));
    Ok(())
}

/// The middle and the far end of durations that are sorted.
fn spread(sorted: &[Duration]) -> String {
    let at = |percent: usize| {
        let took = sorted.get(sorted.len() * percent / 100);
        took.map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::begin("projections", &options.dir)?;
    let file = options.dir.join(format!("projections-{}.db", std::process::id()));
    runtime.block_on(async {
        if "memory".contains(&options.only) {
            measure("memory", MemoryStore::new().into(), &options, &mut report).await?;
        }
        if "sqlite".contains(&options.only) {
            measure("sqlite", SqliteStore::open(&file).await?.into(), &options, &mut report).await?;
        }
        Outcome::Ok(())
    })?;
    remove(&file);
    report.write(&options.dir)
}
