//! Raw appends judged by schemas: the laws of a store with a judge before it, and what callers meet over the wires.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod laws;
mod registry;
mod wires;
