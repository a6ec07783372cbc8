//! What is known of types, in memory.

use super::refusal::SchemaRefusal;
use crate::domain::Upcasters;
use crate::domain::compatibility::{differences, listed};
use crate::domain::history::Histories;
use crate::drivers::handlers::CommandHandlers;
use crate::ports::{Schema, SchemaError, SchemaRegistry, SchemaSubject, SchemaVersions};
use crate::values::Name;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use async_trait::async_trait;
use serde_json::Value;

/// Types, their versions and schemas, in memory. It is a registry of what it was told, and of nothing else.
///
/// An application makes its own; for what is no application, such as a gateway, it is told by hand:
///
/// ```
/// # use portolan_kernel::drivers::SchemaCatalogue;
/// # use portolan_kernel::ports::{Schema, SchemaSubject};
/// # use portolan_kernel::values::Name;
/// # use serde_json::json;
/// # fn main() -> Result<(), portolan_kernel::values::InvalidName> {
/// let opened = SchemaSubject::event(Name::new("account.opened")?);
/// let schema = Schema::new(opened, 2, Some(json!({ "type": "object" })));
/// let catalogue = SchemaCatalogue::new().with_current(schema, Some(Name::new("account")?));
/// # let _ = catalogue;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct SchemaCatalogue {
    types: BTreeMap<SchemaSubject, Known>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) category: Option<Name>,
    pub(super) current: Option<u32>,
    pub(super) versions: BTreeMap<u32, Option<Value>>,
}

/// Versions, category, and what is current.
type Listed<'a> = (BTreeSet<u32>, Option<&'a Name>, Option<u32>);

impl SchemaCatalogue {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and a version that is written or taken now. The first schema of a version stays.
    #[must_use]
    pub fn with_current(mut self, schema: Schema, category: Option<Name>) -> Self {
        let known = self.add(schema.subject, schema.version, category, schema.schema);
        known.current = known.current.max(Some(schema.version));
        self
    }

    /// The same, and a version of which there may be old data.
    #[must_use]
    pub fn with(mut self, schema: Schema, category: Option<Name>) -> Self {
        self.add(schema.subject, schema.version, category, schema.schema);
        self
    }

    pub(super) fn add(
        &mut self,
        subject: SchemaSubject,
        version: u32,
        category: Option<Name>,
        schema: Option<Value>,
    ) -> &mut Known {
        let known = self.types.entry(subject).or_default();
        known.category = known.category.take().or(category);
        let told = known.versions.entry(version).or_default();
        *told = told.take().or(schema);
        known
    }

    pub(super) fn types(&self) -> impl Iterator<Item = (&SchemaSubject, &Known)> {
        self.types.iter()
    }

    pub(super) fn of(&self, subject: &SchemaSubject) -> Option<&Known> {
        self.types.get(subject)
    }

    pub(super) fn schema_of(&self, subject: &SchemaSubject, version: u32) -> Option<&Option<Value>> {
        self.types.get(subject)?.versions.get(&version)
    }

    /// What these and those of the other are, without their schemas.
    pub(super) fn listed_with(&self, other: &Self) -> Vec<SchemaVersions> {
        let mut all: BTreeMap<&SchemaSubject, Listed<'_>> = BTreeMap::new();
        for (subject, known) in self.types.iter().chain(&other.types) {
            let (versions, category, current) = all.entry(subject).or_default();
            versions.extend(known.versions.keys());
            *category = category.or(known.category.as_ref());
            *current = (*current).max(known.current);
        }
        let of = |(subject, (versions, category, current)): (&SchemaSubject, Listed<'_>)| {
            SchemaVersions::new(subject.clone(), versions.into_iter().collect())
                .with_category(category.cloned())
                .with_current(current)
        };
        all.into_iter().map(of).collect()
    }

    /// What an application is built of: events with their schemas, the versions that their histories speak of, and commands.
    pub(crate) fn of_application(
        histories: &Histories,
        upcasters: &Upcasters,
        commands: &CommandHandlers,
    ) -> Result<Self, SchemaRefusal> {
        let mut catalogue = Self::new();
        let mut told_by: BTreeMap<(SchemaSubject, u32), &'static str> = BTreeMap::new();
        let mut categories: BTreeMap<Name, Name> = BTreeMap::new();
        for told in histories.told() {
            let named = |name: &str| {
                let refused = |source| SchemaRefusal::Name { owner: told.owner, name: name.into(), source };
                Name::new(name).map_err(refused)
            };
            let category = named(told.category)?;
            for event_type in &told.types {
                categories.entry(named(event_type)?).or_insert_with(|| category.clone());
            }
            for of in (told.schemas)() {
                let (subject, version) = (SchemaSubject::event(named(&of.event_type)?), of.version);
                if let Some(first) = catalogue.of(&subject).and_then(|known| known.category.clone())
                    && first != category
                {
                    return Err(SchemaRefusal::TwoCategories { subject, owner: told.owner, first, second: category });
                }
                if let (Some(Some(first)), Some(second)) = (catalogue.schema_of(&subject, version), &of.schema) {
                    let changes = differences(first, second);
                    if !changes.is_empty() {
                        let (changes, second) = (listed(&changes), told.owner);
                        let first = told_by.get(&(subject.clone(), version)).copied().unwrap_or_default();
                        return Err(SchemaRefusal::TwoSchemas { subject, version, first, second, changes });
                    }
                }
                if of.schema.is_some() {
                    told_by.entry((subject.clone(), version)).or_insert(told.owner);
                }
                catalogue = catalogue.with_current(Schema::new(subject, version, of.schema), Some(category.clone()));
            }
        }
        for (event_type, version, is_current) in upcasters.known() {
            // An event type's name is a name.
            let Ok(name) = Name::new(event_type.as_str()) else { continue };
            let category = categories.get(&name).cloned();
            let known = catalogue.add(SchemaSubject::event(name), version, category, None);
            if is_current {
                known.current = known.current.max(Some(version));
            }
        }
        for (info, category) in commands.told() {
            let subject = SchemaSubject::command(info.name.clone());
            let category = category.and_then(|category| Name::new(category).ok());
            catalogue = catalogue.with_current(Schema::new(subject, info.version, info.schema.clone()), category);
        }
        match catalogue.types.iter().find(|(_, known)| known.versions.contains_key(&0)) {
            Some((subject, _)) => Err(SchemaRefusal::VersionZero { subject: subject.clone() }),
            None => Ok(catalogue),
        }
    }
}

#[async_trait]
impl SchemaRegistry for SchemaCatalogue {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        Ok(self.listed_with(&Self::default()))
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        match self.schema_of(&subject, version) {
            Some(schema) => Ok(Schema::new(subject, version, schema.clone())),
            None => Err(SchemaError::Unknown { subject, version }),
        }
    }
}
