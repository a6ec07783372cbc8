//! A log under test, and short words for what is asked of it.

use super::{Network, fresh_name};
use portolan_dynamodb::{DynamoConfig, DynamoStore, OpenError};
use portolan_kernel::ports::EventStore;
use portolan_kernel::values::{
    Append, Appended, EventType, IdempotencyKey, InvalidName, Name, NewEvent, Query, Read, Recorded, StreamId,
};
use std::sync::Arc;

/// The table of all tests; each has a log of its own in it.
const TABLE: &str = "portolan-tests";

impl Network {
    /// A handle on a log, over this network; nothing of another handle is known to it.
    pub(crate) async fn store(&self, log: &str) -> DynamoStore {
        self.try_store(log).await.expect("a store over a network that does no harm")
    }

    pub(crate) async fn try_store(&self, log: &str) -> Result<DynamoStore, OpenError> {
        self.builder(log).open().await
    }

    pub(crate) fn table(&self) -> &str {
        self.table.as_deref().unwrap_or(TABLE)
    }

    pub(crate) fn builder(&self, log: &str) -> DynamoConfig {
        DynamoStore::builder(self.client(), self.table()).log(log).create_if_missing()
    }
}

/// A name for a log that nobody else has.
pub(crate) fn fresh_log() -> String {
    format!("log-{}", fresh_name())
}

/// A name of any kind.
pub(crate) fn name<T: for<'a> TryFrom<&'a str, Error = InvalidName>>(text: &str) -> T {
    T::try_from(text).expect("a name")
}

/// An event that carries a number.
pub(crate) fn event(stream: &str, number: u64) -> NewEvent {
    NewEvent::new(name::<StreamId>(stream), name::<EventType>("happened"), number.to_string())
}

/// The number that it carries.
pub(crate) fn number(event: &NewEvent) -> u64 {
    str::from_utf8(&event.payload).expect("text").parse().expect("a number")
}

pub(crate) fn key(id: &str) -> IdempotencyKey {
    IdempotencyKey::new(name("tests"), name(id), [7; 32]).with_note(id.to_string())
}

/// The events of all pages.
pub(crate) async fn all(store: &dyn EventStore, read: Read) -> Vec<Arc<Recorded>> {
    let (mut events, mut next) = (Vec::new(), Some(read));
    while let Some(read) = next {
        let page = store.read(read).await.expect("a page");
        events.extend(page.events);
        next = page.next;
    }
    events
}

pub(crate) async fn log(store: &dyn EventStore) -> Vec<Arc<Recorded>> {
    all(store, Read::log(Query::all())).await
}

pub(crate) async fn wrote(store: &dyn EventStore, append: Append) -> Appended {
    store.append(append).await.expect("a store that nothing hinders writes")
}

/// What is recorded under a key, if anything.
pub(crate) async fn recalled(store: &dyn EventStore, id: &str) -> Option<Appended> {
    let scope: Name = name("tests");
    store.recall(scope, name(id)).await.expect("an answer").map(|recalled| recalled.appended)
}
