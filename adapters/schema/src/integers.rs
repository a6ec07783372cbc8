//! Integers as their readers take them: more narrowly than JSON Schema has it, to which `1.0` is one.

use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Number, Value};

/// `type`, to which an integer is written without fraction and exponent.
pub(crate) fn types<'a>(
    _: &'a Map<String, Value>,
    types: &'a Value,
    _: jsonschema::paths::Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let names = match types {
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    };
    Ok(Box::new(Types(names)))
}

/// `format`, which is an annotation but for the widths of integers, as schemars calls them.
pub(crate) fn widths<'a>(
    _: &'a Map<String, Value>,
    format: &'a Value,
    _: jsonschema::paths::Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Width(format.as_str().and_then(range))))
}

/// What an integer of this width can be. Those of 128 bits are not judged: what is past 64 bits is known as a double alone.
fn range(format: &str) -> Option<(&'static str, i128, i128)> {
    Some(match format {
        "int8" => ("int8", i8::MIN.into(), i8::MAX.into()),
        "int16" => ("int16", i16::MIN.into(), i16::MAX.into()),
        "int32" => ("int32", i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => ("int64", i64::MIN.into(), i64::MAX.into()),
        "uint8" => ("uint8", 0, u8::MAX.into()),
        "uint16" => ("uint16", 0, u16::MAX.into()),
        "uint32" => ("uint32", 0, u32::MAX.into()),
        "uint64" | "uint" => ("uint64", 0, u64::MAX.into()),
        _ => return None,
    })
}

/// A number that was read as a double is one, unless it is past all that is read as an integer.
fn is_integer(number: &Number) -> bool {
    let is_beyond = |double: f64| double.abs() >= -(i64::MIN as f64) && double.fract() == 0.0;
    whole(number).is_some() || number.as_f64().is_some_and(is_beyond)
}

fn whole(number: &Number) -> Option<i128> {
    number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from))
}

struct Types(Vec<String>);

impl<'i> Keyword<'i> for Types {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(value) {
            return Ok(());
        }
        let names: Vec<_> = self.0.iter().map(|name| format!("\"{name}\"")).collect();
        let of = if let [_] = names[..] { "type" } else { "types" };
        Err(ValidationError::custom(format!("it is not of {of} {}", names.join(", "))))
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        self.0.iter().any(|name| match (&**name, value) {
            ("integer", Value::Number(number)) => is_integer(number),
            ("number", Value::Number(_))
            | ("null", Value::Null)
            | ("boolean", Value::Bool(_))
            | ("string", Value::String(_))
            | ("array", Value::Array(_))
            | ("object", Value::Object(_)) => true,
            _ => false,
        })
    }
}

struct Width(Option<(&'static str, i128, i128)>);

impl<'i> Keyword<'i> for Width {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        match self.0 {
            Some((name, ..)) if !self.is_valid(value) => {
                Err(ValidationError::custom(format!("it is not an integer of format \"{name}\"")))
            }
            _ => Ok(()),
        }
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        match (self.0, value) {
            // What is no integer is for `type` to say.
            (Some((_, least, most)), Value::Number(number)) if is_integer(number) => {
                whole(number).is_some_and(|whole| (least..=most).contains(&whole))
            }
            _ => true,
        }
    }
}
