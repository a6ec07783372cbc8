//! The suite's own reference: what a store should answer, as plainly as it can be written.

mod model;
mod store;

pub use model::{Judgment, KeyRecord, Model};
pub use store::ReferenceStore;
