//! Why an application is not built: its schemas.

use crate::domain::compatibility::Compatibility;
use crate::ports::{SchemaKind, SchemaSubject, Source};
use crate::values::{InvalidName, Name};
use alloc::string::String;

/// Why schemas are refused (UP-06).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaRefusal {
    /// A version that is registered looks otherwise now.
    #[error(
        "{subject} version {version} has changed since it was registered:{changes}\nundo that, or raise its version to \
         {next}{}",
        and_say(subject, *version)
    )]
    Changed {
        /// The type.
        subject: SchemaSubject,
        /// Its version.
        version: u32,
        /// A line a change: where, what was there, what is there. Each begins with a line break.
        changes: String,
        /// The first version that is free.
        next: u32,
    },
    /// A new version is not what is asked of it.
    #[error(
        "{subject} version {version} is not {compatibility} compatible with version {before}:{reasons}\nmake it so, or ask for \
         less in the application's `SchemaOptions`"
    )]
    Incompatible {
        /// The type.
        subject: SchemaSubject,
        /// Its new version.
        version: u32,
        /// The version that it does not go with.
        before: u32,
        /// What is asked of it.
        compatibility: Compatibility,
        /// A line a reason: in whose data, where, and why. Each begins with a line break.
        reasons: String,
    },
    /// Two event types of the application tell one version of a stored type otherwise.
    #[error(
        "{first} and {second} tell {subject} version {version} otherwise:{changes}\nif one of them only reads it, say \
         `#[event(history = …)]` on it; else give one of them another name"
    )]
    TwoSchemas {
        /// The type.
        subject: SchemaSubject,
        /// Its version.
        version: u32,
        /// Who tells it first.
        first: &'static str,
        /// Who tells it second.
        second: &'static str,
        /// A line a difference. Each begins with a line break.
        changes: String,
    },
    /// One stored type is told in two categories.
    #[error(
        "{owner} tells {subject} in the category {second}, and it is of {first} already; give one of the two another name, \
         or say `#[event(history = …)]` on what only reads it"
    )]
    TwoCategories {
        /// The type.
        subject: SchemaSubject,
        /// Who tells it in the second.
        owner: &'static str,
        /// The category that it is told in first.
        first: Name,
        /// The other one.
        second: Name,
    },
    /// The name of a stored type or a category is none.
    #[error("{owner}: {name:?} is no name: {source}")]
    Name {
        /// Who tells it.
        owner: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        source: InvalidName,
    },
    /// Versions begin at 1.
    #[error("{subject} has a version 0; versions begin at 1")]
    VersionZero {
        /// The type.
        subject: SchemaSubject,
    },
    /// Something is asked of a category that the application has no events of.
    #[error(
        "`SchemaOptions` speak of the category {category}, and no event that is registered is of it; correct its name"
    )]
    NoSuchCategory {
        /// The category.
        category: String,
    },
    /// The store is busy, or others were faster each time. Start again, with a pause.
    #[error(
        "the schemas cannot be registered in the stream $schemas now, the store is busy; start again, with a pause"
    )]
    Busy(#[source] Source),
    /// This process may not, says a policy before the store. Let it read and append to the stream, and start again.
    #[error("the schemas cannot be registered in the stream $schemas: not allowed: {0}")]
    Denied(String),
    /// The store met damaged data. An operator has to look.
    #[error("the schemas cannot be registered in the stream $schemas: the store is damaged at {place}")]
    Corrupt {
        /// Where: a file, a table and row, a key.
        place: String,
    },
    /// The store does not let schemas be registered for another reason.
    #[error("the schemas cannot be registered in the stream $schemas: {0}")]
    Store(#[source] Source),
}

fn and_say(subject: &SchemaSubject, version: u32) -> String {
    match subject.kind {
        SchemaKind::Event => {
            alloc::format!(", and say in its history how an event of version {version} becomes one of that")
        }
        SchemaKind::Command => String::new(),
    }
}
