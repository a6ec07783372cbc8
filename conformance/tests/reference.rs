//! The reference store keeps every law but durability.

use portolan_conformance::{Place, ReferenceStore, event_store_laws, snapshot_store_laws};

event_store_laws! {
    open: async |place: &Place| Ok::<_, String>(ReferenceStore::new(place.clock())),
    lacks: { Durability: "it lives in memory", SeveralProcesses: "it lives in memory" },
}

snapshot_store_laws! {
    open: async |place: &Place| Ok::<_, String>(ReferenceStore::new(place.clock())),
    lacks: { Durability: "it lives in memory" },
}
