//! Commands from in process.

use crate::Run;
use crate::account::{self, Deposit};
use crate::support::Outcome;
use crate::support::fixture::Kind;
use crate::support::report::{Latencies, Sample, latencies, note};
use portolan::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which account a client's money goes to.
type AccountOf = fn(u64) -> u64;

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    let to_one: AccountOf = |_| 0;
    let to_own: AccountOf = |client| client;
    for (name, clients, account_of) in [
        ("commands, one client", 1, to_one),
        ("commands, 64 in flight, an account each", 64, to_own),
        ("commands, 64 in flight, one account", 64, to_one),
    ] {
        if !run.options.wants(name) {
            continue;
        }
        let mut beside = run.disk.beside(kind)?;
        let (storage, file) = account::storage(kind).await?;
        let bank = account::open(storage.clone()).await?;
        let sample = all(clients, run.options.time(), |_| bank.ports().commands, account_of).await?;
        let bytes = account::close(bank, storage, file).await;
        beside.bytes_per_event = bytes.map(|bytes| bytes as f64 / sample.done as f64);
        run.report.row(kind.name(), name, "commands", &sample, &beside);
    }
    Ok(())
}

/// So many clients, each with a bus of its own, send and wait for each receipt.
pub(crate) async fn all(
    clients: u64,
    time: Duration,
    bus_of: impl Fn(u64) -> Arc<dyn CommandBus>,
    account_of: AccountOf,
) -> Outcome<Sample> {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        tasks.spawn(client(bus_of(number), number, account_of(number), start + time));
    }
    let mut all = latencies();
    while let Some(finished) = tasks.join_next().await {
        all.add(finished??)?;
    }
    Ok(Sample { done: all.len(), took: start.elapsed(), latencies: all })
}

async fn client(bus: Arc<dyn CommandBus>, number: u64, account: u64, until: Instant) -> Outcome<Latencies> {
    let mut latencies = latencies();
    for sent in 0_u64.. {
        let command = bus.send(Deposit::to(account)).id(format!("{number}-{sent}"));
        let metadata = Metadata {
            actor: Some("ann".into()),
            tenant: Some("acme".into()),
            correlation: Some("018f3a1e-7c1b-7d3a-9f5e-0123456789ab".into()),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            ..Metadata::default()
        };
        let one = Instant::now();
        command.metadata(metadata).await?;
        let done = Instant::now();
        note(&mut latencies, done - one);
        if done >= until {
            break;
        }
        // As a client does that waits for its answer elsewhere: else those that never wait keep the thread, and no snapshot
        // is ever taken.
        tokio::task::yield_now().await;
    }
    Ok(latencies)
}
