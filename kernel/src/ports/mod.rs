//! The ports: what an application needs from the world, a file a port.
//!
//! Each trait is object-safe and used as `Arc<dyn Port>`. Its documentation states numbered laws;
//! `portolan-conformance` runs them against any implementation. Arguments are owned values, errors are
//! concrete and non-exhaustive enums whose variants say what a caller can do, and batches and pages cross a
//! port, never long-lived streams.

mod authenticator;
mod capabilities;
mod command_bus;
mod event_store;
mod inline;
mod lease_store;
mod projection_registry;
mod projection_status;
mod query_bus;
mod read_model_store;
mod row_limits;
mod runtime;
mod saga_error;
mod saga_orchestrator;
mod saga_status;
mod saga_view;
mod schema_registry;
mod snapshot_store;
mod source;
mod upcaster;

pub use crate::values::StoreId;
pub use authenticator::{AuthenticationError, Authenticator, Caller, Credentials};
pub use capabilities::{Capabilities, Capability, Limits, streams_of};
pub use command_bus::{Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, Receipt, TypedCommand, Violation};
pub use event_store::{AppendError, EventStore, PayloadViolation, ReadError};
pub use inline::{INLINE_GAP, Inline, InlineChanges, InlineRows, inline_batch, is_edition_of, runs_at};
pub use lease_store::{Lease, LeaseError, LeaseStore};
pub use projection_registry::{
    NoProjections, ParkedPage, ProjectionError, ProjectionRegistry, RowsAnswer, RowsQuestion, WaitError, WhichRows,
};
pub use projection_status::{
    EditionStatus, Lag, Lifecycle, Parked, ProjectionAction, ProjectionFailure, ProjectionState, ProjectionStatus,
};
pub use query_bus::{Answer, QueryBus, QueryEnvelope, QueryError, QueryInfo};
pub use read_model_store::{ReadModelStore, RowError};
pub use row_limits::{RowLimits, judge_checkpoint};
pub use runtime::{Clock, IdSource, Sleep, Spawn};
pub use saga_error::SagaError;
pub use saga_orchestrator::{ActOnSaga, NoSagas, SagaInfo, SagaOrchestrator, SagaStarted, StartSaga};
pub use saga_status::{SagaAction, SagaPhase, SagaStatus, SagaWay, UnknownSagaAction, UnknownSagaPhase};
pub use saga_view::{ListSagas, SagaFact, SagaPage, SagaSummary, SagaTimeline};
pub use schema_registry::{NoSchemas, Schema, SchemaError, SchemaKind, SchemaRegistry, SchemaSubject, SchemaVersions};
pub use snapshot_store::{Snapshot, SnapshotError, SnapshotStore};
pub use source::Source;
pub use upcaster::{RawEvent, UpcastError, Upcaster};
