//! Execution: load, decide, append, and again on a conflict.

use super::backoff::Backoff;
use super::key::CommandKey;
use super::loading::{LoadError, Loaded, Loader};
use super::turns::Turns;
use crate::domain::{Aggregate, Command, Context, Decide, IdSeed, Rejection, StreamCommand, new_event};
use crate::ports::{AppendError, Clock, CommandError, IdSource, ReadError, Receipt, Sleep, Source, Spawn, Violation};
use crate::values::{Append, Appended, EventId, Expected, Metadata, Name, Revision, StreamId};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// How often a decision is made anew because others changed the stream.
const CONFLICTS: u32 = 24;
/// How often a busy store is asked again.
const BUSY: u32 = 4;
/// For how long: a store that has itself waited for a lock is not asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often an append of unknown outcome is repeated under its key.
const UNKNOWN: u32 = 6;

/// Carries decisions out. A clone is the same.
#[derive(Clone)]
pub struct Execution {
    loader: Loader,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    sleep: Arc<dyn Sleep>,
    spawn: Arc<dyn Spawn>,
    turns: Arc<Turns>,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("loader", &self.loader).finish_non_exhaustive()
    }
}

/// Under what circumstances a command is carried out: its id and where it came from.
#[derive(Debug, Clone)]
struct Order {
    key: Option<CommandKey>,
    seed: IdSeed,
    metadata: Metadata,
}

impl Order {
    /// The order to carry out this command, with an id or, without one, once.
    fn new<C: Command>(
        command: &C,
        id: Option<Name>,
        mut metadata: Metadata,
        ids: &dyn IdSource,
    ) -> Result<Self, CommandError> {
        let key = match id {
            Some(id) => {
                let digest = crate::domain::digest(command).map_err(|error| CommandError::Other(Source::new(error)))?;
                let scope = super::command_scope(C::NAME, metadata.tenant.as_deref());
                Some(CommandKey { scope, id, digest })
            }
            None => None,
        };
        let (seed, id) = match &key {
            Some(key) => (key.seed(), key.id.to_string()),
            None => {
                let id = ids.new_id();
                (IdSeed::fresh(id), id.to_string())
            }
        };
        metadata.correlation.get_or_insert_with(|| seed.correlation_id().to_string());
        metadata.causation = Some(id.clone());
        metadata.command = Some(id);
        Ok(Self { key, seed, metadata })
    }
}

impl Execution {
    /// Execution by this loader, on this runtime.
    #[must_use]
    pub fn new(
        loader: Loader,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        sleep: Arc<dyn Sleep>,
        spawn: Arc<dyn Spawn>,
    ) -> Self {
        Self { loader, clock, ids, sleep, spawn, turns: Arc::new(Turns::new()) }
    }

    /// What it loads states with.
    #[must_use]
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Carries the command out: under an id that was used before, by returning the original receipt (CB-4);
    /// else by validating it, deciding, and appending the decision.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; except after `Unknown`, the command had no effect.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves all of the command's effect or none.
    pub async fn execute<A: Decide<C>, C: StreamCommand>(
        &self,
        command: &C,
        id: Option<Name>,
        metadata: Metadata,
    ) -> Result<Receipt, CommandError> {
        let stream = stream_of::<A, C>(command)?;
        let order = Order::new(command, id, metadata, &*self.ids)?;
        // Also what makes concurrent duplicates decide once: the second recalls what the first has done.
        let _turn = self.turns.take(&stream).await;
        if let Some(receipt) = self.recall(&order).await? {
            return Ok(receipt);
        }
        let violations = command.validate();
        if !violations.is_empty() {
            return Err(CommandError::Invalid(violations));
        }
        match self.decide_and_append::<A, C>(command, stream, &order).await {
            // A duplicate elsewhere may have taken effect since, and changed the state that now rejects.
            Err(rejected @ CommandError::Rejected { .. }) => self.recall(&order).await?.ok_or(rejected),
            outcome => outcome,
        }
    }

    async fn decide_and_append<A: Decide<C>, C: StreamCommand>(
        &self,
        command: &C,
        stream: StreamId,
        order: &Order,
    ) -> Result<Receipt, CommandError> {
        let mut conflicts = self.backoff(CONFLICTS);
        let mut loaded = self.load::<A>(stream).await?;
        loop {
            let decided = {
                let context = Context::new(order.seed.clone(), self.clock.now()).by(order.metadata.actor.clone());
                loaded.state.decide(command, &context).map_err(|rejection| rejection.to_error())?
            };
            if decided.is_empty() && order.key.is_none() {
                return Ok(Receipt::new([(loaded.stream, loaded.revision)].into(), None, Vec::new(), false));
            }
            let (append, ids) = encode::<A>(&decided, &loaded, order)?;
            match self.append(append).await {
                Ok(appended) if appended.repeated => return original(order, appended),
                Ok(appended) => {
                    let receipt = Receipt::new(appended.streams, appended.last, ids, false);
                    self.keep_snapshot(loaded, &decided);
                    return Ok(receipt);
                }
                Err(AppendError::Conflict { stream, actual, .. }) => {
                    if !conflicts.pause().await {
                        return Err(CommandError::Conflict { stream, actual });
                    }
                    self.catch_up(&mut loaded).await?;
                }
                Err(AppendError::KeyReused { .. }) => return Err(CommandError::KeyReused),
                Err(AppendError::Busy(source)) => return Err(CommandError::Busy(source)),
                Err(AppendError::Unknown(source)) => return Err(CommandError::Unknown(source)),
                Err(other) => return Err(CommandError::Other(Source::new(other))),
            }
        }
    }

    /// Appends, asks a busy store again, and settles an unknown outcome by repeating the append under its key:
    /// a store answers a repetition with what it has recorded.
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let (mut busy, mut unsettled) = (self.while_busy(), self.backoff(UNKNOWN));
        let mut unknown = None;
        loop {
            match self.loader.events().append(append.clone()).await {
                Err(AppendError::Busy(source)) => {
                    if !busy.pause().await {
                        return Err(unknown.map_or(AppendError::Busy(source), AppendError::Unknown));
                    }
                }
                Err(AppendError::Unknown(source)) => {
                    if append.key.is_none() || !unsettled.pause().await {
                        return Err(AppendError::Unknown(source));
                    }
                    unknown = Some(source);
                }
                // These are judged after the key, or on it: the append of unknown outcome was not written, and
                // can no longer be, because it expects the same and takes the same key.
                settled @ (Ok(_) | Err(AppendError::Conflict { .. } | AppendError::KeyReused { .. })) => {
                    return settled;
                }
                Err(other) => return Err(unknown.map_or(other, AppendError::Unknown)),
            }
        }
    }

    /// The receipt of an earlier command under the same id, if there was one.
    async fn recall(&self, order: &Order) -> Result<Option<Receipt>, CommandError> {
        let Some(key) = &order.key else { return Ok(None) };
        let mut busy = self.while_busy();
        let recalled = loop {
            match self.loader.events().recall(key.scope.clone(), key.id.clone()).await {
                Err(ReadError::Busy(source)) => {
                    if !busy.pause().await {
                        return Err(CommandError::Busy(source));
                    }
                }
                other => break other.map_err(|error| CommandError::Other(Source::new(error)))?,
            }
        };
        match recalled {
            None => Ok(None),
            Some(recalled) if recalled.digest != key.digest => Err(CommandError::KeyReused),
            Some(recalled) => original(order, recalled.appended).map(Some),
        }
    }

    async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        let mut busy = self.while_busy();
        loop {
            match self.loader.load(stream.clone()).await {
                Err(LoadError::Read(ReadError::Busy(_))) if busy.pause().await => {}
                outcome => return outcome,
            }
        }
    }

    async fn catch_up<A: Aggregate>(&self, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
        let mut busy = self.while_busy();
        loop {
            match self.loader.catch_up(loaded).await {
                Err(LoadError::Read(ReadError::Busy(_))) if busy.pause().await => {}
                outcome => return outcome,
            }
        }
    }

    /// Keeps the state as a snapshot when one is due, on a task of its own: the command does not wait for it, and
    /// whether it succeeds changes nothing (SN-5).
    fn keep_snapshot<A: Aggregate>(&self, mut loaded: Loaded<A>, decided: &[A::Event]) {
        let before = loaded.revision.map_or(0, |last| last.get() + 1);
        let after = before + decided.len() as u64;
        if !A::snapshots().is_due(before, after) {
            return;
        }
        let (loader, now) = (self.loader.clone(), self.clock.now());
        decided.iter().for_each(|event| loaded.state.evolve(event));
        loaded.revision = Some(Revision::new(after - 1));
        self.spawn.spawn(Box::pin(async move {
            if let Some(snapshot) = loader.snapshot(&loaded, now) {
                let _ = loader.snapshots().save(snapshot).await;
            }
        }));
    }

    fn while_busy(&self) -> Backoff<'_> {
        self.backoff(BUSY).within(&*self.clock, PATIENCE)
    }

    fn backoff(&self, pauses: u32) -> Backoff<'_> {
        Backoff::new(&*self.ids, &*self.sleep, pauses)
    }
}

/// The stream of the command, which is one of the aggregate's.
fn stream_of<A: Aggregate, C: StreamCommand>(command: &C) -> Result<StreamId, CommandError> {
    let stream = command.stream().map_err(|error| {
        // What the command itself finds wrong says more.
        let mut violations = command.validate();
        if violations.is_empty() {
            violations.push(Violation::new("", "invalid-name", error.to_string()));
        }
        CommandError::Invalid(violations)
    })?;
    if stream.category() != A::CATEGORY {
        let (command, category) = (C::NAME, stream.category());
        let (aggregate, own) = (core::any::type_name::<A>(), A::CATEGORY);
        return Err(CommandError::Other(Source::new(format!(
            "the command {command} names the stream {stream} of category {category}, \
             and {aggregate}, which decides on it, is of category {own}"
        ))));
    }
    Ok(stream)
}

/// The decision as one append, and the ids of its events.
fn encode<A: Aggregate>(
    decided: &[A::Event],
    loaded: &Loaded<A>,
    order: &Order,
) -> Result<(Append, Vec<EventId>), CommandError> {
    let count = u32::try_from(decided.len()).map_err(|error| CommandError::Other(Source::new(error)))?;
    let ids: Vec<_> = (0..count).map(|n| order.seed.event_id(n)).collect();
    let metadata = order.metadata.encode();
    let events = decided.iter().zip(&ids).map(|(event, id)| {
        new_event(event, loaded.stream.clone(), *id, metadata.clone())
            .map_err(|error| CommandError::Other(Source::new(error)))
    });
    let expected = Expected::unchanged_since(loaded.revision);
    let append = Append::new(events.collect::<Result<Vec<_>, _>>()?).expect(loaded.stream.clone(), expected);
    Ok(match &order.key {
        Some(key) => (append.key(key.to_append(count)), ids),
        None => (append, ids),
    })
}

/// The receipt of what was appended under the order's key before.
fn original(order: &Order, appended: Appended) -> Result<Receipt, CommandError> {
    let events = order.key.as_ref().and_then(|key| key.event_ids(&appended));
    let events = events.ok_or_else(|| {
        let place = order.key.as_ref().map(CommandKey::place).unwrap_or_default();
        CommandError::Other(Source::new(format!("{place} was not taken by a command; its note is of another form")))
    })?;
    Ok(Receipt::new(appended.streams, appended.last, events, true))
}
