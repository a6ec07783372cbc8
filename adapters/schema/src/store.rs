//! The store with a judge before it.

use crate::Validation;
use crate::schema::{Compiled, MOST, compile, violations};
use async_trait::async_trait;
use core::fmt;
use portolan_kernel::ports::{
    AppendError, Capabilities, EventStore, PayloadViolation, ReadError, SchemaError, SchemaKind, SchemaRegistry,
    SchemaSubject, Source,
};
use portolan_kernel::values::{
    Append, Appended, CheckpointState, EventType, Format, Name, NewEvent, Page, Position, Query, Read, Recalled,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The categories of streams that say what may be appended, or what was.
const OWN_RECORDS: [&str; 2] = ["$schemas", "$migration"];

/// An event store that takes what the registered schemas of its events allow; the crate's documentation says what that is.
/// Everything but `append` is the store's own.
pub struct ValidatedStore {
    events: Arc<dyn EventStore>,
    schemas: Arc<dyn SchemaRegistry>,
    validation: Validation,
    /// Those that were needed so far: at most as many as are registered.
    compiled: RwLock<HashMap<(EventType, u32), Arc<Judge>>>,
}

/// What events of a version are judged by.
struct Judge {
    category: Option<Name>,
    schema: Compiled,
}

impl fmt::Debug for ValidatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedStore").field("validation", &self.validation).finish_non_exhaustive()
    }
}

impl ValidatedStore {
    /// This store, for what these schemas allow.
    #[must_use]
    pub fn new(events: Arc<dyn EventStore>, schemas: Arc<dyn SchemaRegistry>, validation: Validation) -> Self {
        Self { events, schemas, validation, compiled: RwLock::default() }
    }

    /// Compiles the schemas that the registry has of events of the judged categories, so that one that is of no use is found
    /// when a process starts, and not by the first append of its type.
    ///
    /// # Errors
    ///
    /// Those of the registry, and [`SchemaError::Other`] that names the schemas that are of no use, and says why; or a chosen
    /// category that no event is of which the registry tells.
    pub async fn prepare(&self) -> Result<(), SchemaError> {
        let mut useless = Vec::new();
        let listed = self.schemas.list().await?;
        let events = || listed.iter().filter(|known| known.subject.kind == SchemaKind::Event);
        for chosen in self.validation.categories() {
            if !events().any(|known| known.category.as_ref() == Some(chosen)) {
                let message =
                    format!("no event is registered of the category {chosen} that is to be judged; correct its name");
                return Err(SchemaError::Other(Source::new(message)));
            }
        }
        for known in events() {
            let of_others = known.category.as_ref().is_some_and(|category| !self.validation.judges_category(category));
            if of_others {
                continue;
            }
            // A name and an event type are texts of the same form.
            let Ok(event_type) = EventType::new(known.subject.name.as_str()) else { continue };
            for &version in &known.versions {
                if let Some(judge) = self.schema(&event_type, version).await?
                    && let Err(reason) = &judge.schema
                {
                    useless.push(no_use(&event_type, version, reason));
                }
            }
        }
        if useless.is_empty() { Ok(()) } else { Err(SchemaError::Other(Source::new(useless.join("; ")))) }
    }

    /// The schema of a version, compiled; `None` for one that is known without.
    async fn schema(&self, event_type: &EventType, version: u32) -> Result<Option<Arc<Judge>>, SchemaError> {
        let key = (event_type.clone(), version);
        // Nothing panics while it holds the lock.
        if let Some(compiled) = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(compiled.clone()));
        }
        let name = Name::new(event_type.as_str()).map_err(|error| SchemaError::Other(Source::new(error)))?;
        let subject = SchemaSubject::event(name);
        let Some(schema) = self.schemas.schema(subject.clone(), version).await?.schema else {
            return Ok(None);
        };
        let listed = self.schemas.list().await?;
        let category = listed.into_iter().find(|known| known.subject == subject).and_then(|known| known.category);
        let compiled = Arc::new(Judge { category, schema: compile(&schema) });
        self.compiled.write().unwrap_or_else(PoisonError::into_inner).insert(key, compiled.clone());
        Ok(Some(compiled))
    }

    /// What is wrong with this event.
    async fn judge(&self, number: u32, event: &NewEvent) -> Result<Vec<PayloadViolation>, AppendError> {
        let unless = |passes: bool, message: String| {
            Ok(if passes { Vec::new() } else { vec![PayloadViolation::new(number, "", message)] })
        };
        if event.format != Format::Json {
            let message = "its format is not JSON, and no schema can speak of it".to_owned();
            return unless(self.validation.passes_other_formats(), message);
        }
        let (event_type, version) = (&event.event_type, event.version);
        match self.schema(event_type, version).await {
            Ok(Some(judge)) => {
                if let Some(category) =
                    judge.category.as_deref().filter(|category| *category != event.stream.category())
                {
                    let message = format!("{event_type} is of category {category}, and its stream is not");
                    return unless(false, message);
                }
                match &judge.schema {
                    Ok(schema) => Ok(violations(number, &event.payload, schema)),
                    Err(reason) => Err(AppendError::Other(Source::new(no_use(event_type, version, reason)))),
                }
            }
            Ok(None) => {
                let message = format!("version {version} of event {event_type} is known without a schema");
                unless(self.validation.passes_without_schema(), message)
            }
            Err(error @ SchemaError::Unknown { .. }) => {
                unless(self.validation.passes_without_schema(), error.to_string())
            }
            Err(SchemaError::Denied(reason)) => Err(AppendError::Denied(reason)),
            Err(SchemaError::Busy(source)) => Err(AppendError::Busy(source)),
            Err(error) => Err(AppendError::Other(Source::new(error))),
        }
    }

    async fn judge_all(&self, append: &Append) -> Result<(), AppendError> {
        if let Some(record) = append.events.iter().find(|event| OWN_RECORDS.contains(&event.stream.category())) {
            return Err(AppendError::Denied(format!(
                "{} is a record of the system by which applications start and appends are judged; it is not written by raw \
                 appends",
                record.stream
            )));
        }
        let mut wrong = Vec::new();
        for (number, event) in append.events.iter().enumerate() {
            if !self.validation.judges(&event.stream) {
                continue;
            }
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            wrong.extend(self.judge(number, event).await?);
            if wrong.len() > MOST {
                wrong.truncate(MOST);
                let message = format!("more is wrong from here on; {MOST} places are listed");
                wrong.push(PayloadViolation::new(number, "", message));
                break;
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(AppendError::Nonconforming(wrong)) }
    }

    /// What this refusal comes to, as limits and the key are judged before it: the key's record is the answer, and not what
    /// the store would do if it were asked, as the record may expire in between.
    async fn refuse(&self, append: Append, refusal: AppendError) -> Result<Appended, AppendError> {
        self.events.capabilities().check(&append)?;
        let Some(key) = append.key else { return Err(refusal) };
        let recalled = self.events.recall(key.scope.clone(), key.id.clone()).await.map_err(|error| match error {
            ReadError::Busy(source) => AppendError::Busy(source),
            ReadError::Denied(reason) => AppendError::Denied(reason),
            ReadError::Unsupported(capability) => AppendError::Unsupported(capability),
            ReadError::Corrupt { place } => AppendError::Corrupt { place },
            error => AppendError::Other(Source::new(error)),
        })?;
        match recalled {
            Some(recalled) if recalled.digest == key.digest => Ok(recalled.appended),
            Some(_) => Err(AppendError::KeyReused { scope: key.scope, id: key.id }),
            None => Err(refusal),
        }
    }
}

fn no_use(event_type: &EventType, version: u32, reason: &str) -> String {
    format!("the schema of version {version} of event {event_type} is of no use, register one that is: {reason}")
}

#[async_trait]
impl EventStore for ValidatedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        match self.judge_all(&append).await {
            Ok(()) => self.events.append(append).await,
            Err(refusal) => self.refuse(append, refusal).await,
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        self.events.read(read).await
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        self.events.recall(scope, id).await
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        self.events.checkpoint(name).await
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        self.events.changed(query, after).await
    }

    fn capabilities(&self) -> Capabilities {
        self.events.capabilities()
    }
}
