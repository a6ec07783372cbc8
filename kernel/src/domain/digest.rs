//! Digests of values: SHA-256 over JSON in one canonical form.

mod plain;

use super::codec::CodecError;
use crate::values::write_json_string;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
use plain::Plain;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The digest of a value: SHA-256 of its JSON without white space and with sorted keys, so that it depends on
/// neither the wire nor the order of fields.
///
/// ```
/// # use portolan_kernel::domain::digest;
/// # use serde_json::json;
/// assert_eq!(digest(&json!({"a": 1, "b": 2})), digest(&json!({"b": 2, "a": 1})));
/// assert_ne!(digest(&json!({"a": 1})), digest(&json!({"a": 2})));
/// ```
///
/// # Errors
///
/// [`CodecError::Encode`] when the value has no JSON form.
pub fn digest<T: Serialize + ?Sized>(value: &T) -> Result<[u8; 32], CodecError> {
    Ok(Sha256::digest(canonical(value)?).into())
}

fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<String, CodecError> {
    let mut text = String::with_capacity(512);
    if value.serialize(Plain(&mut text)).is_err() {
        let value = serde_json::to_value(value).map_err(|error| CodecError::Encode(error.to_string()))?;
        text.clear();
        write_canonical(&value, &mut text);
    }
    Ok(text)
}

fn write_canonical(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => {
            into.push('[');
            for item in items {
                write_canonical(item, into);
                into.push(',');
            }
            into.push(']');
        }
        Value::Object(fields) => {
            // Sorted here, because serde_json keeps another order when any crate of the build asks it to.
            let mut fields = fields.iter().collect::<Vec<_>>();
            fields.sort_unstable_by_key(|(key, _)| *key);
            into.push('{');
            for (key, item) in fields {
                write_json_string(key, into);
                into.push(':');
                write_canonical(item, into);
                into.push(',');
            }
            into.push('}');
        }
        Value::String(text) => write_json_string(text, into),
        scalar => write_scalar(scalar, into),
    }
}

fn write_scalar(value: &Value, into: &mut String) {
    // A string takes whatever it is given.
    let _ = write!(into, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::collections::BTreeMap;
    use core::fmt::Debug;
    use rstest::rstest;
    use serde_json::json;
    use serde_json::value::RawValue;

    /// Digests are stored: they stay what they are.
    #[test]
    fn the_canonical_form_is_json_with_sorted_keys() {
        let value = json!({"z": [1, -2.5, true, null, "plain é"], "a\n": {"q\"": "tab\t", "b": "\u{1f}\\"}, "": {}});
        let mut text = String::new();
        write_canonical(&value, &mut text);
        let escaped = r#""a\n":{"b":"\u001f\\","q\"":"tab\t",}"#;
        assert_eq!(text, [r#"{"":{},"#, escaped, r#","z":[1,-2.5,true,null,"plain é",],}"#].concat());
    }

    #[derive(Serialize, Debug)]
    struct Unsorted<A, B, C> {
        #[serde(rename = "b\"\n")]
        b: B,
        c: C,
        #[serde(rename = "")]
        a: A,
    }

    #[derive(Serialize, Debug)]
    struct Sorted<'a>(i8, &'a str, Option<char>);

    #[derive(Serialize, Debug)]
    struct Twice {
        x: u8,
        #[serde(rename = "x")]
        y: u8,
    }

    #[derive(Serialize, Debug)]
    enum Choice {
        None,
        One(u8),
        Two(u8, u8),
        Named { z: f32, a: u128 },
    }

    fn of<A: Serialize, B: Serialize, C: Serialize>(a: A, b: B, c: C) -> Unsorted<A, B, C> {
        Unsorted { b, c, a }
    }

    /// One form, whichever way it is written.
    #[rstest]
    #[case::scalars(of(u64::MAX, i64::MIN, true))]
    #[case::floats(of([0.1_f32, f32::MAX, -0.0], [1e300, 2.0, 0.1], (f64::NAN, f32::INFINITY)))]
    #[case::texts(of('\u{1f}', "plain é \u{10ffff}", "\\ and \" and \u{7f}\u{0}"))]
    #[case::nested(of(of(1, [of(1, 2, "deep")], ()), Sorted(-1, "s", Some('"')), [of(0, 0, 0), of(1, 1, 1)]))]
    #[case::nothing(of((), None::<u8>, [0_u8; 0]))]
    #[case::variants(of(Choice::None, Choice::One(1), Choice::Two(1, 2)))]
    #[case::named(of(1, Choice::Named { z: 0.1, a: 7 }, 2))]
    #[case::too_large(of(1, Choice::Named { z: 0.1, a: u128::MAX }, 2))]
    #[case::twice(of(0, Twice { x: 1, y: 2 }, 3))]
    #[case::maps(of(1, BTreeMap::from([(2, "two"), (10, "ten")]), json!({"b": [1.5], "a": null})))]
    #[case::raw(of(1, RawValue::from_string(String::from(r#"{"b": 1, "a": 0.10}"#)).unwrap(), 2))]
    #[case::bytes(of(1, Box::<[u8]>::from([1, 2]), serde_json::Number::from(3)))]
    fn what_is_written_at_once_is_what_a_tree_gives(#[case] value: impl Serialize + Debug) {
        let of_tree = serde_json::to_value(&value).map(|value| {
            let mut text = String::new();
            write_canonical(&value, &mut text);
            text
        });
        assert_eq!(canonical(&value).ok(), of_tree.ok(), "{value:?}");
    }
}
