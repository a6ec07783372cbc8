//! The laws, a file a group.

mod capabilities;
mod expectations;
pub(crate) mod lacks;
pub(crate) mod model;
mod revisions;

use crate::Law;
use portolan_kernel::ports::EventStore;

pub use capabilities::*;
pub use expectations::*;
pub use revisions::*;

/// The laws of `EventStore`, in order: what `event_store_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __event_store_list {
    ($($then:tt)*) => {
        $($then)*! {
            capabilities,
            es_01_revisions,
            es_02_positions,
            es_05_expectations,
        }
    };
}

macro_rules! as_vec {
    ($($law:ident),* $(,)?) => { vec![$($law()),*] };
}

/// The laws of the port `EventStore`.
#[must_use]
pub fn event_store() -> Vec<Law<dyn EventStore>> {
    crate::__event_store_list! { as_vec }
}
