//! `cargo bench --bench commands`: what applications do through their ports, beside the disk: commands from in process and
//! over wires, sagas, and what is kept of many keys.
//!
//! `BENCHMARKS.md` says what each row means and what limits it. Each command has an id and full metadata, goes through the
//! middleware of tracing (nobody listens), and is answered with its receipt. Ratios of one run count; absolute figures are
//! the machine's.

#[path = "../support/mod.rs"]
mod support;

mod account;
mod bus;
mod keys;
mod sagas;
mod wires;

use crate::support::Outcome;
use crate::support::disk::Disk;
use crate::support::fixture::Kind;
use crate::support::report::Report;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Measures commands and sagas of an application, beside the disk.")]
struct Options {
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many sagas are started.
    #[arg(long, default_value_t = 1_000)]
    sagas: u64,
    /// How many distinct ids are sent to the store that keeps nothing.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// The folder that files are written into; the disk to be measured.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    dir: PathBuf,
    /// Only stores whose name contains this.
    #[arg(long, default_value = "")]
    store: String,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    row: String,
    /// What the process does that another one starts as its client.
    #[arg(long, hide = true)]
    client_of: Option<String>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn wants(&self, row: &str) -> bool {
        row.contains(&self.row)
    }
}

/// A run: what is asked for, what the disk does, and what was found.
struct Run {
    options: Options,
    disk: Disk,
    report: Report,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    if let Some(url) = &options.client_of {
        return wires::client(url, options.time());
    }
    std::fs::create_dir_all(&options.dir)?;
    let dir = options.dir.clone();
    let disk = Disk::new(&dir, options.time().div_f64(6.0));
    let report = Report::begin("commands", &dir)?;
    let mut run = Run { options, disk, report };
    run.disk.rows(&mut run.report)?;
    for kind in [Kind::Memory, Kind::Sqlite(dir.clone())] {
        if kind.name().contains(&run.options.store) {
            // One thread sends and decides; SQLite's writer has its own.
            let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            one.block_on(bus::rows(&mut run, &kind))?;
            one.block_on(sagas::rows(&mut run, &kind))?;
            drop(one);
            let server = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            server.block_on(wires::rows(&mut run, &kind))?;
        }
    }
    if run.options.wants("keys") {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(keys::keys(run.options.keys))?;
    }
    run.report.write(&dir)
}
