//! A log that records other facts of sagas than those it is given, or tells others than it has.

use async_trait::async_trait;
use portolan_kernel::drivers::SagaHandlers;
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, EventId, Name, Page, Position, Query, Read, Recalled, SAGA_CATEGORY, SagaId,
};
use serde_json::Value;
use std::sync::Arc;

/// What is wrong with it.
#[derive(Clone, Copy)]
pub enum Edit {
    /// It changes a fact before it is recorded, knowing those of the saga that are; `false`: it does not.
    Recorded(fn(&mut Fact, &[Fact]) -> bool),
    /// It changes a fact that is read.
    Read(fn(&mut Fact, &SagaHandlers, &SagaId)),
    /// It records whatever revision there is.
    Unexpecting,
    /// It says that it keeps keys for good.
    KeysForGood,
}

/// A fact of a saga: its type and its fields.
pub struct Fact {
    pub kind: String,
    pub data: Value,
}

impl Fact {
    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }
}

pub struct Edited {
    inner: Arc<dyn EventStore>,
    edit: Edit,
    handlers: Arc<SagaHandlers>,
}

impl Edited {
    pub fn new(inner: Arc<dyn EventStore>, edit: Edit, handlers: Arc<SagaHandlers>) -> Self {
        Self { inner, edit, handlers }
    }
}

fn fact(kind: &str, payload: &[u8]) -> Fact {
    Fact { kind: kind.to_owned(), data: serde_json::from_slice(payload).unwrap() }
}

#[async_trait]
impl EventStore for Edited {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        let stream = append.events.first().map(|event| event.stream.clone());
        let Some(stream) = stream.filter(|stream| stream.category() == SAGA_CATEGORY) else {
            return self.inner.append(append).await;
        };
        let edit = match self.edit {
            Edit::Recorded(edit) => edit,
            Edit::Unexpecting => {
                append.expect.clear();
                return self.inner.append(append).await;
            }
            Edit::Read(_) | Edit::KeysForGood => return self.inner.append(append).await,
        };
        let before = self.inner.read(Read::stream(stream).limit(1_000)).await.map_or(Vec::new(), |page| page.events);
        let before: Vec<_> = before.iter().map(|event| fact(&event.event_type, &event.payload)).collect();
        let first = append.events.iter().position(|event| {
            let mut fact = fact(&event.event_type, &event.payload);
            edit(&mut fact, &before)
        });
        let Some(first) = first else { return self.inner.append(append).await };
        // What follows from the fact that is another now does not follow any more.
        append.events.truncate(first + 1);
        let event = &mut append.events[first];
        let mut other = fact(&event.event_type, &event.payload);
        edit(&mut other, &before);
        event.event_type = other.kind.try_into().unwrap();
        event.payload = other.data.to_string().into();
        for event in &mut append.events {
            event.id = EventId::from_bytes(core::array::from_fn(|_| fastrand::u8(..)));
        }
        // It is as if another had been faster, so that whoever gave it reads what there is now.
        match self.inner.append(append.clone()).await {
            Ok(_) => self.inner.append(append).await,
            refused => refused,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let mut page = self.inner.read(read).await?;
        if let Edit::Read(edit) = self.edit {
            for recorded in &mut page.events {
                if let Some(saga) = SagaId::of_stream(&recorded.stream) {
                    let mut fact = fact(&recorded.event_type, &recorded.payload);
                    edit(&mut fact, &self.handlers, &saga);
                    let mut other = (**recorded).clone();
                    other.event.payload = fact.data.to_string().into();
                    *recorded = Arc::new(other);
                }
            }
        }
        Ok(page)
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.inner.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.inner.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.inner.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        match self.edit {
            Edit::KeysForGood => capabilities.with_key_retention(None),
            _ => capabilities,
        }
    }
}
