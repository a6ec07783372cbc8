//! What a migration would do.

use super::batch::{Batch, Room};
use super::{Migration, MigrationError, MigrationReason};
use crate::values::{EventType, NewEvent, Position, Recorded, StreamId};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// A stored type and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct MigrationVersion {
    /// The stored type.
    pub event_type: EventType,
    /// Its version.
    pub version: u32,
}

impl fmt::Display for MigrationVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.event_type, self.version)
    }
}

impl MigrationVersion {
    fn of(event: &NewEvent) -> Self {
        Self { event_type: event.event_type.clone(), version: event.version }
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MigrationOutcome {
    /// It is copied as it is.
    Unchanged,
    /// It becomes one of another version or type.
    Becomes(MigrationVersion),
    /// It becomes several, in this order.
    Split(Vec<MigrationVersion>),
    /// It is not copied.
    Retired,
    /// It cannot be copied, and the run stops at it.
    Fails,
}

impl MigrationOutcome {
    fn of(event: &NewEvent, results: &[NewEvent]) -> Self {
        match results {
            [] => Self::Retired,
            [one] if one == event => Self::Unchanged,
            [one] => Self::Becomes(MigrationVersion::of(one)),
            several => Self::Split(several.iter().map(MigrationVersion::of).collect()),
        }
    }
}

impl fmt::Display for MigrationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("unchanged"),
            Self::Becomes(version) => write!(f, "becomes {version}"),
            Self::Split(versions) => {
                f.write_str("split into ")?;
                for (n, version) in versions.iter().enumerate() {
                    write!(f, "{}{version}", if n == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Retired => f.write_str("retired"),
            Self::Fails => f.write_str("FAILS"),
        }
    }
}

/// An event that cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationFailure {
    /// Its place in the source.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// What it is.
    pub event: MigrationVersion,
    /// Why.
    pub reason: MigrationReason,
}

/// What a migration of the whole source would do. Its `Display` is for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MigrationReport {
    /// Events of the source.
    pub read: u64,
    /// Events that come of them.
    pub written: u64,
    /// How many of the source are copied already, as far as the target's record says.
    pub copied: u64,
    /// What [`NewEvent::bytes`] counts of the source.
    pub bytes_read: u64,
    /// The same of what comes of it.
    pub bytes_written: u64,
    /// Up to where; `None` for an empty source.
    pub frontier: Option<Position>,
    /// How many events of each version become what.
    pub events: BTreeMap<MigrationVersion, BTreeMap<MigrationOutcome, u64>>,
    /// Streams of the source.
    pub streams: u64,
    /// How many of them lose all of their events.
    pub vanishing: u64,
    /// The first of those, by name.
    pub vanishing_streams: Vec<StreamId>,
    /// How many events cannot be copied.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<MigrationFailure>,
}

/// How many streams and failures are named.
const NAMED: usize = 20;

impl MigrationReport {
    fn add(&mut self, recorded: &Recorded, results: Result<Vec<NewEvent>, MigrationReason>) -> bool {
        let event = &recorded.event;
        let version = MigrationVersion::of(event);
        self.read += 1;
        self.bytes_read += event.bytes();
        let (outcome, is_kept) = match results {
            Ok(results) => {
                self.written += results.len() as u64;
                self.bytes_written += results.iter().map(NewEvent::bytes).sum::<u64>();
                (MigrationOutcome::of(event, &results), !results.is_empty())
            }
            Err(reason) => {
                self.failed += 1;
                if self.failures.len() < NAMED {
                    let (position, stream) = (recorded.position, event.stream.clone());
                    self.failures.push(MigrationFailure { position, stream, event: version.clone(), reason });
                }
                (MigrationOutcome::Fails, true)
            }
        };
        *self.events.entry(version).or_default().entry(outcome).or_default() += 1;
        is_kept
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, bytes_read, bytes_written, streams, vanishing, .. } = self;
        writeln!(
            f,
            "{read} events ({bytes_read} bytes) in {streams} streams become {written} ({bytes_written} bytes)"
        )?;
        if self.copied > 0 {
            writeln!(f, "{} of them are copied already", self.copied)?;
        }
        for (version, outcomes) in &self.events {
            for (outcome, count) in outcomes {
                writeln!(f, "{count:>10}  {version}  {outcome}")?;
            }
        }
        if *vanishing > 0 {
            writeln!(f, "{vanishing} streams lose all of their events:")?;
            self.vanishing_streams.iter().try_for_each(|stream| writeln!(f, "  {stream}"))?;
            if *vanishing > NAMED as u64 {
                writeln!(f, "  …")?;
            }
        }
        if self.failed > 0 {
            writeln!(f, "{} events cannot be copied, and a run stops at the first:", self.failed)?;
            for MigrationFailure { position, stream, event, reason } in &self.failures {
                writeln!(f, "  {event} of {stream} at position {position}: {reason}")?;
            }
            if self.failed > NAMED as u64 {
                writeln!(f, "  …")?;
            }
        }
        Ok(())
    }
}

impl Migration {
    /// What the migration of the whole source would do. It writes nothing. It holds the names of all streams.
    ///
    /// # Errors
    ///
    /// [`MigrationError`], where a run would not begin. What a run would stop at is in the report.
    pub async fn dry_run(&self) -> Result<MigrationReport, MigrationError> {
        let source = self.judge_stores()?;
        let mut report = MigrationReport::default();
        match self.recorded(source).await? {
            Some(standing) => report.copied = standing.read,
            None => self.judge_empty().await?,
        }
        let room = Room::new(&self.to.capabilities(), self.batch);
        // What is gathered of one command, which goes into one append.
        let mut batch = Batch::default();
        let mut streams = BTreeMap::<StreamId, bool>::new();
        let mut events = self.source(None);
        while let Some(recorded) = events.next().await? {
            let (belongs, judged) = self.judge_next(&mut batch, &room, &recorded);
            if !belongs {
                batch = Batch::default();
                batch.keyed = self.key_of(&recorded).await?;
            }
            if let (Some(_), Ok(events)) = (&batch.keyed, &judged) {
                batch.add(events.clone(), recorded.position, None);
            }
            let is_kept = report.add(&recorded, judged);
            match streams.get_mut(&recorded.stream) {
                Some(kept) => *kept |= is_kept,
                None => {
                    streams.insert(recorded.stream.clone(), is_kept);
                }
            }
        }
        report.frontier = events.frontier;
        report.streams = streams.len() as u64;
        let vanishing = || streams.iter().filter(|(_, is_kept)| !**is_kept).map(|(stream, _)| stream);
        report.vanishing = vanishing().count() as u64;
        report.vanishing_streams = vanishing().take(NAMED).cloned().collect();
        Ok(report)
    }
}
