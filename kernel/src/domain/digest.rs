//! Digests of values: SHA-256 over JSON in one canonical form.

use super::codec::CodecError;
use alloc::string::ToString;
use alloc::vec::Vec;
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
    let mut text = Vec::new();
    write_canonical(&value, &mut text);
    Ok(Sha256::digest(&text).into())
}

fn write_canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            into.push(b'[');
            for item in items {
                write_canonical(item, into);
                into.push(b',');
            }
            into.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here, because serde_json keeps another order when any crate of the build asks it to.
            let mut fields = fields.iter().collect::<Vec<_>>();
            fields.sort_unstable_by_key(|(key, _)| *key);
            into.push(b'{');
            for (key, item) in fields {
                write_scalar(&Value::String(key.clone()), into);
                into.push(b':');
                write_canonical(item, into);
                into.push(b',');
            }
            into.push(b'}');
        }
        scalar => write_scalar(scalar, into),
    }
}

fn write_scalar(value: &Value, into: &mut Vec<u8>) {
    into.extend_from_slice(value.to_string().as_bytes());
}
