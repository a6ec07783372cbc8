//! A registry of schemas that knows a few types, and answers with the errors that names ask for.

use async_trait::async_trait;
use portolan_kernel::ports::{
    ReadError, Schema, SchemaError, SchemaKind, SchemaRegistry, SchemaSubject, SchemaVersions, Source,
};
use portolan_kernel::values::Name;
use serde_json::{Value, json};

pub(crate) struct Schemas;

/// A name that needs escaping in every part of a path.
pub(crate) const ODD: &str = "a/b ?#%2F\u{1F980}..";

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn event(text: &str) -> SchemaSubject {
    SchemaSubject::event(name(text))
}

pub(crate) fn command(text: &str) -> SchemaSubject {
    SchemaSubject::command(name(text))
}

/// `open` is an event and a command; version 1 of the event is known without a schema.
pub(crate) fn all() -> Vec<SchemaVersions> {
    let of = |subject, versions: &[u32]| SchemaVersions::new(subject, versions.to_vec());
    vec![
        of(event(ODD), &[7, u32::MAX]),
        of(event("open"), &[1, 2]).with_category(Some(name("account"))).with_current(Some(2)),
        of(command("close"), &[1]).with_current(Some(1)),
        of(command("open"), &[2, 3]).with_category(Some(name("account"))).with_current(Some(3)),
    ]
}

/// Says of which type and version it is, with numbers that a careless reader rounds.
pub(crate) fn schema_of(subject: &SchemaSubject, version: u32) -> Option<Value> {
    let title = format!("{subject} {version}");
    match (subject.kind, &*subject.name, version) {
        (SchemaKind::Event, "open", 1) => None,
        (SchemaKind::Command, "close", _) => Some(Value::Bool(true)),
        _ => Some(json!({ "title": title, "maximum": u64::MAX, "multipleOf": 5e-324, "minimum": i64::MIN })),
    }
}

#[async_trait]
impl SchemaRegistry for Schemas {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        Ok(all())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        match &*subject.name {
            "busy" => return Err(SchemaError::Busy(Source::new("the store is full"))),
            "denied" => return Err(SchemaError::Denied("ann may not".into())),
            "other" => return Err(SchemaError::Other(Source::new("odd"))),
            "damaged" => {
                let place = "/srv/bank.db: table log, position 2".to_owned();
                return Err(SchemaError::Other(Source::new(ReadError::Corrupt { place })));
            }
            _ => {}
        }
        if all().iter().any(|of| of.subject == subject && of.versions.contains(&version)) {
            let schema = schema_of(&subject, version);
            Ok(Schema::new(subject, version, schema))
        } else {
            Err(SchemaError::Unknown { subject, version })
        }
    }
}
