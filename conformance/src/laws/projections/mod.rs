//! The laws of `ProjectionRegistry`, a file a group.

mod failures;
mod kills;
mod order;
mod rebuilds;
mod registry;
mod rivals;
mod waiting;

pub use failures::*;
pub use order::*;
pub use rebuilds::*;
pub use registry::*;
pub use rivals::*;
pub use waiting::*;
