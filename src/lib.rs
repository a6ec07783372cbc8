//! Portolan, the facade: the kernel and, by feature, the adapters, under one name.
//!
//! An application takes everything it writes with from the [`prelude`]; the same names stand at the root.
//! Whoever needs more, such as an author of middleware, finds the kernel's floors here: [`values`], [`ports`],
//! [`domain`], [`drivers`] and [`application`]. `examples/bank.rs` is a whole application.
//!
//! The feature `macros` (on by default) has the derives `Command`, `Event`, `Rejection`, `Query` and `JsonSchema`, and for
//! read models `Row`, `Projection`, `EventSet` and `EventFields`; but for `Query`, they share their names with the traits. For
//! sagas it has the attribute `#[saga]`, which shares its name with the module [`domain::saga`](mod@domain::saga).

pub use portolan_kernel::{Bytes, application, domain, drivers, ports, values};
pub use prelude::*;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub use portolan_kernel::__private;

/// What an application is written with: `use portolan::prelude::*;`.
///
/// A process, for which nothing else is needed:
///
/// ```
/// # #[cfg(all(feature = "macros", feature = "memory", feature = "tokio"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use core::time::Duration;
/// use portolan::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(category = "order")]
/// enum OrderEvent {
///     Placed { order: String },
///     Paid { order: String },
/// }
///
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(stream = "order-{order}")]
/// struct CancelOrder {
///     order: String,
/// }
///
/// /// Cancels an order that is not paid within 30 minutes.
/// struct Payments;
///
/// #[derive(Serialize, Deserialize, Default)]
/// struct Awaited {
///     order: String,
/// }
///
/// impl Process for Payments {
///     const NAME: &'static str = "order-payment";
///     type Event = OrderEvent;
///     type State = Awaited;
///
///     fn correlate(event: &RecordedAs<OrderEvent>) -> Option<String> {
///         match &event.event {
///             OrderEvent::Placed { order } | OrderEvent::Paid { order } => Some(order.clone()),
///         }
///     }
///
///     fn starts(event: &RecordedAs<OrderEvent>) -> bool {
///         matches!(event.event, OrderEvent::Placed { .. })
///     }
///
///     fn on(&self, state: &mut Awaited, event: &RecordedAs<OrderEvent>, intents: &mut Intents) {
///         match &event.event {
///             OrderEvent::Placed { order } => {
///                 state.order = order.clone();
///                 intents.set_timer("payment", Duration::from_secs(30 * 60));
///             }
///             OrderEvent::Paid { .. } => intents.end(),
///         }
///     }
///
///     fn on_timer(&self, state: &mut Awaited, _: &str, intents: &mut Intents) {
///         intents.send(CancelOrder { order: state.order.clone() });
///         intents.end();
///     }
///
///     fn on_failed(&self, _: &mut Awaited, _: &FailedIntent, _: &mut Intents) -> AfterFailure {
///         // It was paid or cancelled in that moment.
///         AfterFailure::GoOn
///     }
/// }
///
/// let shop = Application::builder(MemoryStore::new(), Runtime::tokio()).process(Payments).build().await?;
/// let sagas = shop.ports().sagas;
/// let payment = SagaId::new(Payments::NAME, "o-1")?;
/// assert!(matches!(sagas.status(payment).await, Err(SagaError::NotFound(_))));
/// # Ok(()) }) }
/// # #[cfg(not(all(feature = "macros", feature = "memory", feature = "tokio")))]
/// # fn main() {}
/// ```
pub mod prelude {
    pub use portolan_kernel::application::{Application, BuildError, Ports, Runtime, Storage};
    pub use portolan_kernel::domain::compatibility::Compatibility;
    pub use portolan_kernel::domain::history::{History, Hop, Pieces};
    pub use portolan_kernel::domain::saga::{
        AfterFailure, FailedIntent, Intents, Process, Saga, StepContext, StepError,
    };
    pub use portolan_kernel::domain::{
        Aggregate, CodecError, Command, Context, Decide, Decision, DecisionModel, Event, EventError, EventFields,
        EventSet, FailurePolicy, OnFailure, OrRaw, Projection, RecordedAs, Rejection, Row, SnapshotPolicy,
        StreamCommand, Unknown, inline, saga, variant,
    };
    pub use portolan_kernel::drivers::{
        ApplyError, Authorization, BusOptions, CommandBusExt, Deadline, Delivery, EventStoreExt, Hooks, Middleware,
        MiddlewareBus, Next, Policy, ProjectionOptions, ProjectionRegistryExt, QueryBusExt, QueryContext, Question,
        ReadRowsError, Reply, Retry, SagaOptions, SagaOrchestratorExt, SchemaOptions, Subscription, TypedDelivery,
        TypedEvents, TypedSubscription, View, ViewProjection, Viewed,
    };
    pub use portolan_kernel::ports::{
        CommandBus, CommandEnvelope, CommandError, EventStore, Lifecycle, ProjectionError, ProjectionRegistry,
        QueryBus, QueryError, RawEvent, Receipt, SagaError, SagaOrchestrator, SagaPhase, StartSaga, Upcaster,
        Violation,
    };
    pub use portolan_kernel::values::{InvalidName, Metadata, Name, Position, Query, Revision, SagaId, StreamId, Tag};

    #[cfg(feature = "dynamodb-plain")]
    pub use portolan_dynamodb::DynamoStore;
    #[cfg(feature = "graphql")]
    pub use portolan_graphql::{GraphqlClient, GraphqlServer};
    #[cfg(feature = "grpc")]
    pub use portolan_grpc::{GrpcClient, GrpcServer};
    #[cfg(feature = "http")]
    pub use portolan_http::{HttpClient, HttpServer, shutdown_signal};
    #[cfg(feature = "jwt")]
    pub use portolan_jwt::JwtAuthenticator;
    #[cfg(feature = "macros")]
    pub use portolan_kernel::{domain::JsonSchema, drivers::Query};
    #[cfg(feature = "memory")]
    pub use portolan_memory::MemoryStore;
    #[cfg(feature = "schema")]
    pub use portolan_schema::{ValidatedStore, Validation};
    #[cfg(feature = "sqlite")]
    pub use portolan_sqlite::SqliteStore;
    #[cfg(feature = "tokio")]
    pub use portolan_tokio::TokioRuntime;
    #[cfg(feature = "tracing")]
    pub use portolan_tracing::Tracing;
}

#[cfg(feature = "dynamodb-plain")]
pub use portolan_dynamodb as dynamodb;
#[cfg(feature = "graphql")]
pub use portolan_graphql as graphql;
#[cfg(feature = "grpc")]
pub use portolan_grpc as grpc;
#[cfg(feature = "http")]
pub use portolan_http as http;
#[cfg(feature = "jwt")]
pub use portolan_jwt as jwt;
#[cfg(feature = "memory")]
pub use portolan_memory as memory;
#[cfg(feature = "schema")]
pub use portolan_schema as schema;
#[cfg(feature = "sqlite")]
pub use portolan_sqlite as sqlite;
#[cfg(feature = "tokio")]
pub use portolan_tokio as tokio;
#[cfg(feature = "tracing")]
pub use portolan_tracing as tracing;
