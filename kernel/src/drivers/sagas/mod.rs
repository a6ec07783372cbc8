//! Sagas driven: their streams read and appended to, their steps run, over ports alone.
//!
//! [`SagaHandlers`] is the code there is. A [`SagaDriver`] takes one saga on until it rests: it reads its facts, asks the
//! machine ([`next`](crate::domain::saga::next())) what comes next, appends that, runs the attempts that are in flight, and
//! appends what they come to. Every append expects the revision that the driver has seen, so that of two drivers of one saga
//! one goes on and the other reads what it has missed (SG-07).
//!
//! Processes are sagas that receive events: [`SagaDriver::receive`] records what an event does to the process that it is for.
//! Whoever drives that process then does what it wants.

mod at_work;
mod attempt;
mod beginning;
mod board;
mod closing;
mod driver;
mod feeding;
mod handlers;
mod index;
mod listing;
mod local;
mod log;
mod nudge;
mod options;
mod places;
mod receiving;
mod recording;
mod reliable;
mod resting;
mod shard;
mod steward;

pub(crate) use beginning::record_beginnings;
pub use driver::{SagaDriveError, SagaDriver, SagaPorts, SagaRest};
pub use handlers::{SagaHandlers, SagaLacking};
pub(crate) use index::saga_index;
pub use index::{SAGA_INDEX, SAGA_SLOTS, saga_slot};
pub use listing::{SagaIndex, Unfinished};
pub use local::LocalSagas;
pub use log::SagaReadError;
pub use nudge::SagaNudge;
pub use options::SagaOptions;
pub use receiving::{ReceiveError, ReceiveReason, Received, ReceivedAs};
