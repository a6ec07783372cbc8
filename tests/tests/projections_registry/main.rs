//! The registry of projections in its own process: what it tells, what it does, and what it waits for.

mod acting;
mod deploy;
mod live;
mod reading;
mod startup;
mod status;
mod support;
mod waiting;
mod working;
