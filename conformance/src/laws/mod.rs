//! The laws, a file a group.

mod authenticators;
mod cancellation;
mod capabilities;
mod checkpoints;
mod commands;
mod concurrency;
mod damage;
mod durability;
mod durable_rows;
mod expectations;
mod finding_rows;
mod frontier;
mod guards;
mod hints;
mod inline;
mod inline_shared;
mod keys;
mod kill;
mod killed_writers;
pub(crate) mod lacks;
mod leases;
mod many;
pub(crate) mod model;
mod pages;
mod payloads;
mod power_cuts;
mod processes;
mod projections;
mod read_models;
mod reads;
mod refusals;
mod revisions;
mod sagas;
mod snapshots;
mod snapshots_beside;
mod subscriptions;
mod world;

use crate::{Issued, Law, Orchestrated, Projected};
use portolan_kernel::application::Storage;
use portolan_kernel::ports::{CommandBus, EventStore, LeaseStore, ReadModelStore, SnapshotStore};

pub use authenticators::*;
pub use cancellation::*;
pub use capabilities::*;
pub use checkpoints::*;
pub use commands::*;
pub use concurrency::*;
pub use damage::*;
pub use durability::*;
pub use durable_rows::*;
pub use expectations::*;
pub use finding_rows::*;
pub use frontier::*;
pub use guards::*;
pub use hints::*;
pub use inline::*;
pub use keys::*;
pub use leases::*;
pub use model::es_model;
pub use pages::*;
pub use payloads::*;
pub use processes::*;
pub use projections::*;
pub use read_models::*;
pub use reads::*;
pub use refusals::*;
pub use revisions::*;
pub use sagas::*;
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

/// The laws of `CommandBus`, in order: what `command_bus_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __command_bus_list {
    ($($then:tt)*) => {
        $($then)*! {
            cb_01_names,
            cb_02_validation,
            cb_03_middleware,
            cb_04_repetition,
            cb_05_conflicts,
            cb_06_decisions,
            cb_07_provenance,
            cb_08_deadlines,
            cb_09_waiting,
            cb_10_order,
            cb_11_context,
            cb_12_shutdown,
            cb_13_transport,
            cb_model,
        }
    };
}

/// The laws of the port `CommandBus`.
#[must_use]
pub fn command_bus() -> Vec<Law<dyn CommandBus>> {
    crate::__command_bus_list! { as_vec }
}

/// The laws of `ReadModelStore`, in order: what `read_model_store_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __read_model_store_list {
    ($($then:tt)*) => {
        $($then)*! {
            rm_01_batches,
            rm_02_finding,
            rm_03_final_state,
            rm_04_versions,
            rm_05_limits,
            rm_06_durability,
            rm_07_tokens,
        }
    };
}

/// The laws of the port `ReadModelStore`.
#[must_use]
pub fn read_model_store() -> Vec<Law<dyn ReadModelStore>> {
    crate::__read_model_store_list! { as_vec }
}

/// The laws of `LeaseStore`, in order: what `lease_store_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __lease_store_list {
    ($($then:tt)*) => {
        $($then)*! {
            ls_01_one_holder,
            ls_02_tokens,
            ls_03_take_over,
            ls_04_answers,
            ls_05_durability,
        }
    };
}

/// The laws of the port `LeaseStore`.
#[must_use]
pub fn lease_store() -> Vec<Law<dyn LeaseStore>> {
    crate::__lease_store_list! { as_vec }
}

/// The laws of `Authenticator`, in order: what `authenticator_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __authenticator_list {
    ($($then:tt)*) => {
        $($then)*! {
            au_01_callers,
            au_02_refusals,
            au_03_nothing_shown,
            au_04_words,
        }
    };
}

/// The laws of the port `Authenticator`.
#[must_use]
pub fn authenticator() -> Vec<Law<Issued>> {
    crate::__authenticator_list! { as_vec }
}

/// The laws of `ProjectionRegistry`, in order: what `projection_registry_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __projection_registry_list {
    ($($then:tt)*) => {
        $($then)*! {
            pr_01_registry,
            pr_02_order,
            pr_03_failures,
            pr_04_rebuilds,
            pr_05_rivals,
            pr_06_waiting,
            pr_07_late,
        }
    };
}

/// The laws of a store that runs projections inside of its appends: what `inline_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __inline_list {
    ($($then:tt)*) => {
        $($then)*! {
            pr_08_inline,
        }
    };
}

/// The laws of `SagaOrchestrator`, in order: what `saga_laws!` makes tests of.
#[doc(hidden)]
#[macro_export]
macro_rules! __saga_list {
    ($($then:tt)*) => {
        $($then)*! {
            sg_01_intents,
            sg_02_kills,
            sg_03_starts,
            sg_04_the_way_back,
            sg_05_failing_compensations,
            sg_06_time,
            sg_07_rivals,
            sg_08_definitions,
            sg_09_operators,
        }
    };
}

/// The laws of the port `SagaOrchestrator`, on a storage.
#[must_use]
pub fn saga_orchestrator() -> Vec<Law<Orchestrated>> {
    crate::__saga_list! { as_vec }
}

/// The laws of the port `ProjectionRegistry`, on a storage.
#[must_use]
pub fn projection_registry() -> Vec<Law<Projected>> {
    crate::__projection_registry_list! { as_vec }
}

/// The laws of a store that runs projections inside of its appends.
#[must_use]
pub fn inline() -> Vec<Law<Storage>> {
    crate::__inline_list! { as_vec }
}
