//! The keys of items, and the table itself.

use crate::error::{Fault, OpenError};
use crate::rows::Token;
use crate::table::{Backoff, Key, PARTITION, SORT, Table};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use portolan_kernel::ports::{Source, StoreId};
use portolan_kernel::values::{Name, NewEvent, StreamId};
use tokio::time::Instant;

/// The version of the items' format.
const VERSION: u64 = 1;

/// Attributes beside the key; one letter, since names count in an item's size.
pub(crate) const BLOB: &str = "b";
pub(crate) const PIECES: &str = "n";
pub(crate) const POSITION: &str = "p";
pub(crate) const TOKEN: &str = "t";
pub(crate) const RECORDED: &str = "r";
const IDENTITY: &str = "i";
const FORMAT: &str = "v";
/// When DynamoDB may delete the item, in seconds since the Unix epoch.
pub(crate) const TTL: &str = "ttl";

/// The longest name of a log: so that it, a scope and an id fit into a partition key (2,048 bytes).
const MAX_LOG_BYTES: usize = 255;

/// The sort key of an item that is alone in its partition; DynamoDB takes no empty one.
const ALONE: &str = "-";

/// Below and above all sort keys of rows and of entries: they are of names and letters. The last is a text and how
/// often it is repeated, so that no name of 512 bytes is above it.
pub(crate) const WHOLE: (&str, &str, usize) = ("\n", "\u{10FFFF}", 129);

/// Makes the keys of one log. Names have no control characters, so line breaks separate them without doubt.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    log: String,
}

/// A number as a sort key: as text in the order of the numbers.
pub(crate) fn sort(number: u64) -> String {
    format!("{number:020}")
}

/// Above the sort key of this number and all pieces of its item, below the next number's.
pub(crate) fn up_to(number: u64) -> String {
    format!("{number:020}~")
}

/// The sort key of a further piece of an item too large for one.
pub(crate) fn sort_of_piece(sort: &str, piece: u32) -> String {
    if piece == 0 { sort.to_string() } else { format!("{sort}.{piece:03}") }
}

impl Space {
    pub(crate) fn new(log: &str) -> Result<Self, OpenError> {
        let wrong = |why: String| OpenError::LogName { log: log.to_string(), why };
        let name = Name::new(log).map_err(|error| wrong(error.to_string()))?;
        if name.len() > MAX_LOG_BYTES {
            return Err(wrong(format!("it has {} bytes, and at most {MAX_LOG_BYTES} are possible", name.len())));
        }
        Ok(Self { log: log.to_string() })
    }

    fn alone(&self, partition: &str) -> Key {
        Key { partition: format!("{}\n{partition}", self.log), sort: ALONE.to_string() }
    }

    pub(crate) fn head(&self) -> Key {
        self.alone("head")
    }

    pub(crate) fn log(&self) -> String {
        format!("{}\nlog", self.log)
    }

    /// The log's item whose last event has this position.
    pub(crate) fn log_at(&self, last: u64) -> Key {
        Key { partition: self.log(), sort: sort(last) }
    }

    pub(crate) fn stream(&self, stream: &StreamId) -> String {
        format!("{}\nstream\n{stream}", self.log)
    }

    /// The stream's item whose first event has this revision.
    pub(crate) fn stream_at(&self, stream: &StreamId, first: u64) -> Key {
        Key { partition: self.stream(stream), sort: sort(first) }
    }

    pub(crate) fn tag(&self, tag: &str) -> String {
        format!("{}\ntag\n{tag}", self.log)
    }

    pub(crate) fn event_type(&self, event_type: &str) -> String {
        format!("{}\ntype\n{event_type}", self.log)
    }

    pub(crate) fn category(&self, category: &str) -> String {
        format!("{}\ncategory\n{category}", self.log)
    }

    /// Where appends with more terms than a transaction has room for are listed; every indexed read looks here too.
    pub(crate) fn wide(&self) -> String {
        format!("{}\nwide", self.log)
    }

    /// The partitions of the index that list this event.
    pub(crate) fn terms<'a>(&'a self, event: &'a NewEvent) -> impl Iterator<Item = String> + 'a {
        let tags = event.tags.iter().map(|tag| self.tag(tag));
        tags.chain([self.event_type(&event.event_type), self.category(event.stream.category())])
    }

    pub(crate) fn key(&self, scope: &Name, id: &Name) -> Key {
        self.alone(&format!("key\n{scope}\n{id}"))
    }

    pub(crate) fn checkpoint(&self, name: &Name) -> Key {
        self.alone(&format!("checkpoint\n{name}"))
    }

    pub(crate) fn snapshots(&self, stream: &StreamId, kind: &Name) -> String {
        format!("{}\nsnapshot\n{stream}\n{kind}", self.log)
    }

    /// Where the versions of a collection are.
    pub(crate) fn collection(&self, collection: &Name) -> String {
        format!("{}\ncollection\n{collection}", self.log)
    }

    /// Which version is active.
    pub(crate) fn active(&self, collection: &Name) -> Key {
        Key { partition: self.collection(collection), sort: ALONE.to_string() }
    }

    pub(crate) fn version_at(&self, collection: &Name, version: u32) -> Key {
        Key { partition: self.collection(collection), sort: sort(version.into()) }
    }

    pub(crate) fn rows(&self, collection: &Name, version: u32, incarnation: Token) -> String {
        format!("{}\nrows\n{collection}\n{version}\n{:032x}", self.log, u128::from_be_bytes(incarnation))
    }

    pub(crate) fn entries(&self, collection: &Name, version: u32, incarnation: Token, index: &Name) -> String {
        let incarnation = u128::from_be_bytes(incarnation);
        format!("{}\nentries\n{collection}\n{version}\n{incarnation:032x}\n{index}", self.log)
    }

    /// The checkpoint of read models, which is not one of the log.
    pub(crate) fn progress(&self, checkpoint: &Name) -> Key {
        self.alone(&format!("progress\n{checkpoint}"))
    }

    /// The journal of the last batch under a checkpoint.
    pub(crate) fn journal(&self, checkpoint: &Name) -> Key {
        Key { sort: "journal".to_string(), ..self.progress(checkpoint) }
    }

    /// Where removed versions are listed, as long as there may be rows of them.
    pub(crate) fn removed(&self) -> String {
        format!("{}\nremoved", self.log)
    }

    pub(crate) fn removed_at(&self, incarnation: Token) -> Key {
        Key { partition: self.removed(), sort: format!("{:032x}", u128::from_be_bytes(incarnation)) }
    }

    pub(crate) fn lease(&self, name: &Name) -> Key {
        self.alone(&format!("lease\n{name}"))
    }
}

/// Finds the log's head, and makes it where there is none: its identity and its end.
pub(crate) async fn open(table: &Table, space: &Space, create: bool) -> Result<(StoreId, u64), OpenError> {
    let refused = |fault: Fault| match fault {
        Fault::Refused(source) if source.to_string().contains("ValidationException") => {
            OpenError::OtherTable { table: table.name.clone(), source }
        }
        fault => fault.refuses_open(&table.name),
    };
    let head = space.head();
    let mut item = match table.get(&head).await {
        Err(Fault::NoTable(_)) if create => {
            create_table(table).await.map_err(refused)?;
            None
        }
        found => found.map_err(refused)?,
    };
    if item.is_none() {
        make_head(table, &head).await.map_err(refused)?;
        item = table.get(&head).await.map_err(refused)?;
    }
    let corrupt = || OpenError::Corrupt { place: format!("table {}, {}", table.name, head.place()) };
    let item = item.ok_or_else(corrupt)?;
    let number = |name| item.get(name)?.as_n().ok()?.parse::<u64>().ok();
    let found = number(FORMAT).ok_or_else(corrupt)?;
    if found > VERSION {
        let (table, log) = (table.name.clone(), space.log.clone());
        return Err(OpenError::NewerVersion { table, log, found, supported: VERSION });
    }
    let identity = item.get(IDENTITY).and_then(|value| value.as_b().ok()).ok_or_else(corrupt)?;
    let identity = <[u8; 16]>::try_from(identity.as_ref()).map_err(|_| corrupt())?;
    Ok((StoreId::from_bytes(identity), number(POSITION).ok_or_else(corrupt)?))
}

/// Only one of several processes that open a log for the first time makes its head.
async fn make_head(table: &Table, head: &Key) -> Result<(), Fault> {
    let mut identity = [0; 16];
    getrandom::fill(&mut identity).map_err(|error| Fault::Refused(Source::new(error.to_string())))?;
    let mut item = head.item();
    item.insert(IDENTITY.to_string(), AttributeValue::B(identity.to_vec().into()));
    item.insert(FORMAT.to_string(), AttributeValue::N(VERSION.to_string()));
    item.insert(POSITION.to_string(), AttributeValue::N("0".to_string()));
    let put = || async {
        let put = table.client.put_item().table_name(&table.name).set_item(Some(item.clone()));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            answer => answer.map(drop),
        }
    };
    table.patiently(put).await
}

/// Makes the table, billed on demand, and lets DynamoDB delete expired keys.
async fn create_table(table: &Table) -> Result<(), Fault> {
    let build = |error: aws_sdk_dynamodb::error::BuildError| Fault::Refused(Source::new(error));
    let text = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    let part = |name: &str, part| KeySchemaElement::builder().attribute_name(name).key_type(part).build();
    let attributes = [text(PARTITION).build().map_err(build)?, text(SORT).build().map_err(build)?];
    let keys = [part(PARTITION, KeyType::Hash).map_err(build)?, part(SORT, KeyType::Range).map_err(build)?];
    let create = || async {
        let create = table.client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
        let create = create.set_attribute_definitions(Some(attributes.to_vec())).set_key_schema(Some(keys.to_vec()));
        match create.send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
            answer => answer.map(drop),
        }
    };
    table.patiently(create).await?;
    let (mut backoff, until) = (Backoff::default(), Instant::now() + core::time::Duration::from_secs(120));
    loop {
        let described = table.patiently(|| table.client.describe_table().table_name(&table.name).send()).await;
        match described {
            Ok(output) if output.table().and_then(|t| t.table_status()) == Some(&TableStatus::Active) => break,
            // A table just made may not be told of at first.
            Ok(_) | Err(Fault::NoTable(_)) if Instant::now() < until => backoff.pause().await,
            Ok(_) => return Err(Fault::Throttled(Source::new("the table is not active yet"))),
            Err(fault) => return Err(fault),
        }
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build().map_err(build)?;
    let enable = || async {
        let update = table.client.update_time_to_live().table_name(&table.name);
        match update.time_to_live_specification(ttl.clone()).send().await {
            // Another process was first.
            Err(error)
                if error.code() == Some("ValidationException")
                    && error.message().is_some_and(|m| m.contains("enabled")) =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    };
    match table.patiently(enable).await {
        // Another process is just enabling it.
        Err(Fault::Refused(source)) if source.to_string().contains("ResourceInUse") => Ok(()),
        done => done,
    }
}
