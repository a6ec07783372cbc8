//! One append inside the writer's transaction: judged completely, then written.

use crate::chain;
use crate::error::Fault;
use crate::heads::{Head, Heads, Moved};
use crate::inline::{Inlines, Log};
use crate::key_index::Known;
use crate::key_ledger::KeyLedger;
use crate::links::Trail;
use crate::names::{self, Names, Table};
use crate::pending::Pending;
use crate::rows::{ListPlace, Place};
use crate::{checkpoints, guard, keys};
use alloc::sync::Arc;
use core::time::Duration;
use portolan_kernel::ports::{AppendError, StoreId, streams_of};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Guard, NewEvent, Position, Recalled, Recorded, Revision, StreamId, Tag,
    Timestamp,
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
    /// The largest position in the log is the last one that was given out and written: nothing is missing at its end.
    pub(crate) is_whole: bool,
    pub(crate) retention: Option<Duration>,
    pub(crate) keys: KeyLedger,
    pub(crate) streams: Heads<StreamId>,
    /// By category, a line break (names have none), and type.
    pub(crate) kinds: Heads<String>,
    pub(crate) tags: Heads<Tag>,
    pub(crate) names: Names,
    /// Room to look a kind up with.
    pub(crate) key: String,
    /// The largest numbers given to a stream and to a tag, once they are known.
    pub(crate) last_stream: Option<i64>,
    pub(crate) last_tag: Option<i64>,
}

impl Ledger {
    /// Forgets what may not be true: after a rollback, and when another process has written.
    pub(crate) fn forget(&mut self) {
        self.is_whole = false;
        self.keys.forget();
        self.streams.clear();
        self.kinds.clear();
        self.tags.clear();
        self.names.clear();
        self.last_stream = None;
        self.last_tag = None;
    }

    /// Judges, and leaves the events to be written with those before. `Judged` refusals have written nothing.
    pub(crate) fn append<'j>(
        &mut self,
        conn: &Connection,
        inlines: &mut Inlines,
        pending: &mut Pending<'j>,
        append: &'j Append,
        now: Timestamp,
    ) -> Result<Appended, Refusal> {
        if let Some(key) = &append.key
            && let known = self.keys.known(&key.scope, &key.id)
            && let Some(recalled) = self.recall(conn, known, (&key.scope, &key.id), now)?
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
            guard::is_possible(guard, self.last_position)?;
            if !self.is_past(conn, guard)? {
                // It is judged by the file, which has to tell of the appends before this one.
                self.flush(conn, pending)?;
                guard::judge(conn, &mut self.names, guard, self.last_position)?;
            }
        }
        let moved = self.judge_checkpoint(conn, append)?;
        let changes = if append.events.is_empty() {
            Vec::new()
        } else {
            if inlines.look_at_the_log() {
                self.flush(conn, pending)?;
            }
            let log = Log { identity: self.identity, last_position: self.last_position };
            inlines.judge(conn, &mut self.names, log, || places(append, &streams, &heads, log.last_position, now))?
        };
        let appended = self.write(conn, pending, append, &streams, heads, moved, now).map_err(Refusal::Failed)?;
        inlines.accept(changes);
        Ok(appended)
    }

    /// What is recorded under a key, of which so much is known; by this transaction too.
    pub(crate) fn recall(
        &self,
        conn: &Connection,
        known: Known,
        key: (&str, &str),
        now: Timestamp,
    ) -> Result<Option<Recalled>, Fault> {
        keys::find(conn, key, known.in_index(conn)?, self.retention, now)
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
        let place_of = PlaceOf::new(streams);
        for (stream, expected) in &append.expect {
            let actual = place_of.get(stream).and_then(|at| heads[at].last).map(revision);
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

    #[expect(clippy::too_many_arguments, reason = "an append, and all that was judged of it")]
    fn write<'j>(
        &mut self,
        conn: &Connection,
        pending: &mut Pending<'j>,
        append: &'j Append,
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
            let place_of = PlaceOf::new(streams);
            let before = heads.clone();
            let mut at = 0;
            for (event, position) in append.events.iter().zip(first..) {
                // Most appends write one stream; then this is the only comparison.
                if *streams[at] != event.stream {
                    at = place_of.get(&event.stream).unwrap_or_default();
                }
                let head = &mut heads[at];
                let stream = match head.number {
                    Some(number) => number,
                    None => *head.number.insert(Table::Streams.next_number(conn, &mut self.last_stream)?),
                };
                let revision = head.last.map_or(0, |last| last + 1);
                let link = head.trail.follow(revision, position, |revision, position| {
                    match pending.place(position).filter(|place| place.stream == stream) {
                        Some(place) => Ok(place.link.far()),
                        None => chain::far_of(conn, stream, revision, position),
                    }
                })?;
                let kind = self.next_of_kind(conn, event)?;
                pending.event(event, Place { position, stream, revision, link, kind, recorded_at: now });
                for (n, tag) in event.tags.iter().enumerate() {
                    if !event.tags[..n].contains(tag) {
                        pending.tag(self.next_of_tag(conn, tag, position)?, position);
                    }
                }
                head.last = Some(revision);
            }
            for ((stream, head), before) in streams.iter().zip(&heads).zip(before) {
                if *head != before {
                    self.streams.advance(stream, before, *head, before.number.is_none());
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
                let number = self.keys.next(&key.scope, &key.id)?;
                keys::record(conn, number, key, &appended, now)?;
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
                Some((number, last)) => Head { number: Some(*number), last: Some(*last), ..Head::default() },
                None => Head::default(),
            },
        };
        let number = match head.number {
            Some(number) => number,
            None => names::new_kind(conn, category, event_type)?,
        };
        let n = head.last.map_or(0, |last| last + 1);
        let moved = Head { number: Some(number), last: Some(n), ..Head::default() };
        self.kinds.advance(&self.key, head, moved, false);
        Ok(ListPlace { list: number, n })
    }

    fn head_of_tag(&mut self, conn: &Connection, tag: &Tag) -> Result<Head, Fault> {
        if let Some(head) = self.tags.get(tag) {
            return Ok(head);
        }
        let head = Table::Tags.head(conn, tag)?;
        self.tags.set(tag.clone(), head);
        Ok(head)
    }

    /// The next place in the list of a tag, which gets one now if it has none.
    fn next_of_tag(&mut self, conn: &Connection, tag: &Tag, position: i64) -> Result<ListPlace, Fault> {
        let head = self.head_of_tag(conn, tag)?;
        let number = match head.number {
            Some(number) => number,
            None => Table::Tags.next_number(conn, &mut self.last_tag)?,
        };
        let n = head.last.map_or(0, |last| last + 1);
        let moved = Head { number: Some(number), last: Some(n), trail: Trail::from(position) };
        self.tags.advance(tag, head, moved, head.number.is_none());
        Ok(ListPlace { list: number, n })
    }

    /// Whether the heads of tags tell by themselves that no event matches after the guard's position: each item has
    /// a tag whose last event stands before. Most guards are past so, and ask nothing of the file.
    fn is_past(&mut self, conn: &Connection, guard: &Guard) -> Result<bool, Fault> {
        let after = guard.after.map_or(0, |after| after.get().cast_signed());
        'items: for item in &guard.none_of.any_of {
            for tag in &item.tags {
                let head = self.head_of_tag(conn, tag)?;
                if head.last.is_none() || head.trail.last().is_some_and(|last| last <= after) {
                    continue 'items;
                }
            }
            return Ok(false);
        }
        Ok(!guard.none_of.any_of.is_empty())
    }

    /// Writes what is pending: events, and where the lists end that have grown. Once a transaction, however many
    /// appends are in it, unless one of them has to be judged by the file.
    pub(crate) fn flush(&mut self, conn: &Connection, pending: &mut Pending<'_>) -> Result<(), Fault> {
        self.is_whole |= pending.write(conn, self.is_whole)?;
        Table::Streams.save(conn, &self.streams.take_moved())?;
        Table::Tags.save(conn, &self.tags.take_moved())?;
        for Moved { name: kind, head, .. } in self.kinds.take_moved() {
            let (category, event_type) = kind.split_once('\n').unwrap_or_default();
            names::save_kind(conn, category, event_type, head)?;
        }
        Ok(())
    }
}

/// Where each stream stands among those of an append.
enum PlaceOf<'s> {
    Few(&'s [&'s StreamId]),
    Many(HashMap<&'s StreamId, usize>),
}

impl<'s> PlaceOf<'s> {
    /// So few are compared faster than hashed.
    const FEW: usize = 8;

    fn new(streams: &'s [&'s StreamId]) -> Self {
        if streams.len() <= Self::FEW {
            Self::Few(streams)
        } else {
            Self::Many(streams.iter().enumerate().map(|(at, stream)| (*stream, at)).collect())
        }
    }

    fn get(&self, stream: &StreamId) -> Option<usize> {
        match self {
            Self::Few(streams) => streams.iter().position(|other| *other == stream),
            Self::Many(places) => places.get(stream).copied(),
        }
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
