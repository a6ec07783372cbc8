//! Errors on the wire: problem details (RFC 9457).

use http::StatusCode;
use portolan_kernel::ports::Violation;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

/// The media type of every error.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What precedes the stable name of a problem in its `type`.
const URN: &str = "urn:portolan:problem:";

/// One error, as it travels: a stable type, a status, a sentence, and members that give back the port's error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) members: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        Self { status, name: name.to_owned(), detail: detail.into(), members: Map::new() }
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
            "busy" | "not-ready" => Some(1),
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
        Some(Self { status, name, detail, members })
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

fn title(name: &str, status: StatusCode) -> &'static str {
    match name {
        "malformed" => "Not readable",
        "invalid-request" => "Invalid request",
        "invalid-command" => "Invalid command",
        "invalid-query" => "Invalid query",
        "invalid-append" => "Invalid append",
        "invalid-read" => "Invalid read",
        "no-such-route" => "No such route",
        "no-such-stream" => "No such stream",
        "not-recorded" => "Not recorded",
        "not-found" => "Not found",
        "unknown-command" => "Unknown command",
        "unknown-query" => "Unknown query",
        "method-not-allowed" => "Method not allowed",
        "media-type" => "Unsupported media type",
        "raw-appends-off" => "Raw appends are off",
        "rejected" => "Rejected by the domain",
        "denied" => "Not allowed",
        "deadline-passed" => "The deadline passed",
        "not-caught-up" => "Committed, and not yet applied",
        "command-conflict" | "stream-conflict" => "The stream has changed",
        "guard-failed" => "The guard failed",
        "checkpoint-moved" => "The checkpoint has moved",
        "wrong-store" => "Another store",
        "ahead-of-log" => "Past the end of the log",
        "key-reused" => "The key was used for something else",
        "too-large" | "body-too-large" => "Too large",
        "slow-request" => "The request came too slowly",
        "unsupported" => "Not supported by the store",
        "busy" => "Busy",
        "shutting-down" => "Shutting down",
        "not-ready" => "Not ready",
        "outcome-unknown" => "Outcome unknown",
        "corrupt" => "Damaged data",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}
