//! What a published JSON Schema (2020-12) says of the parameters of a query string, where everything is text.
//!
//! It decides what a text is read as, and nothing more: whether the value is allowed, the question itself judges.

use portolan_kernel::ports::Violation;
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How a parameter stands in a query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One text, given once.
    Scalar,
    /// A text an element, by repetition.
    List,
    /// One JSON text, for what is neither.
    Json,
}

/// The seven types of JSON Schema. Every integer is a number too.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// How many references are followed, one behind the other.
const HOPS: usize = 16;

type Types<'a> = BTreeSet<&'a str>;

/// The parameters that the schema of an object names, in its order.
pub(super) fn properties(root: &Value) -> Vec<(&String, &Value)> {
    let mut found = BTreeMap::new();
    named(root, root, HOPS, &mut found);
    found.into_iter().collect()
}

fn named<'a>(root: &'a Value, schema: &'a Value, hops: usize, found: &mut BTreeMap<&'a String, &'a Value>) {
    found.extend(schema.get("properties").and_then(Value::as_object).into_iter().flatten());
    let (Some(hops), all) = (hops.checked_sub(1), schema.get("allOf").and_then(Value::as_array)) else { return };
    for part in all.into_iter().flatten().chain(referred(root, schema)) {
        named(root, part, hops, found);
    }
}

fn referred<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// How a parameter of this schema stands in a query string.
pub(super) fn form(root: &Value, schema: &Value) -> Form {
    let types = types(root, schema, HOPS);
    let scalar = |types: &Types<'_>| ["string", "integer", "number", "boolean"].iter().any(|name| types.contains(name));
    match schema_of_elements(root, schema) {
        _ if scalar(&types) => Form::Scalar,
        Some(elements) if types.contains("array") && scalar(&self::types(root, elements, HOPS)) => Form::List,
        _ => Form::Json,
    }
}

fn schema_of_elements<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..HOPS {
        if let Some(elements) = schema.get("items") {
            return Some(elements);
        }
        let alternatives = ["anyOf", "oneOf", "allOf"].iter().filter_map(|of| schema.get(of)?.as_array()).flatten();
        let inner = alternatives.chain(referred(root, schema));
        schema = inner.into_iter().find(|part| types(root, part, HOPS) == Types::from(["array"]))?;
    }
    None
}

/// The types that the schema lets a value have.
fn types<'a>(root: &'a Value, schema: &'a Value, hops: usize) -> Types<'a> {
    let mut types = Types::from(TYPES);
    let Some(hops) = hops.checked_sub(1) else { return types };
    let mut only = |these: Types<'a>| types.retain(|name| these.contains(name));
    match schema.get("type") {
        Some(Value::String(name)) => only(with_integers([name.as_str()].into())),
        Some(Value::Array(names)) => only(with_integers(names.iter().filter_map(Value::as_str).collect())),
        _ => {}
    }
    if let Some(value) = schema.get("const") {
        only(type_of(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        only(values.iter().flat_map(type_of).collect());
    }
    for alternatives in ["anyOf", "oneOf"].iter().filter_map(|of| schema.get(of)?.as_array()) {
        only(alternatives.iter().flat_map(|part| self::types(root, part, hops)).collect());
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().chain(referred(root, schema)) {
        only(self::types(root, part, hops));
    }
    types
}

fn with_integers(mut types: Types<'_>) -> Types<'_> {
    if types.contains("number") {
        types.insert("integer");
    }
    types
}

fn type_of(value: &Value) -> Types<'static> {
    Types::from([match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }])
}

/// The object that these parameters make. One that the schema does not know stays text, of which the question speaks;
/// without a schema all do. Repeated, such a one is a list.
///
/// # Errors
///
/// Every parameter that cannot be read as what its schema wants.
pub(super) fn object(
    schema: Option<&Value>,
    parameters: BTreeMap<String, Vec<String>>,
) -> Result<Map<String, Value>, Vec<Violation>> {
    let properties: BTreeMap<_, _> = schema.map(properties).unwrap_or_default().into_iter().collect();
    let (mut object, mut wrong) = (Map::new(), Vec::new());
    for (name, texts) in parameters {
        let value = match (schema, properties.get(&name)) {
            (Some(root), Some(schema)) => value(root, schema, texts),
            _ => Ok(untyped(texts)),
        };
        match value {
            Ok(value) => drop(object.insert(name, value)),
            Err((code, message)) => wrong.push(Violation::new(name, code, message)),
        }
    }
    if wrong.is_empty() { Ok(object) } else { Err(wrong) }
}

fn untyped(texts: Vec<String>) -> Value {
    let mut values: Vec<Value> = texts.into_iter().map(Value::String).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

type Wrong = (&'static str, String);

fn value(root: &Value, schema: &Value, texts: Vec<String>) -> Result<Value, Wrong> {
    let types = types(root, schema, HOPS);
    match form(root, schema) {
        Form::List => {
            let elements = schema_of_elements(root, schema).map(|elements| self::types(root, elements, HOPS));
            let elements = elements.unwrap_or_default();
            texts.iter().map(|text| scalar(&elements, text)).collect::<Result<_, _>>().map(Value::Array)
        }
        Form::Scalar if texts.len() > 1 && types.contains("array") => Ok(untyped(texts)),
        _ if texts.len() > 1 => Err(("repeated", "it can be given only once".to_owned())),
        Form::Scalar => scalar(&types, &texts.concat()),
        Form::Json => serde_json::from_str(&texts.concat())
            .map_err(|error| ("wrong-type", format!("it is a JSON text here, and this is none: {error}"))),
    }
}

/// A text where a text may stand is that text; an empty one is `null` where only that is left.
fn scalar(types: &Types<'_>, text: &str) -> Result<Value, Wrong> {
    if types.contains("string") {
        return Ok(Value::String(text.to_owned()));
    }
    if text.is_empty() && types.contains("null") {
        return Ok(Value::Null);
    }
    let number = serde_json::from_str::<Number>(text).ok();
    let whole = number.as_ref().is_some_and(|number| !number.is_f64());
    match (number, text) {
        (Some(number), _) if types.contains("number") || whole && types.contains("integer") => {
            return Ok(Value::Number(number));
        }
        (_, "true" | "false") if types.contains("boolean") => return Ok(Value::Bool(text == "true")),
        _ => {}
    }
    let wanted = [("number", "a number"), ("integer", "a whole number"), ("boolean", "`true` or `false`")];
    // Every number includes the whole ones.
    let wanted =
        wanted.iter().filter(|(name, _)| types.contains(name) && !(*name == "integer" && types.contains("number")));
    let wanted: Vec<&str> = wanted.map(|(_, words)| *words).collect();
    Err(("wrong-type", format!("it has to be {}", wanted.join(" or "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_of_schemas() {
        let root = json!({ "$defs": {
            "Kind": { "oneOf": [{ "const": "a" }, { "const": "b" }] },
            "Loop": { "$ref": "#/$defs/Loop" },
        } });
        for (schema, expected) in [
            (json!({ "type": "integer" }), &["integer"][..]),
            (json!({ "type": ["number", "null"] }), &["integer", "null", "number"]),
            (json!({ "const": 1.5 }), &["number"]),
            (json!({ "enum": [1, "a", null] }), &["integer", "null", "string"]),
            (json!({ "$ref": "#/$defs/Kind" }), &["string"]),
            (json!({ "anyOf": [{ "$ref": "#/$defs/Kind" }, { "type": "null" }] }), &["null", "string"]),
            (json!({ "type": "number", "allOf": [{ "type": "integer" }] }), &["integer"]),
            (json!({ "$ref": "#/$defs/Loop" }), &TYPES),
            (json!({ "$ref": "elsewhere.json" }), &TYPES),
            (json!(true), &TYPES),
            (json!({}), &TYPES),
        ] {
            let found: Vec<_> = types(&root, &schema, HOPS).into_iter().collect();
            assert_eq!(found, expected, "{schema}");
        }
    }

    #[test]
    fn forms_of_schemas() {
        let root = json!({});
        for (schema, expected) in [
            (json!({ "type": "integer" }), Form::Scalar),
            (json!({}), Form::Scalar),
            (json!({ "type": "array", "items": { "type": "string" } }), Form::List),
            (json!({ "anyOf": [{ "type": "array", "items": { "type": "boolean" } }, { "type": "null" }] }), Form::List),
            (json!({ "type": ["array", "null"], "items": { "type": "string" } }), Form::List),
            (json!({ "type": "array", "items": { "type": "object" } }), Form::Json),
            (json!({ "type": "array" }), Form::Json),
            (json!({ "type": "object" }), Form::Json),
            (json!({ "type": "null" }), Form::Json),
        ] {
            assert_eq!(form(&root, &schema), expected, "{schema}");
        }
    }
}
