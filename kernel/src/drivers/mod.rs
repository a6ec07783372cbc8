//! Drivers: they wait, retry and write, over ports alone and on any runtime.
//!
//! From the bottom: pages to streams ([`EventStoreExt`]) and to live [`Subscriptions`]; events to states
//! ([`Loader`]); commands to appends ([`Execution`]); what surrounds commands ([`Middleware`], [`Hooks`]); and the two
//! buses of an application in its own process ([`LocalCommandBus`], [`LocalQueryBus`]) with what makes any bus
//! pleasant to call ([`CommandBusExt`], [`QueryBusExt`]), as [`ProjectionRegistryExt`] is for projections and
//! [`SagaOrchestratorExt`] for sagas; what events and commands look like ([`SchemaCatalogue`], [`register_schemas`]); and
//! what stands before the ports of a server ([`AccessPolicy`], [`Roles`], [`StaticKeys`]). A [`Migration`] copies a log into
//! another store.

mod access;
mod appending;
mod ask;
mod backoff;
mod catch_up;
mod command_bus;
mod deciding;
mod execution;
mod formed;
mod gate;
mod handlers;
mod key;
mod lease;
mod loading;
mod middleware;
mod migration;
mod options;
mod order;
mod progress;
mod projector;
mod query_bus;
mod question;
mod read_rows;
mod reading;
mod sagas;
mod schemas;
mod send;
mod start;
mod step;
mod subscription;
mod task;
mod turns;
mod typed;

pub(crate) use access::GuardedPorts;
pub use access::{Access, AccessPolicy, Anybody, Role, Roles, StaticKey, StaticKeyError, StaticKeys, Unrestricted};
pub use ask::{Asking, QueryBusExt};
pub use command_bus::LocalCommandBus;
pub use execution::Execution;
pub use formed::{FormedDelivery, FormedEvent, FormedEvents, FormedPage, FormedSubscription};
pub use handlers::{CommandHandlers, RegisterError, command_in};
pub use key::{command_scope, key_scope};
pub use loading::{LoadError, Loaded, Loader};
pub use middleware::{Authorization, Deadline, Failure, Hooked, Hooks, Middleware, MiddlewareBus, Next, Policy, Retry};
pub use migration::{
    Migration, MigrationError, MigrationFailure, MigrationOutcome, MigrationProgress, MigrationReason, MigrationReport,
    MigrationVerified, MigrationVersion, ReplayClock,
};
pub use options::BusOptions;
#[doc(hidden)]
pub use projector::{Alone, Said, Work};
pub use projector::{ApplyError, Found, LocalProjections, ProjectionOptions, View, ViewProjection, Viewed};
pub(crate) use projector::{ModelError, ProjectionForm, WorkerPorts, Workers};
pub use query_bus::LocalQueryBus;
pub use question::{QueryContext, QueryHandler, Question, Reply};
pub use read_rows::{
    FindRows, GetRow, GetRows, IndexValue, IndexValues, Keyed, ListRows, ProjectionRegistryExt, ReadRowsError, RowPage,
    Rows,
};
pub use reading::EventStoreExt;
pub use sagas::{
    LocalSagas, ReceiveError, ReceiveReason, Received, ReceivedAs, SAGA_INDEX, SAGA_SLOTS, SagaDriveError, SagaDriver,
    SagaHandlers, SagaIndex, SagaLacking, SagaNudge, SagaOptions, SagaPorts, SagaReadError, SagaRest, Unfinished,
    saga_slot,
};
pub(crate) use sagas::{record_beginnings, saga_index};
pub use schemas::{SchemaCatalogue, SchemaOptions, SchemaRefusal, StoredSchemas, register_schemas};
pub use send::{CommandBusExt, Sending};
pub use start::{SagaOrchestratorExt, Starting};
pub use subscription::{Delivery, From, SubscribeError, Subscription, Subscriptions};
pub use typed::{TypedDelivery, TypedEvents, TypedSubscription};

#[cfg(feature = "macros")]
pub use portolan_macros::Query;
