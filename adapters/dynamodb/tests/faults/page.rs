//! The page about this adapter, `README.md`: what it says of rights and costs is what the store does.

use super::support::log::{all, event, fresh_log, key, log, name, wrote};
use super::support::rows::{LOG, account, accounts, at, by_index, moving};
use super::support::{Network, fresh_name};
use portolan_dynamodb::DynamoStore;
use portolan_kernel::ports::{EventStore, LeaseStore, ReadModelStore, Snapshot, SnapshotStore};
use portolan_kernel::values::{
    Append, Batch, Cell, Checkpoint, CheckpointState, Collection, ColumnType, Expected, Find, Guard, Item, KeyedRow,
    Move, NewEvent, Query, Read, Revision, Timestamp, Token,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const PAGE: &str = include_str!("../../README.md");

/// Everything that a store can be asked for.
async fn use_all(store: &DynamoStore) {
    let large = vec![1; 1_000_000];
    wrote(store, Append::new([event("a-1", 1).with_tags([name("red")])]).key(key("k"))).await;
    wrote(store, Append::new([event("a-1", 2)]).expect(name("a-1"), Expected::Exact(Revision::new(0)))).await;
    wrote(store, Append::new([event("a-2", 3)]).expect(name("a-1"), Expected::StreamExists)).await;
    wrote(store, Append::new([NewEvent::new(name("a-3"), name("large"), large.clone())])).await;
    let state = EventStore::checkpoint(store, name("c")).await.unwrap();
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
    use_read_models(store).await;
}

async fn use_read_models(store: &DynamoStore) {
    for version in [1, 2] {
        store.define(accounts(version)).await.unwrap();
        let batch = moving(store, "p", Move::At(at(1))).await.activate(name("accounts"), version);
        let batch = batch.put(name("accounts"), version, account("a", "Ann", 1));
        store.commit(batch).await.unwrap();
    }
    let moved = moving(store, "p", Move::At(at(2))).await.put(name("accounts"), 1, account("a", "Bob", 1));
    store.commit(moved).await.unwrap();
    store.get(name("accounts"), None, vec![name("a")]).await.unwrap();
    store.find(by_index("accounts", "owner")).await.unwrap();
    store.versions(name("accounts")).await.unwrap();
    let claim = moving(store, "p", Move::Claim).await.checkpoint;
    store.remove(name("accounts"), 1, claim).await.unwrap();
    let lease = store.grant(name("p"), name("one"), Duration::from_secs(30)).await.unwrap();
    let lease = store.take_over(lease, name("two"), Duration::from_secs(30)).await.unwrap();
    store.release(store.renew(lease).await.unwrap()).await.unwrap();
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

/// A store of a process that has run for a while: all that was written is known to it.
struct Bill {
    network: Network,
    store: DynamoStore,
    rows: Vec<String>,
}

impl Bill {
    /// What the action consumes, in units, and how many requests it makes; a line of the page's table.
    async fn measure(&mut self, what: &str, act: impl AsyncFnOnce(&DynamoStore)) {
        self.network.reset();
        act(&self.store).await;
        let requests = self.network.requests();
        let (writes, reads) = (self.network.capacity().writes, self.network.capacity().reads);
        self.rows.push(format!("| {what} | {} | {writes} | {reads} |", requests.len()));
    }
}

fn small(stream: &str, number: u64) -> NewEvent {
    let mut event = event(stream, number);
    event.payload = format!("{{\"amount\":{number:0200}}}").into();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_what_each_action_costs() {
    let (network, log_name) = (Network::new(), fresh_log());
    let store = network.store(&log_name).await;
    let mut bill = Bill { network, store, rows: Vec::new() };
    wrote(&bill.store, Append::new([small("a-1", 0)])).await;
    let exact = |revision| Expected::Exact(Revision::new(revision));
    bill.measure("append one event", async |store| drop(wrote(store, Append::new([small("a-1", 1)])).await)).await;
    bill.measure("the same, under a key", async |store| {
        wrote(store, Append::new([small("a-1", 2)]).expect(name("a-1"), exact(1)).key(key("k"))).await;
    })
    .await;
    bill.measure("the same, repeated", async |store| {
        wrote(store, Append::new([small("a-1", 2)]).expect(name("a-1"), exact(1)).key(key("k"))).await;
    })
    .await;
    bill.measure("append one event with two tags", async |store| {
        wrote(store, Append::new([small("a-1", 3).with_tags([name("red"), name("blue")])])).await;
    })
    .await;
    bill.measure("append 10 events to one stream", async |store| {
        wrote(store, Append::new((0..10).map(|n| small("a-1", n)))).await;
    })
    .await;
    bill.measure("append 10 events to 10 streams of one category", async |store| {
        wrote(store, Append::new((0..10).map(|n| small(&format!("b-{n}"), n)))).await;
    })
    .await;
    bill.measure("append one event that another stream allows", async |store| {
        wrote(store, Append::new([small("a-1", 4)]).expect(name("b-1"), exact(0))).await;
    })
    .await;
    bill.measure("a conflict", async |store| {
        store.append(Append::new([small("a-1", 5)]).expect(name("a-1"), exact(0))).await.unwrap_err();
    })
    .await;
    bill.measure("read a stream of 15 events", async |store| {
        assert_eq!(all(store, Read::stream(name("a-1"))).await.len(), 15);
    })
    .await;
    bill.measure("read its last event", async |store| {
        store.read(Read::stream(name("a-1")).backward().limit(1)).await.unwrap();
    })
    .await;
    let end = log(&bill.store).await.last().map(|event| event.position);
    bill.measure("look for new events where there are none", async |store| {
        store.read(Read::log_after(Query::all(), end)).await.unwrap();
    })
    .await;
    bill.measure("read a log of 25 events", async |store| assert_eq!(log(store).await.len(), 25)).await;
    bill.measure("find one of them by its tag", async |store| {
        let red = Query::of(Item::new().tag(name("red")));
        assert_eq!(all(store, Read::log(red)).await.len(), 1);
    })
    .await;
    let network = bill.network.clone();
    bill.measure("open the log in another process", async |_| drop(network.store(&log_name).await)).await;
    let missing: Vec<_> = bill.rows.iter().filter(|row| !PAGE.contains(&***row)).collect();
    assert!(missing.is_empty(), "the page's table says otherwise; these are its lines now: {missing:#?}");
}

/// A version with three indexes, one of which is unique, and a text that none of them holds.
fn accounts_with_notes() -> Collection {
    accounts(1).column(name("note"), ColumnType::Text)
}

/// A row of about 200 bytes.
fn row(number: i64, balance: i64) -> KeyedRow {
    let mut row = account(&format!("key-{number:02}"), &format!("owner {number:02}"), balance);
    row.cells.push(Cell::Text(format!("{number:0150}")));
    row
}

/// A batch that moves the checkpoint by one, from what it is known to be.
fn step(to: u64) -> Batch {
    let state = CheckpointState::new(LOG, Some(at(to - 1)), Token(1));
    Batch::new(Checkpoint::new(name("p"), state, Token(1), Move::At(at(to))))
}

fn put(batch: Batch, row: KeyedRow) -> Batch {
    batch.put(name("accounts"), 1, row)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_what_read_models_cost() {
    let (network, log_name) = (Network::new(), fresh_log());
    let store = network.store(&log_name).await;
    let mut bill = Bill { network, store, rows: Vec::new() };
    bill.store.define(accounts_with_notes()).await.unwrap();
    let first = moving(&bill.store, "p", Move::At(at(1))).await.activate(name("accounts"), 1);
    bill.store.commit((0..8).fold(first, |batch, n| put(batch, row(n, 1)))).await.unwrap();
    // A journal in place of a larger one costs as much as that.
    bill.store.commit(put(step(2), row(8, 1))).await.unwrap();
    let mut noted = row(9, 1);
    noted.cells[3] = Cell::Text("x".repeat(150));
    let batches = [
        ("put one new row", put(step(3), row(9, 1))),
        ("change what no index holds of it", put(step(4), noted)),
        ("change what one index holds of it", put(step(5), row(9, 2))),
        ("put it again as it is", put(step(6), row(9, 2))),
        ("move the checkpoint alone", step(7)),
        ("put 10 new rows in one batch", (10..20).fold(step(8), |batch, n| put(batch, row(n, 1)))),
        ("put 50 new rows in one batch", (20..70).fold(step(9), |batch, n| put(batch, row(n, 1)))),
    ];
    for (what, batch) in batches {
        bill.measure(what, async |store| store.commit(batch).await.unwrap()).await;
    }
    bill.measure("get one row", async |store| {
        assert_eq!(store.get(name("accounts"), None, vec![name("key-01")]).await.unwrap().rows.len(), 1);
    })
    .await;
    bill.measure("list 20 rows by key", async |store| {
        assert_eq!(store.find(Find::all(name("accounts")).limit(20)).await.unwrap().rows.len(), 20);
    })
    .await;
    bill.measure("find 20 rows by an index", async |store| {
        assert_eq!(store.find(by_index("accounts", "balance").limit(20)).await.unwrap().rows.len(), 20);
    })
    .await;
    bill.measure("look where a checkpoint stands", async |store| {
        ReadModelStore::checkpoint(store, name("p")).await.unwrap();
    })
    .await;
    let lease = bill.store.grant(name("p"), name("one"), Duration::from_secs(30)).await.unwrap();
    bill.measure("renew a lease", async |store| drop(store.renew(lease).await.unwrap())).await;
    let missing: Vec<_> = bill.rows.iter().filter(|row| !PAGE.contains(&***row)).collect();
    assert!(missing.is_empty(), "the page's table says otherwise; these are its lines now: {missing:#?}");
}
