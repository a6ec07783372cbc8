//! Events that change over the years: old ones read alike on every path, unknown ones as each reader says, and what is
//! wrong with a history is found.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

mod events;
mod forms;
mod migration;
mod mutants;
mod paths;
mod readers;
mod unknown;
mod wires;
