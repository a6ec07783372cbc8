//! The port `SchemaRegistry`: what events and commands look like, in every version that is told of.

use super::Source;
use crate::values::Name;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use async_trait::async_trait;
use core::fmt;
use serde_json::Value;

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SchemaKind {
    /// A stored event type.
    Event,
    /// A command.
    Command,
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Command => "command",
        })
    }
}

/// A type that has schemas: an event type by its stored name, or a command by its wire name. Events and commands have names
/// of their own kind each, so that one of either may have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SchemaSubject {
    /// What it is.
    pub kind: SchemaKind,
    /// The stored name of the event type, or the wire name of the command.
    pub name: Name,
}

impl SchemaSubject {
    /// The event type of this stored name.
    #[must_use]
    pub fn event(name: Name) -> Self {
        Self { kind: SchemaKind::Event, name }
    }

    /// The command of this wire name.
    #[must_use]
    pub fn command(name: Name) -> Self {
        Self { kind: SchemaKind::Command, name }
    }
}

impl fmt::Display for SchemaSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// What is known of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaVersions {
    /// The type.
    pub subject: SchemaSubject,
    /// The category of its streams; `None` when it has none of its own, as a command that a decision model decides.
    pub category: Option<Name>,
    /// The versions that are told of, in rising order, with or without a schema.
    pub versions: Vec<u32>,
    /// The version that this application writes or takes; `None` when it has no use for the type any more.
    pub current: Option<u32>,
}

impl SchemaVersions {
    /// A type of which these versions are told, in rising order.
    #[must_use]
    pub fn new(subject: SchemaSubject, versions: Vec<u32>) -> Self {
        Self { subject, category: None, versions, current: None }
    }

    /// The same, of this category.
    #[must_use]
    pub fn with_category(self, category: Option<Name>) -> Self {
        Self { category, ..self }
    }

    /// The same, with the version that is current.
    #[must_use]
    pub fn with_current(self, current: Option<u32>) -> Self {
        Self { current, ..self }
    }
}

/// A version of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// The type.
    pub subject: SchemaSubject,
    /// The version, from 1.
    pub version: u32,
    /// The JSON Schema (2020-12) of an event's payload or a command's body; `None` when nobody said.
    pub schema: Option<Value>,
}

impl Schema {
    /// A version of a type, with its JSON Schema if that is known.
    #[must_use]
    pub fn new(subject: SchemaSubject, version: u32, schema: Option<Value>) -> Self {
        Self { subject, version, schema }
    }
}

/// Why a schema is not told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There is no such type, or no such version of it. Ask for the list.
    #[error("there is no version {version} of {subject}; the list of schemas has all that are known")]
    Unknown {
        /// The type that was asked for.
        subject: SchemaSubject,
        /// The version that was asked for.
        version: u32,
    },
    /// This caller may not, says a policy between the caller and the port.
    #[error("not allowed: {0}")]
    Denied(String),
    /// It cannot be answered now. Try again, with a pause.
    #[error("the registry of schemas is busy; try again")]
    Busy(#[source] Source),
    /// Anything else.
    #[error("the registry of schemas failed: {0}")]
    Other(#[source] Source),
}

/// Tells which events and commands there are, in which versions, and what they look like.
///
/// An application tells of what it was built of, and, where it keeps its schemas in its store, of all that was registered
/// there before, by itself or by another process.
///
/// # Laws
///
/// - **UP-06** A version that is registered keeps its schema for good: what is told of it does not change, and an application
///   that has another schema under that version, or an incompatible one under a later version, is not built.
#[async_trait]
pub trait SchemaRegistry: Send + Sync {
    /// Every type that is known: events before commands, each in the order of names.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Busy`] and [`SchemaError::Other`].
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError>;

    /// A version of a type.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Unknown`] when there is none, [`SchemaError::Busy`] and [`SchemaError::Other`].
    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError>;
}

/// A shared registry is a registry.
#[async_trait]
impl<R: SchemaRegistry + ?Sized> SchemaRegistry for Arc<R> {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        (**self).list().await
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        (**self).schema(subject, version).await
    }
}

/// A registry that knows of none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSchemas;

#[async_trait]
impl SchemaRegistry for NoSchemas {
    async fn list(&self) -> Result<Vec<SchemaVersions>, SchemaError> {
        Ok(Vec::new())
    }

    async fn schema(&self, subject: SchemaSubject, version: u32) -> Result<Schema, SchemaError> {
        Err(SchemaError::Unknown { subject, version })
    }
}
