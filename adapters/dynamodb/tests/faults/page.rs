//! The page about this adapter, `README.md`: what it says of rights and costs is what the store does.

use super::support::log::{all, event, fresh_log, key, log, name, wrote};
use super::support::{Network, fresh_name};
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::{EventStore, Snapshot, SnapshotStore};
use portolan_kernel::values::{
    Append, Checkpoint, Expected, Guard, Item, Move, NewEvent, Query, Read, Revision, Timestamp, Token,
};
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../README.md");

/// Everything that a store can be asked for.
async fn use_all(store: &DynamoStore) {
    let large = vec![1; 1_000_000];
    wrote(store, Append::new([event("a-1", 1).with_tags([name("red")])]).key(key("k"))).await;
    wrote(store, Append::new([event("a-1", 2)]).expect(name("a-1"), Expected::Exact(Revision::new(0)))).await;
    wrote(store, Append::new([event("a-2", 3)]).expect(name("a-1"), Expected::StreamExists)).await;
    wrote(store, Append::new([NewEvent::new(name("a-3"), name("large"), large.clone())])).await;
    let state = store.checkpoint(name("c")).await.unwrap();
    wrote(store, Append::default().checkpoint(Checkpoint::new(name("c"), state, Token(1), Move::Claim))).await;
    let guard = Guard::new(Query::of(Item::new().tag(name("blue"))), None);
    wrote(store, Append::new([event("a-2", 4)]).guard(guard.clone())).await;
    wrote(store, Append::default().guard(guard).expect(name("b-1"), Expected::NoStream).key(key("l"))).await;
    store
        .append(Append::new([event("a-1", 5)]).expect(name("a-1"), Expected::NoStream).key(key("m")))
        .await
        .unwrap_err();
    log(store).await;
    all(store, Read::log(Query::of(Item::new().tag(name("red"))))).await;
    all(store, Read::stream(name("a-3"))).await;
    store.recall(name("tests"), name("k")).await.unwrap();
    store.changed(Query::all(), None).await.unwrap();
    for revision in 0..3 {
        let at = Timestamp::from_micros(1);
        let snapshot = Snapshot::new(name("a-1"), name("s"), Revision::new(revision), 1, large.clone(), at);
        store.save(snapshot.clone()).await.unwrap();
        store.save(snapshot).await.unwrap();
    }
    store.load(name("a-1"), name("s"), None).await.unwrap();
    store.delete(name("a-1"), name("s"), None).await.unwrap();
}

/// The rights that the requests so far needed.
fn needed(network: &Network) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for request in network.requests() {
        let actions = request.actions().map(|(kind, _)| match kind {
            "ConditionCheck" => "ConditionCheckItem".to_string(),
            kind => format!("{kind}Item"),
        });
        needed.extend(actions);
        if !request.operation.starts_with("Transact") {
            needed.insert(request.operation);
        }
    }
    needed.into_iter().map(|action| format!("dynamodb:{action}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_the_rights_that_are_used() {
    let policy =
        PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has a policy");
    let policy: Value = serde_json::from_str(policy).expect("a policy is JSON");
    let actions = policy["Statement"][0]["Action"].as_array().unwrap();
    let actions: BTreeSet<String> = actions.iter().map(|action| action.as_str().unwrap().to_string()).collect();

    let network = Network::new();
    network.store("warm-up").await; // makes the table
    network.reset();
    let log = fresh_log();
    use_all(&network.store(&log).await).await;
    // Another process, which knows nothing of what this one wrote.
    use_all(&network.store(&fresh_log()).await).await;
    all(&network.store(&log).await, Read::log(Query::all()).backward()).await;
    assert_eq!(needed(&network), actions, "the page's policy is what is needed, no less and no more");

    network.reset();
    let table = fresh_name();
    DynamoStore::builder(network.client(), &table).create_if_missing().open().await.unwrap();
    let more: BTreeSet<_> = needed(&network).difference(&actions).cloned().collect();
    let sentence = PAGE.split("`create_if_missing` needs").nth(1).expect("the page tells what making the table needs");
    let sentence = sentence.split("\n\n").next().unwrap();
    let told: BTreeSet<_> =
        sentence.split('`').filter(|word| word.starts_with("dynamodb:")).map(str::to_string).collect();
    assert_eq!(more, told, "what making the table needs besides");
}
