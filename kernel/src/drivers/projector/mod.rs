//! Projections at work: workers that fill rows, and the registry that shows and steers them.
//!
//! What processes tell each other about a projection stands in rows of the system's, beside the rows of the projection:
//! what operators wish (`control`), what each edition's worker says (`record`), and the events that are parked.

mod acting;
mod alone;
mod batch;
mod caught;
mod claim;
mod control;
mod engine;
mod env;
mod errors;
mod folded;
mod idle;
mod live;
mod model;
mod options;
mod parking;
mod reading;
mod record;
mod registration;
mod registry;
mod removing;
mod revisit;
mod standing;
mod status;
mod supervisor;
mod uniques;
mod view;
mod viewed;
mod waiting;
mod wishes;
mod worker;

#[doc(hidden)]
pub use alone::{Alone, Said, Work};
pub(crate) use model::ModelError;
pub use options::ProjectionOptions;
pub(crate) use registration::{ProjectionForm, WorkerPorts, Workers};
pub use registry::LocalProjections;
pub use view::{ApplyError, Found, View, ViewProjection, Viewed};
