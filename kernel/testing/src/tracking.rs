//! A port that remembers what reached it, and what it answered.

use async_trait::async_trait;
use core::fmt;
use portolan_kernel::ports::{
    Answer, AppendError, Capabilities, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore, QueryBus,
    QueryEnvelope, QueryError, QueryInfo, ReadError, ReadModelStore, Receipt, RowError, RowLimits, Snapshot,
    SnapshotError, SnapshotStore,
};
use portolan_kernel::values::{
    Append, Appended, Batch, Checkpoint, CheckpointState, Collection, Find, Name, Page, Position, Query, Read,
    Recalled, Revision, RowKey, Rowset, StreamId, Versions,
};
use std::sync::{Arc, Mutex, PoisonError};

/// One call: what was asked, and what was answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call<Q, A, E> {
    /// What was asked.
    pub asked: Q,
    /// What was answered; `None` while it is under way, and for good where the caller went away.
    pub answered: Option<Result<A, E>>,
}

/// Stream, kind and bound of a snapshot that is looked for.
type Bounded = (StreamId, Name, Option<Revision>);

/// Around a store or a bus: everything goes on as it came, and is remembered: appends, reads and recalls of a log, loads
/// and saves of snapshots, batches and finds of rows, commands, and questions.
///
/// ```
/// # use portolan_kernel::ports::{CommandBus, Receipt};
/// # use portolan_kernel::domain::Command;
/// # use portolan_kernel::drivers::CommandBusExt as _;
/// # use portolan_testing::{MockCommandBus, Tracking};
/// # use std::sync::Arc;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Ping {}
/// # impl Command for Ping { const NAME: &'static str = "ping"; }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let mut application = MockCommandBus::new();
/// # application.expect_dispatch().returning(|_| Ok(Receipt::none()));
/// # let application: Arc<dyn CommandBus> = Arc::new(application);
/// let bus = Tracking::new(application);
/// bus.send(Ping {}).id("p-1").await?;
/// let calls = bus.dispatched();
/// assert_eq!(calls[0].asked.id.as_deref(), Some("p-1"));
/// assert!(matches!(calls[0].answered, Some(Ok(_))));
/// # Ok::<_, portolan_kernel::ports::CommandError>(()) }).unwrap();
/// ```
pub struct Tracking<T: ?Sized> {
    appends: Log<Append, Appended, AppendError>,
    reads: Log<Read, Page, ReadError>,
    recalls: Log<(Name, Name), Option<Recalled>, ReadError>,
    loads: Log<Bounded, Option<Snapshot>, SnapshotError>,
    saves: Log<Snapshot, (), SnapshotError>,
    commits: Log<Batch, (), RowError>,
    finds: Log<Find, Rowset, RowError>,
    commands: Log<CommandEnvelope, Receipt, CommandError>,
    questions: Log<QueryEnvelope, Answer, QueryError>,
    inner: Arc<T>,
}

impl<T: ?Sized> fmt::Debug for Tracking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracking").finish_non_exhaustive()
    }
}

impl<T: ?Sized> Tracking<T> {
    /// Around this port.
    #[must_use]
    pub fn new(inner: Arc<T>) -> Self {
        Self {
            appends: Log::new(),
            reads: Log::new(),
            recalls: Log::new(),
            loads: Log::new(),
            saves: Log::new(),
            commits: Log::new(),
            finds: Log::new(),
            commands: Log::new(),
            questions: Log::new(),
            inner,
        }
    }
}

impl<S: EventStore + ?Sized> Tracking<S> {
    /// The appends so far, in the order of arrival.
    #[must_use]
    pub fn appends(&self) -> Vec<Call<Append, Appended, AppendError>> {
        self.appends.calls()
    }

    /// The reads so far, in the order of arrival.
    #[must_use]
    pub fn reads(&self) -> Vec<Call<Read, Page, ReadError>> {
        self.reads.calls()
    }

    /// The recalls of scope and id so far, in the order of arrival.
    #[must_use]
    pub fn recalls(&self) -> Vec<Call<(Name, Name), Option<Recalled>, ReadError>> {
        self.recalls.calls()
    }
}

impl<S: SnapshotStore + ?Sized> Tracking<S> {
    /// What was asked for by stream, kind and bound so far, in the order of arrival.
    #[must_use]
    pub fn loads(&self) -> Vec<Call<Bounded, Option<Snapshot>, SnapshotError>> {
        self.loads.calls()
    }

    /// The snapshots saved so far, in the order of arrival.
    #[must_use]
    pub fn saves(&self) -> Vec<Call<Snapshot, (), SnapshotError>> {
        self.saves.calls()
    }
}

impl<S: ReadModelStore + ?Sized> Tracking<S> {
    /// The batches so far, in the order of arrival.
    #[must_use]
    pub fn commits(&self) -> Vec<Call<Batch, (), RowError>> {
        self.commits.calls()
    }

    /// The finds so far, in the order of arrival.
    #[must_use]
    pub fn finds(&self) -> Vec<Call<Find, Rowset, RowError>> {
        self.finds.calls()
    }
}

impl<B: CommandBus + ?Sized> Tracking<B> {
    /// The commands so far, in the order of arrival.
    #[must_use]
    pub fn dispatched(&self) -> Vec<Call<CommandEnvelope, Receipt, CommandError>> {
        self.commands.calls()
    }
}

impl<B: QueryBus + ?Sized> Tracking<B> {
    /// The questions so far, in the order of arrival.
    #[must_use]
    pub fn asked(&self) -> Vec<Call<QueryEnvelope, Answer, QueryError>> {
        self.questions.calls()
    }
}

struct Log<Q, A, E>(Mutex<Vec<Call<Q, A, E>>>);

impl<Q: Clone, A: Clone, E: Clone> Log<Q, A, E> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn calls(&self) -> Vec<Call<Q, A, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn track(&self, asked: Q, answer: impl Future<Output = Result<A, E>>) -> Result<A, E> {
        let at = {
            let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            calls.push(Call { asked, answered: None });
            calls.len() - 1
        };
        let answered = answer.await;
        if let Some(call) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
            call.answered = Some(answered.clone());
        }
        answered
    }
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Tracking<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.appends.track(append.clone(), self.inner.append(append)).await
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.reads.track(read.clone(), self.inner.read(read)).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.recalls.track((scope.clone(), id.clone()), self.inner.recall(scope, id)).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[async_trait]
impl<S: SnapshotStore + ?Sized> SnapshotStore for Tracking<S> {
    async fn load(
        &self,
        stream: StreamId,
        kind: Name,
        at_most: Option<Revision>,
    ) -> Result<Option<Snapshot>, SnapshotError> {
        let asked = (stream.clone(), kind.clone(), at_most);
        self.loads.track(asked, self.inner.load(stream, kind, at_most)).await
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError> {
        self.saves.track(snapshot.clone(), self.inner.save(snapshot)).await
    }

    async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError> {
        self.inner.delete(stream, kind, below).await
    }
}

#[async_trait]
impl<S: ReadModelStore + ?Sized> ReadModelStore for Tracking<S> {
    async fn define(&self, collection: Collection) -> Result<(), RowError> {
        self.inner.define(collection).await
    }

    async fn versions(&self, collection: Name) -> Result<Versions, RowError> {
        self.inner.versions(collection).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), RowError> {
        self.commits.track(batch.clone(), self.inner.commit(batch)).await
    }

    async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError> {
        self.inner.get(collection, version, keys).await
    }

    async fn find(&self, find: Find) -> Result<Rowset, RowError> {
        self.finds.track(find.clone(), self.inner.find(find)).await
    }

    async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError> {
        self.inner.checkpoint(name).await
    }

    async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError> {
        self.inner.remove(collection, version, checkpoint).await
    }

    fn limits(&self) -> RowLimits {
        self.inner.limits()
    }
}

#[async_trait]
impl<B: CommandBus + ?Sized> CommandBus for Tracking<B> {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.commands.track(command.clone(), self.inner.dispatch(command)).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.inner.commands()
    }

    fn leading_to(&self, end: Arc<dyn CommandBus>) -> Option<Arc<dyn CommandBus>> {
        self.inner.leading_to(end)
    }
}

#[async_trait]
impl<B: QueryBus + ?Sized> QueryBus for Tracking<B> {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        self.questions.track(query.clone(), self.inner.ask(query)).await
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.inner.queries()
    }
}
