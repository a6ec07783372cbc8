//! What crosses the wire, as JSON Schemas.

use serde_json::{Map, Value, json};

/// The schemas that the routes refer to.
pub(super) fn wire() -> Map<String, Value> {
    let all =
        [values(), events(), reads(), appends(), answers(), super::projections::schemas(), super::sagas::schemas()];
    all.into_iter()
        .filter_map(|part| if let Value::Object(part) = part { Some(part) } else { None })
        .flatten()
        .collect()
}

pub(super) fn of(name: &str) -> Value {
    super::schema(name)
}

pub(super) fn list(name: &str) -> Value {
    json!({ "type": "array", "items": of(name) })
}

pub(super) fn maybe(name: &str) -> Value {
    json!({ "anyOf": [of(name), { "type": "null" }] })
}

/// An object with these fields and no others, as the server wants it.
pub(super) fn given(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// An object that has all these fields, as the server gives it.
pub(super) fn told(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn values() -> Value {
    json!({
        "Name": {
            "type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
            "description": "1 to 512 bytes of UTF-8 without control characters.",
        },
        "Position": {
            "type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$",
            "description": "A place in the log: up to 2^63 - 1, as a string of digits.",
        },
        "Digits": {
            "type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$", "description": "A number up to 2^64 - 1, as a string.",
        },
        "Revision": {
            "type": "integer", "minimum": 0, "maximum": u64::MAX, "description": "A place in a stream, from 0.",
        },
        "EventId": { "type": "string", "format": "uuid" },
        "Base64": {
            "type": "string", "contentEncoding": "base64",
            "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
        },
        "Direction": { "enum": ["forward", "backward"] },
        "Version": {
            "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "A version of a type, from 1.",
        },
        "SchemaKind": { "enum": ["event", "command"] },
        "PayloadViolation": told(json!({
            "event": { "type": "integer", "minimum": 0, "description": "Which event of the append, from 0." },
            "pointer": { "type": "string", "description": "Where in its payload: a JSON Pointer (RFC 6901)." },
            "message": { "type": "string" },
        })),
        "Violation": told(json!({
            "path": { "type": "string", "description": "The field, parameter or header; empty for the whole." },
            "code": { "type": "string" },
            "message": { "type": "string" },
        })),
    })
}

fn events() -> Value {
    let content = json!({
        "data": { "description": "The payload, where it is JSON." },
        "data_base64": of("Base64"),
        "format": { "enum": ["json", "binary"], "description": "Of what is in `data_base64`; binary if left out." },
        "metadata": { "type": "object" },
        "metadata_base64": of("Base64"),
    });
    let with_content = |mut properties: Value| {
        if let (Some(all), Some(content)) = (properties.as_object_mut(), content.as_object()) {
            all.extend(content.clone());
        }
        properties
    };
    let recorded = json!({
        "id": of("EventId"),
        "type": of("Name"),
        "version": { "type": "integer", "minimum": 0 },
        "stream": of("Name"),
        "revision": of("Revision"),
        "position": of("Position"),
        "recorded_at": { "type": "string" },
        "tags": list("Name"),
    });
    let mut event = told(recorded.clone());
    event["properties"] = with_content(recorded);
    let mut new = given(
        with_content(json!({
            "id": of("EventId"),
            "stream": of("Name"),
            "type": of("Name"),
            "version": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 1 },
            "tags": list("Name"),
        })),
        &["type"],
    );
    new["oneOf"] = json!([
        { "required": ["data"], "properties": { "data_base64": false, "format": { "const": "json" } } },
        { "required": ["data_base64"], "properties": { "data": false } },
    ]);
    new["not"] = json!({ "required": ["metadata", "metadata_base64"] });
    let fields = ["correlation_id", "causation_id", "command_id", "actor", "tenant", "traceparent"];
    let text = || json!({ "type": "string" });
    let metadata = json!({
        "type": "object",
        "properties": fields.iter().map(|field| ((*field).to_owned(), text())).collect::<Map<_, _>>(),
    });
    let formed = json!({
        "allOf": [of("Event")],
        "description": "With `form=current` there is always a `form`, and with `form=stored` none of these.",
        "properties": {
            "form": { "enum": ["stored", "current"], "description": "The form that this event is in." },
            "part": {
                "type": "integer", "minimum": 1, "maximum": u32::MAX,
                "description": "Which of the events it is that the stored one has become, where they are several.",
            },
            "not_current": of("NotCurrent"),
        },
    });
    let mut not_current = told(json!({
        "code": { "enum": ["unknown-type", "unknown-version", "upcast-failed"] },
        "message": { "type": "string" },
    }));
    not_current["description"] = "Why an event is as it is stored, where the current form was asked for.".into();
    json!({
        "Event": event, "FormedEvent": formed, "NotCurrent": not_current, "NewEvent": new, "Metadata": metadata,
    })
}

fn reads() -> Value {
    json!({
        "Query": given(json!({ "any_of": list("QueryItem"), "system": { "type": "boolean", "default": false } }), &[]),
        "QueryItem": given(
            json!({
                "streams": list("Name"), "categories": list("Name"), "types": list("Name"), "tags": list("Name"),
            }),
            &[],
        ),
        "Read": given(
            json!({
                "from": { "oneOf": [
                    given(json!({ "stream": given(json!({ "id": of("Name"), "after": maybe("Revision") }), &["id"]) }), &["stream"]),
                    given(json!({ "log": given(json!({ "query": of("Query"), "after": maybe("Position") }), &["query"]) }), &["log"]),
                ] },
                "direction": of("Direction"),
                "limit": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                "until": maybe("Position"),
            }),
            &["from"],
        ),
        "PortPage": told(json!({
            "events": list("Event"),
            "next": maybe("Read"),
            "at_frontier": { "type": "boolean" },
            "frontier": maybe("Position"),
            "revision": maybe("Revision"),
        })),
        "Page": told(json!({
            "events": list("FormedEvent"),
            "next": { "type": ["string", "null"], "description": "The path of the page that continues this one." },
            "at_frontier": { "type": "boolean" },
        })),
    })
}

fn appends() -> Value {
    let head = json!({ "stream": of("Name"), "revision": maybe("Revision") });
    json!({
        "StreamAppend": given(json!({ "events": list("NewEvent") }), &["events"]),
        "Append": given(
            json!({
                "events": { "type": "array", "items": { "allOf": [of("NewEvent")], "required": ["id", "stream"] } },
                "expect": { "type": "array", "items": of("Expectation") },
                "guard": { "anyOf": [
                    given(json!({ "none_of": of("Query"), "after": maybe("Position") }), &["none_of"]),
                    { "type": "null" },
                ] },
                "checkpoint": { "anyOf": [of("CheckpointMove"), { "type": "null" }] },
                "key": { "anyOf": [of("Key"), { "type": "null" }] },
            }),
            &[],
        ),
        "Expectation": given(
            json!({ "stream": of("Name"), "expected": of("Expected") }),
            &["stream", "expected"],
        ),
        "Expected": { "oneOf": [
            { "enum": ["no-stream", "stream-exists"] },
            given(json!({ "exact": of("Revision") }), &["exact"]),
        ] },
        "CheckpointMove": given(
            json!({
                "name": of("Name"),
                "store": { "type": "string" },
                "token": of("Digits"),
                "from": maybe("Position"),
                "to": { "oneOf": [
                    { "const": "claim" },
                    given(json!({ "at": of("Position") }), &["at"]),
                    given(json!({ "reset": maybe("Position") }), &["reset"]),
                ] },
            }),
            &["name", "store", "token", "to"],
        ),
        "Key": given(
            json!({
                "scope": of("Name"),
                "id": of("Name"),
                "digest": { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
                "note_base64": of("Base64"),
            }),
            &["scope", "id", "digest"],
        ),
        "StreamHead": told(head),
        "Appended": told(json!({
            "first": maybe("Position"),
            "last": maybe("Position"),
            "streams": list("StreamHead"),
            "note_base64": of("Base64"),
            "repeated": { "type": "boolean" },
        })),
    })
}

fn answers() -> Value {
    let text = || json!({ "type": "string" });
    let mut described = told(json!({ "name": of("Name") }));
    described["properties"]["description"] = text();
    for schema in ["schema", "answer_schema"] {
        described["properties"][schema] = json!({ "description": "A JSON Schema (2020-12)." });
    }
    let duration = told(json!({ "seconds": of("Digits"), "nanoseconds": { "type": "integer" } }));
    json!({
        "Receipt": told(json!({
            "stream": maybe("Name"),
            "revision": maybe("Revision"),
            "position": maybe("Position"),
            "events": list("EventId"),
            "streams": list("StreamHead"),
            "correlation_id": { "type": ["string", "null"] },
            "command_id": { "type": ["string", "null"] },
            "repeated": { "type": "boolean" },
        })),
        "Described": described,
        "Commands": told(json!({ "commands": list("Described") })),
        "Queries": told(json!({ "queries": list("Described") })),
        "Schemas": told(json!({ "schemas": list("SchemaVersions") })),
        "SchemaVersions": told(json!({
            "kind": of("SchemaKind"),
            "name": of("Name"),
            "category": maybe("Name"),
            "current": maybe("Version"),
            "versions": { "type": "array", "items": told(json!({
                "version": of("Version"),
                "schema": { "type": "string", "description": "The path of its JSON Schema." },
            })) },
        })),
        "Recalled": told(json!({ "appended": of("Appended"), "digest": text() })),
        "CheckpointState": told(json!({ "store": text(), "position": maybe("Position"), "token": of("Digits") })),
        "Status": told(json!({ "status": { "const": "ok" } })),
        "Duration": duration,
        "Capabilities": told(json!({
            "identity": text(),
            "lacks": { "type": "array", "items": text() },
            "key_retention": maybe("Duration"),
            "hint_latency": of("Duration"),
            "limits": { "type": "object" },
        })),
    })
}
