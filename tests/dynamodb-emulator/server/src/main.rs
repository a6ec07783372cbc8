//! A DynamoDB emulator (dynoxide) in memory, on a port of 127.0.0.1: the first argument, or a free one without it.
//!
//! It says where it listens in one line on its output, and ends when its input is closed, so that it cannot outlive
//! the process that holds the other end, however that one dies.

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the DynamoDB emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| format!("port {port}: {error}"))?;
        println!("http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let (close, closed) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = close.send(());
        });
        let database = dynoxide::Database::memory()?;
        tokio::select! {
            // Not drained: whoever asked is gone.
            _ = closed => Ok(()),
            served = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()) => Ok(served?),
        }
    })
}
