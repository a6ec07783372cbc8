//! Portolan, the facade: the kernel and, by feature, the adapters, under one name.
//!
//! An application takes everything it writes with from the [`prelude`]; the same names stand at the root.
//! Whoever needs more, such as an author of middleware, finds the kernel's floors here: [`values`], [`ports`],
//! [`domain`], [`drivers`] and [`application`]. `examples/bank.rs` is a whole application.

pub use portolan_kernel::{Bytes, application, domain, drivers, ports, values};
pub use prelude::*;

/// What an application is written with: `use portolan::prelude::*;`.
pub mod prelude {
    pub use portolan_kernel::application::{Application, BuildError, Ports, Runtime, Storage};
    pub use portolan_kernel::domain::{
        Aggregate, CodecError, Command, Context, Decide, Decision, Event, EventError, RecordedAs, Rejection,
        SnapshotPolicy, variant,
    };
    pub use portolan_kernel::drivers::{
        CommandBusExt, Delivery, EventStoreExt, QueryBusExt, QueryContext, Question, Reply, Subscription,
    };
    pub use portolan_kernel::ports::{
        CommandBus, CommandError, EventStore, QueryBus, QueryError, RawEvent, Receipt, Upcaster, Violation,
    };
    pub use portolan_kernel::values::{InvalidName, Metadata, Name, Position, Query, Revision, StreamId, Tag};

    #[cfg(feature = "dynamodb-plain")]
    pub use portolan_dynamodb::DynamoStore;
    #[cfg(feature = "http")]
    pub use portolan_http::{HttpClient, HttpServer, shutdown_signal};
    #[cfg(feature = "memory")]
    pub use portolan_memory::MemoryStore;
    #[cfg(feature = "sqlite")]
    pub use portolan_sqlite::SqliteStore;
    #[cfg(feature = "tokio")]
    pub use portolan_tokio::TokioRuntime;
}

#[cfg(feature = "dynamodb-plain")]
pub use portolan_dynamodb as dynamodb;
#[cfg(feature = "http")]
pub use portolan_http as http;
#[cfg(feature = "memory")]
pub use portolan_memory as memory;
#[cfg(feature = "sqlite")]
pub use portolan_sqlite as sqlite;
#[cfg(feature = "tokio")]
pub use portolan_tokio as tokio;
