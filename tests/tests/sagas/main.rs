//! Sagas driven over a store: transfers of money that die at every call and go on, keys that are closed, operators, and two
//! drivers at once.
#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod bank;
mod clocks;
mod crashes;
mod driving;
mod feeding;
mod forgotten;
mod guarded;
mod index;
mod keys;
mod kills;
mod leases;
mod leaving;
mod order_rules;
mod orders;
mod processes;
mod served;
mod sharing;
mod surrounded;
mod trips;
mod troubles;
mod unfinished;
mod upgrades;
mod versions;
