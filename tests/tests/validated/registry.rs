//! A registry as an application has it, whose schemas a test chooses.

use async_trait::async_trait;
use portolan::ports::{Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions};
use serde_json::Value;

/// Events of the category `account`, each in version 1.
pub(crate) struct Registry(pub(crate) Vec<(&'static str, Value)>);

#[async_trait]
impl SchemaRegistry for Registry {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        let one = |(name, _): &(&'static str, Value)| {
            let of = SchemaVersions::new(SchemaSubject::event(name.parse().unwrap()), vec![1]);
            of.with_category(Some("account".parse().unwrap())).with_current(Some(1))
        };
        Ok(self.0.iter().map(one).collect())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        let found =
            self.0.iter().find(|(name, _)| version == 1 && subject == SchemaSubject::event(name.parse().unwrap()));
        match found {
            Some((_, schema)) => Ok(Schema::new(subject, version, Some(schema.clone()))),
            None => Err(SchemaError::Unknown { subject, version }),
        }
    }
}
