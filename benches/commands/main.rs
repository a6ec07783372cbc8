//! `cargo bench --bench commands`: what a command bus makes of many clients, and what it keeps of many keys.
//!
//! Clients send deposits, each with an id of its own, and wait for each receipt: one alone, then many on one account,
//! then many on accounts of their own. Ratios of one run count; absolute figures are the machine's. The last row
//! sends a million distinct ids to a million streams of a store that keeps nothing, so that all that is left in memory
//! is the bus's.

use clap::Parser;
use portolan::memory::MemoryStore;
use portolan::ports::{AppendError, Capabilities, ReadError, StoreId};
use portolan::prelude::*;
use portolan::sqlite::SqliteStore;
use portolan::values::{Append, Appended, CheckpointState, Page, Read, Recalled, Token};
use serde::{Deserialize, Serialize};
use std::future::{pending, ready};
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;

#[derive(Parser)]
#[command(about = "Measures the command bus of an application.")]
struct Options {
    /// How many clients send at once.
    #[arg(long, default_value_t = 200)]
    clients: u64,
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many distinct ids are sent to the store that keeps nothing.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// The folder that files are written into.
    #[arg(long, default_value = "target/bench-commands")]
    dir: PathBuf,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[derive(Serialize, Deserialize, Clone)]
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

#[derive(Serialize, Deserialize)]
struct Deposit {
    account: u64,
    amount: u64,
}

impl Command for Deposit {
    const NAME: &'static str = "deposit";
}

impl StreamCommand for Deposit {
    fn stream(&self) -> Result<StreamId, InvalidName> {
        StreamId::new(format!("account-{}", self.account))
    }
}

#[derive(thiserror::Error, Serialize, Deserialize, Debug)]
enum Never {}

impl Rejection for Never {}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Account {
    balance: u64,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = Never;
    type Commands = (Deposit,);
    fn evolve(&mut self, event: &AccountEvent) {
        let AccountEvent::Deposited { amount } = event;
        self.balance += amount;
    }
    fn snapshots() -> SnapshotPolicy {
        SnapshotPolicy::every(100)
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: &Deposit, _: &Context) -> Decision<Self> {
        Ok(vec![AccountEvent::Deposited { amount: command.amount }])
    }
}

async fn bank(storage: impl Into<Storage>) -> Outcome<Ports> {
    Ok(Application::builder(storage, Runtime::tokio()).aggregate::<Account>().build().await?.ports())
}

/// How many commands a second are answered; each answer has to be a receipt.
async fn rate(bank: &Ports, row: &str, clients: u64, account_of: fn(u64) -> u64, time: Duration) -> Outcome<f64> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let (commands, row) = (bank.commands.clone(), row.to_owned());
        tasks.spawn(async move {
            let mut sent = 0_u64;
            while start.elapsed() < time {
                let deposit = Deposit { account: account_of(client), amount: 1 };
                commands.send(deposit).id(format!("{row}-{client}-{sent}")).await?;
                sent += 1;
                // As a client does that waits for its answer elsewhere: else two of them keep both threads, and no
                // snapshot is ever taken.
                tokio::task::yield_now().await;
            }
            Ok::<_, CommandError>(sent)
        });
    }
    let mut answered = 0;
    while let Some(sent) = tasks.join_next().await {
        answered += sent??;
    }
    Ok(answered as f64 / start.elapsed().as_secs_f64())
}

async fn measure(name: &str, storage: impl Into<Storage>, clients: u64, time: Duration) -> Outcome<()> {
    let bank = bank(storage).await?;
    let alone = rate(&bank, "alone", 1, |_| 0, time).await?;
    let together = rate(&bank, "together", clients, |_| 1, time).await?;
    let apart = rate(&bank, "apart", clients, |client| 2 + client, time).await?;
    for (row, rate) in [("one client", alone), ("one account", together), ("an account each", apart)] {
        say(&format!("| {name} | {row} | {rate:>10.0} | {:>6.2} |", rate / alone));
    }
    Ok(())
}

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nowhere(AtomicU64);

/// A future as the port has it.
type Answer<'f, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'f>>;

fn answer<'f, T: Send + 'f, E: Send + 'f>(answer: Result<T, E>) -> Answer<'f, T, E> {
    Box::pin(ready(answer))
}

// Written out, because the facade's benches have no `async_trait`.
impl EventStore for Nowhere {
    fn append<'s: 'f, 'f>(&'s self, append: Append) -> Answer<'f, Appended, AppendError>
    where
        Self: 'f,
    {
        let position = Position::new(self.0.fetch_add(1, Ordering::Relaxed));
        let streams = append.expect.into_iter().map(|(stream, _)| (stream, Some(Revision::FIRST))).collect();
        answer(Ok(Appended::new(position, position, streams)))
    }
    fn read<'s: 'f, 'f>(&'s self, _: Read) -> Answer<'f, Page, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(Page::default()))
    }
    fn recall<'s: 'f, 'f>(&'s self, _: Name, _: Name) -> Answer<'f, Option<Recalled>, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(None))
    }
    fn checkpoint<'s: 'f, 'f>(&'s self, _: Name) -> Answer<'f, CheckpointState, ReadError>
    where
        Self: 'f,
    {
        answer(Ok(CheckpointState::new(self.capabilities().identity, None, Token(0))))
    }
    fn changed<'s: 'f, 'f>(&'s self, _: Query, _: Option<Position>) -> Answer<'f, (), ReadError>
    where
        Self: 'f,
    {
        Box::pin(pending())
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(StoreId::from_bytes([1; 16]))
    }
}

/// The memory this process holds, in KiB; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

async fn keys(keys: u64) -> Outcome<()> {
    let storage = Storage::new(Arc::new(Nowhere::default()), Arc::new(MemoryStore::new()));
    let bank = bank(storage).await?;
    let mut grown = Vec::new();
    let before = resident();
    for part in 0..4 {
        for key in part * keys / 4..(part + 1) * keys / 4 {
            bank.commands.send(Deposit { account: key, amount: 1 }).id(format!("key-{key}")).await?;
        }
        grown.push(format!("{} KiB", resident().saturating_sub(before)));
    }
    say(&format!("{keys} distinct ids; memory grown after each quarter: {}", grown.join(", ")));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    let time = Duration::from_secs_f64(options.seconds);
    std::fs::create_dir_all(&options.dir)?;
    say("| store | clients | commands/s | ratio |");
    measure("memory", MemoryStore::new(), options.clients, time).await?;
    let file = options.dir.join(format!("bank-{}.db", std::process::id()));
    measure("sqlite", SqliteStore::open(&file).await?, options.clients, time).await?;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    keys(options.keys).await
}
