//! Portolan's ports over HTTP: a server, and a client that is the ports.

mod client;
mod config;
mod error;
mod server;
mod signal;
mod wire;

pub use client::HttpClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{BoundServer, BoxError, HttpServer, MountBody};
pub use signal::shutdown_signal;
