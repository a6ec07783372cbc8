//! Commands from another process, over loopback.

use crate::Run;
use crate::account;
use crate::bus;
use crate::support::fixture::Kind;
use crate::support::report::{Sample, latencies};
use crate::support::{Failure, Outcome};
use portolan::http::{HttpClient, HttpServer};
use portolan::ports::CommandBus;
use portolan_grpc::{GrpcClient, GrpcServer};
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// So many connections; on each one request is under way.
const CONNECTIONS: u64 = 64;

/// What the client's process tells: how many were done, how long that took, and each latency with how often it was.
#[derive(Serialize, Deserialize)]
struct Told {
    done: u64,
    took_nanos: u64,
    latencies_nanos: Vec<(u64, u64)>,
}

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    for wire in ["http", "grpc"] {
        let name = format!("commands over {wire}, 64 connections, client in another process");
        if !run.options.wants(&name) {
            continue;
        }
        let beside = run.beside(kind)?;
        let (storage, file) = account::storage(kind).await?;
        let bank = account::open(storage.clone()).await?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let until = async {
            let _ = stopped.await;
        };
        let address = "127.0.0.1:0".parse()?;
        let (address, serving) = if wire == "http" {
            let server = HttpServer::new(bank.ports()).bind(address).await?;
            (server.local_addr(), tokio::spawn(server.serve(until)))
        } else {
            let server = GrpcServer::new(bank.ports()).bind(address).await?;
            let address = server.local_addr();
            (address, tokio::spawn(server.serve(until)))
        };
        let sample = ask(&format!("{wire}://{address}"), run.options.seconds).await?;
        let _ = stop.send(());
        serving.await?;
        account::close(bank, storage, file).await;
        run.report.row(kind.name(), &name, "commands", &sample, &beside);
    }
    Ok(())
}

/// Has another process be the client of this URL.
async fn ask(url: &str, seconds: f64) -> Outcome<Sample> {
    let mut client = std::process::Command::new(std::env::current_exe()?);
    client.args(["--client-of", url, "--seconds", &seconds.to_string()]).stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || client.output()).await??;
    if !output.status.success() {
        return Err(Failure::from(format!("the client of {url} ended with {}", output.status)));
    }
    let told: Told = serde_json::from_slice(&output.stdout)?;
    let mut latencies = latencies();
    for (nanos, times) in told.latencies_nanos {
        latencies.saturating_record_n(nanos, times);
    }
    Ok(Sample { done: told.done, took: Duration::from_nanos(told.took_nanos), latencies })
}

/// What the other process does.
pub(crate) fn client(url: &str, time: Duration) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sample = runtime.block_on(async {
        let mut buses: Vec<Arc<dyn CommandBus>> = Vec::new();
        for _ in 0..CONNECTIONS {
            buses.push(match url.strip_prefix("grpc://") {
                Some(address) => Arc::new(GrpcClient::connect(format!("http://{address}")).await?),
                None => Arc::new(HttpClient::connect(url).await?),
            });
        }
        let bus = |number: u64| buses[usize::try_from(number).unwrap_or(0)].clone();
        bus::all(CONNECTIONS, time, bus, |client| client).await
    })?;
    let recorded = sample.latencies.iter_recorded();
    let told = Told {
        done: sample.done,
        took_nanos: u64::try_from(sample.took.as_nanos())?,
        latencies_nanos: recorded.map(|value| (value.value_iterated_to(), value.count_at_value())).collect(),
    };
    serde_json::to_writer(std::io::stdout(), &told)?;
    Ok(())
}
