//! Projections at work: workers that fill rows, and the registry that shows and steers them.
//!
//! What processes tell each other about a projection stands in rows of the system's, beside the rows of the projection:
//! what operators wish (`control`), what each edition's worker says (`record`), and the events that are parked.

mod alone;
mod batch;
mod claim;
mod control;
mod engine;
mod env;
mod folded;
mod idle;
mod lease;
mod model;
mod options;
mod parking;
mod record;
mod revisit;
mod view;
mod viewed;
mod wishes;
mod worker;

#[doc(hidden)]
pub use alone::{Alone, Said, Work};
pub use options::ProjectionOptions;
pub use view::{ApplyError, Found, View, ViewProjection};
