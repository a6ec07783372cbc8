//! What is asked of new versions of schemas.

use crate::domain::compatibility::Compatibility;
use crate::ports::SchemaKind;
use crate::values::Name;
use alloc::collections::BTreeMap;
use alloc::string::String;

/// What new versions of events and commands have to be to those before. Of itself nothing: only what is registered may not
/// change under its version.
///
/// ```
/// # use portolan_kernel::domain::compatibility::Compatibility;
/// # use portolan_kernel::drivers::SchemaOptions;
/// let options = SchemaOptions::new()
///     .events(Compatibility::Backward)
///     .category("audit", Compatibility::FullTransitive)
///     .commands(Compatibility::Backward);
/// # let _ = options;
/// ```
///
/// Whether old *events* can be read by the application itself is a matter of their history, whatever is asked here.
/// Compatibility is for readers without that history: other services, and people with the log.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SchemaOptions {
    events: Compatibility,
    commands: Compatibility,
    pub(super) categories: BTreeMap<String, Compatibility>,
}

impl SchemaOptions {
    /// Any new version is as good as another.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is asked of events of all categories that are not named.
    pub fn events(self, events: Compatibility) -> Self {
        Self { events, ..self }
    }

    /// What is asked of events of this category. An application that has none of it is not built.
    pub fn category(mut self, category: impl Into<String>, of_it: Compatibility) -> Self {
        self.categories.insert(category.into(), of_it);
        self
    }

    /// What is asked of commands. For them, backward means that a body for the old version is still taken, and forward that
    /// one for the new version is taken by processes of the old.
    pub fn commands(self, commands: Compatibility) -> Self {
        Self { commands, ..self }
    }

    pub(super) fn of(&self, kind: SchemaKind, category: Option<&Name>) -> Compatibility {
        match kind {
            SchemaKind::Command => self.commands,
            SchemaKind::Event => {
                category.and_then(|category| self.categories.get(&**category)).copied().unwrap_or(self.events)
            }
        }
    }
}
