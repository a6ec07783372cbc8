//! The laws, run on the store.

use portolan_conformance::{Place, event_store_laws, lease_store_laws, read_model_store_laws, snapshot_store_laws};
use portolan_sqlite::SqliteStore;

event_store_laws! {
    open: async |place: &Place| SqliteStore::builder(place.dir().join("log.db")).clock(place.clock()).open().await,
    lacks: {},
    damage: async |place: &Place| flip_a_payload(place).map(drop),
}

snapshot_store_laws! {
    open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await,
    lacks: {},
}

read_model_store_laws! {
    open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await,
}

lease_store_laws! {
    open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await,
}

/// Flips a bit of the longest payload, past the store: SQLite knows nothing of our checksum.
fn flip_a_payload(place: &Place) -> rusqlite::Result<usize> {
    let file = rusqlite::Connection::open(place.dir().join("log.db"))?;
    let longest = "SELECT position, CAST(payload AS BLOB) FROM log ORDER BY length(payload) DESC LIMIT 1";
    let (position, mut payload): (i64, Vec<u8>) = file.query_row(longest, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some(last) = payload.last_mut() {
        *last ^= 1;
    }
    file.execute("UPDATE log SET payload = ?1 WHERE position = ?2", (payload, position))
}
