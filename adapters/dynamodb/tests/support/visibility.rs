//! The items of a committed transaction, becoming visible one by one.
//!
//! DynamoDB isolates a transaction from other transactions and from reads of single items, not from a Query: while it
//! is being applied, a Query may see some of its items new and some old, consistently read or not. Writes of an item
//! that is not applied yet are refused with a conflict. When the transaction is answered, everything is visible.

use super::wire::{self, Item, Request};
use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Which items are not visible yet, and what is seen in their place.
#[derive(Debug)]
pub(super) struct Visibility {
    direct: Client,
    veils: Mutex<Veils>,
    /// Held by a transaction from before its items are looked at until it is committed, and by other writes.
    committing: tokio::sync::Mutex<()>,
    /// The names of the key's attributes, by table.
    keys: tokio::sync::Mutex<HashMap<String, Vec<String>>>,
}

#[derive(Debug)]
struct Veils {
    longest: Option<Duration>,
    /// Items whose key has this in it become visible so long after they were committed.
    late: Option<(String, Duration)>,
    random: fastrand::Rng,
    items: HashMap<Id, Veil>,
}

/// Table and key of an item.
type Id = (String, String);

#[derive(Debug, Clone)]
struct Veil {
    old: Option<Item>,
    /// `None` as long as the transaction is not committed.
    until: Option<Instant>,
}

impl Veil {
    fn hides(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

fn broken(why: &str) -> ConnectorError {
    ConnectorError::other(format!("the network of the tests: {why}").into(), None)
}

impl Visibility {
    /// Nothing is veiled at first; `direct` is a client past the network.
    pub(super) fn new(direct: Client) -> Self {
        let veils = Veils { longest: None, late: None, random: fastrand::Rng::with_seed(0), items: HashMap::new() };
        Self {
            direct,
            veils: Mutex::new(veils),
            committing: tokio::sync::Mutex::default(),
            keys: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn delay(&self, longest: Duration, seed: u64) {
        let mut veils = self.veils();
        (veils.longest, veils.random) = (Some(longest), fastrand::Rng::with_seed(seed));
    }

    pub(super) fn delay_of(&self, of: &str, by: Duration) {
        let mut veils = self.veils();
        (veils.longest, veils.late) = (Some(Duration::ZERO), Some((of.into(), by)));
    }

    fn veils(&self) -> MutexGuard<'_, Veils> {
        self.veils.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request's answer, as somebody sees it for whom transactions are applied item by item.
    pub(super) async fn through(
        self: Arc<Self>,
        to: SharedHttpConnector,
        request: HttpRequest,
        asked: Request,
    ) -> Result<HttpResponse, ConnectorError> {
        if self.veils().longest.is_none() {
            return to.call(request).await;
        }
        match asked.operation.as_str() {
            "TransactWriteItems" => {
                // A transaction that was sent is applied, whether or not anybody still waits for it.
                let applied = tokio::spawn(async move { self.commit(to, request, &asked).await });
                applied.await.map_err(|error| ConnectorError::other(error.into(), None))?
            }
            "TransactGetItems" => match self.conflicts(&asked).await? {
                Some(refused) => Ok(refused),
                None => to.call(request).await,
            },
            "PutItem" | "UpdateItem" | "DeleteItem" => {
                let _committing = self.committing.lock().await;
                let id = self.id_of(&asked.body).await?;
                match self.hidden(&id) {
                    Some(_) => super::Fault::Conflict.forged(&asked).ok_or_else(|| broken("a conflict is forged")),
                    None => to.call(request).await,
                }
            }
            "GetItem" | "Query" | "Scan" | "BatchGetItem" => {
                let (answer, body) = wire::read(to.call(request).await?).await?;
                self.veil(&asked, answer, body).await
            }
            _ => to.call(request).await,
        }
    }

    async fn commit(
        &self,
        to: SharedHttpConnector,
        request: HttpRequest,
        asked: &Request,
    ) -> Result<HttpResponse, ConnectorError> {
        let committing = self.committing.lock().await;
        if let Some(refused) = self.conflicts(asked).await? {
            return Ok(refused);
        }
        let mut written = Vec::new();
        for (_, action) in asked.actions().filter(|(kind, _)| matches!(*kind, "Put" | "Update")) {
            let id = self.id_of(action).await?;
            let veil = Veil { old: self.stored(action).await?, until: None };
            self.veils().items.insert(id.clone(), veil);
            written.push(id);
        }
        let answered = match to.call(request).await {
            Ok(answer) => wire::read(answer).await.map(|(answer, _)| answer),
            Err(error) => Err(error),
        };
        let last = self.reveal(written, answered.as_ref().is_ok_and(|answer| answer.status().is_success()));
        drop(committing);
        if let Some(last) = last {
            tokio::time::sleep_until(last).await;
        }
        answered
    }

    /// Ends the veils over these items: at random times when the transaction was committed, which gives the last one's.
    fn reveal(&self, mut written: Vec<Id>, committed: bool) -> Option<Instant> {
        let mut veils = self.veils();
        let veils = &mut *veils;
        veils.items.retain(|_, veil| veil.hides());
        if !committed {
            written.iter().for_each(|id| drop(veils.items.remove(id)));
            return None;
        }
        let longest = u64::try_from(veils.longest.unwrap_or_default().as_micros()).unwrap_or(u64::MAX);
        veils.random.shuffle(&mut written);
        let now = Instant::now();
        let mut last = None;
        for id in written {
            let late = veils.late.as_ref().filter(|(of, _)| id.1.contains(of)).map(|(_, by)| *by);
            let until = now + late.unwrap_or_else(|| Duration::from_micros(veils.random.u64(0..=longest)));
            last = last.max(Some(until));
            if let Some(veil) = veils.items.get_mut(&id) {
                veil.until = Some(until);
            }
        }
        last
    }

    /// What refuses a transaction that meets an item that is not visible yet.
    async fn conflicts(&self, asked: &Request) -> Result<Option<HttpResponse>, ConnectorError> {
        let (mut reasons, mut refused) = (Vec::new(), false);
        for (_, action) in asked.actions() {
            let hidden = self.hidden(&self.id_of(action).await?).is_some();
            refused |= hidden;
            reasons.push(if hidden { "TransactionConflict" } else { "None" });
        }
        Ok(refused.then(|| wire::cancelled(&reasons)))
    }

    /// What is seen in place of the item, if it is not visible yet.
    fn hidden(&self, id: &Id) -> Option<Option<Item>> {
        self.veils().items.get(id).filter(|veil| veil.hides()).map(|veil| veil.old.clone())
    }

    /// A read's answer with the old version of every item that is not visible yet.
    async fn veil(
        &self,
        asked: &Request,
        answer: HttpResponse,
        mut body: Value,
    ) -> Result<HttpResponse, ConnectorError> {
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let asks = &asked.body;
        let table = asks["TableName"].as_str().unwrap_or_default();
        if asked.operation == "GetItem" {
            if let Some(old) = self.hidden(&self.id_of(asks).await?) {
                match old {
                    Some(old) => body["Item"] = Value::Object(projected(old, asks)?),
                    None => drop(body.as_object_mut().and_then(|body| body.remove("Item"))),
                }
            }
        } else if asked.operation == "BatchGetItem" {
            let tables = body["Responses"].as_object_mut().into_iter().flatten();
            for (table, items) in tables {
                self.veil_items(table, items, &asks["RequestItems"][table]).await?;
            }
        } else {
            if asks.get("FilterExpression").is_some() || asks["Select"] == "COUNT" {
                return Err(broken("it cannot tell what a filter or a count would say of older items"));
            }
            if let Some(items) = body.get_mut("Items") {
                let count = self.veil_items(table, items, asks).await?;
                body["Count"] = count.into();
            }
        }
        Ok(wire::with_body(answer, &body))
    }

    async fn veil_items(&self, table: &str, items: &mut Value, asks: &Value) -> Result<usize, ConnectorError> {
        let mut seen = Vec::new();
        for item in std::mem::take(items).as_array().into_iter().flatten() {
            match self.hidden(&self.id(table, item).await?) {
                None => seen.push(item.clone()),
                Some(None) => {}
                Some(Some(old)) => seen.push(Value::Object(projected(old, asks)?)),
            }
        }
        let count = seen.len();
        *items = Value::Array(seen);
        Ok(count)
    }

    /// The item of a request or of an action in a transaction: by its `Key`, or the whole `Item`.
    async fn id_of(&self, action: &Value) -> Result<Id, ConnectorError> {
        let item = action.get("Key").or_else(|| action.get("Item")).ok_or_else(|| broken("an action names no item"))?;
        self.id(action["TableName"].as_str().unwrap_or_default(), item).await
    }

    async fn id(&self, table: &str, item: &Value) -> Result<Id, ConnectorError> {
        let mut key = String::new();
        for name in self.key_of(table).await? {
            let part = item.get(&name).ok_or_else(|| broken("an item comes without its key"))?;
            key.push_str(&part.to_string());
        }
        Ok((table.to_string(), key))
    }

    async fn key_of(&self, table: &str) -> Result<Vec<String>, ConnectorError> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(table) {
            return Ok(key.clone());
        }
        let described = self.direct.describe_table().table_name(table).send().await;
        let described = described.map_err(|error| ConnectorError::other(error.into(), None))?;
        let schema = described.table().map(|table| table.key_schema()).unwrap_or_default();
        let key: Vec<_> = schema.iter().map(|part| part.attribute_name().to_string()).collect();
        keys.insert(table.to_string(), key.clone());
        Ok(key)
    }

    /// The item of an action as it is stored.
    async fn stored(&self, action: &Value) -> Result<Option<Item>, ConnectorError> {
        let table = action["TableName"].as_str().unwrap_or_default();
        let item = action.get("Key").or_else(|| action.get("Item")).unwrap_or(&Value::Null);
        let mut asked = self.direct.get_item().table_name(table).consistent_read(true);
        for name in self.key_of(table).await? {
            let part = wire::attribute(&item[&name]).ok_or_else(|| broken("a key is no scalar"))?;
            asked = asked.key(name, part);
        }
        let answer = asked.send().await.map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(answer.item.as_ref().map(wire::item))
    }
}

/// The attributes that a read asks for, of those that it names at the top.
fn projected(item: Item, asks: &Value) -> Result<Item, ConnectorError> {
    let Some(expression) = asks["ProjectionExpression"].as_str() else { return Ok(item) };
    if expression.contains(['.', '[']) {
        return Err(broken("it cannot project parts of attributes"));
    }
    let names: Vec<_> = expression.split(',').map(str::trim).collect();
    let names: Vec<_> =
        names.iter().map(|name| asks["ExpressionAttributeNames"][*name].as_str().unwrap_or(name)).collect();
    Ok(item.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect())
}
