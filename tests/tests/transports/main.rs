//! One scenario over all transports comes out alike: in process, and over HTTP, GraphQL and gRPC, each a server on a socket
//! and the crate's client, which is the ports.
//!
//! A scenario is a list of steps ([`table`]). Each runs against applications that are fresh and equal, and what comes
//! of it, written out in full, has to be the same. From that text is removed what has to differ: the identity of the store,
//! the names of lease holders, the types of backends' errors (their words are kept), and from the receipt of a command
//! without an id what is made of a fresh one. Time stands still, and all other ids derive from those of commands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod appends;
mod application;
mod brews;
mod commands;
mod jars;
mod log;
mod operating;
mod outcome;
mod queries;
mod rows;
mod sagas;
mod subscriptions;
mod table;
mod tokens;
mod wires;
