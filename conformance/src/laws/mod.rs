//! The laws, a file a group.

mod capabilities;
mod durability;
mod expectations;
mod kill;
pub(crate) mod lacks;
pub(crate) mod model;
mod processes;
mod revisions;
mod snapshots;
mod subscriptions;

use crate::Law;
use portolan_kernel::ports::{EventStore, SnapshotStore};

pub use capabilities::*;
pub use durability::*;
pub use expectations::*;
pub use processes::*;
pub use revisions::*;
pub use snapshots::*;
pub use subscriptions::*;

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
            es_19_subscriptions,
            es_20_caught_up_and_progress,
            es_21_slow_consumers,
            es_22_resuming,
            es_24_durability,
            es_25_several_processes,
            es_26_damage,
            es_27_identity,
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

/// The laws of `SnapshotStore`, in order: what `snapshot_store_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __snapshot_store_list {
    ($($then:tt)*) => {
        $($then)*! {
            sn_01_latest,
            sn_02_overwriting_and_deleting,
            sn_03_equals_replay,
            sn_04_bytes,
            sn_06_durability,
        }
    };
}

/// The laws of the port `SnapshotStore`.
#[must_use]
pub fn snapshot_store() -> Vec<Law<dyn SnapshotStore>> {
    crate::__snapshot_store_list! { as_vec }
}
