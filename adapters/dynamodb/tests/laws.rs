//! The laws, run on the store.

mod support;

use aws_sdk_dynamodb::types::AttributeValue;
use portolan_conformance::{
    Orchestrated, Place, Projected, event_store_laws, lease_store_laws, projection_registry_laws,
    read_model_store_laws, saga_laws, snapshot_store_laws,
};
use portolan_dynamodb::{DynamoStore, OpenError};
use portolan_dynamodb_emulator::endpoint_of_family;
use support::Network;

/// The table of all places; each has a log of its own in it.
const TABLE: &str = "portolan-laws";

fn network() -> Network {
    Network::to(&endpoint_of_family().expect("a DynamoDB for tests"))
}

async fn open(place: &Place) -> Result<DynamoStore, OpenError> {
    let builder = DynamoStore::builder(network().client(), TABLE).log(place.name());
    builder.create_if_missing().clock(place.clock()).open().await
}

event_store_laws! {
    open: open,
    damage: async |place: &Place| flip_the_largest(place, "stream").await,
    remote: "it is kept in a table",
}

snapshot_store_laws! {
    open: open,
    damage: async |place: &Place| flip_the_largest(place, "snapshot").await,
}

read_model_store_laws! {
    open: open,
}

lease_store_laws! {
    open: open,
}

projection_registry_laws! {
    open: async |place: &Place| open(place).await.map(|storage| Projected::on(storage).slower_by(4)),
}

saga_laws! {
    open: async |place: &Place| open(place).await.map(|storage| Orchestrated::on(storage).slower_by(4)),
}

/// Flips a bit in the largest item of this kind, past the store.
async fn flip_the_largest(place: &Place, kind: &str) -> Result<(), aws_sdk_dynamodb::Error> {
    let client = network().client();
    let scan = client.scan().table_name(TABLE).consistent_read(true).filter_expression("begins_with(pk, :p)");
    let scan = scan.expression_attribute_values(":p", AttributeValue::S(format!("{}\n{kind}\n", place.name())));
    let mut items = Vec::new();
    let mut pages = scan.into_paginator().send();
    while let Some(page) = pages.next().await {
        items.extend(page?.items.unwrap_or_default());
    }
    let bytes = |item: &std::collections::HashMap<_, _>| match item.get("b") {
        Some(AttributeValue::B(bytes)) => bytes.clone().into_inner(),
        _ => Vec::new(),
    };
    let mut largest = items.into_iter().max_by_key(|item| bytes(item).len()).expect("there is something to damage");
    let mut damaged = bytes(&largest);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    largest.insert("b".to_string(), AttributeValue::B(damaged.into()));
    client.put_item().table_name(TABLE).set_item(Some(largest)).send().await?;
    Ok(())
}
