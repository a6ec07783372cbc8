//! Arguments and variables to JSON, and JSON to answers, by their types.

use super::{Member, Model, Scalar, Shape, Source, Ty};
use crate::scalar::Given;
use juniper::{Arguments, InputValue, Spanning};
use serde_json::{Map, Value};

/// A variable, or what is within one, as juniper takes it. Where the type is `JSON` the whole value is one scalar; where
/// it is another, the value is left for juniper to judge.
pub(crate) fn variable(model: &Model, ty: Option<&Ty>, value: Value) -> InputValue<Given> {
    let within = |ty: Option<&Ty>, value: Value| Spanning::unlocated(variable(model, ty, value));
    match (ty, value) {
        (_, Value::Null) => InputValue::Null,
        (Some(Ty::Maybe(inner)), value) => variable(model, Some(inner), value),
        (Some(Ty::List(inner)), Value::Array(list)) => {
            InputValue::List(list.into_iter().map(|value| within(Some(inner), value)).collect())
        }
        // One value stands for a list of one.
        (Some(Ty::List(inner)), value) => variable(model, Some(inner), value),
        (Some(Ty::Named(name)), value) => match (model.get(name).map(|of| &of.shape), value) {
            (Some(Shape::Scalar(Scalar::Json)), value) => InputValue::Scalar(Given::of(value)),
            (Some(Shape::Scalar(Scalar::Float)), Value::Number(number)) => {
                InputValue::Scalar(Given::Float(number.as_f64().unwrap_or(f64::NAN)))
            }
            (Some(Shape::Input(fields)), Value::Object(object)) => {
                let ty = |name: &str| fields.iter().find(|field| field.name == name).map(|field| &field.ty);
                let entry = |(name, value): (String, Value)| {
                    let value = within(ty(&name), value);
                    (Spanning::unlocated(name), value)
                };
                InputValue::Object(object.into_iter().map(entry).collect())
            }
            (_, value) => variable(model, None, value),
        },
        (None, Value::Array(list)) => InputValue::List(list.into_iter().map(|value| within(None, value)).collect()),
        (None, Value::Object(object)) => {
            let entry = |(name, value)| (Spanning::unlocated(name), within(None, value));
            InputValue::Object(object.into_iter().map(entry).collect())
        }
        (None, value) => InputValue::Scalar(Given::of(value)),
    }
}

/// An argument as JSON; `None` where it is left out.
pub(crate) fn argument(model: &Model, member: &Member, arguments: &Arguments<'_, Given>) -> Option<Value> {
    let given = arguments.get_input_value(&member.name)?;
    Some(json_of(model, &member.ty, &given.item))
}

/// What was given for this type, with the names that JSON has.
pub(crate) fn json_of(model: &Model, ty: &Ty, given: &InputValue<Given>) -> Value {
    match (ty, given) {
        (_, InputValue::Null) => Value::Null,
        (Ty::Maybe(inner), given) => json_of(model, inner, given),
        (Ty::List(inner), InputValue::List(list)) => {
            Value::Array(list.iter().map(|given| json_of(model, inner, &given.item)).collect())
        }
        (Ty::List(inner), given) => Value::Array(vec![json_of(model, inner, given)]),
        (Ty::Named(name), given) => match model.get(name).map(|of| &of.shape) {
            Some(Shape::Input(fields)) => object(model, fields, given),
            Some(Shape::Enum(choices)) => {
                let name = given.as_enum_value().or_else(|| given.as_scalar().and_then(text)).unwrap_or_default();
                choices.iter().find(|choice| choice.name == name).map(|choice| choice.wire.as_str()).into()
            }
            Some(Shape::Scalar(scalar)) => of_scalar(*scalar, given),
            _ => Value::Null,
        },
    }
}

fn text(given: &Given) -> Option<&str> {
    match given {
        Given::String(text) => Some(text),
        _ => None,
    }
}

fn object(model: &Model, fields: &[Member], given: &InputValue<Given>) -> Value {
    let mut object = Map::new();
    let given = given.to_object_value().unwrap_or_default();
    for field in fields {
        if let (Some(given), Source::Member(wire)) = (given.get(field.name.as_str()), &field.source) {
            object.insert(wire.clone(), json_of(model, &field.ty, given));
        }
    }
    Value::Object(object)
}

fn of_scalar(scalar: Scalar, given: &InputValue<Given>) -> Value {
    let Some(given) = given.as_scalar() else {
        return given.as_enum_value().map(Value::from).unwrap_or_default();
    };
    match (scalar, given) {
        (Scalar::Long, given) => given.whole().unwrap_or_default(),
        (Scalar::Float, Given::Int(number)) => f64::from(*number).into(),
        (Scalar::Position | Scalar::Id, Given::Int(_) | Given::Long(_) | Given::ULong(_)) => {
            Value::String(given.to_string())
        }
        (_, given) => given.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Choice;
    use serde_json::json;

    #[test]
    fn variables_become_what_json_wants() {
        let mut model = Model::default();
        for scalar in Scalar::ALL {
            model.add(scalar.name(), "", Shape::Scalar(scalar));
        }
        let choice = Choice { name: "savings_plus".into(), wire: "savings-plus".into(), description: String::new() };
        model.add("Kind", "", Shape::Enum(vec![choice]));
        let fields = vec![
            Member::new("first_name", Scalar::String.ty().maybe(), "").from(Source::Member("first-name".into())),
            Member::new("amounts", Scalar::Long.ty().list(), ""),
            Member::new("kind", Ty::named("Kind"), ""),
            Member::new("more", Scalar::Json.ty().maybe(), ""),
            Member::new("share", Scalar::Float.ty().maybe(), ""),
            Member::new("also", Ty::named("Thing").maybe(), ""),
        ];
        model.add("Thing", "", Shape::Input(fields));
        let ty = Ty::named("Thing");
        let given = json!({
            "first_name": null,
            "amounts": ["18446744073709551615", 7, -9_007_199_254_740_993_i64],
            "kind": "savings_plus",
            "more": { "a": [1, { "b": null }], "n": u64::MAX },
            "share": 2,
            "also": { "amounts": "1", "kind": "savings_plus" },
        });
        let expected = json!({
            "first-name": null,
            "amounts": [u64::MAX, 7, -9_007_199_254_740_993_i64],
            "kind": "savings-plus",
            "more": { "a": [1, { "b": null }], "n": u64::MAX },
            "share": 2.0,
            "also": { "amounts": [1], "kind": "savings-plus" },
        });
        assert_eq!(json_of(&model, &ty, &variable(&model, Some(&ty), given)), expected);
    }
}
