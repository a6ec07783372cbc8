//! What the adapter's tests run against: a DynamoDB, and a network between it and the store that does as it is told.
//!
//! [`Network`] is an HTTP client of the SDK. It delays, loses and forges answers ([`Fault`]), and lets the items of a
//! committed transaction become visible one by one ([`Network::reveal_one_by_one`]), as DynamoDB does and no emulator
//! shows.

#![allow(dead_code, reason = "no test takes all of it")]

mod capacity;
mod faults;
pub(crate) mod log;
mod network;
pub(crate) mod rows;
mod visibility;
mod wire;

pub(crate) use capacity::Capacity;
pub(crate) use faults::{Fault, Rule};
pub(crate) use network::Network;

/// A name for a table or a log that nobody else has.
pub(crate) fn fresh_name() -> String {
    std::iter::repeat_with(fastrand::lowercase).take(20).collect()
}
