//! The model: one list of events, searched from end to end. It is a value: it does no I/O and waits for nothing.

use portolan_kernel::ports::{AppendError, Capabilities, ReadError, streams_of};
use portolan_kernel::values::{
    Append, Appended, Checkpoint, CheckpointState, Direction, Guard, IdempotencyKey, Move, Name, Page, Position, Read,
    Recalled, Recorded, Revision, Start, StreamId, Timestamp, Token,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A whole event store as a value. Every answer of the suite is measured by it.
///
/// The fields are open, and each step of the judgment is a function of its own, so that a wrong store can
/// be made by changing one of them.
#[derive(Debug, Clone)]
pub struct Model {
    /// What the store says of itself.
    pub capabilities: Capabilities,
    /// The log.
    pub events: Vec<Arc<Recorded>>,
    /// What was recorded, by scope and id of the key.
    pub keys: BTreeMap<(Name, Name), KeyRecord>,
    /// Position and largest token of each checkpoint.
    pub checkpoints: BTreeMap<Name, (Option<Position>, Token)>,
    /// The number of the next event's position.
    pub next_position: u64,
}

/// What the model keeps under a key.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The outcome and the digest.
    pub recalled: Recalled,
    /// When.
    pub at: Timestamp,
}

/// What an append comes to, if it is not refused.
#[derive(Debug, Clone)]
pub enum Judgment {
    /// It is to be written.
    Write,
    /// It was written before, with this outcome.
    Repeat(Appended),
}

impl Model {
    /// An empty store.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        Self { capabilities, events: Vec::new(), keys: BTreeMap::new(), checkpoints: BTreeMap::new(), next_position: 1 }
    }

    /// The last position of the log.
    #[must_use]
    pub fn frontier(&self) -> Option<Position> {
        self.events.last().map(|event| event.position)
    }

    /// The last revision of a stream.
    #[must_use]
    pub fn last(&self, stream: &StreamId) -> Option<Revision> {
        self.events.iter().rev().find(|event| event.stream == *stream).map(|event| event.revision)
    }

    /// Judges an append and, if it is not refused, writes it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](portolan_kernel::ports::EventStore::append).
    pub fn append(&mut self, append: &Append, now: Timestamp) -> Result<Appended, AppendError> {
        match self.judge(append, now)? {
            Judgment::Repeat(appended) => Ok(appended),
            Judgment::Write => Ok(self.write(append, now)),
        }
    }

    /// Judges an append, in the order that ES-06 names.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](portolan_kernel::ports::EventStore::append).
    pub fn judge(&self, append: &Append, now: Timestamp) -> Result<Judgment, AppendError> {
        self.capabilities.check(append)?;
        if let Some(key) = &append.key
            && let Some(earlier) = self.judge_key(key, now)?
        {
            return Ok(Judgment::Repeat(earlier));
        }
        self.judge_expectations(append)?;
        append.guard.as_ref().map_or(Ok(()), |guard| self.judge_guard(guard))?;
        append.checkpoint.as_ref().map_or(Ok(()), |checkpoint| self.judge_checkpoint(checkpoint))?;
        Ok(Judgment::Write)
    }

    /// What was recorded under the key, if it has not expired.
    ///
    /// # Errors
    ///
    /// `KeyReused`.
    pub fn judge_key(&self, key: &IdempotencyKey, now: Timestamp) -> Result<Option<Appended>, AppendError> {
        match self.recall(&key.scope, &key.id, now) {
            None => Ok(None),
            Some(earlier) if earlier.digest == key.digest => Ok(Some(earlier.appended)),
            Some(_) => Err(AppendError::KeyReused { scope: key.scope.clone(), id: key.id.clone() }),
        }
    }

    /// Whether every stream is as expected.
    ///
    /// # Errors
    ///
    /// `Conflict`.
    pub fn judge_expectations(&self, append: &Append) -> Result<(), AppendError> {
        for (stream, expected) in &append.expect {
            let actual = self.last(stream);
            if !expected.holds(actual) {
                return Err(AppendError::Conflict { stream: stream.clone(), expected: *expected, actual });
            }
        }
        Ok(())
    }

    /// Whether nothing the guard forbids stands after its position.
    ///
    /// # Errors
    ///
    /// `GuardFailed`, or `Invalid` for a position past the frontier.
    pub fn judge_guard(&self, guard: &Guard) -> Result<(), AppendError> {
        self.known(guard.after, "the guard's position")?;
        let forbidden =
            self.events.iter().find(|event| Some(event.position) > guard.after && guard.none_of.matches(event));
        forbidden.map_or(Ok(()), |event| Err(AppendError::GuardFailed { position: event.position }))
    }

    /// Whether the checkpoint may move.
    ///
    /// # Errors
    ///
    /// `CheckpointMoved`, or `Invalid` for a position past the frontier.
    pub fn judge_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), AppendError> {
        let (actual, token) = self.checkpoints.get(&checkpoint.name).copied().unwrap_or_default();
        if checkpoint.token < token || checkpoint.from != actual {
            return Err(AppendError::CheckpointMoved { name: checkpoint.name.clone(), actual, token });
        }
        match checkpoint.to {
            Move::Claim => Ok(()),
            Move::At(to) => self.known(Some(to), "the checkpoint"),
            Move::Reset(to) => self.known(to, "the checkpoint"),
        }
    }

    fn known(&self, position: Option<Position>, what: &str) -> Result<(), AppendError> {
        if position > self.frontier() {
            return Err(AppendError::Invalid(format!("{what} is past the frontier, {:?}", self.frontier())));
        }
        Ok(())
    }

    /// Writes an append that was judged.
    pub fn write(&mut self, append: &Append, now: Timestamp) -> Appended {
        let before = self.events.len();
        for event in &append.events {
            let revision = Revision::after(self.last(&event.stream));
            let position = Position::new(self.next_position).unwrap_or(Position::MAX);
            self.next_position += 1;
            self.events.push(Arc::new(Recorded::new(event.clone(), revision, position, now)));
        }
        if let Some(moved) = &append.checkpoint {
            let stands = self.checkpoints.entry(moved.name.clone()).or_default();
            stands.1 = moved.token;
            match moved.to {
                Move::Claim => {}
                Move::At(to) => stands.0 = Some(to),
                Move::Reset(to) => stands.0 = to,
            }
        }
        let written = &self.events[before..];
        let streams = streams_of(append).into_iter().map(|stream| (stream.clone(), self.last(stream))).collect();
        let appended = Appended::new(
            written.first().map(|event| event.position),
            written.last().map(|event| event.position),
            streams,
        );
        let Some(key) = &append.key else { return appended };
        let appended = appended.with_note(key.note.clone());
        let recalled = Recalled::new(appended.clone().as_repeated(), key.digest);
        self.keys.insert((key.scope.clone(), key.id.clone()), KeyRecord { recalled, at: now });
        appended
    }

    /// One page.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](portolan_kernel::ports::EventStore::read).
    pub fn read(&self, read: &Read) -> Result<Page, ReadError> {
        self.capabilities.check_read(read)?;
        let frontier = match read.until {
            Some(until) => self.frontier().map(|frontier| frontier.min(until)),
            None => self.frontier(),
        };
        let mut matching: Vec<_> = self
            .events
            .iter()
            .filter(|event| Some(event.position) <= frontier && chosen(&read.from, event))
            .cloned()
            .collect();
        let revision = match &read.from {
            Start::Stream(..) => matching.last().map(|event| event.revision),
            Start::Log(..) => None,
        };
        if read.direction == Direction::Backward {
            matching.reverse();
        }
        matching.retain(|event| follows(read, event));
        let limit = read.limit.min(self.capabilities.limits.page_events) as usize;
        let more = matching.len() > limit;
        matching.truncate(limit);
        let next = matching.last().filter(|_| more).map(|last| read.clone().after(last).until(frontier));
        Ok(Page::new(matching, frontier, next, revision))
    }

    /// What was recorded under a key, unless it has expired.
    #[must_use]
    pub fn recall(&self, scope: &Name, id: &Name, now: Timestamp) -> Option<Recalled> {
        let record = self.keys.get(&(scope.clone(), id.clone()))?;
        let expired = self.capabilities.key_retention.is_some_and(|retention| now >= record.at.plus(retention));
        (!expired).then(|| record.recalled.clone())
    }

    /// Where a checkpoint stands.
    #[must_use]
    pub fn checkpoint(&self, name: &Name) -> CheckpointState {
        let (position, token) = self.checkpoints.get(name).copied().unwrap_or_default();
        CheckpointState::new(self.capabilities.identity, position, token)
    }
}

fn chosen(from: &Start, event: &Recorded) -> bool {
    match from {
        Start::Stream(stream, _) => event.stream == *stream,
        Start::Log(query, _) => query.matches(event),
    }
}

/// Whether the event lies after the start of the read, in its direction.
fn follows(read: &Read, event: &Recorded) -> bool {
    let order = match &read.from {
        Start::Stream(_, Some(start)) => event.revision.cmp(start),
        Start::Log(_, Some(start)) => event.position.cmp(start),
        _ => return true,
    };
    match read.direction {
        Direction::Forward => order.is_gt(),
        Direction::Backward => order.is_lt(),
    }
}
