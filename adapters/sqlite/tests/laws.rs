//! The laws, run on the store.

use portolan_conformance::{Place, event_store_laws};
use portolan_sqlite::SqliteStore;

event_store_laws! {
    open: async |place: &Place| SqliteStore::builder(place.dir().join("log.db")).clock(place.clock()).open().await,
    lacks: {}
}
