//! Commands from another process, over loopback.

use crate::Run;
use crate::account;
use crate::bus;
use crate::support::fixture::Kind;
#[cfg(not(feature = "grpc"))]
use crate::support::report::say;
use crate::support::report::{Sample, latencies};
use crate::support::{Failure, Outcome};
use portolan::http::{HttpClient, HttpServer};
use portolan::ports::CommandBus;
use portolan::prelude::Ports;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// So many connections; on each one request is under way.
const CONNECTIONS: u64 = 64;

/// How a URL begins that stands for gRPC.
#[cfg(feature = "grpc")]
const GRPC: &str = "grpc://";

/// What the client's process tells: how many were done, how long that took, and each latency with how often it was.
#[derive(Serialize, Deserialize)]
struct Told {
    done: u64,
    took_nanos: u64,
    latencies_nanos: Vec<(u64, u64)>,
}

/// A way between two processes.
#[derive(Clone, Copy)]
enum Wire {
    Http,
    #[cfg(feature = "grpc")]
    Grpc,
}

/// Each with its name.
const WIRES: &[(Wire, &str)] = &[
    (Wire::Http, "http"),
    #[cfg(feature = "grpc")]
    (Wire::Grpc, "grpc"),
];

pub(crate) async fn rows(run: &mut Run, kind: &Kind) -> Outcome<()> {
    for (wire, its_name) in WIRES.iter().copied() {
        let name = format!("commands over {its_name}, 64 connections, client in another process");
        if !run.options.wants(&name) {
            continue;
        }
        let beside = run.disk.beside(kind)?;
        let (storage, file) = account::storage(kind).await?;
        let bank = account::open(storage.clone()).await?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (url, serving) = serve(wire, bank.ports(), stopped).await?;
        let sample = ask(&url, run.options.seconds).await?;
        let _ = stop.send(());
        serving.await?;
        account::close(bank, storage, file).await;
        run.report.row(kind.name(), &name, "commands", &sample, &beside);
    }
    #[cfg(not(feature = "grpc"))]
    say("Rows over gRPC are left out; `--features grpc` adds them.");
    Ok(())
}

/// Serves these ports until it is stopped, and tells its URL.
async fn serve(
    wire: Wire,
    ports: Ports,
    stopped: oneshot::Receiver<()>,
) -> Outcome<(String, tokio::task::JoinHandle<()>)> {
    let until = async {
        let _ = stopped.await;
    };
    let any_port = "127.0.0.1:0".parse()?;
    Ok(match wire {
        Wire::Http => {
            let server = HttpServer::new(ports).bind(any_port).await?;
            (format!("http://{}", server.local_addr()), tokio::spawn(server.serve(until)))
        }
        #[cfg(feature = "grpc")]
        Wire::Grpc => {
            let server = portolan::grpc::GrpcServer::new(ports).bind(any_port).await?;
            (format!("{GRPC}{}", server.local_addr()), tokio::spawn(server.serve(until)))
        }
    })
}

/// A bus over this URL, on a connection of its own.
async fn connect(url: &str) -> Outcome<Arc<dyn CommandBus>> {
    #[cfg(feature = "grpc")]
    if let Some(address) = url.strip_prefix(GRPC) {
        return Ok(Arc::new(portolan::grpc::GrpcClient::connect(format!("http://{address}")).await?));
    }
    Ok(Arc::new(HttpClient::connect(url).await?))
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
            buses.push(connect(url).await?);
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
