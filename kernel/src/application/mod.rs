//! Composition: what an application stands on, what it offers, and what it registers.

mod parts;

pub use parts::{Ports, Runtime, Storage};
