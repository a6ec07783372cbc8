//! The laws where transactions become visible item by item, in random order, and writers meet each other's.

use super::support::Network;
use portolan_conformance::{Place, event_store_laws, lease_store_laws, read_model_store_laws};
use portolan_dynamodb::{DynamoStore, OpenError};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a handle at the place sees: all handles there share one network, which knows what is not visible yet.
fn network(place: &Place) -> Network {
    static NETWORKS: Mutex<Option<HashMap<String, Network>>> = Mutex::new(None);
    let mut networks = NETWORKS.lock().unwrap_or_else(PoisonError::into_inner);
    let networks = networks.get_or_insert_default();
    let network = networks.entry(place.name().to_string()).or_insert_with(|| {
        let network = Network::to(&portolan_dynamodb_emulator::endpoint_of_family().expect("a DynamoDB for tests"));
        network.reveal_one_by_one(Duration::from_millis(8), fastrand::u64(..));
        network
    });
    network.clone()
}

async fn open(place: &Place) -> Result<DynamoStore, OpenError> {
    let builder = DynamoStore::builder(network(place).client(), "portolan-tests").log(place.name());
    builder.create_if_missing().clock(place.clock()).open().await
}

event_store_laws! {
    open: open,
    remote: "it is kept in a table",
}

read_model_store_laws! {
    open: open,
}

lease_store_laws! {
    open: open,
}
