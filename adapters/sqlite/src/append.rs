//! One append inside the writer's transaction: judged completely, then written.

use crate::error::Fault;
use crate::heads::{Head, Heads};
use crate::inline::{Inlines, Log};
use crate::names::{self, Names, Table};
use crate::rows::{Inserter, ListPlace, Place};
use crate::{checkpoints, guard, keys};
use alloc::sync::Arc;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, StoreId, streams_of};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, NewEvent, Position, Recorded, Revision, StreamId, Tag, Timestamp,
};
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
    pub(crate) streams: Heads<StreamId>,
    /// By category, a line break (names have none), and type.
    pub(crate) kinds: Heads<String>,
    pub(crate) tags: Heads<Tag>,
    pub(crate) names: Names,
    /// Room to look a kind up with.
    pub(crate) key: String,
}

impl Ledger {
    /// Forgets what may not be true: after a rollback, and when another process has written.
    pub(crate) fn forget(&mut self) {
        self.streams.clear();
        self.kinds.clear();
        self.tags.clear();
        self.names.clear();
    }

    /// Judges and writes. `Judged` refusals have written nothing.
    pub(crate) fn append(
        &mut self,
        conn: &Connection,
        inlines: &mut Inlines,
        append: &Append,
        now: Timestamp,
    ) -> Result<Appended, Refusal> {
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
            // It is judged by the file, which has to tell of the appends before this one.
            self.save_heads(conn)?;
            guard::judge(conn, &mut self.names, guard, self.last_position)?;
        }
        let moved = self.judge_checkpoint(conn, append)?;
        let changes = if append.events.is_empty() {
            Vec::new()
        } else {
            let log = Log { identity: self.identity, last_position: self.last_position };
            inlines.judge(conn, &mut self.names, log, || places(append, &streams, &heads, log.last_position, now))?
        };
        let appended = self.write(conn, append, &streams, heads, moved, now).map_err(Refusal::Failed)?;
        inlines.accept(changes);
        Ok(appended)
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
        if let Some(head) = self.streams.get(stream) {
            return Ok(head);
        }
        let head = Table::Streams.head(conn, stream)?;
        self.streams.set(stream.clone(), head);
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
                    None => *head.number.insert(Table::Streams.add(conn, &event.stream)?),
                };
                let revision = head.last.map_or(0, |last| last + 1);
                let kind = self.next_of_kind(conn, event)?;
                inserter.insert(event, Place { position, stream, revision, kind, recorded_at: now })?;
                for (n, tag) in event.tags.iter().enumerate() {
                    if !event.tags[..n].contains(tag) {
                        inserter.list_tag(self.next_of_tag(conn, tag)?, position)?;
                    }
                }
                head.last = Some(revision);
            }
            for ((stream, head), before) in streams.iter().zip(&heads).zip(before) {
                if *head != before {
                    self.streams.advance((*stream).clone(), *head);
                }
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

impl Ledger {
    /// The next place in the list of the event's kind, which gets one now if it has none.
    fn next_of_kind(&mut self, conn: &Connection, event: &NewEvent) -> Result<ListPlace, Fault> {
        let (category, event_type) = (event.stream.category(), &*event.event_type);
        self.key.clear();
        self.key.extend([category, "\n", event_type]);
        let head = match self.kinds.get(&self.key) {
            Some(head) => head,
            None => match names::kinds(conn, Some(category), Some(event_type), 1)?.first() {
                Some((number, last)) => Head { number: Some(*number), last: Some(*last) },
                None => Head::default(),
            },
        };
        let number = match head.number {
            Some(number) => number,
            None => names::new_kind(conn, category, event_type)?,
        };
        let n = head.last.map_or(0, |last| last + 1);
        self.kinds.advance(self.key.clone(), Head { number: Some(number), last: Some(n) });
        Ok(ListPlace { list: number, n })
    }

    /// The next place in the list of a tag, which gets one now if it has none.
    fn next_of_tag(&mut self, conn: &Connection, tag: &Tag) -> Result<ListPlace, Fault> {
        let head = match self.tags.get(tag) {
            Some(head) => head,
            None => Table::Tags.head(conn, tag)?,
        };
        let number = match head.number {
            Some(number) => number,
            None => Table::Tags.add(conn, tag)?,
        };
        let n = head.last.map_or(0, |last| last + 1);
        self.tags.advance(tag.clone(), Head { number: Some(number), last: Some(n) });
        Ok(ListPlace { list: number, n })
    }

    /// Writes where the lists end that have grown. Once a transaction, however many appends are in it.
    pub(crate) fn save_heads(&mut self, conn: &Connection) -> Result<(), Fault> {
        for (stream, head) in self.streams.take_moved() {
            Table::Streams.save(conn, &stream, head)?;
        }
        for (tag, head) in self.tags.take_moved() {
            Table::Tags.save(conn, &tag, head)?;
        }
        for (kind, head) in self.kinds.take_moved() {
            let (category, event_type) = kind.split_once('\n').unwrap_or_default();
            names::save_kind(conn, category, event_type, head)?;
        }
        Ok(())
    }
}

/// The events of an append as they will be recorded.
fn places(
    append: &Append,
    streams: &[&StreamId],
    heads: &[Head],
    last_position: i64,
    now: Timestamp,
) -> Vec<Arc<Recorded>> {
    let next = heads.iter().map(|head| head.last.map_or(0, |last| last + 1));
    let mut next: HashMap<_, _> = streams.iter().copied().zip(next).collect();
    let recorded = append.events.iter().zip(last_position + 1..).filter_map(|(event, at)| {
        let number = next.entry(&event.stream).or_default();
        *number += 1;
        Some(Arc::new(Recorded::new(event.clone(), revision(*number - 1), position(at)?, now)))
    });
    recorded.collect()
}

/// A position as the port has it; `None` for 0, before all.
pub(crate) fn position(number: i64) -> Option<Position> {
    if number > 0 { Position::new(number.cast_unsigned()) } else { None }
}

fn revision(number: i64) -> Revision {
    Revision::new(number.cast_unsigned())
}
