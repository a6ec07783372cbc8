//! What event types tell of their stored types: versions and JSON Schemas.

use alloc::string::String;
use serde_json::Value;

/// A stored type as an event type writes it now.
///
/// ```
/// # use portolan_kernel::domain::EventSchema;
/// # use serde_json::json;
/// let opened = EventSchema::new("account.opened", 2)
///     .with_schema(json!({ "type": "object", "properties": { "owner": { "type": "string" } }, "required": ["owner"] }));
/// assert_eq!((&*opened.event_type, opened.version), ("account.opened", 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSchema {
    /// The stored name.
    pub event_type: String,
    /// The version it is written in, from 1.
    pub version: u32,
    /// The JSON Schema (2020-12) of its payload; `None` when nobody said, and for payloads that are not JSON.
    pub schema: Option<Value>,
}

impl EventSchema {
    /// A stored type in this version, of which nothing else is told.
    #[must_use]
    pub fn new(event_type: impl Into<String>, version: u32) -> Self {
        Self { event_type: event_type.into(), version, schema: None }
    }

    /// The same, with the JSON Schema of its payload.
    #[must_use]
    pub fn with_schema(self, schema: impl Into<Option<Value>>) -> Self {
        Self { schema: schema.into(), ..self }
    }
}
