//! The machine of sagas, run without a driver.

mod actions;
mod code;
mod facts;
mod plans;
mod random;
mod runs;
mod time;
mod world;
