//! What is registered keeps its schema (UP-06): the law by checks and mutants, and applications that come and go.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

mod applications;
mod checks;
mod jars;
mod mutants;
mod stores;
