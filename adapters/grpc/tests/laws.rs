//! The laws of the store, through the wire: client, server, and the suite's reference store behind them.

#[cfg(test)]
mod support;

use core::convert::Infallible;
use portolan_conformance::{Place, ReferenceStore, event_store_laws};
use std::sync::Arc;
use support::Running;

event_store_laws! {
    open: async |place: &Place| {
        let store = Arc::new(ReferenceStore::new(place.clock()));
        let server = Running::over(store, |server| server.with_raw_appends(true)).await;
        let client = server.client().await;
        // It serves until the test's runtime ends.
        std::mem::forget(server);
        Ok::<_, Infallible>(client)
    },
    lacks: { Durability: "the store behind it lives in memory", SeveralProcesses: "the store behind it lives in memory" },
}
