//! The server as hostile and as ordinary clients meet it, over raw sockets; and the client against it.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod commands;
mod lifecycle;
mod limits;
mod live;
mod malformed;
mod mounted;
mod streams;
