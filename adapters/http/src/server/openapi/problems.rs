//! Every kind of problem as a schema, and the answers made of them.

use super::{headers_of, reference};
use crate::wire::problem::{KINDS, Kind, MEDIA_TYPE, URN};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What can be wrong with any request.
const ANY: [&str; 5] = ["malformed", "invalid-request", "slow-request", "head-too-long", "panicked"];

/// With one that is not let in.
pub(super) const GATE: [&str; 3] = ["busy", "denied", "unauthenticated"];

/// And with one that has a body.
pub(super) const BODY: [&str; 3] = ["media-type", "body-too-large", "busy"];

/// A schema a kind: its type, its status, and its members.
pub(super) fn schemas() -> impl Iterator<Item = (String, Value)> {
    let base = json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
        },
        "required": ["type", "title", "status", "detail"],
    });
    let kinds = KINDS.iter().map(|kind| (format!("problem.{}", kind.name), of_kind(kind)));
    kinds.chain([("Problem".to_owned(), base)])
}

fn of_kind(kind: &Kind) -> Value {
    let mut properties = members(kind.name);
    let required: Vec<String> = properties.keys().cloned().collect();
    properties.insert("type".to_owned(), json!({ "const": format!("{URN}{}", kind.name) }));
    properties.insert("status".to_owned(), json!({ "enum": kind.statuses }));
    json!({
        "allOf": [reference("schemas", if kind.name == "not-caught-up" { "Receipt" } else { "Problem" })],
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

/// What a problem of the kind has besides what all have.
fn members(name: &str) -> Map<String, Value> {
    let text = || json!({ "type": "string" });
    let maybe = |name: &str| json!({ "anyOf": [reference("schemas", name), { "type": "null" }] });
    let members = match name {
        "invalid-request" | "invalid-command" | "invalid-query" | "invalid-saga-request" => json!({
            "violations": { "type": "array", "items": reference("schemas", "Violation") },
        }),
        "nonconforming-append" => json!({
            "violations": { "type": "array", "items": reference("schemas", "PayloadViolation") },
        }),
        "no-schema" | "unknown-schema" => json!({
            "kind": reference("schemas", "SchemaKind"),
            "name": reference("schemas", "Name"),
            "version": reference("schemas", "Version"),
        }),
        "rejected" => json!({ "code": text(), "fields": {} }),
        "not-caught-up" => json!({ "waiting": { "type": "array", "items": reference("schemas", "Name") } }),
        "unknown-projection" | "projection-not-ready" | "projection-stalled" => {
            json!({ "projection": reference("schemas", "Name") })
        }
        "projection-lacks" => json!({ "projection": reference("schemas", "Name"), "what": text() }),
        "no-such-row" => json!({ "projection": reference("schemas", "Name"), "key": reference("schemas", "Name") }),
        "rows-gone" => {
            json!({ "projection": reference("schemas", "Name"), "edition": reference("schemas", "Edition") })
        }
        "projection-stopped" | "inline-refused" => {
            json!({ "projection": reference("schemas", "Name"), "reason": text() })
        }
        "event-parked" | "projection-behind" => json!({
            "projection": reference("schemas", "Name"), "position": reference("schemas", "Position"),
        }),
        "invalid-projection-request" => json!({ "reason": text() }),
        "malformed" | "denied" | "invalid-append" | "invalid-read" | "busy" | "outcome-unknown" | "failed" => {
            json!({ "reason": text() })
        }
        "no-such-stream" => json!({ "stream": reference("schemas", "Name") }),
        "no-such-saga" | "saga-started-otherwise" => {
            json!({ "name": reference("schemas", "Name"), "id": reference("schemas", "Name") })
        }
        "saga-not-now" => json!({
            "name": reference("schemas", "Name"),
            "id": reference("schemas", "Name"),
            "action": reference("schemas", "SagaAction"),
            "reason": text(),
        }),
        "unknown-command" | "unknown-query" | "unknown-saga" => json!({ "name": reference("schemas", "Name") }),
        "command-conflict" => json!({ "stream": reference("schemas", "Name"), "actual": maybe("Revision") }),
        "stream-conflict" => json!({
            "stream": reference("schemas", "Name"), "actual": maybe("Revision"), "expected": {},
        }),
        "guard-failed" => json!({ "position": reference("schemas", "Position") }),
        "checkpoint-moved" => json!({
            "name": reference("schemas", "Name"), "actual": maybe("Position"), "token": reference("schemas", "Digits"),
        }),
        "wrong-store" => json!({ "named": text(), "actual": text() }),
        "ahead-of-log" => json!({ "after": reference("schemas", "Position"), "store": text() }),
        "too-large" => json!({
            "what": text(), "size": reference("schemas", "Digits"), "limit": reference("schemas", "Digits"),
        }),
        "body-too-large" => json!({ "limit": reference("schemas", "Digits") }),
        "unsupported" => json!({ "capability": text() }),
        "corrupt" => json!({ "place": text() }),
        _ => json!({}),
    };
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The answers of an operation that can have these problems, besides those that any can have: one a status.
pub(super) fn responses(names: &[&str]) -> Map<String, Value> {
    let mut by_status = BTreeMap::<u16, Vec<&Kind>>::new();
    for kind in KINDS.iter().filter(|kind| ANY.contains(&kind.name) || names.contains(&kind.name)) {
        for status in kind.statuses {
            by_status.entry(*status).or_default().push(kind);
        }
    }
    by_status.into_iter().map(|(status, kinds)| (status.to_string(), response(status, &kinds))).collect()
}

fn response(status: u16, kinds: &[&Kind]) -> Value {
    let of = |kind: &&Kind| reference("schemas", &format!("problem.{}", kind.name));
    let schema = match kinds {
        [only] => of(only),
        several => json!({ "oneOf": several.iter().map(of).collect::<Vec<_>>() }),
    };
    let names: Vec<String> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
    let more: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        202 => &["ETag", "Preference-Applied"],
        503 => &["Retry-After"],
        _ => &[],
    };
    json!({
        "description": names.join(", "),
        "headers": headers_of(more),
        "content": { MEDIA_TYPE: { "schema": schema } },
    })
}
