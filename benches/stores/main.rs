//! `cargo bench --bench stores`: what stores do through the port `EventStore`, beside the disk they are on.
//!
//! `BENCHMARKS.md` says what each row means and what limits it. The yardsticks are measured in the same run, before each
//! row that waits for the disk: ratios of one run count, absolute figures are the machine's.

#[path = "../support/mod.rs"]
mod support;

mod appends;
mod growth;
mod guards;
mod inline;
mod reads;

use crate::support::Outcome;
use crate::support::disk::Disk;
use crate::support::fixture::Kind;
use crate::support::report::{Beside, Report, Sample};
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Measures the stores through their port, beside the disk.")]
struct Options {
    /// Events stored before loads and scans are measured, in streams of 10.
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// How long each row is measured, in seconds; one that has filled its streams ends earlier.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The folder that files are written into; the disk to be measured.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    dir: PathBuf,
    /// Only stores whose name contains this.
    #[arg(long, default_value = "")]
    store: String,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    row: String,
    /// Instead of all rows: lets one SQLite file grow to 1 and 10 million events, and draws its growth.
    #[arg(long)]
    growth: bool,
    /// How far it grows, in events.
    #[arg(long, default_value_t = 10_000_000)]
    grown: u64,
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

impl Run {
    fn row(&mut self, kind: &Kind, scenario: &str, sample: &Sample, beside: &Beside) {
        self.report.row(kind.name(), scenario, "events", sample, beside);
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    std::fs::create_dir_all(&options.dir)?;
    let dir = options.dir.clone();
    let disk = Disk::new(&dir, options.time().div_f64(6.0));
    let report = Report::begin(if options.growth { "growth" } else { "stores" }, &dir)?;
    let mut run = Run { options, disk, report };
    // One thread calls, as one of a server's does: SQLite's writer has its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        run.disk.rows(&mut run.report)?;
        if run.options.growth {
            return growth::rows(&mut run).await;
        }
        for kind in [Kind::Memory, Kind::Sqlite(dir.clone())] {
            if kind.name().contains(&run.options.store) {
                // First, for what memory a store takes can be told only while the process has not had more.
                reads::rows(&mut run, &kind).await?;
                appends::rows(&mut run, &kind).await?;
                guards::rows(&mut run, &kind).await?;
                inline::rows(&mut run, &kind).await?;
            }
        }
        Outcome::Ok(())
    })?;
    run.report.write(&dir)
}
