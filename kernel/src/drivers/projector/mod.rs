//! Projections at work: workers that fill rows, and the registry that shows and steers them.
//!
//! What processes tell each other about a projection stands in rows of the system's, beside the rows of the projection:
//! what operators wish (`control`), what each edition's worker says (`record`), and the events that are parked.

mod control;
mod engine;
mod env;
mod options;
mod record;
mod worker;

pub use options::ProjectionOptions;
