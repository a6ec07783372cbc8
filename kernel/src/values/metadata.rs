//! Metadata: who and what caused an event. Encoded once by the kernel, opaque to stores.

use super::json_text::write_json_string;
use alloc::collections::BTreeMap;
use alloc::string::String;
use bytes::Bytes;
use core::fmt::Write as _;
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
        self.encode_caused(self.causation.as_deref(), self.command.as_deref())
    }

    /// The same metadata with this causation and this command, as bytes.
    pub(crate) fn encode_caused(&self, causation: Option<&str>, command: Option<&str>) -> Bytes {
        let Self { correlation, actor, tenant, traceparent, more, .. } = self;
        let own =
            [correlation.as_deref(), causation, command, actor.as_deref(), tenant.as_deref(), traceparent.as_deref()];
        if own == [None; 6] && more.is_empty() {
            return Bytes::new();
        }
        let own = OWN.into_iter().zip(own).filter_map(|(name, value)| Some((name, value?)));
        let bytes: usize = own.clone().map(|(name, value)| name.len() + value.len() + r#""":"","#.len()).sum();
        let mut text = String::with_capacity(bytes + if more.is_empty() { 1 } else { 256 });
        for (name, value) in own {
            begin_field(name, &mut text);
            write_json_string(value, &mut text);
        }
        for (name, value) in more.iter().filter(|(name, _)| !OWN.contains(&&***name)) {
            begin_field(name, &mut text);
            // A string takes whatever it is given.
            let _ = write!(text, "{value}");
        }
        text.push_str(if text.is_empty() { "{}" } else { "}" });
        Bytes::from(text)
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

fn begin_field(name: &str, into: &mut String) {
    into.push(if into.is_empty() { '{' } else { ',' });
    write_json_string(name, into);
    into.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use serde_json::json;

    /// What is stored stays what it is.
    #[test]
    fn it_is_written_as_serde_writes_it() {
        let texts = [None, Some("plain é"), Some("\"quoted\" \\ \u{1f}\n\u{7f}"), Some("")];
        let more = [json!({}), json!({"z": 1.5, "a\n": [null, {"b": "\t"}], "m": "x"})];
        for number in 0..texts.len().pow(6) * more.len() {
            let text = |place: u32| texts[number / texts.len().pow(place) % texts.len()].map(String::from);
            let more = &more[number / texts.len().pow(6)];
            let metadata = Metadata {
                correlation: text(0),
                causation: text(1),
                command: text(2),
                actor: text(3),
                tenant: text(4),
                traceparent: text(5),
                more: more.as_object().unwrap().clone().into_iter().collect(),
            };
            let of_serde = serde_json::to_string(&metadata).unwrap();
            let expected = if of_serde == "{}" { String::new() } else { of_serde };
            assert_eq!(metadata.encode(), expected);
        }
        let shadowed = Metadata { more: [(String::from(OWN[0]), json!(1))].into(), ..Metadata::default() };
        assert_eq!(shadowed.encode(), "{}");
        assert_eq!(shadowed.encode_caused(Some("a"), Some("b")), format!(r#"{{"{}":"a","{}":"b"}}"#, OWN[1], OWN[2]));
    }

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
