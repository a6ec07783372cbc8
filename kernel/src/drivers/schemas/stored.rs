//! The registry of all that was registered in a store.

use super::catalogue::SchemaCatalogue;
use super::stream::{Registered, read_after};
use crate::ports::{EventStore, ReadError, Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions, Source};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_lock::Mutex;
use async_trait::async_trait;
use core::fmt;

/// Tells what was ever registered in a store, and which of it is current here.
///
/// It reads on for each list, and when it is asked for what it does not know, since other processes register more. A version
/// that it knows is told from memory: it does not change.
pub struct StoredSchemas {
    own: SchemaCatalogue,
    events: Arc<dyn EventStore>,
    registered: Mutex<Registered>,
}

impl fmt::Debug for StoredSchemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSchemas").finish_non_exhaustive()
    }
}

impl StoredSchemas {
    pub(super) fn new(own: SchemaCatalogue, events: Arc<dyn EventStore>, registered: Registered) -> Self {
        Self { own, events, registered: Mutex::new(registered) }
    }

    async fn read_on(&self) -> Result<(), SchemaError> {
        let last = self.registered.lock().await.last;
        // Not under the lock: who asks for what is known does not wait for the store.
        let read = read_after(&*self.events, last).await.map_err(|error| match error {
            ReadError::Busy(source) => SchemaError::Busy(source),
            ReadError::Denied(reason) => SchemaError::Denied(reason),
            other => SchemaError::Other(Source::new(other)),
        })?;
        self.registered.lock().await.take(&read);
        Ok(())
    }

    /// What is known by now; the outer `None`: not even that there is such a version.
    async fn known(&self, subject: &SchemaSubject, version: u32) -> Option<Option<serde_json::Value>> {
        let registered = self.registered.lock().await;
        let stored = registered.schemas.schema_of(subject, version);
        stored.or_else(|| self.own.schema_of(subject, version)).cloned()
    }
}

#[async_trait]
impl SchemaRegistry for StoredSchemas {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        self.read_on().await?;
        Ok(self.registered.lock().await.schemas.listed_with(&self.own))
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        let mut known = self.known(&subject, version).await;
        if !matches!(known, Some(Some(_))) {
            self.read_on().await?;
            known = self.known(&subject, version).await;
        }
        match known {
            Some(schema) => Ok(Schema::new(subject, version, schema)),
            None => Err(SchemaError::Unknown { subject, version }),
        }
    }
}
