//! The laws, run on the store.

mod support;

use portolan_conformance::{Place, event_store_laws, snapshot_store_laws};
use portolan_dynamodb::{DynamoConfig, DynamoStore};
use portolan_dynamodb_emulator::endpoint_at;

/// A table of its own for each place.
fn at(place: &Place) -> std::io::Result<DynamoConfig> {
    let client = support::client(&endpoint_at(place.dir())?);
    Ok(DynamoStore::builder(client, place.name()).create_if_missing().clock(place.clock()))
}

async fn open(place: &Place) -> Result<DynamoStore, Box<dyn std::error::Error>> {
    Ok(at(place)?.open().await?)
}

event_store_laws! {
    open: async |place: &Place| open(place).await,
    lacks: {},
}

snapshot_store_laws! {
    open: async |place: &Place| open(place).await,
    lacks: {},
}
