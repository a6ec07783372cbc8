//! One append inside the writer's transaction: judged completely, then written.

use crate::error::Fault;
use crate::heads::{Head, Heads};
use crate::names::{self, Kinds, Names};
use crate::rows::{Inserter, Place};
use crate::{checkpoints, guard, keys};
use core::time::Duration;
use portolan_kernel::ports::{AppendError, StoreId, streams_of};
use portolan_kernel::values::{Append, Appended, CheckpointState, Position, Revision, StreamId, Timestamp};
use rusqlite::Connection;
use std::collections::HashMap;

/// Why an append was not written.
pub(crate) enum Refusal {
    /// It was judged, and wrote nothing.
    Judged(AppendError),
    /// The file failed; what was written in the transaction has to be rolled back.
    Failed(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        Self::Judged(error)
    }
}

/// What the writer knows of the log while it holds the write lock.
pub(crate) struct Ledger {
    pub(crate) identity: StoreId,
    /// The last position given out, uncommitted ones included; 0 for none.
    pub(crate) last_position: i64,
    pub(crate) retention: Option<Duration>,
    pub(crate) heads: Heads,
    pub(crate) kinds: Kinds,
    pub(crate) names: Names,
}

impl Ledger {
    /// Forgets what may not be true: after a rollback, and when another process has written.
    pub(crate) fn forget(&mut self) {
        self.heads.clear();
        self.kinds.clear();
        self.names.clear();
    }

    /// Judges and writes. `Judged` refusals have written nothing.
    pub(crate) fn append(&mut self, conn: &Connection, append: &Append, now: Timestamp) -> Result<Appended, Refusal> {
        if let Some(key) = &append.key
            && let Some(recalled) = keys::find(conn, &key.scope, &key.id, self.retention, now)?
        {
            return if recalled.digest == key.digest {
                Ok(recalled.appended)
            } else {
                Err(AppendError::KeyReused { scope: key.scope.clone(), id: key.id.clone() }.into())
            };
        }
        let streams = streams_of(append);
        let heads = self.judge_streams(conn, append, &streams)?;
        if let Some(guard) = &append.guard {
            guard::judge(conn, &mut self.names, guard, self.last_position)?;
        }
        let moved = self.judge_checkpoint(conn, append)?;
        self.write(conn, append, &streams, heads, moved, now).map_err(Refusal::Failed)
    }

    fn judge_streams(
        &mut self,
        conn: &Connection,
        append: &Append,
        streams: &[&StreamId],
    ) -> Result<Vec<Head>, Refusal> {
        let heads = streams.iter().map(|stream| self.head(conn, stream)).collect::<Result<Vec<_>, _>>()?;
        if append.expect.is_empty() {
            return Ok(heads);
        }
        let known: HashMap<_, _> = streams.iter().zip(&heads).collect();
        for (stream, expected) in &append.expect {
            let actual = known.get(&stream).and_then(|head| head.last).map(revision);
            if !expected.holds(actual) {
                return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual }.into());
            }
        }
        Ok(heads)
    }

    fn head(&mut self, conn: &Connection, stream: &StreamId) -> Result<Head, Fault> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(head);
        }
        let head = names::stream_head(conn, stream)?;
        self.heads.set(stream.clone(), head);
        Ok(head)
    }

    fn judge_checkpoint(&self, conn: &Connection, append: &Append) -> Result<Option<CheckpointState>, Refusal> {
        let Some(checkpoint) = &append.checkpoint else {
            return Ok(None);
        };
        let stands = checkpoints::load(conn, self.identity, &checkpoint.name)?;
        Ok(Some(checkpoints::judge(checkpoint, stands, position(self.last_position))?))
    }

    fn write(
        &mut self,
        conn: &Connection,
        append: &Append,
        streams: &[&StreamId],
        mut heads: Vec<Head>,
        moved: Option<CheckpointState>,
        now: Timestamp,
    ) -> Result<Appended, Fault> {
        let first = self.last_position + 1;
        if !append.events.is_empty() {
            self.last_position = i64::try_from(append.events.len())
                .ok()
                .and_then(|n| self.last_position.checked_add(n))
                .ok_or(Fault::NoPosition)?;
            let place_of: HashMap<_, _> = streams.iter().enumerate().map(|(at, stream)| (*stream, at)).collect();
            let before = heads.clone();
            let mut inserter = Inserter::new(conn)?;
            let mut at = 0;
            for (event, position) in append.events.iter().zip(first..) {
                // Most appends write one stream; then this is the only comparison.
                if *streams[at] != event.stream {
                    at = place_of.get(&event.stream).copied().unwrap_or_default();
                }
                let head = &mut heads[at];
                let stream = match head.number {
                    Some(number) => number,
                    None => *head.number.insert(names::new_stream(conn, &event.stream)?),
                };
                let revision = head.last.map_or(0, |last| last + 1);
                let kind = self.kinds.number(conn, event.stream.category(), &event.event_type)?;
                inserter.insert(event, Place { position, stream, revision, kind, recorded_at: now })?;
                head.last = Some(revision);
            }
            for (stream, (head, before)) in streams.iter().zip(heads.iter().zip(&before)) {
                if let (Some(number), Some(last)) = (head.number, head.last)
                    && head != before
                {
                    names::save_head(conn, number, stream, last)?;
                }
                self.heads.set((*stream).clone(), *head);
            }
        }
        let ends = |at: i64| position(at).filter(|_| !append.events.is_empty());
        let revisions = streams.iter().zip(&heads).map(|(stream, head)| ((*stream).clone(), head.last.map(revision)));
        let appended = Appended::new(ends(first), ends(self.last_position), revisions.collect());
        if let (Some(checkpoint), Some(state)) = (&append.checkpoint, moved) {
            checkpoints::save(conn, &checkpoint.name, state)?;
        }
        match &append.key {
            None => Ok(appended),
            Some(key) => {
                keys::record(conn, key, &appended, now)?;
                Ok(appended.with_note(key.note.clone()))
            }
        }
    }
}

/// A position as the port has it; `None` for 0, before all.
pub(crate) fn position(number: i64) -> Option<Position> {
    if number > 0 { Position::new(number.cast_unsigned()) } else { None }
}

fn revision(number: i64) -> Revision {
    Revision::new(number.cast_unsigned())
}
