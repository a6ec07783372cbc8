//! What the laws of `ProjectionRegistry` are tried on: projections of the suite's own, over a storage on trial.

mod domain;
mod hindered;
mod world;

pub(crate) use domain::{
    Labels, Other, Parks, Passes, Skips, Stops, Sums, SumsAnew, fold, labelled, poison, sums, unknown,
};
pub(crate) use hindered::Hindrance;
pub(crate) use world::{App, LEASE, World};

pub use world::Projected;
