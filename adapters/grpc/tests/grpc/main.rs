//! Client and server over a real connection.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod commands;
mod lifecycle;
mod limits;
mod malformed;
mod projections;
mod reflection;
mod subscribe;
#[cfg(feature = "tls")]
mod tls;
