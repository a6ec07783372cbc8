//! The laws, run on the store.

use portolan_conformance::{
    Fixture, Outcome, Place, Runner, event_store_laws, laws, lease_store_laws, read_model_store_laws,
    snapshot_store_laws,
};
use portolan_sqlite::{Durability, SqliteStore};

event_store_laws! {
    open: async |place: &Place| SqliteStore::builder(place.dir().join("log.db")).clock(place.clock()).open().await,
    lacks: {},
    damage: async |place: &Place| flip_a_payload(place).map(drop),
    blind_to: {
        Bytes: "SQLite has no checksums of its pages: names and indexes, by which our rows are found, can lose entries",
        Zeros: "as above: a page without its cells reads like one that never had them",
    },
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

/// What [`Durability::SurvivesProcessCrashOnly`] gives up is seen, so the others' passing means something.
#[test]
fn less_durability_does_not_survive_a_power_cut() {
    let law = laws::es_24_durability();
    let runner = Runner::new(|| {
        Fixture::event_store(async |place: &Place| {
            let store = SqliteStore::builder(place.dir().join("log.db")).clock(place.clock());
            store.durability(Durability::SurvivesProcessCrashOnly).open().await
        })
    });
    let runner = runner.entry("less_durability_does_not_survive_a_power_cut");
    if let Some(played) = runner.played(&law) {
        return played.unwrap();
    }
    match runner.judge(&law) {
        Outcome::Broken { check: "survives_a_power_cut", .. } => {}
        // The law itself says on a line of its own that the power cannot be cut here.
        Outcome::NotRun { .. } => {}
        other => panic!("{other:?}"),
    }
}
