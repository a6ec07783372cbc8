//! The laws of `CommandBus`, a file a group.

mod conflicts;
mod context;
mod deadlines;
mod decisions;
mod duplicates;
mod middleware;
mod names;
mod order;
mod provenance;
mod random;
mod repetition;
mod shutdown;
mod transport;
mod validation;
mod waiting;

pub use conflicts::*;
pub use context::*;
pub use deadlines::*;
pub use decisions::*;
pub use middleware::*;
pub use names::*;
pub use order::*;
pub use provenance::*;
pub use random::*;
pub use repetition::*;
pub use shutdown::*;
pub use transport::*;
pub use validation::*;
pub use waiting::*;
