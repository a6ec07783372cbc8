//! Workers of projections over the store in memory, on a runtime by hand: rows, failures, crashes, rivals.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "all of it is tests")]

mod batches;
mod crashes;
mod failures;
mod faults;
mod leases;
mod model;
mod parked;
mod readiness;
mod rows;
mod views;
mod world;
