//! The store under what an emulator does not do: a network that fails at every request, transactions that become
//! visible item by item, many processes at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stdout, reason = "a child tells its parent")]

mod batches;
mod glimpses;
mod glimpses_of_rows;
mod item_by_item;
mod large;
mod large_batches;
mod leases;
mod network;
mod page;
mod processes;
mod races;
mod reads;
mod requests;
#[path = "../support/mod.rs"]
mod support;
