//! The laws of the store, with a judge before it that has nothing to judge by and lets that pass.

use core::convert::Infallible;
use portolan::ports::NoSchemas;
use portolan::prelude::*;
use portolan_conformance::{Place, event_store_laws};
use std::sync::Arc;

event_store_laws! {
    open: async |place: &Place| {
        let store = Arc::new(MemoryStore::builder().clock(place.clock()).build());
        let lenient = Validation::all().pass_without_schema().pass_other_formats();
        Ok::<_, Infallible>(ValidatedStore::new(store, Arc::new(NoSchemas), lenient))
    },
    lacks: {
        Durability: "the store behind it lives in memory",
        SeveralProcesses: "a second handle from the same place is another, empty store",
    },
}
