//! The yardsticks: what the disk, and a plain program on it, do beside the stores.

use super::Outcome;
use super::fixture::{Kind, Payloads, remove};
use super::report::{Beside, Peak, Report, Sample, latencies, note};
use rusqlite::Connection;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Each as so many a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yardsticks {
    /// `fdatasync` after each 4 KiB appended to a file that grows.
    pub(crate) growing: f64,
    /// `fdatasync` after each 4 KiB written into a file that has its size.
    pub(crate) preallocated: f64,
    /// One transaction an event, written by hand with rusqlite.
    pub(crate) rusqlite: f64,
}

/// Measures the yardsticks again and again, so that each row has its own.
pub(crate) struct Disk {
    dir: PathBuf,
    each: Duration,
}

const BLOCK: [u8; 4096] = [7; 4096];

/// How large the file is that has its size; then it is written over from the start.
const ROOM: u64 = 64 << 20;

impl Disk {
    /// In this folder, each for so long.
    pub(crate) fn new(dir: &Path, each: Duration) -> Self {
        Self { dir: dir.into(), each }
    }

    /// As they stand now.
    pub(crate) fn now(&self) -> Outcome<Yardsticks> {
        Ok(Yardsticks {
            growing: self.fdatasync(false)?.rate(),
            preallocated: self.fdatasync(true)?.rate(),
            rusqlite: self.rusqlite_loop()?.rate(),
        })
    }

    /// What stands beside a row of this kind of store: the disk, as it is now, if it waits for it.
    pub(crate) fn beside(&self, kind: &Kind) -> Outcome<Beside> {
        let disk = if kind.is_durable() { Some(self.now()?) } else { None };
        Ok(Beside { disk, peak: Peak::from_now(), bytes_per_event: None })
    }

    /// Their own rows.
    pub(crate) fn rows(&self, report: &mut Report) -> Outcome<()> {
        let growing = self.fdatasync(false)?;
        let preallocated = self.fdatasync(true)?;
        let plain = self.rusqlite_loop()?;
        let disk = Yardsticks { growing: growing.rate(), preallocated: preallocated.rate(), rusqlite: plain.rate() };
        let beside = Beside { disk: Some(disk), ..Beside::default() };
        report.row("disk", "fdatasync of 4 KiB, growing file", "syncs", &growing, &beside);
        report.row("disk", "fdatasync of 4 KiB, preallocated file", "syncs", &preallocated, &beside);
        report.row("rusqlite", "a loop by hand, one transaction an event", "events", &plain, &beside);
        Ok(())
    }

    fn fdatasync(&self, preallocated: bool) -> Outcome<Sample> {
        let path = self.dir.join("yardstick");
        let mut file = File::create(&path)?;
        if preallocated {
            for _ in 0..ROOM / BLOCK.len() as u64 {
                file.write_all(&BLOCK)?;
            }
            file.sync_all()?;
        }
        let (start, mut latencies, mut done) = (Instant::now(), latencies(), 0);
        while start.elapsed() < self.each {
            let one = Instant::now();
            if preallocated && done % (ROOM / BLOCK.len() as u64) == 0 {
                file.seek(SeekFrom::Start(0))?;
            }
            file.write_all(&BLOCK)?;
            file.sync_data()?;
            note(&mut latencies, one.elapsed());
            done += 1;
        }
        let took = start.elapsed();
        std::fs::remove_file(path)?;
        Ok(Sample { done, took, latencies })
    }

    /// What a person writes who needs no library: a table with a unique index over stream and revision, a write-ahead
    /// log, `synchronous=FULL`, and for each event a transaction that looks for the last revision and inserts.
    fn rusqlite_loop(&self) -> Outcome<Sample> {
        let path = self.dir.join("by-hand.db");
        remove(&path);
        let mut conn = Connection::open(&path)?;
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.execute_batch(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL, revision INTEGER NOT NULL,
                 type TEXT NOT NULL, payload TEXT NOT NULL, UNIQUE (stream, revision))",
        )?;
        let payloads = Payloads::default();
        let (start, mut latencies, mut done) = (Instant::now(), latencies(), 0);
        while start.elapsed() < self.each {
            let stream = format!("account-{:06}", done % 1_000);
            let payload = payloads.one(done);
            let one = Instant::now();
            let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let last: Option<i64> = transaction
                .prepare_cached("SELECT max(revision) FROM events WHERE stream = ?1")?
                .query_row([&stream], |row| row.get(0))?;
            transaction
                .prepare_cached("INSERT INTO events (stream, revision, type, payload) VALUES (?1, ?2, ?3, ?4)")?
                .execute((
                    &stream,
                    last.map_or(0, |last| last + 1),
                    "account.deposited",
                    std::str::from_utf8(&payload)?,
                ))?;
            transaction.commit()?;
            note(&mut latencies, one.elapsed());
            done += 1;
        }
        let took = start.elapsed();
        drop(conn);
        remove(&path);
        Ok(Sample { done, took, latencies })
    }
}
