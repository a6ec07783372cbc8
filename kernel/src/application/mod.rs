//! Composition: what an application stands on, what it offers, and what it registers.

mod admission;
mod builder;
mod parts;
mod projections;
mod registration;
mod sagas;

pub use admission::{Admission, Admitted};
pub use builder::{Application, ApplicationBuilder, BuildError};
pub use parts::{Ports, Runtime, Storage};
