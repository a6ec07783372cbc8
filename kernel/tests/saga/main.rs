//! The machine of sagas, run without a driver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actions;
mod brief;
mod code;
mod facts;
mod forgotten;
mod plans;
mod process_runs;
mod process_world;
mod processes;
mod random;
mod runs;
mod status;
mod time;
mod world;
