//! The laws, run on the store.

use portolan_conformance::{
    Fixture, Inline, Orchestrated, Outcome, Place, Projected, Runner, event_store_laws, inline_laws, laws,
    lease_store_laws, projection_registry_laws, read_model_store_laws, saga_laws, snapshot_store_laws,
};
use portolan_kernel::ports::Capability;
use portolan_sqlite::{Durability, SqliteConfig, SqliteStore};
use std::sync::Arc;

event_store_laws! {
    open: async |place: &Place| SqliteStore::builder(place.dir().join("log.db")).clock(place.clock()).open().await,
    lacks: {},
    damage: async |place: &Place| flip_a_payload(place).map(drop),
    blind_to: {
        Bytes: "a key or a checkpoint whose name was changed looks like one that never was; events are right or an error",
        Zeros: "as above: a key or a checkpoint whose name is zeros; events are right or an error",
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

projection_registry_laws! {
    open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await.map(Projected::on),
}

saga_laws! {
    open: async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await.map(Orchestrated::on),
}

inline_laws! {
    open: async |place: &Place, inline: Vec<Arc<dyn Inline>>| {
        let store = SqliteStore::builder(place.dir().join("log.db")).clock(place.clock());
        inline.into_iter().fold(store, SqliteConfig::inline).open().await
    },
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

/// What is not noticed is about keys and checkpoints alone: without them, all damage to the file is.
#[test]
fn damage_to_events_is_always_noticed() {
    let law = laws::es_26_damage();
    let runner = Runner::new(|| {
        const ALONE: &str = "events are judged alone";
        Fixture::event_store(async |place: &Place| SqliteStore::open(place.dir().join("log.db")).await)
            .lacks(Capability::Keys, ALONE)
            .lacks(Capability::Checkpoints, ALONE)
            .damage(async |place: &Place| flip_a_payload(place).map(drop))
    });
    let runner = runner.entry("damage_to_events_is_always_noticed");
    if let Some(played) = runner.played(&law) {
        return played.unwrap();
    }
    let outcome = runner.judge(&law);
    assert!(matches!(outcome, Outcome::Kept { .. }), "{outcome:?}");
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
