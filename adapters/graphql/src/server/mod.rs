//! The server: ports in, GraphQL out.

mod base;
mod build;
pub(crate) mod call;
mod commands;
mod context;
mod events;
mod limits;
mod live;
mod loader;
mod node;
mod projections;
mod queries;
mod rows;
mod store;
mod tail;
mod execute;
mod http;
mod page;
mod request;
mod service;
mod socket;

pub(crate) use commands::FAILURES;
pub use http::{BoundServer, GraphqlServer};
pub use request::{Answer, BoxError};
pub use service::GraphqlService;
