//! A path a command and a path a question, by what the buses tell of them.

use super::{Operation, body, is_json, problems, reference, schema};
use crate::server::schema::{Form, form, properties};
use crate::wire::text::ESCAPED;
use core::fmt::Write as _;
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{CommandInfo, QueryInfo};
use serde_json::{Map, Value, json};

const OF_COMMANDS: [&str; 9] = [
    "command-conflict",
    "deadline-passed",
    "failed",
    "invalid-command",
    "key-reused",
    "not-caught-up",
    "outcome-unknown",
    "rejected",
    "shutting-down",
];
const OF_QUERIES: [&str; 4] = ["busy", "failed", "invalid-query", "not-found"];

pub(super) fn path(of: &str, name: &str) -> String {
    format!("/{of}/{}", utf8_percent_encode(name, ESCAPED))
}

pub(super) fn command(command: &CommandInfo, schemas: &mut Map<String, Value>) -> Value {
    let CommandInfo { name, description, schema: told, .. } = command;
    let parameters = ["Idempotency-Key", "Request-Timeout", "Portolan-Wait-For", "Prefer", "Portolan-Metadata"];
    let dispatch = Operation {
        id: format!("command-{name}"),
        tag: "commands",
        summary: summary(description, "Dispatches the command", name),
        parameters: parameters.map(|name| reference("parameters", name)).into(),
        body: Some(body(component(schemas, "command", name, told.as_ref()))),
        answers: vec![(200, "The receipt.", Some(is_json(schema("Receipt"))), &["ETag", "Preference-Applied"])],
        problems: [&OF_COMMANDS[..], &problems::BODY].concat(),
        open: false,
    };
    json!({ "post": dispatch.value() })
}

pub(super) fn question(question: &QueryInfo, schemas: &mut Map<String, Value>) -> Value {
    let QueryInfo { name, description, schema: told, answer_schema, .. } = question;
    let component_of_answer = answer_schema.as_ref().map(|told| component(schemas, "answer", name, Some(told)));
    let content = is_json(component_of_answer.unwrap_or_else(|| json!({})));
    let of_body = component(schemas, "query", name, told.as_ref());
    let operation = |id: String, parameters: Vec<Value>, body: Option<Value>, of_body: &[&'static str]| {
        let headers =
            ["If-None-Match", "Request-Timeout", "Portolan-Metadata"].map(|name| reference("parameters", name));
        let operation = Operation {
            id,
            tag: "queries",
            summary: summary(description, "Asks", name),
            parameters: parameters.into_iter().chain(headers).collect(),
            body,
            answers: vec![
                (200, "The answer.", Some(content.clone()), &["ETag"]),
                (304, "The caller has it already.", None, &["ETag"]),
            ],
            problems: [&OF_QUERIES[..], of_body].concat(),
            open: false,
        };
        operation.value()
    };
    let parameters = told.as_ref().map(|told| parameters(told, &key("query", name))).unwrap_or_default();
    json!({
        "get": operation(format!("query-{name}"), parameters, None, &[]),
        "post": operation(format!("query-{name}-by-post"), Vec::new(), Some(body(of_body)), &problems::BODY),
    })
}

pub(super) fn summary(description: &str, otherwise: &str, name: &str) -> String {
    if description.is_empty() { format!("{otherwise} `{name}`.") } else { description.to_owned() }
}

/// The fields of a question as parameters of a query string.
fn parameters(told: &Value, key: &str) -> Vec<Value> {
    let required = told.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|required| required.iter().any(|one| one == name));
    let parameter = |(name, told_of): (&String, &Value)| {
        let schema = moved(told_of, key);
        let mut parameter = json!({ "in": "query", "name": name, "required": is_required(name) });
        if let Some(description) = told_of.get("description") {
            parameter["description"] = description.clone();
        }
        match form(told, told_of) {
            Form::Json => parameter["content"] = is_json(schema),
            Form::Scalar | Form::List => parameter["schema"] = schema,
        }
        parameter
    };
    properties(told).into_iter().map(parameter).collect()
}

/// Puts the schema among the components and refers to it. Without one, every object will do.
pub(super) fn component(schemas: &mut Map<String, Value>, of: &str, name: &str, told: Option<&Value>) -> Value {
    let Some(told) = told else { return json!({ "type": "object" }) };
    let key = key(of, name);
    let mut schema = moved(told, &key);
    if let Some(schema) = schema.as_object_mut() {
        // Of the dialect and of where it lives the document speaks now.
        schema.remove("$schema");
        schema.remove("$id");
    }
    let refers = reference("schemas", &key);
    schemas.insert(key, schema);
    refers
}

/// A key of `components` has letters, digits, `.`, `-` and `_`.
fn key(of: &str, name: &str) -> String {
    let mut key = format!("{of}.");
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            key.push(c);
        } else {
            let _ = write!(key, "_{:x}_", u32::from(c));
        }
    }
    key
}

/// The schema with its references into itself as they are in the document.
fn moved(schema: &Value, key: &str) -> Value {
    match schema {
        Value::Object(object) => {
            let moved = object.iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("$ref", Value::String(to)) => match to.strip_prefix('#') {
                        Some(rest) => format!("#/components/schemas/{key}{rest}").into(),
                        None => value.clone(),
                    },
                    // What is in these is a value, and no schema.
                    ("const" | "enum" | "default" | "examples", _) => value.clone(),
                    _ => moved(value, key),
                };
                (name.clone(), value)
            });
            Value::Object(moved.collect())
        }
        Value::Array(list) => list.iter().map(|value| moved(value, key)).collect(),
        other => other.clone(),
    }
}
