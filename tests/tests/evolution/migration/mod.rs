//! A log is copied through the chain into another store: the laws of [`Migration`](portolan::drivers::Migration), as checks
//! that are run on the right one and on wrong ones.

mod backends;
mod between;
mod checks;
mod history;
mod keys;
mod mutants;
mod refusals;
mod resuming;
