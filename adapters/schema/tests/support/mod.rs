//! A registry that a test fills, and a store that it judges for.

#![allow(dead_code, reason = "each test binary uses a part")]

use async_trait::async_trait;
use portolan_conformance::ReferenceStore;
use portolan_kernel::ports::{
    AppendError, Clock, EventStore, Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions,
};
use portolan_kernel::values::{Append, Name, NewEvent, Query, Read, Timestamp};
use portolan_schema::{ValidatedStore, Validation};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_785_000_000_000_001)
    }
}

type Told = (Option<Name>, Option<Value>);

#[derive(Default)]
pub(crate) struct Registry {
    told: Mutex<BTreeMap<(SchemaSubject, u32), Told>>,
    fails: Mutex<Option<SchemaError>>,
    asked: AtomicUsize,
}

impl Registry {
    pub(crate) fn new(told: impl IntoIterator<Item = (&'static str, u32, Option<Value>)>) -> Self {
        let registry = Self::default();
        told.into_iter().for_each(|(name, version, schema)| registry.tell(name, version, schema));
        registry
    }

    pub(crate) fn tell(&self, name: &str, version: u32, schema: Option<Value>) {
        let subject = SchemaSubject::event(name.parse().unwrap());
        self.told.lock().unwrap().insert((subject, version), (None, schema));
    }

    pub(crate) fn tell_of_category(&self, name: &str, category: &str, version: u32, schema: Value) {
        let subject = SchemaSubject::event(name.parse().unwrap());
        self.told.lock().unwrap().insert((subject, version), (Some(category.parse().unwrap()), Some(schema)));
    }

    pub(crate) fn tell_of_command(&self, name: &str, version: u32, schema: Value) {
        let subject = SchemaSubject::command(name.parse().unwrap());
        self.told.lock().unwrap().insert((subject, version), (None, Some(schema)));
    }

    pub(crate) fn fail(&self, error: SchemaError) {
        *self.fails.lock().unwrap() = Some(error);
    }

    /// How often a schema was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn is_well(&self) -> Result<(), SchemaError> {
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl SchemaRegistry for Registry {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        self.is_well()?;
        let told = self.told.lock().unwrap();
        let one = |((subject, version), (category, _)): (&(SchemaSubject, u32), &Told)| {
            SchemaVersions::new(subject.clone(), vec![*version]).with_category(category.clone())
        };
        Ok(told.iter().map(one).collect())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        self.is_well()?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.told.lock().unwrap().get(&(subject.clone(), version)) {
            Some((_, schema)) => Ok(Schema::new(subject, version, schema.clone())),
            None => Err(SchemaError::Unknown { subject, version }),
        }
    }
}

pub(crate) struct World {
    pub(crate) inner: Arc<dyn EventStore>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: ValidatedStore,
}

impl World {
    pub(crate) fn new(
        validation: Validation,
        told: impl IntoIterator<Item = (&'static str, u32, Option<Value>)>,
    ) -> Self {
        Self::over(validation, Registry::new(told))
    }

    pub(crate) fn over(validation: Validation, registry: Registry) -> Self {
        let inner: Arc<dyn EventStore> = Arc::new(ReferenceStore::new(Arc::new(Noon)));
        let registry = Arc::new(registry);
        let store = ValidatedStore::new(inner.clone(), registry.clone(), validation);
        Self { inner, registry, store }
    }

    /// How many events are stored.
    pub(crate) async fn count(&self) -> usize {
        self.inner.read(Read::log(Query::all().with_system())).await.unwrap().events.len()
    }
}

pub(crate) fn event(stream: &str, event_type: &str, payload: impl Into<portolan_kernel::Bytes>) -> NewEvent {
    NewEvent::new(stream.parse().unwrap(), event_type.parse().unwrap(), payload)
}

/// What is said of an append, which is written if it passes and not if it is refused.
pub(crate) async fn judged(world: &World, append: Append) -> Result<(), AppendError> {
    let (before, events) = (world.count().await, append.events.len());
    let judged = world.store.append(append).await.map(drop);
    assert_eq!(world.count().await - before, if judged.is_ok() { events } else { 0 });
    judged
}

/// The places that a refusal lists.
#[track_caller]
pub(crate) fn places(judged: &Result<(), AppendError>) -> Vec<(u32, &str)> {
    match judged {
        Err(AppendError::Nonconforming(wrong)) => wrong.iter().map(|one| (one.event, &*one.pointer)).collect(),
        _ => panic!("{judged:?}"),
    }
}
