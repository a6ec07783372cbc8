//! The network of the tests itself: what it is told to do, it does.

use super::support::{Fault, Network, Rule, fresh_name};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put, ScalarAttributeType,
    TransactWriteItem,
};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// A table of items with a key and a number, over a network.
struct Table {
    network: Network,
    client: Client,
    name: String,
}

impl Table {
    async fn new() -> Self {
        let network = Network::new();
        let (client, name) = (network.client(), fresh_name());
        let part = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let text = |name: &str| {
            let kind = ScalarAttributeType::S;
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let create = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
        let create = create.key_schema(part("pk", KeyType::Hash)).key_schema(part("sk", KeyType::Range));
        create.attribute_definitions(text("pk")).attribute_definitions(text("sk")).send().await.unwrap();
        network.reset();
        Self { network, client, name }
    }

    fn item(key: &str, number: u32) -> HashMap<String, AttributeValue> {
        [("pk", S("p".into())), ("sk", S(key.into())), ("n", N(number.to_string()))]
            .map(|(name, value)| (name.to_string(), value))
            .into()
    }

    /// Puts an item; the code of the error, or `-` when there is none because DynamoDB did not answer.
    async fn put(&self, key: &str, number: u32) -> Result<(), String> {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(Self::item(key, number)));
        let put = put.send().await;
        put.map(drop).map_err(|error| error.code().unwrap_or("-").to_string())
    }

    /// Puts many items in one transaction; the error's code and the reasons.
    async fn transact(&self, keys: &[&str], number: u32) -> Result<(), (String, Vec<String>)> {
        let puts = keys.iter().map(|key| {
            let put = Put::builder().table_name(&self.name).set_item(Some(Self::item(key, number)));
            TransactWriteItem::builder().put(put.build().unwrap()).build()
        });
        let sent = self.client.transact_write_items().set_transact_items(Some(puts.collect())).send().await;
        sent.map(drop).map_err(|error| {
            let code = error.code().unwrap_or("-").to_string();
            let reasons = error.into_service_error();
            let cancelled = match &reasons {
                aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                    cancelled,
                ) => cancelled.cancellation_reasons(),
                _ => &[],
            };
            (code, cancelled.iter().map(|reason| reason.code().unwrap_or("-").to_string()).collect())
        })
    }

    /// The numbers that a Query sees, by key.
    async fn query(&self) -> BTreeMap<String, u32> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("pk = :p").expression_attribute_values(":p", S("p".into()));
        let page = query.send().await.unwrap();
        assert_eq!(usize::try_from(page.count()).unwrap(), page.items().len());
        page.items().iter().map(|item| (item["sk"].as_s().unwrap().clone(), number(item))).collect()
    }

    async fn get(&self, key: &str) -> Option<u32> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let got = get.key("pk", S("p".into())).key("sk", S(key.into())).send().await.unwrap();
        got.item.as_ref().map(number)
    }

    async fn transact_get(&self, key: &str) -> Result<(), String> {
        use aws_sdk_dynamodb::types::{Get, TransactGetItem};
        let get = Get::builder().table_name(&self.name).key("pk", S("p".into())).key("sk", S(key.into()));
        let item = TransactGetItem::builder().get(get.build().unwrap()).build();
        let got = self.client.transact_get_items().transact_items(item).send().await;
        got.map(drop).map_err(|error| error.code().unwrap_or("-").to_string())
    }
}

fn number(item: &HashMap<String, AttributeValue>) -> u32 {
    item["n"].as_n().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_fault_shows_as_itself_and_leaves_what_it_says() {
    let table = Table::new().await;
    for (n, fault) in (0..).zip(Fault::ALL) {
        let key = format!("{n}");
        table.network.inject(Rule::new(fault));
        let put = table.put(&key, n).await;
        let (code, written) = match fault {
            Fault::NotSent | Fault::Broken => (Some("-"), false),
            Fault::LostAnswer => (Some("-"), true),
            Fault::Late(_) => (Some("-"), false),
            Fault::ServerError => (Some("InternalServerError"), false),
            Fault::ServerErrorAfter => (Some("InternalServerError"), true),
            Fault::Conflict | Fault::InProgress => (Some("TransactionConflictException"), false),
            Fault::Throttled => (Some("ThrottlingException"), false),
            Fault::ThroughputExceeded => (Some("ProvisionedThroughputExceededException"), false),
            Fault::CancelledByThrottling => (Some("RequestLimitExceeded"), false),
            Fault::Slow(_) => (None, true),
        };
        assert_eq!(put.err().as_deref(), code, "{fault:?}");
        assert_eq!(table.get(&key).await, written.then_some(n), "{fault:?}");
        if let Fault::Late(delay) = fault {
            tokio::time::sleep(delay * 3).await;
            assert_eq!(table.get(&key).await, Some(n), "it comes true later");
        }
    }
    assert_eq!(table.network.befallen(), Fault::ALL.len());
}

#[tokio::test]
async fn a_transaction_is_cancelled_with_a_reason_an_action() {
    let table = Table::new().await;
    for (fault, reason) in [(Fault::Conflict, "TransactionConflict"), (Fault::CancelledByThrottling, "ThrottlingError")]
    {
        table.network.inject(Rule::new(fault));
        let (code, reasons) = table.transact(&["a", "b", "c"], 1).await.unwrap_err();
        assert_eq!(code, "TransactionCanceledException");
        assert_eq!(reasons, [reason, "None", "None"]);
    }
    table.network.inject(Rule::new(Fault::InProgress));
    assert_eq!(table.transact(&["a"], 1).await, Err(("TransactionInProgressException".to_string(), Vec::new())));
    assert_eq!(table.query().await, BTreeMap::new());
}

#[tokio::test]
async fn a_rule_befalls_the_requests_it_names() {
    let table = Table::new().await;
    table.network.inject(Rule::new(Fault::Throttled).on("PutItem").nth(2).times(2));
    table.network.inject(Rule::new(Fault::Broken).when(|request| request.body["Item"]["n"]["N"] == "9"));
    let mut outcomes = Vec::new();
    for n in [1, 2, 3, 4, 9, 9] {
        outcomes.push(table.put("a", n).await.err());
        table.get("a").await;
    }
    let throttled = || Some("ThrottlingException".to_string());
    assert_eq!(outcomes, [None, throttled(), throttled(), None, Some("-".to_string()), None]);
    assert_eq!(table.network.befallen(), 3);
    let operations: Vec<_> = table.network.requests().into_iter().map(|request| request.operation).collect();
    assert_eq!(operations, ["PutItem", "GetItem"].repeat(6));
    table.network.latency(Duration::from_millis(30));
    let began = Instant::now();
    table.get("a").await;
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_transaction_becomes_visible_item_by_item() {
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let table = Table::new().await;
    table.transact(&keys[..4], 1).await.unwrap();
    let (mut views, mut partly) = (0, 0);
    for round in 2_u32..7 {
        table.network.reveal_one_by_one(Duration::from_millis(80), round.into());
        let before = table.query().await;
        let (transacted, seen) = tokio::join!(table.transact(&keys, round), async {
            let mut seen = vec![before.clone()];
            while seen.last().unwrap().values().filter(|n| **n == round).count() < keys.len() {
                seen.push(table.query().await);
            }
            seen
        });
        transacted.unwrap();
        assert!(table.query().await.values().all(|n| *n == round), "when it is answered, all is visible");
        for view in seen.windows(2) {
            let new = |view: &BTreeMap<String, u32>| view.values().filter(|n| **n == round).count();
            assert!(new(&view[0]) <= new(&view[1]), "what was visible stays so");
            for (key, n) in &view[1] {
                assert!(*n == round || before.get(key) == Some(n), "{key} is new or as it was: {n}");
            }
            views += 1;
            partly += usize::from((1..keys.len()).contains(&new(&view[1])));
        }
    }
    assert!(partly > 10, "of {views} views only {partly} saw a part");
}

#[tokio::test]
async fn what_is_not_visible_yet_is_refused_to_others() {
    let table = Table::new().await;
    table.put("a", 1).await.unwrap();
    table.network.reveal_one_by_one(Duration::from_secs(2), 1);
    let transaction = table.transact(&["a"], 2);
    tokio::pin!(transaction);
    // It is committed by then, and polled no more: what was sent is applied all the same.
    tokio::select! {
        done = &mut transaction => panic!("answered before it was visible: {done:?}"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    assert_eq!(table.get("a").await, Some(1));
    assert_eq!(table.put("a", 3).await, Err("TransactionConflictException".into()));
    assert_eq!(table.transact_get("a").await, Err("TransactionCanceledException".into()));
    let (_, reasons) = table.transact(&["b", "a"], 3).await.unwrap_err();
    assert_eq!(reasons, ["None", "TransactionConflict"]);
    assert_eq!(table.get("b").await, None);
    transaction.await.unwrap();
    assert_eq!(table.get("a").await, Some(2));
    table.put("a", 3).await.unwrap();
    table.transact_get("a").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_fails_hides_nothing() {
    let table = Table::new().await;
    table.put("a", 1).await.unwrap();
    table.network.reveal_one_by_one(Duration::from_secs(60), 1);
    // One item twice is refused by DynamoDB itself.
    table.transact(&["a", "a"], 2).await.unwrap_err();
    table.put("a", 3).await.unwrap();
    assert_eq!(table.query().await, [("a".to_string(), 3)].into());
}

#[tokio::test]
async fn what_requests_consume_is_summed_up() {
    let table = Table::new().await;
    table.put("a", 1).await.unwrap();
    table.get("a").await;
    let consumed = table.network.capacity();
    assert_eq!((consumed.writes, consumed.reads), (1.0, 1.0), "a write of up to 1 KB, a consistent read of up to 4");
    table.network.reset();
    table.transact(&["a", "b"], 2).await.unwrap();
    assert_eq!(table.network.capacity().writes, 4.0, "in a transaction each write counts twice");
}
