//! A port that remembers what reached it, and what it answered.

use async_trait::async_trait;
use core::fmt;
use portolan_kernel::ports::{
    Answer, AppendError, Capabilities, CommandBus, CommandEnvelope, CommandError, CommandInfo, EventStore, QueryBus,
    QueryEnvelope, QueryError, QueryInfo, ReadError, Receipt,
};
use portolan_kernel::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled};
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

/// Around a store or a bus: everything goes on as it came, and is remembered.
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
        Self { appends: Log::new(), reads: Log::new(), commands: Log::new(), questions: Log::new(), inner }
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
        self.inner.recall(scope, id).await
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
impl<B: CommandBus + ?Sized> CommandBus for Tracking<B> {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        self.commands.track(command.clone(), self.inner.dispatch(command)).await
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.inner.commands()
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
