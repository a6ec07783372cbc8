//! Appending: judge everything, then write everything.

use crate::inline::Held;
use crate::log::{Log, index_after, position_before};
use alloc::sync::Arc;
use portolan_kernel::ports::{AppendError, Source};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, Direction, Expected, Guard, Move, Recalled, Recorded, Revision, StreamId, Timestamp,
};

impl Log {
    /// Writes an append that [`Capabilities::check`](portolan_kernel::ports::Capabilities::check) has passed.
    pub(crate) fn append(
        &mut self,
        append: Append,
        now: Timestamp,
        inline: Option<&mut Held<'_>>,
    ) -> Result<Appended, AppendError> {
        self.keys.clean_up(now);
        let key = append.key.map(|key| ((key.scope, key.id), key.digest, key.note));
        if let Some((key, digest, _)) = &key
            && let Some(recalled) = self.keys.get(key, now)
        {
            return if recalled.digest == *digest {
                Ok(recalled.appended.clone())
            } else {
                Err(AppendError::KeyReused { scope: key.0.clone(), id: key.1.clone() })
            };
        }
        for (stream, expected) in &append.expect {
            self.judge_expectation(stream, *expected)?;
        }
        if let Some(guard) = &append.guard {
            self.judge_guard(guard)?;
        }
        if let Some(checkpoint) = &append.checkpoint {
            self.judge_checkpoint(checkpoint)?;
        }
        if self.events.len() + append.events.len() > u32::MAX as usize {
            return Err(AppendError::Other(Source::new("a log in memory holds at most 4,294,967,295 events")));
        }
        let inline = match inline {
            Some(held) => {
                let rows = held.judge(self, &append.events, now)?;
                Some((held, rows))
            }
            None => None,
        };

        // From here on nothing can fail, and nobody sees a part: the locks are held until all is written.
        if let Some((held, rows)) = inline {
            held.write(rows);
        }
        let before = self.len();
        let mut streams = Vec::with_capacity(1);
        for mut event in append.events {
            let at = self.len();
            let list = &self.index.enter(&mut event, at).events;
            let revision = Revision::new(list.len() as u64 - 1);
            // Its stream's first event in this append: the one before it, if any, was there already.
            if list.len() < 2 || list[list.len() - 2] < before {
                streams.push((event.stream.clone(), Some(revision)));
            }
            let Some(position) = position_before(at + 1) else { continue };
            self.events.push(Arc::new(Recorded::new(event, revision, position, now)));
        }
        if self.events.len() > before as usize + 1 {
            for (stream, revision) in &mut streams {
                *revision = self.last_revision(stream);
            }
        }
        for (stream, _) in append.expect {
            let list = self.index.events(&stream);
            if list.last().is_none_or(|last| *last < before) {
                let revision = self.last_revision(&stream);
                streams.push((stream, revision));
            }
        }
        if let Some(checkpoint) = append.checkpoint {
            let to = match checkpoint.to {
                Move::Claim => checkpoint.from,
                Move::At(to) => Some(to),
                Move::Reset(to) => to,
            };
            self.checkpoints.insert(checkpoint.name, (to, checkpoint.token));
        }
        let written = self.len() > before;
        let first = if written { position_before(before + 1) } else { None };
        let last = if written { self.frontier() } else { None };
        let mut appended = Appended::new(first, last, streams);
        if let Some((key, digest, note)) = key {
            appended = appended.with_note(note);
            self.keys.put(key, Recalled::new(appended.clone().as_repeated(), digest), now);
        }
        Ok(appended)
    }

    pub(crate) fn last_revision(&self, stream: &StreamId) -> Option<Revision> {
        self.index.events(stream).len().checked_sub(1).map(|last| Revision::new(last as u64))
    }

    fn judge_expectation(&self, stream: &StreamId, expected: Expected) -> Result<(), AppendError> {
        let actual = self.last_revision(stream);
        if expected.holds(actual) {
            Ok(())
        } else {
            Err(AppendError::Conflict { stream: stream.clone(), expected, actual })
        }
    }

    fn judge_guard(&self, guard: &Guard) -> Result<(), AppendError> {
        if guard.after > self.frontier() {
            return Err(AppendError::Invalid(format!(
                "its guard stands at {}, past the frontier of this store",
                text(guard.after)
            )));
        }
        let mut candidates =
            self.index.candidates(&guard.none_of, index_after(guard.after)..self.len(), Direction::Forward);
        match candidates.find_map(|at| self.events.get(at as usize).filter(|event| guard.none_of.matches(event))) {
            Some(event) => Err(AppendError::GuardFailed { position: event.position }),
            None => Ok(()),
        }
    }

    fn judge_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), AppendError> {
        let stands = self.checkpoints.get(&checkpoint.name).copied().unwrap_or_default();
        if stands.0 != checkpoint.from || stands.1 > checkpoint.token {
            let name = checkpoint.name.clone();
            return Err(AppendError::CheckpointMoved { name, actual: stands.0, token: stands.1 });
        }
        let to = match checkpoint.to {
            Move::Claim => None,
            Move::At(to) => Some(to),
            Move::Reset(to) => to,
        };
        if to > self.frontier() {
            return Err(AppendError::Invalid(format!(
                "checkpoint {} would go to {}, past the frontier of this store",
                checkpoint.name,
                text(to)
            )));
        }
        Ok(())
    }
}

fn text(position: Option<portolan_kernel::values::Position>) -> String {
    position.map_or("the beginning".into(), |position| format!("position {position}"))
}
