//! Digests of values: SHA-256 over JSON in one canonical form.

use super::codec::CodecError;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;
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
    let value = serde_json::to_value(value).map_err(|error| CodecError::Encode(error.to_string()))?;
    let mut text = String::with_capacity(256);
    write_canonical(&value, &mut text);
    Ok(Sha256::digest(&text).into())
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
                write_text(key, into);
                into.push(':');
                write_canonical(item, into);
                into.push(',');
            }
            into.push('}');
        }
        Value::String(text) => write_text(text, into),
        scalar => write_scalar(scalar, into),
    }
}

fn write_text(text: &str, into: &mut String) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        return write_scalar(&Value::String(text.into()), into);
    }
    into.push('"');
    into.push_str(text);
    into.push('"');
}

fn write_scalar(value: &Value, into: &mut String) {
    // A string takes whatever it is given.
    let _ = write!(into, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Digests are stored: they stay what they are.
    #[test]
    fn the_canonical_form_is_json_with_sorted_keys() {
        let value = json!({"z": [1, -2.5, true, null, "plain é"], "a\n": {"q\"": "tab\t", "b": "\u{1f}\\"}, "": {}});
        let mut text = String::new();
        write_canonical(&value, &mut text);
        let escaped = r#""a\n":{"b":"\u001f\\","q\"":"tab\t",}"#;
        assert_eq!(text, [r#"{"":{},"#, escaped, r#","z":[1,-2.5,true,null,"plain é",],}"#].concat());
    }
}
