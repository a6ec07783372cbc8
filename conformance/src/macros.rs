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
