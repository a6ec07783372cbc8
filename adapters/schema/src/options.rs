//! What is judged, and what happens where there is nothing to judge by.

use crate::store::ValidatedStore;
use portolan_kernel::application::Ports;
use portolan_kernel::ports::SchemaError;
use portolan_kernel::values::{Name, StreamId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which events a [`ValidatedStore`] judges, and what becomes of those that it has no schema for: unless told otherwise,
/// they are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// `None`: all.
    categories: Option<BTreeSet<Name>>,
    pass_without_schema: bool,
    pass_other_formats: bool,
}

impl Validation {
    /// The events of all categories but the system's.
    #[must_use]
    pub fn all() -> Self {
        Self { categories: None, pass_without_schema: false, pass_other_formats: false }
    }

    /// The events of these categories, each of which an event that is registered has to be of. Those of others pass.
    #[must_use]
    pub fn of(categories: impl IntoIterator<Item = Name>) -> Self {
        Self { categories: Some(categories.into_iter().collect()), ..Self::all() }
    }

    /// The same; an event passes whose type or version nobody told of, or told of without a schema.
    #[must_use]
    pub fn pass_without_schema(self) -> Self {
        Self { pass_without_schema: true, ..self }
    }

    /// The same; an event passes whose payload is not of the format JSON, and which therefore no schema can speak of.
    #[must_use]
    pub fn pass_other_formats(self) -> Self {
        Self { pass_other_formats: true, ..self }
    }

    /// These ports, whose raw appends are judged by their own registry. For a server: live events, reads and everything else
    /// are as before.
    ///
    /// # Errors
    ///
    /// Those of [`ValidatedStore::prepare`].
    pub async fn before(self, mut ports: Ports) -> Result<Ports, SchemaError> {
        let store = ValidatedStore::new(ports.events, ports.schemas.clone(), self);
        store.prepare().await?;
        ports.events = Arc::new(store);
        Ok(ports)
    }

    /// Whether the events of this stream are judged.
    pub(crate) fn judges(&self, stream: &StreamId) -> bool {
        !stream.is_system() && self.judges_category(stream.category())
    }

    pub(crate) fn judges_category(&self, category: &str) -> bool {
        self.categories.as_ref().is_none_or(|chosen| chosen.contains(category))
    }

    /// Those that are chosen by name.
    pub(crate) fn categories(&self) -> impl Iterator<Item = &Name> {
        self.categories.iter().flatten()
    }

    pub(crate) fn passes_without_schema(&self) -> bool {
        self.pass_without_schema
    }

    pub(crate) fn passes_other_formats(&self) -> bool {
        self.pass_other_formats
    }
}
