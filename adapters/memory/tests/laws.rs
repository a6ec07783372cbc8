//! The laws, run on the store in memory.

use core::convert::Infallible;
use portolan_conformance::{
    Inline, Orchestrated, Place, Projected, event_store_laws, inline_laws, lease_store_laws, projection_registry_laws,
    read_model_store_laws, saga_laws, snapshot_store_laws,
};
use portolan_memory::{MemoryConfig, MemoryStore};
use std::sync::Arc;

event_store_laws! {
    open: async |place: &Place| Ok::<_, Infallible>(MemoryStore::builder().clock(place.clock()).build()),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}

snapshot_store_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(MemoryStore::new()),
    lacks: { Durability: "it lives in memory" },
}

read_model_store_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(MemoryStore::new()),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}

lease_store_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(MemoryStore::new()),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}

projection_registry_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(Projected::on(MemoryStore::new())),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}

inline_laws! {
    open: async |place: &Place, inline: Vec<Arc<dyn Inline>>| {
        let store = MemoryStore::builder().clock(place.clock());
        Ok::<_, Infallible>(inline.into_iter().fold(store, MemoryConfig::inline).build())
    },
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}

saga_laws! {
    open: async |_: &Place| Ok::<_, Infallible>(Orchestrated::on(MemoryStore::new())),
    lacks: {
        Durability: "it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}
