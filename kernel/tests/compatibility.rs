//! What a change of a schema means, by examples: whether there is one, and who still reads whom.

#![allow(clippy::unwrap_used, reason = "what the tests stand on cannot fail")]

use portolan_kernel::domain::compatibility::{differences, misfits};
use rstest::rstest;
use serde_json::{Value, json};

fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

fn closed(fields: Value, required: &[&str]) -> Value {
    let mut object = object(fields, required);
    object["additionalProperties"] = json!(false);
    object
}

fn field(schema: Value) -> Value {
    object(json!({ "a": schema }), &["a"])
}

fn int(format: &str) -> Value {
    json!({ "type": "integer", "format": format, "minimum": 0 })
}

fn nodes(of: Value) -> Value {
    json!({ "$ref": "#/$defs/Node", "$defs": { "Node": {
        "type": "object",
        "properties": { "of": of, "children": { "type": "array", "items": { "$ref": "#/$defs/Node" } } },
        "required": ["of", "children"],
    } } })
}

/// As serde tags variants from outside.
fn variants(each: &[(&str, Value)]) -> Value {
    let each = each.iter().map(|(name, schema)| {
        json!({ "type": "object", "properties": { *name: schema }, "required": [name], "additionalProperties": false })
    });
    json!({ "oneOf": each.collect::<Vec<_>>() })
}

const YES: bool = true;
const NO: bool = false;

/// The old schema and the new one; whether the new reads what the old wrote, and the other way round.
#[rstest]
#[case::nothing(field(json!({"type": "string"})), field(json!({"type": "string"})), YES, YES)]
#[case::an_optional_field_comes(object(json!({}), &[]), object(json!({"a": {"type": "string"}}), &[]), YES, YES)]
#[case::an_optional_field_goes(object(json!({"a": {"type": "string"}}), &[]), object(json!({}), &[]), YES, YES)]
#[case::a_required_field_comes(object(json!({}), &[]), field(json!({"type": "string"})), NO, YES)]
#[case::a_required_field_with_a_default_comes(
    object(json!({}), &[]), field(json!({"type": "string", "default": ""})), YES, YES)]
#[case::a_required_field_goes(field(json!({"type": "string"})), object(json!({}), &[]), YES, NO)]
#[case::a_field_may_be_missing_now(
    field(json!({"type": "string"})), object(json!({"a": {"type": "string"}}), &[]), YES, NO)]
#[case::renamed(
    object(json!({"mail": {"type": "string"}}), &["mail"]), object(json!({"email": {"type": "string"}}), &["email"]), NO, NO)]
#[case::closed_a_field_comes(closed(json!({}), &[]), closed(json!({"a": {"type": "string"}}), &[]), YES, NO)]
#[case::closed_a_field_goes(closed(json!({"a": {"type": "string"}}), &[]), closed(json!({}), &[]), NO, YES)]
#[case::it_closes(object(json!({"a": {"type": "string"}}), &[]), closed(json!({"a": {"type": "string"}}), &[]), YES, YES)]
#[case::another_type(field(json!({"type": "integer"})), field(json!({"type": "string"})), NO, NO)]
#[case::wider(field(int("uint32")), field(int("uint64")), YES, NO)]
#[case::with_a_sign(field(int("uint32")), field(json!({"type": "integer", "format": "int64"})), YES, NO)]
#[case::without_a_sign(field(int("uint64")), field(json!({"type": "integer", "format": "int64"})), NO, NO)]
#[case::whole_becomes_any(field(int("uint32")), field(json!({"type": "number", "format": "double"})), YES, NO)]
#[case::a_bound_comes(field(int("uint64")), field(json!({"type": "integer", "format": "uint64", "minimum": 1})), NO, YES)]
#[case::an_open_bound(
    field(json!({"type": "number", "minimum": 1})), field(json!({"type": "number", "exclusiveMinimum": 1})), NO, YES)]
#[case::a_bound_past_what_floats_tell_apart(
    field(json!({"type": "integer", "maximum": 9_007_199_254_740_993_u64})),
    field(json!({"type": "integer", "maximum": 9_007_199_254_740_992_u64})), NO, YES)]
#[case::an_option(field(json!({"type": "string"})), field(json!({"type": ["string", "null"]})), YES, NO)]
#[case::an_option_of_a_type(
    field(nodes(int("uint8"))["$defs"]["Node"]["properties"]["of"].clone()),
    field(json!({"anyOf": [int("uint8"), {"type": "null"}]})), YES, NO)]
#[case::longer(field(json!({"type": "string", "maxLength": 3})), field(json!({"type": "string", "maxLength": 4})), YES, NO)]
#[case::a_pattern(field(json!({"type": "string"})), field(json!({"type": "string", "pattern": "a"})), NO, YES)]
#[case::another_pattern(
    field(json!({"type": "string", "pattern": "b"})), field(json!({"type": "string", "pattern": "a"})), NO, NO)]
#[case::a_format(field(json!({"type": "string"})), field(json!({"type": "string", "format": "uuid"})), NO, YES)]
#[case::a_value_comes(field(json!({"enum": ["x"]})), field(json!({"enum": ["x", "y"]})), YES, NO)]
#[case::values_become_text(field(json!({"type": "string", "enum": ["x"]})), field(json!({"type": "string"})), YES, NO)]
#[case::one_becomes_several(
    field(json!({"type": "string"})), field(json!({"type": "array", "items": {"type": "string"}})), NO, NO)]
#[case::items(
    field(json!({"type": "array", "items": int("uint8")})), field(json!({"type": "array", "items": int("uint16")})), YES, NO)]
#[case::a_set(
    field(json!({"type": "array", "items": {}})), field(json!({"type": "array", "items": {}, "uniqueItems": true})), NO, YES)]
#[case::a_row_grows(
    field(json!({"type": "array", "prefixItems": [int("uint8")], "minItems": 1, "maxItems": 1})),
    field(json!({"type": "array", "prefixItems": [int("uint8"), int("uint8")], "minItems": 2, "maxItems": 2})), NO, NO)]
#[case::a_map(
    field(json!({"type": "object", "additionalProperties": int("uint8")})),
    field(json!({"type": "object", "additionalProperties": int("uint16")})), YES, NO)]
#[case::a_map_becomes_fields(
    field(json!({"type": "object", "additionalProperties": int("uint8")})),
    field(object(json!({"b": int("uint8")}), &[])), YES, YES)]
#[case::a_map_becomes_fields_of_another_type(
    field(json!({"type": "object", "additionalProperties": int("uint8")})),
    field(object(json!({"b": {"type": "string"}}), &[])), NO, NO)]
#[case::anything(field(int("uint8")), field(json!({})), YES, NO)]
#[case::anything_as_true(field(int("uint8")), field(json!(true)), YES, NO)]
#[case::below_itself(nodes(int("uint8")), nodes(int("uint16")), YES, NO)]
#[case::a_definition_inlined(
    json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": int("uint8")}}),
    object(json!({"a": int("uint16")}), &[]), YES, NO)]
#[case::a_variant_comes(
    field(variants(&[("Cash", json!({}))])),
    field(variants(&[("Cash", json!({})), ("Card", field(int("uint8")))])), YES, NO)]
#[case::a_variant_changes(
    field(variants(&[("Cash", json!({})), ("Card", field(int("uint8")))])),
    field(variants(&[("Cash", json!({})), ("Card", field(int("uint16")))])), YES, NO)]
#[case::a_reference_to_nowhere(field(json!({"$ref": "#/$defs/A"})), field(json!({"$ref": "#/$defs/B"})), NO, NO)]
#[case::what_nobody_understands(
    field(json!({"type": "string", "contentEncoding": "base64"})),
    field(json!({"type": "string", "contentEncoding": "base32"})), NO, NO)]
#[case::parts(
    field(json!({"allOf": [object(json!({"x": int("uint8")}), &[]), object(json!({"y": int("uint8")}), &[])]})),
    field(json!({"allOf": [object(json!({"x": int("uint16")}), &[]), object(json!({"y": int("uint8")}), &[])]})), NO, NO)]
fn who_reads_whom(#[case] old: Value, #[case] new: Value, #[case] backward: bool, #[case] forward: bool) {
    let (of_old, of_new) = (misfits(&old, &new), misfits(&new, &old));
    assert_eq!(of_old.is_empty(), backward, "the new one reads the old: {of_old:?}");
    assert_eq!(of_new.is_empty(), forward, "the old one reads the new: {of_new:?}");
    for same in [&old, &new] {
        assert_eq!(misfits(same, same), [], "itself");
        assert_eq!(differences(same, same), [], "itself");
    }
}

#[rstest]
#[case::a_field(
    object(json!({}), &[]), field(json!({"type": "string"})), &["/properties/a: it is required, and need not be written"])]
#[case::deep_in(nodes(int("uint16")), nodes(int("uint8")), &[
    "/properties/of: numbers of {\"format\":\"uint16\",\"minimum\":0} may be written, and those of \
     {\"format\":\"uint8\",\"minimum\":0} are read",
])]
#[case::in_a_variant(
    field(variants(&[("Card", field(int("uint8")))])),
    field(variants(&[("Cash", json!({})), ("Card", field(json!({"type": "string"})))])),
    &["/properties/a/oneOf/0/properties/Card/properties/a: \"integer\" may be written, and \"string\" is read"])]
#[case::a_variant(
    field(variants(&[("Cash", json!({}))])), field(variants(&[("Card", json!({})), ("Cheque", json!({}))])),
    &["/properties/a/oneOf/0: [\"Cash\"] may be written, and none of the alternatives that are read takes it"])]
#[case::everything_at_once(
    object(json!({"a": int("uint8"), "b": {"type": "string"}}), &["a"]),
    object(json!({"a": {"type": "string"}, "b": {"type": "string"}}), &["a", "b"]),
    &["/properties/b: it is required, and need not be written",
      "/properties/a: \"integer\" may be written, and \"string\" is read"])]
fn it_is_told_where_and_why(#[case] written: Value, #[case] read: Value, #[case] expected: &[&str]) {
    let told: Vec<_> = misfits(&written, &read).iter().map(ToString::to_string).collect();
    assert_eq!(told, expected);
}

/// What a person may do to a type without changing what it takes.
#[rstest]
#[case::annotations(
    json!({"title": "A", "description": "b", "type": "object", "examples": [{}], "$comment": "c", "default": {},
           "$schema": "https://json-schema.org/draft/2020-12/schema"}),
    json!({"type": "object"}))]
#[case::required_in_another_order(
    object(json!({"a": {}, "b": {}}), &["a", "b"]), object(json!({"b": {}, "a": {}}), &["b", "a"]))]
#[case::values_in_another_order(json!({"enum": ["a", "b"]}), json!({"enum": ["b", "a"]}))]
#[case::a_variant_is_documented(
    json!({"type": "string", "enum": ["a", "b"]}),
    json!({"oneOf": [{"type": "string", "enum": ["b"]}, {"type": "string", "const": "a", "description": "The first."}]}))]
#[case::a_unit_variant_beside_others_is_documented(
    json!({"oneOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "object"}]}),
    json!({"oneOf": [{"type": "string", "enum": ["b"]}, {"type": "object"}, {"type": "string", "const": "a"}]}))]
#[case::alternatives_in_another_order(
    variants(&[("A", json!({})), ("B", int("uint8"))]), variants(&[("B", int("uint8")), ("A", json!({}))]))]
#[case::definitions_by_another_name(
    json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}}),
    json!({"$ref": "#/$defs/B", "$defs": {"B": {"type": "array", "items": {"$ref": "#/$defs/B"}}}}))]
#[case::a_field_is_documented(
    json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "null"}}}),
    json!({"properties": {"a": {"$ref": "#/$defs/A", "description": "b"}}, "$defs": {"A": {"type": "null"}}}))]
#[case::a_definition_inlined(
    json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "null"}}}),
    json!({"properties": {"a": {"type": "null"}}}))]
fn these_are_no_change(#[case] was: Value, #[case] is: Value) {
    assert_eq!(differences(&was, &is), []);
    assert_eq!(differences(&is, &was), []);
}

#[rstest]
#[case::a_field_that_is_called_like_an_annotation(
    object(json!({"title": {"type": "string"}}), &[]), object(json!({}), &[]),
    &["/properties/title: was {\"type\":\"string\"}, is nothing", ])]
#[case::a_type(field(int("uint8")), field(json!({"type": "integer", "format": "uint16", "minimum": 0})),
    &["/properties/a/format: was \"uint8\", is \"uint16\""])]
#[case::required(object(json!({"a": {}, "b": {}}), &["a", "b"]), object(json!({"a": {}, "b": {}}), &["a"]),
    &["/required: was \"b\", is nothing"])]
#[case::a_value(json!({"enum": ["a", "b"]}), json!({"enum": ["b", "c"]}),
    &["/enum: was \"a\", is nothing", "/enum: was nothing, is \"c\""])]
#[case::a_variant_changes(
    variants(&[("A", json!({})), ("B", int("uint8"))]), variants(&[("B", int("uint16")), ("A", json!({}))]),
    &["/oneOf/1/properties/B/format: was \"uint8\", is \"uint16\""])]
#[case::a_variant_goes(variants(&[("A", json!({})), ("B", json!({}))]), variants(&[("B", json!({}))]),
    &["/oneOf/0: was {\"additionalProperties\":false,\"properties\":{\"A\":{}},\"required\":[\"A\"],\"type\":\"obj…, is nothing"])]
#[case::deep_in(nodes(int("uint8")), nodes(json!({"type": "string"})),
    &["/properties/of/format: was \"uint8\", is nothing", "/properties/of/minimum: was 0, is nothing",
      "/properties/of/type: was \"integer\", is \"string\""])]
#[case::a_name_with_a_slash(object(json!({"a/b~": {"type": "null"}}), &[]), object(json!({"a/b~": {"type": "string"}}), &[]),
    &["/properties/a~1b~0/type: was \"null\", is \"string\""])]
#[case::nothing_is_taken_any_more(json!({}), json!(false), &["/: was {}, is false"])]
fn a_change_is_told_in_a_line(#[case] was: Value, #[case] is: Value, #[case] expected: &[&str]) {
    let mut told: Vec<_> = differences(&was, &is).iter().map(ToString::to_string).collect();
    let mut expected = expected.to_vec();
    told.sort();
    expected.sort_unstable();
    assert_eq!(told, expected);
}
