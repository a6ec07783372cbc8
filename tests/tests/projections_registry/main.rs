//! The registry of projections in its own process: what it tells, what it does, and what it waits for.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

mod acting;
mod deploy;
mod ending;
mod files;
mod inline;
mod live;
mod panics;
mod reading;
mod rebuilding;
mod sql;
mod startup;
mod status;
mod support;
mod waiting;
mod working;
