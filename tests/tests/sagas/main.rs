//! Sagas driven over a store: transfers of money that die at every call and go on, keys that are closed, operators, and two
//! drivers at once.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod bank;
mod clocks;
mod crashes;
mod driving;
mod feeding;
mod guarded;
mod index;
mod keys;
mod orders;
mod processes;
mod served;
mod sharing;
mod trips;
mod unfinished;
mod versions;
