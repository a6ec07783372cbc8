//! The server: ports in, GraphQL out.

mod admission;
mod build;
pub(crate) mod call;
mod commands;
mod context;
mod events;
mod execute;
mod http;
mod introspection;
mod limits;
mod live;
mod loader;
mod node;
mod page;
mod projections;
mod queries;
mod request;
mod rows;
mod sagas;
mod service;
mod socket;
mod store;
mod tail;
mod types;

pub(crate) use commands::FAILURES;
pub use http::{BoundServer, GraphqlServer};
pub use request::{Answer, BoxError};
pub use service::GraphqlService;
