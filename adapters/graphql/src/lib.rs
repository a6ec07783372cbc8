//! Portolan's ports over GraphQL.

#![recursion_limit = "256"]

mod config;
mod error;
mod model;
mod scalar;
mod server;
mod wire;

pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
