//! The schemas of an event type's payloads, out of that of the enum.
//!
//! Schemars tells an enum as serde writes it: `{"Opened": {…}}`, one of several. A payload is what stands below the name
//! alone.

use super::of_output;
use crate::domain::event::Event;
use crate::domain::event_schema::EventSchema;
use crate::values::Format;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

/// What is told of the stored types of an enum of events: for each its stored name, the name that serde writes for the
/// variant, and its version. Schemas say what is written, and are of payloads in JSON alone.
#[must_use]
pub fn of_events<E: Event + JsonSchema>(told: &[(&str, &str, u32)]) -> Vec<EventSchema> {
    let root = (E::FORMAT == Format::Json).then(of_output::<E>);
    let of = |&(event_type, variant, version): &(&str, &str, u32)| {
        let schema = root.as_ref().and_then(|root| payload(root, variant));
        EventSchema::new(event_type, version).with_schema(schema)
    };
    told.iter().map(of).collect()
}

const DEFINITIONS: &str = "$defs";

/// The schema of what is below this name.
fn payload(root: &Value, variant: &str) -> Option<Value> {
    let each = ["oneOf", "anyOf"].iter().find_map(|keyword| root.get(*keyword)?.as_array());
    let branches = each.map_or(core::slice::from_ref(root), Vec::as_slice);
    let mut payload = branches.iter().find_map(|branch| below(branch, variant))?;
    let mut definitions = root.get(DEFINITIONS).and_then(Value::as_object).cloned().unwrap_or_default();
    if mentions(&payload, "#") || definitions.values().any(|of| mentions(of, "#")) {
        // An event that holds events: the enum itself goes along under a name.
        let own = root.get("title").and_then(Value::as_str).unwrap_or("Event").to_string();
        let mut whole = root.clone();
        if let Some(whole) = whole.as_object_mut() {
            whole.retain(|key, _| key != DEFINITIONS && key != "$schema");
        }
        definitions.insert(own.clone(), whole);
        let to = alloc::format!("#/{DEFINITIONS}/{own}");
        definitions.values_mut().for_each(|of| point(of, &to));
        point(&mut payload, &to);
    }
    keep_used(&mut definitions, &payload);
    let payload = payload.as_object_mut()?;
    payload.insert("$schema".into(), root.get("$schema").cloned().unwrap_or_default());
    if !definitions.is_empty() {
        payload.insert(DEFINITIONS.into(), Value::Object(definitions));
    }
    Some(Value::Object(payload.clone()))
}

/// What stands below the name in this branch; for a variant without fields, what is written for one.
fn below(branch: &Value, variant: &str) -> Option<Value> {
    let is_it = |value: &Value| value.as_str() == Some(variant);
    let is_named = branch.get("const").is_some_and(is_it);
    if is_named || branch.get("enum").and_then(Value::as_array).is_some_and(|names| names.iter().any(is_it)) {
        return Some(described(json!({ "type": "object" }), branch.get("description").filter(|_| is_named)));
    }
    match branch.get("properties")?.get(variant)? {
        Value::Bool(true) => Some(described(json!({}), branch.get("description"))),
        schema @ Value::Object(_) => Some(described(schema.clone(), branch.get("description"))),
        _ => None,
    }
}

/// The same, with the documentation of the variant, if it has none of its own.
fn described(mut schema: Value, description: Option<&Value>) -> Value {
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), description) {
        schema.entry("description").or_insert_with(|| text.clone());
    }
    schema
}

/// Every reference in it.
fn references<'a>(schema: &'a Value, found: &mut impl FnMut(&'a str)) {
    match schema {
        Value::Object(object) => object.iter().for_each(|(key, value)| match value {
            Value::String(to) if key == "$ref" => found(to),
            other => references(other, found),
        }),
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn mentions(schema: &Value, wanted: &str) -> bool {
    let mut is_found = false;
    references(schema, &mut |to| is_found |= to == wanted);
    is_found
}

/// Has references to the whole point there.
fn point(schema: &mut Value, there: &str) {
    match schema {
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| match value {
            Value::String(to) if key == "$ref" && to == "#" => *to = there.to_string(),
            other => point(other, there),
        }),
        Value::Array(list) => list.iter_mut().for_each(|value| point(value, there)),
        _ => {}
    }
}

/// Takes out what the schema does not lead to.
fn keep_used(definitions: &mut Map<String, Value>, schema: &Value) {
    let (mut used, mut open) = (BTreeSet::new(), Vec::new());
    let mut note = |schema: &Value, open: &mut Vec<String>| {
        references(schema, &mut |to| {
            if let Some(name) = to.strip_prefix("#/$defs/")
                && used.insert(name.to_string())
            {
                open.push(name.to_string());
            }
        });
    };
    note(schema, &mut open);
    while let Some(name) = open.pop() {
        if let Some(definition) = definitions.get(&name) {
            note(definition, &mut open);
        }
    }
    definitions.retain(|name, _| used.contains(name));
}
