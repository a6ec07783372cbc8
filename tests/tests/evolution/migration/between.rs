//! What stands between a migration and a store: it may make the migration a wrong one, and lets others run around each call.

use async_trait::async_trait;
use portolan::ports::{AppendError, Capabilities, EventStore, ReadError, StoreId};
use portolan::values::{
    Append, Appended, CheckpointState, EventId, EventType, Name, NewEvent, Page, Position, Query, Read, Recalled,
    StreamId,
};
use std::sync::Arc;
use std::task::Poll;

/// What is wrong with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// The events of an append come in the reverse order.
    Reversed,
    /// Ids are not kept.
    NewIds,
    /// Tags are forgotten.
    NoTags,
    /// Metadata is forgotten.
    NoMetadata,
    /// Appends have no guard.
    NoGuard,
    /// The last event of an append has one of its own.
    Cut,
    /// An unknown outcome is taken for a success.
    BelievesUnknown,
    /// Keys are left out.
    NoKeys,
    /// What it cannot copy is passed over.
    PassesOver,
    /// Each stream's first event is passed over.
    LosesFirst,
    /// A read of the target writes there.
    WritesTarget,
    /// A read of the source writes there.
    WritesSource,
    /// Every source is taken to be the same.
    AnySource,
    /// The target tells its own time.
    OwnTime,
    /// It is said to be whole from the beginning.
    WholeTooEarly,
}

/// On which side of the migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Target,
}

pub(crate) struct Between {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) wrong: Wrong,
    pub(crate) side: Side,
}

/// Others run.
async fn step() {
    let mut is_done = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut is_done, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn altered(mut event: NewEvent, wrong: Wrong) -> NewEvent {
    match wrong {
        Wrong::NewIds => event.id = EventId::from_bytes([9; 16]),
        Wrong::NoTags => event.tags = Arc::default(),
        Wrong::NoMetadata => event.metadata = portolan::Bytes::new(),
        Wrong::WholeTooEarly if event.stream.is_system() => {
            let record = String::from_utf8(event.payload.to_vec()).unwrap();
            event.payload = record.replace("\"whole\":false", "\"whole\":true").into();
        }
        _ => {}
    }
    event
}

pub(crate) fn stray() -> NewEvent {
    NewEvent::new(StreamId::new("stray").unwrap(), EventType::new("stray").unwrap(), "{}")
}

impl Between {
    fn target_is(&self, wrong: Wrong) -> bool {
        self.side == Side::Target && self.wrong == wrong
    }

    fn source_is(&self, wrong: Wrong) -> bool {
        self.side == Side::Source && self.wrong == wrong
    }
}

#[async_trait]
impl EventStore for Between {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        step().await;
        if self.side == Side::Target {
            append.events = append.events.into_iter().map(|event| altered(event, self.wrong)).collect();
        }
        if self.target_is(Wrong::Reversed) {
            append.events.reverse();
        }
        if self.target_is(Wrong::NoGuard) {
            append.guard = None;
        }
        if self.target_is(Wrong::NoKeys) {
            append.key = None;
        }
        if self.target_is(Wrong::Cut) && append.events.len() > 1 {
            let last = append.events.pop().unwrap();
            self.store.append(append).await?;
            step().await;
            return self.store.append(Append::new([last])).await;
        }
        let outcome = self.store.append(append).await;
        step().await;
        match outcome {
            Err(AppendError::Unknown(_)) if self.target_is(Wrong::BelievesUnknown) => {
                let newest = Read::log(Query::all().with_system()).backward().limit(1);
                let last = self.store.read(newest).await.ok().and_then(|page| page.frontier);
                Ok(Appended::new(last, last, Vec::new()))
            }
            outcome => outcome,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        step().await;
        let mut page = self.store.read(read).await?;
        if self.target_is(Wrong::WritesTarget) || self.source_is(Wrong::WritesSource) {
            // Where neither queries nor guards see it.
            let system = NewEvent::new(StreamId::new("$stray").unwrap(), EventType::new("stray").unwrap(), "{}");
            let _ = self.store.append(Append::new([system])).await;
        }
        if self.source_is(Wrong::PassesOver) {
            page.events.retain(|event| !event.event_type.starts_with("bad"));
        }
        if self.source_is(Wrong::LosesFirst) {
            page.events.retain(|event| event.revision.get() > 0);
        }
        step().await;
        Ok(page)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.store.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.store.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.store.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.store.capabilities();
        if self.source_is(Wrong::AnySource) {
            capabilities.identity = StoreId::from_bytes([1; 16]);
        }
        capabilities
    }
}
