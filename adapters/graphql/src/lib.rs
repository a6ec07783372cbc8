//! Portolan's ports over GraphQL.

#![recursion_limit = "256"]

mod client;
mod config;
mod error;
mod model;
mod scalar;
mod server;
mod wire;

pub use client::GraphqlClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{Answer, BoundServer, BoxError, GraphqlServer, GraphqlService};
