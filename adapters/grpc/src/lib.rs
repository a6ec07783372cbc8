//! x

mod client;
mod config;
mod error;
pub mod proto;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use client::GrpcClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{BoundServer, GrpcServer};
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ServerTls};
