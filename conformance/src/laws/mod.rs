//! The laws, a file a group.

mod cancellation;
mod capabilities;
mod checkpoints;
mod concurrency;
mod damage;
mod durability;
mod expectations;
mod frontier;
mod guards;
mod hints;
mod keys;
mod kill;
mod killed_writers;
pub(crate) mod lacks;
mod many;
pub(crate) mod model;
mod pages;
mod payloads;
mod power_cuts;
mod processes;
mod reads;
mod refusals;
mod revisions;
mod snapshots;
mod snapshots_beside;
mod subscriptions;
mod world;

use crate::Law;
use portolan_kernel::ports::{EventStore, SnapshotStore};

pub use cancellation::*;
pub use capabilities::*;
pub use checkpoints::*;
pub use concurrency::*;
pub use damage::*;
pub use durability::*;
pub use expectations::*;
pub use frontier::*;
pub use guards::*;
pub use hints::*;
pub use keys::*;
pub use model::es_model;
pub use pages::*;
pub use payloads::*;
pub use processes::*;
pub use reads::*;
pub use refusals::*;
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
            es_03_frontier,
            es_04_visible,
            es_05_expectations,
            es_06_refusals,
            es_07_races,
            es_08_guards,
            es_09_keys,
            es_10_empty_appends,
            es_11_failures,
            es_12_cancellation,
            es_13_checkpoints,
            es_14_payloads,
            es_15_reads,
            es_16_pages,
            es_17_whole_appends,
            es_18_large_streams,
            es_19_subscriptions,
            es_20_caught_up_and_progress,
            es_21_slow_consumers,
            es_22_resuming,
            es_23_changed,
            es_24_durability,
            es_25_several_processes,
            es_26_damage,
            es_27_identity,
            es_model,
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
            sn_07_side_by_side,
        }
    };
}

/// The laws of the port `SnapshotStore`.
#[must_use]
pub fn snapshot_store() -> Vec<Law<dyn SnapshotStore>> {
    crate::__snapshot_store_list! { as_vec }
}
