//! Metadata: who and what caused an event. Encoded once by the kernel, opaque to stores.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is known about where an event came from. On a wire and in a store: one JSON object, absent
/// fields left out.
///
/// ```
/// # use portolan_kernel::values::Metadata;
/// let metadata = Metadata { actor: Some("ann".into()), ..Metadata::default() };
/// assert_eq!(metadata.encode(), r#"{"actor":"ann"}"#);
/// assert_eq!(Metadata::decode(&metadata.encode()), metadata);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// What belongs together: equal for everything that follows from one first request.
    #[serde(rename = "correlation_id", skip_serializing_if = "Option::is_none", default)]
    pub correlation: Option<String>,
    /// What caused this directly: the id of a command or an event. A command bus sets it to the command's id.
    #[serde(rename = "causation_id", skip_serializing_if = "Option::is_none", default)]
    pub causation: Option<String>,
    /// The command that decided the event.
    #[serde(rename = "command_id", skip_serializing_if = "Option::is_none", default)]
    pub command: Option<String>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
    /// In which tenant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<String>,
    /// The trace, as in W3C Trace Context's header `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// What the application adds. Names of the fields above are left out.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// The names of the fields that are no `more`.
const OWN: [&str; 6] = ["correlation_id", "causation_id", "command_id", "actor", "tenant", "traceparent"];

impl Metadata {
    /// As bytes; empty when nothing is known.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        if *self == Self::default() {
            return Bytes::new();
        }
        let mut metadata = Cow::Borrowed(self);
        if OWN.iter().any(|name| self.more.contains_key(*name)) {
            metadata.to_mut().more.retain(|name, _| !OWN.contains(&&**name));
        }
        // Strings and JSON values under string keys: there is nothing that could fail.
        serde_json::to_vec(&*metadata).map(Bytes::from).unwrap_or_default()
    }

    /// From bytes. What is no metadata of this form (another producer's blob) reads as nothing known.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    /// From bytes, of which there may be none. `None` when they are no metadata of this form.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() { Some(Self::default()) } else { serde_json::from_slice(bytes).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_hides_nothing() {
        let text = || Some(String::from("x"));
        let mut metadata = Metadata {
            correlation: text(),
            causation: text(),
            command: text(),
            actor: text(),
            tenant: text(),
            traceparent: text(),
            ..Metadata::default()
        };
        metadata.more.insert("mine".into(), 1.into());
        assert_eq!(Metadata::decode(&metadata.encode()), metadata);
        let mut shadowed = metadata.clone();
        for own in OWN {
            shadowed.more.insert(own.into(), "y".into());
        }
        assert_eq!(Metadata::decode(&shadowed.encode()), metadata);
    }
}
