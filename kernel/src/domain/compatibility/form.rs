//! Schemas without what only people read, and in one form where there are several.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value, json};

/// Keywords that say nothing of what is valid. `default` is kept: it says what a reader takes for a missing field.
const ANNOTATIONS: [&str; 9] =
    ["$comment", "$id", "$schema", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"];

/// Where other schemas are in one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Below names.
    Named,
    /// One.
    One,
    /// Several, in an order that matters.
    Row,
    /// Several, in any order.
    Several,
    /// No schema, and a list of which the order is none.
    Set,
    /// No schema.
    Nothing,
}

pub(super) fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" | "patternProperties" | "dependentSchemas" | "$defs" => Holds::Named,
        "additionalProperties"
        | "items"
        | "not"
        | "contains"
        | "propertyNames"
        | "if"
        | "then"
        | "else"
        | "unevaluatedProperties"
        | "unevaluatedItems" => Holds::One,
        "prefixItems" => Holds::Row,
        "oneOf" | "anyOf" | "allOf" => Holds::Several,
        "required" | "enum" | "type" => Holds::Set,
        _ => Holds::Nothing,
    }
}

/// The schema in that form. It goes down as deep as the schema is.
pub(super) fn form(schema: &Value) -> Value {
    let Value::Object(object) = schema else {
        return if *schema == Value::Bool(true) { json!({}) } else { schema.clone() };
    };
    let mut formed = Map::new();
    for (keyword, value) in object {
        if ANNOTATIONS.contains(&&**keyword) {
            continue;
        }
        let value = match (holds(keyword), value) {
            (Holds::Named, Value::Object(named)) => {
                Value::Object(named.iter().map(|(name, schema)| (name.clone(), form(schema))).collect())
            }
            (Holds::One, schema) => form(schema),
            (Holds::Row | Holds::Several, Value::Array(list)) => list.iter().map(form).collect(),
            (_, value) => value.clone(),
        };
        if is_void(keyword, &value) {
            continue;
        }
        match (&**keyword, value) {
            ("const", value) => drop(formed.insert("enum".to_owned(), Value::Array(alloc::vec![value]))),
            (_, value) => drop(formed.insert(keyword.clone(), value)),
        }
    }
    reference_alone(&mut formed);
    one_enumeration(&mut formed);
    one_part(&mut formed);
    if let (Some(Value::Array(values)), Some(kind)) = (formed.get("enum"), formed.get("type"))
        && values.iter().all(|value| list(kind).any(|kind| kind.as_str() == Some(type_of(value))))
    {
        formed.remove("type");
    }
    Value::Object(formed)
}

/// A keyword that asks for nothing.
fn is_void(keyword: &str, value: &Value) -> bool {
    match keyword {
        "required" => value.as_array().is_some_and(Vec::is_empty),
        "properties" | "patternProperties" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// A reference with something beside it is a part like any other.
fn reference_alone(schema: &mut Map<String, Value>) {
    let is_alone = schema.keys().all(|keyword| ["$ref", "$defs", "default"].contains(&&**keyword));
    if !is_alone && let Some(to) = schema.remove("$ref") {
        let part = json!({ "$ref": to });
        match schema.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(parts) => parts.push(part),
            None => drop(schema.insert("allOf".to_owned(), json!([part]))),
        }
    }
}

/// Values that are told one by one, as schemars does with documented variants, are one list of values.
fn one_enumeration(schema: &mut Map<String, Value>) {
    for keyword in ["oneOf", "anyOf"] {
        let Some(Value::Array(branches)) = schema.get(keyword) else { continue };
        let is_list = |branch: &&Value| {
            let keys = branch.as_object().map(|branch| branch.keys().all(|key| key == "enum" || key == "default"));
            keys == Some(true) && branch.get("enum").is_some()
        };
        let values: Vec<_> = branches.iter().filter(is_list).filter_map(|branch| branch["enum"].as_array()).collect();
        let values: Vec<_> = values.into_iter().flatten().cloned().collect();
        let mut rest: Vec<_> = branches.iter().filter(|branch| !is_list(branch)).cloned().collect();
        if !values.is_empty() {
            rest.push(json!({ "enum": values }));
        }
        match &mut rest[..] {
            [only] if is_list(&&*only) && !overlap(schema, only, keyword) => {
                let only = only.take();
                schema.remove(keyword);
                schema.extend(only.as_object().cloned().unwrap_or_default());
            }
            _ => drop(schema.insert(keyword.to_owned(), Value::Array(rest))),
        }
    }
}

/// All of one part is that part.
fn one_part(schema: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = schema.get("allOf") else { return };
    let [part] = &parts[..] else { return };
    let is_reference = part.get("$ref").is_some();
    let is_alone = schema.keys().all(|keyword| ["allOf", "$defs", "default"].contains(&&**keyword));
    if (!is_reference || is_alone) && !overlap(schema, part, "allOf") {
        let part = part.as_object().cloned().unwrap_or_default();
        schema.remove("allOf");
        schema.extend(part);
    }
}

/// Whether the part cannot be put beside the rest of the schema without changing what that says.
fn overlap(schema: &Map<String, Value>, part: &Value, keyword: &str) -> bool {
    const LOOK_ASIDE: [&str; 5] =
        ["additionalProperties", "unevaluatedProperties", "unevaluatedItems", "items", "$ref"];
    let Some(part) = part.as_object() else { return true };
    let mut others = schema.keys().filter(|key| *key != keyword && *key != "$defs" && *key != "default").peekable();
    others.peek().is_some() && part.keys().any(|key| schema.contains_key(key) || LOOK_ASIDE.contains(&&**key))
}

/// One or several.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(list) => list.iter(),
        one => core::slice::from_ref(one).iter(),
    }
}

/// What JSON Schema calls the type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Follows references that stand alone, and tells whether there was one. What leads nowhere, or round in a circle, stays.
pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    let mut at = schema;
    for _ in 0..32 {
        let Some(object) = at.as_object() else { break };
        let Some(to) = object.get("$ref").and_then(Value::as_str) else { break };
        let Some(next) = to.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else { break };
        at = next;
    }
    (at, !core::ptr::eq(at, schema))
}

/// The path below this one.
pub(super) fn below(path: &str, name: &str) -> String {
    alloc::format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The value as a person is shown it.
pub(super) fn shown(value: &Value) -> String {
    const MOST: usize = 80;
    let text = alloc::string::ToString::to_string(value);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => alloc::format!("{}…", &text[..end]),
        None => text,
    }
}
