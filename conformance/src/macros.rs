//! The macros an adapter writes.

/// The laws of `EventStore`, one `#[test]` each in a module `event_store`. See the crate's documentation.
#[macro_export]
macro_rules! event_store_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })?
        $(, damage: $damage:expr)?
        $(, remote: $remote:expr)?
        $(, blind_to: { $($blind:ident: $because:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod event_store {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<dyn $crate::EventStore> {
                $crate::Fixture::event_store($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
                    $(.damage($damage))?
                    $(.remote($remote))?
                    $($(.blind_to($crate::Damage::$blind, $because))*)?
            }

            $crate::__event_store_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `SnapshotStore`, one `#[test]` each in a module `snapshot_store`. Its parts are those of
/// [`event_store_laws!`].
#[macro_export]
macro_rules! snapshot_store_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })?
        $(, damage: $damage:expr)? $(,)?
    ) => {
        #[cfg(test)]
        mod snapshot_store {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<dyn $crate::SnapshotStore> {
                $crate::Fixture::snapshot_store($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
                    $(.damage($damage))?
            }

            $crate::__snapshot_store_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `ReadModelStore`, one `#[test]` each in a module `read_model_store`. Its parts are those of
/// [`event_store_laws!`].
#[macro_export]
macro_rules! read_model_store_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod read_model_store {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<dyn $crate::ReadModelStore> {
                $crate::Fixture::read_model_store($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
            }

            $crate::__read_model_store_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `LeaseStore`, one `#[test]` each in a module `lease_store`. Its parts are those of
/// [`event_store_laws!`].
#[macro_export]
macro_rules! lease_store_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod lease_store {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<dyn $crate::LeaseStore> {
                $crate::Fixture::lease_store($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
            }

            $crate::__lease_store_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `Authenticator`, one `#[test]` each in a module `authenticator`.
///
/// `open` gives the authenticator with what it has [`Issued`](crate::Issued): good credentials and their callers, those that
/// are expired or revoked, and what a request without credentials gets. Credentials that expire do so by
/// [`Place::clock`](crate::Place::clock). The suite alters the good ones in many ways. `lacks` names each
/// [`Passing`](crate::Passing) that the authenticator is without, and why; what it shows nevertheless is refused.
///
/// ```
/// use portolan_conformance::{Issued, Place, authenticator_laws};
/// use portolan_kernel::drivers::{StaticKeyError, StaticKeys};
/// use portolan_kernel::ports::Caller;
///
/// const KEYS: &[u8] = br#"[
///     {"key": "0n1y-f0r-tr7ing-0ut", "actor": "ann"},
///     {"key": "an0ther-0ne-t0-try", "actor": "bob"}
/// ]"#;
///
/// authenticator_laws! {
///     open: async |_: &Place| Ok::<_, StaticKeyError>(
///         Issued::by(StaticKeys::from_json(KEYS)?)
///             .good("Bearer 0n1y-f0r-tr7ing-0ut", Caller::new("ann"))
///             .good("Bearer an0ther-0ne-t0-try", Caller::new("bob")),
///     ),
///     lacks: {
///         Expiry: "a key is good until it is taken out",
///         Revocation: "a key that was taken out is as one that never was",
///     },
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! authenticator_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod authenticator {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<$crate::Issued> {
                $crate::Fixture::authenticator($open)
                    $($(.lacks($crate::Passing::$lack, $why))*)?
            }

            $crate::__authenticator_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of a store that runs projections inside of its appends (PR-08), one `#[test]` each in a module `inline`.
///
/// `open` is given the place and the projections, and gives back what is `Into<Storage>`: log and read models of one
/// store.
///
/// ```
/// use portolan_conformance::{Inline, Place, Storage, inline_laws};
/// use std::sync::Arc;
///
/// async fn open(place: &Place, inline: Vec<Arc<dyn Inline>>) -> Result<Storage, String> {
///     // ...
/// #   let _ = (place, inline);
/// #   Err("there is none".to_string())
/// }
///
/// inline_laws! {
///     open: async |place: &Place, inline: Vec<Arc<dyn Inline>>| open(place, inline).await,
///     lacks: { Durability: "it lives in memory", SeveralProcesses: "it lives in memory" },
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! inline_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod inline {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<$crate::Storage> {
                $crate::Fixture::inline($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
            }

            $crate::__inline_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `CommandBus`, one `#[test]` each in a module `command_bus`: for whatever carries commands to an
/// application.
///
/// The suite brings the application. `open` is given its ports ([`Served`](crate::Served)) and gives back the bus to
/// judge, such as a client that is connected to a server of these ports. `lacks` names each
/// [`Crossing`](crate::Crossing) that the bus is without, and why.
///
/// ```
/// use portolan_conformance::{Served, command_bus_laws};
///
/// command_bus_laws! {
///     open: async |served: &Served| Ok::<_, String>(served.ports().commands),
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! command_bus_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod command_bus {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<dyn $crate::CommandBus> {
                $crate::Fixture::command_bus($open)
                    $($(.lacks($crate::Crossing::$lack, $why))*)?
            }

            $crate::__command_bus_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `ProjectionRegistry`, one `#[test]` each in a module `projection_registry`: for a storage with read models
/// and leases, or for what carries the registry of an application to somewhere else.
///
/// The suite brings the projections. `open` gives the storage, and the way to the registry where that is not the
/// application's own process.
///
/// ```ignore
/// projection_registry_laws! {
///     open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await.map(Projected::on),
/// }
/// ```
#[macro_export]
macro_rules! projection_registry_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod projection_registry {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<$crate::Projected> {
                $crate::Fixture::projections($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
            }

            $crate::__projection_registry_list! { $crate::__laws_as_tests }
        }
    };
}

/// The laws of `SagaOrchestrator`, one `#[test]` each in a module `saga_orchestrator`: for a storage with read models and
/// leases, for what carries the orchestrator of an application to somewhere else, or for another orchestrator.
///
/// The suite brings the sagas and what they act on. `open` gives the storage, and the way to the orchestrator where it is
/// not the kernel's in the application's own process: [`through`](crate::Orchestrated::through) for a client,
/// [`by`](crate::Orchestrated::by) for an orchestrator of one's own.
///
/// ```ignore
/// saga_laws! {
///     open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await.map(Orchestrated::on),
/// }
/// ```
#[macro_export]
macro_rules! saga_laws {
    (
        open: $open:expr
        $(, lacks: { $($lack:ident: $why:expr),* $(,)? })? $(,)?
    ) => {
        #[cfg(test)]
        mod saga_orchestrator {
            #[allow(unused_imports)]
            use super::*;

            fn fixture() -> $crate::Fixture<$crate::Orchestrated> {
                $crate::Fixture::sagas($open)
                    $($(.lacks($crate::Capability::$lack, $why))*)?
            }

            $crate::__saga_list! { $crate::__laws_as_tests }
        }
    };
}

/// One test a law; `fixture` is in scope.
#[doc(hidden)]
#[macro_export]
macro_rules! __laws_as_tests {
    ($($law:ident),* $(,)?) => {$(
        #[test]
        fn $law() {
            let test = concat!(module_path!(), "::", stringify!($law));
            $crate::run(&$crate::laws::$law(), fixture, env!("CARGO_PKG_NAME"), test);
        }
    )*};
}
