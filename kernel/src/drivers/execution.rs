//! Execution: load, decide, append, and again on a conflict.

use super::appending::{told, unless_busy};
use super::backoff::Backoff;
use super::loading::{LoadError, Loaded, Loader};
use super::options::BusOptions;
use super::order::Order;
use super::turns::{Full, Taken, Turns};
use crate::domain::{Aggregate, Command, Decide, Rejection, StreamCommand};
use crate::ports::{AppendError, Clock, CommandError, IdSource, Receipt, Sleep, Source, Spawn, Violation};
use crate::values::{Expected, InvalidName, Revision, StreamId};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::type_name;
use core::fmt;
use core::time::Duration;

/// Carries decisions out. A clone is the same.
///
/// What a command that comes to a current state has no need of is in boxes of its own: its future is made, moved and freed for
/// each command.
///
/// Of a command that is done it keeps the state it came to, for the next one on the same stream, and of these four at most for
/// each turn: its memory does not grow with the number of streams or ids.
#[derive(Clone)]
pub struct Execution {
    loader: Loader,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    sleep: Arc<dyn Sleep>,
    spawn: Arc<dyn Spawn>,
    turns: Arc<Turns>,
    options: BusOptions,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("loader", &self.loader).finish_non_exhaustive()
    }
}

impl Execution {
    /// Execution by this loader, on this runtime, within these limits.
    #[must_use]
    pub fn new(
        loader: Loader,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        sleep: Arc<dyn Sleep>,
        spawn: Arc<dyn Spawn>,
        options: BusOptions,
    ) -> Self {
        let turns = Arc::new(Turns::new(options.waiting, options.waiting_per_stream));
        Self { loader, clock, ids, sleep, spawn, turns, options }
    }

    /// What it loads states with.
    #[must_use]
    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn ids(&self) -> &Arc<dyn IdSource> {
        &self.ids
    }

    pub(super) fn sleep(&self) -> &Arc<dyn Sleep> {
        &self.sleep
    }

    pub(super) fn options(&self) -> &BusOptions {
        &self.options
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Carries the command out: under an id that was used before, by returning the original receipt (CB-4);
    /// else by validating it, deciding, and appending the decision.
    pub(super) async fn execute<A: Decide<C>, C: StreamCommand>(
        &self,
        command: &C,
        order: &Order<'_>,
    ) -> Result<Receipt, CommandError> {
        let stream = stream_of::<A, C>(command)?;
        // Also what makes concurrent duplicates decide once: the second recalls what the first has done.
        let turn = self.turns.take(&stream).await.map_err(busy)?;
        if let Some(receipt) = self.recall(order).await? {
            return Ok(receipt);
        }
        check(command)?;
        let rejected = match self.decide_and_append::<A, C>(command, stream, order, &turn).await {
            Err(rejected @ CommandError::Rejected { .. }) => rejected,
            outcome => return outcome,
        };
        // A duplicate elsewhere may have taken effect since, and changed the state that now rejects.
        Box::pin(self.recall(order)).await?.ok_or(rejected)
    }

    async fn decide_and_append<A: Decide<C>, C: StreamCommand>(
        &self,
        command: &C,
        stream: StreamId,
        order: &Order<'_>,
        turn: &Taken<'_>,
    ) -> Result<Receipt, CommandError> {
        let mut conflicts = self.backoff(self.options.conflicts);
        // An append finds out whether a state that was left here is still that of its stream; what appends nothing has to
        // look.
        let left = turn.left(|left: &Loaded<A>| left.stream == stream);
        let (mut loaded, mut has_looked) = match left {
            Some(left) => (left, false),
            None => (Box::new(Box::pin(self.load::<A>(stream)).await?), true),
        };
        loop {
            let decision = loaded.state.decide(command, &order.context(&*self.clock));
            let appends_nothing = decision.as_ref().map_or(true, |decided| decided.is_empty() && order.key.is_none());
            if appends_nothing && !has_looked {
                has_looked = true;
                let decided_at = loaded.revision;
                Box::pin(self.catch_up(&mut loaded)).await?;
                if loaded.revision != decided_at {
                    continue;
                }
            }
            let decided = match decision {
                Err(rejection) => {
                    self.leave(loaded, turn);
                    return Err(rejection.to_error());
                }
                Ok(_) if appends_nothing => {
                    let receipt = order.nothing([(loaded.stream.clone(), loaded.revision)].into());
                    self.leave(loaded, turn);
                    return Ok(receipt);
                }
                Ok(decided) => decided,
            };
            let make = || {
                let (append, ids) = order.append(decided.iter().map(|event| (event, loaded.stream.clone())))?;
                Ok((append.expect(loaded.stream.clone(), Expected::unchanged_since(loaded.revision)), ids))
            };
            let (append, ids) = make()?;
            let appended = self.append(append, || make().map(|(append, _)| append), order).await;
            let (stream, actual) = match appended {
                Ok(appended) if appended.repeated => {
                    self.leave(loaded, turn);
                    return order.original(appended);
                }
                Ok(appended) => {
                    let receipt = order.receipt(appended, ids);
                    self.take_in(&mut loaded, &decided);
                    self.leave(loaded, turn);
                    return Ok(receipt);
                }
                Err(AppendError::Conflict { stream, actual, .. }) => (stream, actual),
                Err(other) => return Err(told(other)),
            };
            // What was left here may be old; only others who write at once are given way to.
            if has_looked && !conflicts.pause().await {
                return Err(CommandError::Conflict { stream, actual });
            }
            order.progress.retried();
            Box::pin(self.catch_up(&mut loaded)).await?;
            has_looked = true;
        }
    }

    /// Leaves the state to the next command that has this turn.
    fn leave<A: Aggregate>(&self, loaded: Box<Loaded<A>>, turn: &Taken<'_>) {
        if self.options.keep_states {
            turn.leave(loaded);
        }
    }

    async fn load<A: Aggregate>(&self, stream: StreamId) -> Result<Loaded<A>, LoadError> {
        let mut busy = self.while_busy();
        loop {
            match self.loader.load(stream.clone()).await {
                Err(error) => unless_busy(error, &mut busy).await?,
                loaded => return loaded,
            }
        }
    }

    async fn catch_up<A: Aggregate>(&self, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
        let mut busy = self.while_busy();
        while let Err(error) = self.loader.catch_up(loaded).await {
            unless_busy(error, &mut busy).await?;
        }
        Ok(())
    }

    /// Takes in what was appended, and keeps the state as a snapshot when one is due, on a task of its own: the command
    /// does not wait for it, and whether it succeeds changes nothing (SN-5).
    fn take_in<A: Aggregate>(&self, loaded: &mut Loaded<A>, decided: &[A::Event]) {
        if decided.is_empty() {
            return;
        }
        let before = loaded.revision.map_or(0, |last| last.get() + 1);
        let after = before + decided.len() as u64;
        decided.iter().for_each(|event| loaded.state.evolve(event));
        loaded.revision = Some(Revision::new(after - 1));
        let policy = A::snapshots();
        // The time is of no matter to most policies.
        if policy.after.is_none() && !policy.is_due(before, after, Duration::ZERO) {
            return;
        }
        let now = self.clock.now();
        let since = *loaded.unkept_since.get_or_insert(now);
        let span = Duration::from_micros(now.as_micros().saturating_sub(since.as_micros()));
        if !policy.is_due(before, after, span) {
            return;
        }
        loaded.unkept_since = None;
        let (loader, loaded) = (self.loader.clone(), (*loaded).clone());
        self.spawn.spawn(Box::pin(async move {
            if let Some(snapshot) = loader.snapshot(&loaded, now) {
                let _ = loader.snapshots().save(snapshot).await;
            }
        }));
    }

    pub(super) fn backoff(&self, pauses: u32) -> Backoff<'_> {
        Backoff::new(&*self.ids, &*self.sleep, pauses)
    }
}

/// Refuses a command that says by itself that it is invalid.
// Outside of the future, which would have room for the violations as long as it lives.
pub(super) fn check<C: Command>(command: &C) -> Result<(), CommandError> {
    let violations = command.validate();
    if violations.is_empty() { Ok(()) } else { Err(CommandError::Invalid(violations)) }
}

pub(super) fn busy(full: Full) -> CommandError {
    CommandError::Busy(Source::new(full))
}

/// What is wrong with a command whose fields make no name.
pub(super) fn no_name(violations: Vec<Violation>, error: &InvalidName) -> CommandError {
    // What the command itself finds wrong says more.
    if !violations.is_empty() {
        return CommandError::Invalid(violations);
    }
    CommandError::Invalid(alloc::vec![Violation::new("", "invalid-name", error.to_string())])
}

/// The stream of the command, which is one of the aggregate's.
fn stream_of<A: Aggregate, C: StreamCommand>(command: &C) -> Result<StreamId, CommandError> {
    let stream = command.stream().map_err(|error| no_name(command.validate(), &error))?;
    if stream.category() != A::CATEGORY {
        let (command, category) = (C::NAME, stream.category());
        let (aggregate, own) = (type_name::<A>(), A::CATEGORY);
        return Err(CommandError::Other(Source::new(format!(
            "the command {command} names the stream {stream} of category {category}, \
             and {aggregate}, which decides on it, is of category {own}"
        ))));
    }
    Ok(stream)
}
