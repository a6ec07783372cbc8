//! A port that fails when it is told to.

mod beside;

use async_trait::async_trait;
use core::fmt;
use core::time::Duration;
use portolan_kernel::ports::{
    Answer, AppendError, Capabilities, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore, QueryBus,
    QueryEnvelope, QueryError, QueryInfo, ReadError, Receipt, Sleep, Source,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, Expected, Name, Page, Position, Query, Read, Recalled, StreamId,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a write fails: an append, a command, or a call that changes a store beside the log.
///
/// A snapshot store knows neither conflicts nor unknown outcomes: there, both are `Other`.
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// `Busy`: nothing happened.
    Busy,
    /// A rival was faster: nothing happened. `Conflict` on the first stream that is expected or written; for an append
    /// under a guard alone `GuardFailed`; for rows `CheckpointMoved`, and `DefinedOtherwise` for a definition; for leases
    /// `Held` or `Lost`, by the holder `rival`.
    Conflict,
    /// `Unknown`, and it has not happened.
    LostOnTheWay,
    /// `Unknown`, and it has happened: only the answer was lost.
    LostAnswer,
    /// `Other`: nothing happened.
    Broken,
    /// It goes on as it came, after a sleep.
    Slow(Arc<dyn Sleep>, Duration),
}

/// How a read fails: a page, a recall, a checkpoint, a question, whatever reads a store beside the log; or a hint.
#[derive(Clone)]
#[non_exhaustive]
pub enum ReadFault {
    /// `Busy`.
    Busy,
    /// `Other`.
    Broken,
    /// It goes on as it came, after a sleep.
    Slow(Arc<dyn Sleep>, Duration),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("Busy"),
            Self::Conflict => f.write_str("Conflict"),
            Self::LostOnTheWay => f.write_str("LostOnTheWay"),
            Self::LostAnswer => f.write_str("LostAnswer"),
            Self::Broken => f.write_str("Broken"),
            Self::Slow(_, duration) => f.debug_tuple("Slow").field(duration).finish(),
        }
    }
}

impl fmt::Debug for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("Busy"),
            Self::Broken => f.write_str("Broken"),
            Self::Slow(_, duration) => f.debug_tuple("Slow").field(duration).finish(),
        }
    }
}

/// Around a store or a bus: everything goes on as it came, but for the calls that a script names.
///
/// Writes are whatever changes something: appends, commands, snapshots saved and deleted, rows and leases. Reads are
/// pages, recalls, checkpoints, questions, snapshots loaded and rows found. Hints are the calls of `changed`, which come
/// as often as a reader waits. Each kind is counted from 1.
///
/// ```
/// # use portolan_kernel::ports::{AppendError, EventStore};
/// # use portolan_kernel::values::{Append, Appended};
/// # use portolan_testing::{Fault, Faulty, MockEventStore};
/// # use std::sync::Arc;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut store = MockEventStore::new();
/// # store.expect_append().times(1).returning(|_| Ok(Appended::new(None, None, vec![])));
/// let store = Faulty::new(Arc::new(store)).first_writes(2, Fault::Busy).nth_write(3, Fault::LostAnswer);
/// for _ in 0..2 {
///     assert!(matches!(store.append(Append::default()).await, Err(AppendError::Busy(_))));
/// }
/// assert!(matches!(store.append(Append::default()).await, Err(AppendError::Unknown(_))));
/// # });
/// ```
pub struct Faulty<T: ?Sized> {
    writes: Script<Fault>,
    reads: Script<ReadFault>,
    hints: Script<ReadFault>,
    inner: Arc<T>,
}

impl<T: ?Sized> fmt::Debug for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("writes", &self.writes).field("reads", &self.reads).finish_non_exhaustive()
    }
}

/// What is yet to fail, by the number of the call.
#[derive(Debug)]
struct Script<F>(Mutex<(u64, BTreeMap<u64, F>)>);

impl<F> Script<F> {
    fn new() -> Self {
        Self(Mutex::new((0, BTreeMap::new())))
    }

    fn add(&self, n: u64, fault: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.insert(n, fault);
    }

    /// The fault of this call, if it has one.
    fn next(&self) -> Option<F> {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.0 += 1;
        let n = script.0;
        script.1.remove(&n)
    }

    fn calls(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl<T: ?Sized> Faulty<T> {
    /// Around this port, without a fault.
    #[must_use]
    pub fn new(inner: Arc<T>) -> Self {
        Self { writes: Script::new(), reads: Script::new(), hints: Script::new(), inner }
    }

    /// The same; the `n`th write from the beginning, from 1, fails so.
    #[must_use]
    pub fn nth_write(self, n: u64, fault: Fault) -> Self {
        self.writes.add(n, fault);
        self
    }

    /// The same; the first `n` writes fail so.
    #[must_use]
    pub fn first_writes(self, n: u64, fault: Fault) -> Self {
        (1..=n).for_each(|nth| self.writes.add(nth, fault.clone()));
        self
    }

    /// The same; the `n`th read from the beginning, from 1, fails so.
    #[must_use]
    pub fn nth_read(self, n: u64, fault: ReadFault) -> Self {
        self.reads.add(n, fault);
        self
    }

    /// The same; the first `n` reads fail so.
    #[must_use]
    pub fn first_reads(self, n: u64, fault: ReadFault) -> Self {
        (1..=n).for_each(|nth| self.reads.add(nth, fault.clone()));
        self
    }

    /// The same; the `n`th hint from the beginning, from 1, fails so.
    #[must_use]
    pub fn nth_hint(self, n: u64, fault: ReadFault) -> Self {
        self.hints.add(n, fault);
        self
    }

    /// How many writes have come.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.calls()
    }

    /// How many reads have come.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.calls()
    }

    /// Fails the next read, or lets it go on.
    async fn before_read<E>(&self, busy: fn(Source) -> E, other: fn(Source) -> E) -> Result<(), E> {
        before(&self.reads, busy, other).await
    }

    /// Fails the next write, or lets it go on.
    async fn write<A, E>(
        &self,
        as_errors: Failures<E>,
        conflict: impl Future<Output = E>,
        call: impl Future<Output = Result<A, E>>,
    ) -> Result<A, E> {
        match self.writes.next() {
            Some(Fault::Busy) => return Err((as_errors.busy)(source())),
            Some(Fault::Conflict) => return Err(conflict.await),
            Some(Fault::LostOnTheWay) => return Err((as_errors.unknown)(source())),
            Some(Fault::LostAnswer) => {
                call.await?;
                return Err((as_errors.unknown)(source()));
            }
            Some(Fault::Broken) => return Err((as_errors.other)(source())),
            Some(Fault::Slow(sleep, duration)) => sleep.sleep(duration).await,
            None => {}
        }
        call.await
    }
}

/// How a port calls what goes wrong.
struct Failures<E> {
    busy: fn(Source) -> E,
    unknown: fn(Source) -> E,
    other: fn(Source) -> E,
}

/// Fails the next call of the script, or lets it go on.
async fn before<E>(script: &Script<ReadFault>, busy: fn(Source) -> E, other: fn(Source) -> E) -> Result<(), E> {
    match script.next() {
        Some(ReadFault::Busy) => Err(busy(source())),
        Some(ReadFault::Broken) => Err(other(source())),
        Some(ReadFault::Slow(sleep, duration)) => {
            sleep.sleep(duration).await;
            Ok(())
        }
        None => Ok(()),
    }
}

fn source() -> Source {
    Source::new("as the script of the test has it")
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Faulty<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let as_errors = Failures { busy: AppendError::Busy, unknown: AppendError::Unknown, other: AppendError::Other };
        let conflict = conflict(&*self.inner, append.clone());
        self.write(as_errors, conflict, self.inner.append(append)).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.before_read(ReadError::Busy, ReadError::Other).await?;
        self.inner.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.before_read(ReadError::Busy, ReadError::Other).await?;
        self.inner.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.before_read(ReadError::Busy, ReadError::Other).await?;
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        before(&self.hints, ReadError::Busy, ReadError::Other).await?;
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// What a store answers to the append when a rival was faster.
async fn conflict<S: EventStore + ?Sized>(store: &S, append: Append) -> AppendError {
    let expected = append.expect.first().cloned();
    if let (None, Some(guard)) = (&expected, append.guard) {
        let read = store.read(Read::log_after(guard.none_of, guard.after).limit(1)).await;
        let in_the_way = read.ok().and_then(|page| page.events.first().map(|event| event.position));
        let next = || Position::new(guard.after.map_or(0, Position::get).saturating_add(1)).unwrap_or(Position::MAX);
        return AppendError::GuardFailed { position: in_the_way.unwrap_or_else(next) };
    }
    let written = || append.events.first().map(|event| (event.stream.clone(), Expected::NoStream));
    let Some((stream, expected)) = expected.or_else(written) else {
        return AppendError::Invalid("an append that names no stream cannot conflict".to_owned());
    };
    let read = store.read(Read::stream(stream.clone()).backward().limit(1)).await;
    AppendError::Conflict { stream, expected, actual: read.ok().and_then(|page| page.revision) }
}

#[async_trait]
impl<B: CommandBus + ?Sized> CommandBus for Faulty<B> {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let as_errors =
            Failures { busy: CommandError::Busy, unknown: CommandError::Unknown, other: CommandError::Other };
        let name = command.name.clone();
        let conflict = async move {
            match StreamId::new(&*name) {
                Ok(stream) => CommandError::Conflict { stream, actual: None },
                Err(error) => CommandError::Other(Source::new(error)),
            }
        };
        self.write(as_errors, conflict, self.inner.dispatch(command)).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.inner.commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        self.inner.leading_to(end)
    }
}

#[async_trait]
impl<B: QueryBus + ?Sized> QueryBus for Faulty<B> {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        self.before_read(QueryError::Busy, QueryError::Other).await?;
        self.inner.ask(query).await
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.inner.queries()
    }
}
