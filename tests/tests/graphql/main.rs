//! GraphQL over the ports: what the schema becomes, what is answered, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access;
mod access_client;
mod access_live;
mod alike;
mod client;
mod commands;
mod flood;
mod frames;
mod limits;
mod live;
mod mounted;
// What it tells and takes is hard on any wire.
#[allow(dead_code, reason = "each wire uses a part")]
#[path = "../../../adapters/grpc/tests/support/sagas.rs"]
mod orchestra;
mod origin;
mod page;
mod projections;
mod reading;
mod sagas;
mod scripted;
mod settled;
mod shelf;
mod support;
mod wide;
