//! JSON Schema (2020-12) to types.
//!
//! What GraphQL can say becomes a type; everything else is `JSON`, and the application judges it as it always does. So a
//! type is never narrower than its schema.

use super::names::valid;
use super::{Choice, Member, Model, Names, Scalar, Shape, Source, Ty, pascal};
use juniper::ArcStr;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which way values go. Types of what comes in and of what goes out are apart in GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    In,
    Out,
}

/// The types that were made of schemas so far, so that two commands share what they define alike.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    names: Names,
    made: BTreeMap<(Direction, String), ArcStr>,
}

impl Schemas {
    /// Types beside those that the model has already.
    pub(crate) fn beside(model: &Model) -> Self {
        Self { names: model.names().map(ArcStr::as_str).collect(), made: BTreeMap::new() }
    }

    /// A name for a type that no other has.
    pub(crate) fn name(&mut self, wanted: &str) -> ArcStr {
        self.names.take(wanted)
    }

    /// The type of a whole document; an object without a title is named so.
    pub(crate) fn ty(&mut self, model: &mut Model, root: &Value, direction: Direction, name: &str) -> Ty {
        Reading { schemas: self, model, root, direction }.ty(root, name)
    }
}

/// The properties of a document that is an object with nothing but its properties, as members; `None` for any other.
pub(crate) fn fields_of(
    schemas: &mut Schemas,
    model: &mut Model,
    root: &Value,
    direction: Direction,
    name: &str,
) -> Option<Vec<Member>> {
    let mut reading = Reading { schemas, model, root, direction };
    let object = reading.resolved(root);
    let properties = closed_object(object)?;
    Some(reading.members(object, properties, name))
}

/// How many references are followed, one behind the other.
const HOPS: usize = 16;

struct Reading<'a> {
    schemas: &'a mut Schemas,
    model: &'a mut Model,
    root: &'a Value,
    direction: Direction,
}

impl<'a> Reading<'a> {
    /// The schema behind references that stand alone.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..HOPS {
            let all = schema.get("allOf").and_then(Value::as_array);
            let next = match (schema.get("$ref").and_then(Value::as_str), all.map(Vec::as_slice)) {
                (Some(reference), None) => reference.strip_prefix('#').and_then(|to| self.root.pointer(to)),
                (None, Some([only])) if !schema.as_object().is_some_and(constrains) => Some(only),
                _ => None,
            };
            match next {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn ty(&mut self, schema: &'a Value, name: &str) -> Ty {
        if let Some(other) = or_null(schema) {
            return self.ty(other, name).maybe();
        }
        let name = match schema.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()) {
            Some(definition) => &pascal(definition),
            None => name,
        };
        let schema = self.resolved(schema);
        if let Some(other) = or_null(schema) {
            return self.ty(other, name).maybe();
        }
        let types = types(schema);
        let nullable = types.contains(&"null");
        let rest: Vec<&str> = types.into_iter().filter(|of| *of != "null").collect();
        let choices = choices(schema);
        let ty = match (rest.as_slice(), choices) {
            ([] | ["string"], Some(choices)) => self.enumeration(schema, &choices, name),
            (["string"], None) => Scalar::String.ty(),
            (["boolean"], None) => Scalar::Boolean.ty(),
            (["number"], None) => Scalar::Float.ty(),
            (["integer"], None) => if is_small(schema) { Scalar::Int } else { Scalar::Long }.ty(),
            (["array"], None) if schema.get("prefixItems").is_none() => match schema.get("items") {
                Some(items) => self.ty(items, &format!("{name}Item")).list(),
                None => Scalar::Json.ty().maybe().list(),
            },
            (["object"], None) => match closed_object(schema) {
                Some(properties) => self.object(schema, properties, name),
                None => Scalar::Json.ty(),
            },
            _ => return Scalar::Json.ty().maybe(),
        };
        if nullable { ty.maybe() } else { ty }
    }

    /// What tells one definition from another: itself, and what its references lead to.
    fn key(&self, schema: &Value, name: &str) -> (Direction, String) {
        let text = schema.to_string();
        let definitions = if text.contains("\"$ref\"") { self.root.get("$defs") } else { None };
        (self.direction, format!("{name} {text} {}", definitions.unwrap_or(&Value::Null)))
    }

    fn object(&mut self, schema: &'a Value, properties: &'a Map<String, Value>, name: &str) -> Ty {
        let key = self.key(schema, name);
        if let Some(made) = self.schemas.made.get(&key) {
            return Ty::Named(made.clone());
        }
        let suffix = if self.direction == Direction::In && !name.ends_with("Input") { "Input" } else { "" };
        let given = self.schemas.name(&format!("{name}{suffix}"));
        // Before its members, which may refer to it.
        self.schemas.made.insert(key, given.clone());
        let fields = self.members(schema, properties, name);
        let shape = match self.direction {
            Direction::In => Shape::Input(fields),
            Direction::Out => Shape::Object { fields, interfaces: Vec::new() },
        };
        self.model.add(given.clone(), description(schema), shape);
        Ty::Named(given)
    }

    fn members(&mut self, schema: &'a Value, properties: &'a Map<String, Value>, name: &str) -> Vec<Member> {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut names = Names::default();
        let base = name.strip_suffix("Input").unwrap_or(name);
        let member = |(wire, property): (&'a String, &'a Value)| {
            let ty = self.ty(property, &format!("{base}{}", pascal(wire)));
            let ty = if required.contains(&wire.as_str()) { ty } else { ty.maybe() };
            let field = names.take(&valid(wire));
            let mut text = description(property);
            if text.is_empty() {
                text = description(self.resolved(property));
            }
            if let Some(default) = property.get("default") {
                text = joined(&text, &format!("Left out, it is `{default}`."));
            }
            if field != **wire {
                text = joined(&text, &format!("In JSON it is `{wire}`."));
            }
            Member::new(field, ty, text).from(Source::Member(wire.clone()))
        };
        properties.iter().map(member).collect()
    }

    fn enumeration(&mut self, schema: &Value, choices: &[(&str, String)], name: &str) -> Ty {
        let key = self.key(schema, name);
        if let Some(made) = self.schemas.made.get(&key).or_else(|| {
            // One enum serves both ways.
            let other = if key.0 == Direction::In { Direction::Out } else { Direction::In };
            self.schemas.made.get(&(other, key.1.clone()))
        }) {
            return Ty::Named(made.clone());
        }
        let given = self.schemas.name(name);
        self.schemas.made.insert(key, given.clone());
        let mut names: Names = ["true", "false", "null"].into_iter().collect();
        let choice = |(wire, text): &(&str, String)| {
            let name = names.take(&valid(wire));
            let text = if name == **wire { text.clone() } else { joined(text, &format!("In JSON it is `{wire}`.")) };
            Choice { name, wire: (*wire).to_owned(), description: text }
        };
        let choices = choices.iter().map(choice).collect();
        self.model.add(given.clone(), description(schema), Shape::Enum(choices));
        Ty::Named(given)
    }
}

/// The one alternative to `null`, where a schema is that.
fn or_null(schema: &Value) -> Option<&Value> {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    let (nulls, others): (Vec<_>, Vec<_>) =
        alternatives.iter().partition(|part| part.get("type").and_then(Value::as_str) == Some("null"));
    match (nulls.len(), others.as_slice()) {
        (1, [only]) => Some(only),
        _ => None,
    }
}

/// Whether the object says more than words beside its `allOf`.
fn constrains(schema: &Map<String, Value>) -> bool {
    schema
        .keys()
        .any(|key| !matches!(key.as_str(), "allOf" | "description" | "title" | "default" | "$schema" | "$defs"))
}

/// The types that are named; none where anything may stand.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The texts that alone are allowed, each with what is said of it.
fn choices(schema: &Value) -> Option<Vec<(&str, String)>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let texts = values.iter().filter(|value| !value.is_null());
        return texts.map(|value| Some((value.as_str()?, String::new()))).collect::<Option<Vec<_>>>().filter(some);
    }
    let alternatives = schema.get("oneOf").and_then(Value::as_array)?;
    let mut choices = Vec::new();
    for part in alternatives {
        match (part.get("const").and_then(Value::as_str), part.get("enum").and_then(Value::as_array)) {
            (Some(only), _) => choices.push((only, description(part))),
            (None, Some(values)) => {
                for value in values {
                    choices.push((value.as_str()?, description(part)));
                }
            }
            _ => return None,
        }
    }
    Some(choices).filter(some)
}

#[expect(clippy::ptr_arg, reason = "for `Option::filter`")]
fn some<T>(list: &Vec<T>) -> bool {
    !list.is_empty()
}

/// The properties of an object that may have no others of interest, and has some.
fn closed_object(schema: &Value) -> Option<&Map<String, Value>> {
    let open = !matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false)));
    let more = ["patternProperties", "allOf", "anyOf", "oneOf", "if"].iter().any(|key| schema.get(key).is_some());
    if open || more {
        return None;
    }
    schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty())
}

/// Whether every value is one of 32 bits with a sign.
fn is_small(schema: &Value) -> bool {
    if let Some("int8" | "int16" | "int32" | "uint8" | "uint16") = schema.get("format").and_then(Value::as_str) {
        return true;
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    let least = bound("minimum").is_some_and(|least| least >= i64::from(i32::MIN));
    least && bound("maximum").is_some_and(|most| most <= i64::from(i32::MAX))
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn joined(one: &str, other: &str) -> String {
    if one.is_empty() { other.to_owned() } else { format!("{one}\n\n{other}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(ty: &Ty) -> String {
        match ty {
            Ty::Named(name) => format!("{name}!"),
            Ty::List(inner) => format!("[{}]!", written(inner)),
            Ty::Maybe(inner) => written(inner).trim_end_matches('!').to_owned(),
        }
    }

    fn read(schema: &Value, direction: Direction) -> (String, Model) {
        let mut model = Model::default();
        let ty = Schemas::default().ty(&mut model, schema, direction, "Thing");
        (written(&ty), model)
    }

    #[test]
    fn types_of_schemas() {
        for (schema, expected) in [
            (json!({ "type": "string" }), "String!"),
            (json!({ "type": ["string", "null"] }), "String"),
            (json!({ "type": "boolean" }), "Boolean!"),
            (json!({ "type": "number" }), "Float!"),
            (json!({ "type": "integer" }), "Long!"),
            (json!({ "type": "integer", "format": "uint64", "minimum": 0 }), "Long!"),
            (json!({ "type": "integer", "format": "uint32", "minimum": 0 }), "Long!"),
            (json!({ "type": "integer", "format": "int32" }), "Int!"),
            (json!({ "type": "integer", "minimum": 1, "maximum": 99 }), "Int!"),
            (json!({ "type": "array", "items": { "type": "string" } }), "[String!]!"),
            (json!({ "type": "array", "items": { "type": ["integer", "null"] } }), "[Long]!"),
            (json!({ "anyOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "null" }] }), "[String!]"),
            (json!({ "enum": ["a", "b-c"] }), "Thing!"),
            (json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }), "Thing!"),
            (json!({ "enum": ["a", 1] }), "JSON"),
            (json!({ "type": ["string", "integer"] }), "JSON"),
            (json!({ "type": "object", "additionalProperties": { "type": "integer" } }), "JSON!"),
            (json!({ "type": "object", "properties": { "a": {} }, "additionalProperties": true }), "JSON!"),
            (json!({ "oneOf": [{ "type": "object" }, { "type": "string" }] }), "JSON"),
            (json!({ "type": "array", "prefixItems": [{}, {}] }), "JSON"),
            (json!(true), "JSON"),
            (json!({}), "JSON"),
        ] {
            assert_eq!(read(&schema, Direction::Out).0, expected, "{schema}");
        }
    }

    #[test]
    fn objects_refer_to_definitions_and_to_themselves() {
        let schema = json!({
            "type": "object",
            "required": ["first-name", "next"],
            "properties": {
                "first-name": { "type": "string", "description": "Who." },
                "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
                "also": { "$ref": "#/$defs/node", "description": "Here." },
            },
            "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } } } },
        });
        let (ty, model) = read(&schema, Direction::In);
        assert_eq!(ty, "ThingInput!");
        let field = |of: &str, name: &str| {
            let field = model.field(of, name).unwrap();
            (written(&field.ty), field.description.clone())
        };
        assert_eq!(field("ThingInput", "first_name"), ("String!".into(), "Who.\n\nIn JSON it is `first-name`.".into()));
        assert_eq!(field("ThingInput", "next").0, "NodeInput");
        assert_eq!(field("ThingInput", "also"), ("NodeInput".into(), "Here.".into()));
        assert_eq!(field("NodeInput", "next").0, "NodeInput");
    }

    #[test]
    fn what_two_define_alike_they_share() {
        let of = |kind: Value| json!({ "type": "object", "properties": { "k": { "$ref": "#/$defs/Kind" } }, "$defs": { "Kind": kind } });
        let (mut model, mut schemas) = (Model::default(), Schemas::default());
        let (one, other) = (json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] }));
        for (name, direction, kind) in [
            ("A", Direction::In, &one),
            ("B", Direction::In, &one),
            ("C", Direction::Out, &one),
            ("D", Direction::In, &other),
        ] {
            schemas.ty(&mut model, &of(kind.clone()), direction, name);
        }
        let kind = |of: &str| model.field(of, "k").unwrap().ty.innermost().clone();
        assert_eq!([kind("AInput"), kind("BInput"), kind("C"), kind("DInput")], ["Kind", "Kind", "Kind", "Kind2"]);
    }
}
