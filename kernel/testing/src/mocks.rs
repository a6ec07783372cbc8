//! A mock a port, by mockall: `MockCommandBus::new()`, `expect_dispatch()`, and so on as its documentation has it.

#![allow(missing_docs, reason = "what mockall generates has the names and the meaning that mockall documents")]

use async_trait::async_trait;
use core::time::Duration;
use futures::future::BoxFuture;
use mockall::mock;
use portolan_kernel::drivers::{Failure, Hooks, Middleware, Next, Policy};
use portolan_kernel::ports::{
    ActOnSaga, Answer, AppendError, AuthenticationError, Authenticator, Caller, Capabilities, Clock, CommandBus,
    CommandEnvelope, CommandError, CommandInfo, Credentials, EventStore, IdSource, Inline, InlineRows, Lease,
    LeaseError, LeaseStore, ListSagas, ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry,
    ProjectionStatus, QueryBus, QueryEnvelope, QueryError, QueryInfo, RawEvent, ReadError, ReadModelStore, Receipt,
    RowError, RowLimits, RowsAnswer, RowsQuestion, SagaError, SagaInfo, SagaOrchestrator, SagaPage, SagaStarted,
    SagaSummary, SagaTimeline, Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions, Sleep, Snapshot,
    SnapshotError, SnapshotStore, Spawn, StartSaga, UpcastError, Upcaster, WaitError,
};
use portolan_kernel::values::{
    Append, Appended, Batch, Checkpoint, CheckpointState, Collection, EventId, EventType, Find, Name, Page, Position,
    Query, Read, Recalled, Recorded, Revision, RowKey, Rowset, SagaId, StreamId, Timestamp, Versions,
};
use std::borrow::Cow;
use std::sync::Arc;

mock! {
    /// A mock of [`EventStore`]. For code over a store prefer a store in memory: a mock keeps no law.
    #[derive(Debug)]
    pub EventStore {}

    #[async_trait]
    impl EventStore for EventStore {
        async fn append(&self, append: Append) -> Result<Appended, AppendError>;
        async fn read(&self, read: Read) -> Result<Page, ReadError>;
        async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError>;
        async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError>;
        async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError>;
        fn capabilities(&self) -> Capabilities;
    }
}

mock! {
    /// A mock of [`SnapshotStore`]. For code over a store prefer a store in memory: a mock keeps no law.
    #[derive(Debug)]
    pub SnapshotStore {}

    #[async_trait]
    impl SnapshotStore for SnapshotStore {
        async fn load(
            &self,
            stream: StreamId,
            kind: Name,
            at_most: Option<Revision>,
        ) -> Result<Option<Snapshot>, SnapshotError>;
        async fn save(&self, snapshot: Snapshot) -> Result<(), SnapshotError>;
        async fn delete(&self, stream: StreamId, kind: Name, below: Option<Revision>) -> Result<(), SnapshotError>;
    }
}

mock! {
    /// A mock of [`ReadModelStore`]. For code over a store prefer a store in memory: a mock keeps no law.
    #[derive(Debug)]
    pub ReadModelStore {}

    #[async_trait]
    impl ReadModelStore for ReadModelStore {
        async fn define(&self, collection: Collection) -> Result<(), RowError>;
        async fn versions(&self, collection: Name) -> Result<Versions, RowError>;
        async fn commit(&self, batch: Batch) -> Result<(), RowError>;
        async fn get(&self, collection: Name, version: Option<u32>, keys: Vec<RowKey>) -> Result<Rowset, RowError>;
        async fn find(&self, find: Find) -> Result<Rowset, RowError>;
        async fn checkpoint(&self, name: Name) -> Result<Option<CheckpointState>, RowError>;
        async fn remove(&self, collection: Name, version: u32, checkpoint: Checkpoint) -> Result<(), RowError>;
        fn limits(&self) -> RowLimits;
    }
}

mock! {
    /// A mock of [`LeaseStore`]. For code over a store prefer a store in memory: a mock keeps no law.
    #[derive(Debug)]
    pub LeaseStore {}

    #[async_trait]
    impl LeaseStore for LeaseStore {
        async fn grant(&self, name: Name, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError>;
        async fn take_over(&self, seen: Lease, holder: Name, time_to_live: Duration) -> Result<Lease, LeaseError>;
        async fn renew(&self, lease: Lease) -> Result<Lease, LeaseError>;
        async fn release(&self, lease: Lease) -> Result<(), LeaseError>;
    }
}

mock! {
    /// A mock of [`CommandBus`].
    ///
    /// ```
    /// # use portolan_kernel::domain::Command;
    /// # use portolan_kernel::drivers::CommandBusExt as _;
    /// # use portolan_kernel::ports::{CommandBus, Receipt};
    /// # use portolan_testing::MockCommandBus;
    /// # use std::sync::Arc;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Deposit { account_id: String, amount: u64 }
    /// # impl Command for Deposit { const NAME: &'static str = "deposit"; }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mut bus = MockCommandBus::new();
    /// bus.expect_dispatch().withf(|command| command.name == "deposit").returning(|_| Ok(Receipt::none()));
    /// let bus: Arc<dyn CommandBus> = Arc::new(bus);
    /// assert!(bus.send(Deposit { account_id: "ann".into(), amount: 1 }).await.is_ok());
    /// # });
    /// ```
    #[derive(Debug)]
    pub CommandBus {}

    #[async_trait]
    impl CommandBus for CommandBus {
        async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError>;
        fn commands(&self) -> Vec<CommandInfo>;
    }
}

mock! {
    /// A mock of [`QueryBus`].
    #[derive(Debug)]
    pub QueryBus {}

    #[async_trait]
    impl QueryBus for QueryBus {
        async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError>;
        fn queries(&self) -> Vec<QueryInfo>;
    }
}

mock! {
    /// A mock of [`Inline`].
    #[derive(Debug)]
    pub Inline {}

    impl Inline for Inline {
        fn collection(&self) -> Collection;
        fn wants(&self) -> Query;
        fn apply(&self, event: &Arc<Recorded>, rows: &mut dyn InlineRows) -> Result<(), String>;
    }
}

mock! {
    /// A mock of [`SchemaRegistry`].
    #[derive(Debug)]
    pub SchemaRegistry {}

    #[async_trait]
    impl SchemaRegistry for SchemaRegistry {
        async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError>;
        async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError>;
    }
}

mock! {
    /// A mock of [`Authenticator`].
    #[derive(Debug)]
    pub Authenticator {}

    #[async_trait]
    impl Authenticator for Authenticator {
        async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, AuthenticationError>;
        fn challenge(&self) -> Cow<'static, str>;
    }
}

mock! {
    /// A mock of [`ProjectionRegistry`].
    #[derive(Debug)]
    pub ProjectionRegistry {}

    #[async_trait]
    impl ProjectionRegistry for ProjectionRegistry {
        fn knows(&self, projection: &Name) -> Option<bool>;
        async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError>;
        async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError>;
        async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError>;
        async fn parked(
            &self,
            projection: Name,
            after: Option<Position>,
            limit: u32,
        ) -> Result<ParkedPage, ProjectionError>;
        async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError>;
        async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError>;
    }
}

mock! {
    /// A mock of [`SagaOrchestrator`].
    #[derive(Debug)]
    pub SagaOrchestrator {}

    #[async_trait]
    impl SagaOrchestrator for SagaOrchestrator {
        async fn start(&self, start: StartSaga) -> Result<SagaStarted, SagaError>;
        async fn list(&self, list: ListSagas) -> Result<SagaPage, SagaError>;
        async fn status(&self, saga: SagaId) -> Result<SagaSummary, SagaError>;
        async fn timeline(
            &self,
            saga: SagaId,
            after: Option<Revision>,
            limit: u32,
        ) -> Result<SagaTimeline, SagaError>;
        async fn act(&self, act: ActOnSaga) -> Result<SagaSummary, SagaError>;
        async fn describe(&self) -> Result<Vec<SagaInfo>, SagaError>;
    }
}

mock! {
    /// A mock of [`Upcaster`].
    #[derive(Debug)]
    pub Upcaster {}

    impl Upcaster for Upcaster {
        fn from(&self) -> (EventType, u32);
        fn to(&self) -> Vec<(EventType, u32)>;
        fn upcast(&self, event: RawEvent) -> Result<Vec<RawEvent>, UpcastError>;
    }
}

mock! {
    /// A mock of [`Middleware`].
    #[derive(Debug)]
    pub Middleware {}

    #[async_trait]
    impl Middleware for Middleware {
        async fn handle(&self, command: CommandEnvelope, next: Next) -> Result<Receipt, CommandError>;
    }
}

mock! {
    /// A mock of [`Hooks`].
    #[derive(Debug)]
    pub Hooks {}

    #[async_trait]
    impl Hooks for Hooks {
        async fn before(&self, command: CommandEnvelope) -> Result<CommandEnvelope, CommandError>;
        fn after(&self, command: &CommandEnvelope, receipt: &Receipt);
        fn failed(&self, command: &CommandEnvelope, failure: &Failure);
    }
}

mock! {
    /// A mock of [`Policy`].
    #[derive(Debug)]
    pub Policy {}

    #[async_trait]
    impl Policy for Policy {
        async fn judge(&self, command: &CommandEnvelope) -> Result<(), CommandError>;
    }
}

mock! {
    /// A mock of [`Clock`]. [`TestClock`](crate::TestClock) is one that goes.
    #[derive(Debug)]
    pub Clock {}

    impl Clock for Clock {
        fn now(&self) -> Timestamp;
    }
}

mock! {
    /// A mock of [`IdSource`]. [`CountingIds`](crate::CountingIds) gives ids.
    #[derive(Debug)]
    pub IdSource {}

    impl IdSource for IdSource {
        fn new_id(&self) -> EventId;
    }
}

mock! {
    /// A mock of [`Sleep`]. [`TestSleep`](crate::TestSleep) is one that wakes.
    #[derive(Debug)]
    pub Sleep {}

    impl Sleep for Sleep {
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    }
}

mock! {
    /// A mock of [`Spawn`]. [`TestSpawn`](crate::TestSpawn) keeps the tasks.
    #[derive(Debug)]
    pub Spawn {}

    impl Spawn for Spawn {
        fn spawn(&self, task: BoxFuture<'static, ()>);
    }
}
