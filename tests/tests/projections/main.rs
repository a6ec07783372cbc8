//! Workers of projections over the store in memory, on a runtime by hand: rows, failures, crashes, rivals.

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
