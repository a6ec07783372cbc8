//! Judging an application's schemas by those that are registered.

use super::catalogue::SchemaCatalogue;
use super::options::SchemaOptions;
use super::refusal::SchemaRefusal;
use crate::domain::compatibility::{Compatibility, differences, listed, misfits};
use crate::ports::{Schema, SchemaKind, SchemaSubject};
use crate::values::Name;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde_json::Value;

/// A version that is to be registered, and its category.
pub(super) type New = (Schema, Option<Name>);

/// What is new in the application's own schemas, in the order of types and versions.
pub(super) fn judge(
    own: &SchemaCatalogue,
    stored: &SchemaCatalogue,
    options: &SchemaOptions,
) -> Result<Vec<New>, SchemaRefusal> {
    for category in options.categories.keys() {
        let is_it = |of: &Name| **of == **category;
        let has_it = own
            .types()
            .any(|(subject, known)| subject.kind == SchemaKind::Event && known.category.as_ref().is_some_and(is_it));
        if !has_it {
            return Err(SchemaRefusal::NoSuchCategory { category: category.clone() });
        }
    }
    let mut new = Vec::new();
    for (subject, known) in own.types() {
        let mut versions = stored.of(subject).map(|stored| stored.versions.clone()).unwrap_or_default();
        let asked = options.of(subject.kind, known.category.as_ref());
        for (version, schema) in &known.versions {
            match (versions.get(version), schema) {
                (Some(Some(was)), Some(is)) => unchanged(subject, *version, (was, is), &versions)?,
                // Nothing is said that is not registered.
                (Some(_), None) => {}
                // It was not registered, or without its schema.
                (None | Some(None), _) => {
                    if let Some(schema) = schema {
                        compatible(subject, (*version, schema), &versions, asked)?;
                    }
                    versions.insert(*version, schema.clone());
                    let schema = Schema::new(subject.clone(), *version, schema.clone());
                    new.push((schema, known.category.clone()));
                }
            }
        }
    }
    Ok(new)
}

type Versions = BTreeMap<u32, Option<Value>>;

fn unchanged(
    subject: &SchemaSubject,
    version: u32,
    (was, is): (&Value, &Value),
    versions: &Versions,
) -> Result<(), SchemaRefusal> {
    let changes = differences(was, is);
    if changes.is_empty() {
        return Ok(());
    }
    let newest = versions.keys().next_back().copied().unwrap_or(version);
    let (subject, changes, next) = (subject.clone(), listed(&changes), newest.saturating_add(1));
    Err(SchemaRefusal::Changed { subject, version, changes, next })
}

/// A version that comes after all whose schemas are registered is judged by them. One that others have gone past is not: it
/// was there before them, whoever registers it late, and to refuse it would keep an old process from being started again.
fn compatible(
    subject: &SchemaSubject,
    (version, schema): (u32, &Value),
    versions: &Versions,
    asked: Compatibility,
) -> Result<(), SchemaRefusal> {
    let told = || versions.iter().rev().filter_map(|(version, schema)| Some((*version, schema.as_ref()?)));
    if told().next().is_some_and(|(newest, _)| newest > version) {
        return Ok(());
    }
    let judged = if asked.is_transitive() { usize::MAX } else { 1 };
    for (before, old) in told().take(judged) {
        let of = |writer: u32, writes: &str, found: Vec<_>| {
            let line = move |misfit| alloc::format!("in what version {writer} {writes}, {misfit}");
            found.into_iter().map(line).collect::<Vec<_>>()
        };
        let mut reasons = Vec::new();
        if asked.is_backward() {
            reasons.extend(of(before, "has written", misfits(old, schema)));
        }
        if asked.is_forward() {
            reasons.extend(of(version, "writes", misfits(schema, old)));
        }
        if !reasons.is_empty() {
            let (subject, compatibility, reasons) = (subject.clone(), asked, listed(&reasons));
            return Err(SchemaRefusal::Incompatible { subject, version, before, compatibility, reasons });
        }
    }
    Ok(())
}
