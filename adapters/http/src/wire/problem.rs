//! Errors on the wire: problem details (RFC 9457).

use http::StatusCode;
use portolan_kernel::ports::Violation;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What precedes the stable name of a problem in its `type`.
pub(crate) const URN: &str = "urn:portolan:problem:";

/// One error, as it travels: a stable type, a status, a sentence, and members that give back the port's error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) members: Map<String, Value>,
    /// A line for the server's log, which does not travel.
    pub(crate) for_operator: Option<String>,
}

impl Problem {
    /// A problem of a listed kind; one that is none of ours has no name.
    pub(crate) fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        debug_assert!(
            name.is_empty() || KINDS.iter().any(|kind| kind.name == name && kind.statuses.contains(&status.as_u16())),
            "{name} with {status} is not listed"
        );
        Self { status, name: name.to_owned(), detail: detail.into(), members: Map::new(), for_operator: None }
    }

    /// The same problem with this member. One that holds nothing is written as `null`.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// The body is no JSON, or not whole.
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::new(StatusCode::BAD_REQUEST, "malformed", format!("it cannot be read: {reason}")).with("reason", reason)
    }

    /// Fields, parameters or headers are wrong; each is listed.
    pub(crate) fn invalid_request(violations: Vec<Violation>) -> Self {
        Self::invalid("invalid-request", "the request", violations)
    }

    pub(crate) fn invalid(name: &str, what: &str, violations: Vec<Violation>) -> Self {
        let listed: Vec<String> = violations
            .iter()
            .map(|wrong| {
                if wrong.path.is_empty() { wrong.message.clone() } else { format!("{}: {}", wrong.path, wrong.message) }
            })
            .collect();
        let list: Vec<Value> = violations
            .into_iter()
            .map(|wrong| json!({ "path": wrong.path, "code": wrong.code, "message": wrong.message }))
            .collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, format!("{what} is invalid: {}", listed.join("; ")))
            .with("violations", list)
    }

    /// One parameter, header or part of the path is wrong.
    pub(crate) fn wrong(path: &str, code: &str, message: impl Into<String>) -> Self {
        Self::invalid_request(vec![Violation::new(path, code, message)])
    }

    pub(crate) fn violations(&self) -> Option<Vec<Violation>> {
        let list = self.members.get("violations")?.as_array()?;
        let one = |wrong: &Value| {
            let text = |member: &str| wrong.get(member).and_then(Value::as_str);
            Some(Violation::new(text("path")?, text("code")?, text("message")?))
        };
        list.iter().map(one).collect()
    }

    /// A member that is a string.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member)?.as_str()
    }

    /// How long to wait before the same request may succeed.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        match self.name.as_str() {
            "busy" | "not-ready" | "projection-behind" | "projection-not-ready" => Some(1),
            "shutting-down" => Some(5),
            _ => None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The problem in this body; `None` where it is none of ours.
    pub(crate) fn decode(status: StatusCode, body: &[u8]) -> Option<Self> {
        let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let name = members.remove("type")?.as_str()?.strip_prefix(URN)?.to_owned();
        let detail = members.remove("detail")?.as_str()?.to_owned();
        members.remove("title");
        members.remove("status");
        Some(Self { status, name, detail, members, for_operator: None })
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("type", &format_args!("{URN}{}", self.name))?;
        body.serialize_entry("title", title(&self.name, self.status))?;
        body.serialize_entry("status", &self.status.as_u16())?;
        body.serialize_entry("detail", &self.detail)?;
        for (member, value) in &self.members {
            body.serialize_entry(member, value)?;
        }
        body.end()
    }
}

/// A kind of problem: its stable name, the statuses it comes with, and its title.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) statuses: &'static [u16],
    title: &'static str,
}

const fn kind(name: &'static str, statuses: &'static [u16], title: &'static str) -> Kind {
    Kind { name, statuses, title }
}

/// Every kind there is, by status.
pub(crate) const KINDS: [Kind; 61] = [
    kind("not-caught-up", &[202], "Committed, and not yet applied"),
    kind("malformed", &[400], "Not readable"),
    kind("unauthenticated", &[401], "Credentials are needed"),
    kind("denied", &[403], "Not allowed"),
    kind("no-such-route", &[404], "No such route"),
    kind("no-such-stream", &[404], "No such stream"),
    kind("no-such-row", &[404], "No such row"),
    kind("no-such-saga", &[404], "No such saga"),
    kind("no-schema", &[404], "No schema"),
    kind("not-found", &[404], "Not found"),
    kind("not-recorded", &[404], "Not recorded"),
    kind("projection-lacks", &[404], "The projection has no such thing"),
    kind("unknown-command", &[404], "Unknown command"),
    kind("unknown-projection", &[404], "Unknown projection"),
    kind("unknown-query", &[404], "Unknown query"),
    kind("unknown-saga", &[404], "Unknown saga"),
    kind("unknown-schema", &[404], "Unknown schema"),
    kind("method-not-allowed", &[405], "Method not allowed"),
    kind("projection-actions-off", &[405], "Actions upon projections are off"),
    kind("raw-appends-off", &[405], "Raw appends are off"),
    kind("saga-actions-off", &[405], "Actions upon sagas are off"),
    kind("slow-request", &[408], "The request came too slowly"),
    kind("ahead-of-log", &[409], "Past the end of the log"),
    kind("checkpoint-moved", &[409], "The checkpoint has moved"),
    kind("command-conflict", &[409], "The stream has changed"),
    kind("event-parked", &[409], "The event is parked"),
    kind("guard-failed", &[409], "The guard failed"),
    kind("inline-refused", &[409], "A projection refuses the append"),
    kind("key-reused", &[409], "The key was used for something else"),
    kind("projection-stalled", &[409], "The projection does not move"),
    kind("projection-stopped", &[409], "The projection has stopped"),
    kind("saga-not-now", &[409], "Not as the saga stands"),
    kind("saga-started-otherwise", &[409], "Started with another input"),
    kind("wrong-store", &[409], "Another store"),
    kind("rows-gone", &[410], "The rows are gone"),
    kind("stream-conflict", &[409, 412], "The stream has changed"),
    kind("body-too-large", &[413], "Too large"),
    kind("too-large", &[413], "Too large"),
    kind("media-type", &[415], "Unsupported media type"),
    kind("invalid-request", &[400, 422], "Invalid request"),
    kind("invalid-append", &[422], "Invalid append"),
    kind("invalid-command", &[422], "Invalid command"),
    kind("invalid-projection-request", &[422], "Invalid request"),
    kind("invalid-query", &[422], "Invalid query"),
    kind("invalid-read", &[422], "Invalid read"),
    kind("invalid-saga-request", &[422], "Invalid request"),
    kind("nonconforming-append", &[422], "Events are not as their schemas say"),
    kind("rejected", &[422], "Rejected by the domain"),
    kind("head-too-long", &[414, 431], "The head is too long"),
    kind("corrupt", &[500], "Damaged data"),
    kind("failed", &[500], "Failed"),
    kind("outcome-unknown", &[500], "Outcome unknown"),
    kind("panicked", &[500], "Failed while answering"),
    kind("no-current-form", &[501], "What events have become is not known here"),
    kind("unsupported", &[501], "Not supported by the store"),
    kind("busy", &[503], "Busy"),
    kind("not-ready", &[503], "Not ready"),
    kind("projection-behind", &[503], "Not applied yet"),
    kind("projection-not-ready", &[503], "Not caught up for the first time"),
    kind("shutting-down", &[503], "Shutting down"),
    kind("deadline-passed", &[504], "The deadline passed"),
];

fn title(name: &str, status: StatusCode) -> &'static str {
    let known = KINDS.iter().find(|kind| kind.name == name);
    known.map_or_else(|| status.canonical_reason().unwrap_or("Error"), |kind| kind.title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn kinds_are_listed_once_by_status() {
        let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert!(KINDS.iter().map(|kind| kind.statuses.last()).is_sorted());
    }

    /// The page of the crate's documentation.
    #[test]
    fn every_kind_is_documented() {
        let page = include_str!("../lib.rs");
        for kind in KINDS {
            assert!(page.contains(&format!("`{}`", kind.name)), "{} is not documented", kind.name);
        }
    }
}
