//! `cargo bench -p portolan-dynamodb --bench dynamodb`: appends a second by one process, where DynamoDB answers after a while.
//!
//! The answers come from the tests' DynamoDB, 5 ms late unless told otherwise: that is about how late those of the real one are
//! within a region. The emulator runs on the same machine, so that with many in flight it is what is measured; requests
//! and write units an append are the store's own. Each append is one event of about 150 bytes to a stream of its client,
//! with the revision expected.

use clap::Parser;
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{Append, EventType, Expected, NewEvent, Revision, StreamId};
use std::io::Write;
use std::time::{Duration, Instant};
use support::Network;

#[path = "../tests/support/mod.rs"]
mod support;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures appends to DynamoDB by one process.")]
struct Options {
    /// How late answers are, in milliseconds.
    #[arg(long, default_value_t = 5)]
    latency: u64,
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Appends in flight, row by row.
    #[arg(long, value_delimiter = ',', default_value = "1,16,256")]
    in_flight: Vec<u64>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Appends one after another, and gives how long each took.
async fn client(store: DynamoStore, number: u64, until: Instant) -> Result<Vec<Duration>, Failure> {
    let stream = StreamId::new(format!("account-{number}"))?;
    let (mut latencies, mut last): (_, Option<Revision>) = (Vec::new(), None);
    while Instant::now() < until {
        let turn = latencies.len();
        let payload = format!(
            r#"{{"account_id":"{stream}","amount":{turn},"currency":"EUR","reference":"invoice 2026-{turn:08}","note":"a payload of about one hundred and fifty bytes"}}"#
        );
        let event = NewEvent::new(stream.clone(), EventType::new("account.deposited")?, payload);
        let append = Append::new([event]).expect(stream.clone(), Expected::unchanged_since(last));
        let began = Instant::now();
        last = store.append(append).await?.streams[0].1;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn row(options: &Options, in_flight: u64) -> Result<(), Failure> {
    let network = Network::new();
    let store = network.store(&support::log::fresh_log()).await;
    network.latency(Duration::from_millis(options.latency));
    network.reset();
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(options.seconds);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..in_flight {
        clients.spawn(client(store.clone(), number, until));
    }
    let mut latencies = Vec::new();
    while let Some(done) = clients.join_next().await {
        latencies.extend(done??);
    }
    let took = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let appends = latencies.len() as f64;
    let (requests, units) = (network.requests().len() as f64 / appends, network.capacity().writes / appends);
    let (rate, p50, p99) = (appends / took, at(50), at(99));
    say(&format!("| {in_flight:>9} | {rate:>9.0} | {p50:>6.1} | {p99:>6.1} | {requests:>17.2} | {units:>10.2} |"));
    Ok(())
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    say(&format!("Answers come {} ms late.\n", options.latency));
    say("| in flight | appends/s | p50 ms | p99 ms | requests/append | WCU/append |");
    say("|----------:|----------:|-------:|-------:|------------------:|-----------:|");
    runtime.block_on(async {
        for in_flight in &options.in_flight {
            row(&options, *in_flight).await?;
        }
        Ok(())
    })
}
