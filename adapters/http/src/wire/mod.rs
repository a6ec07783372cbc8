//! What crosses the wire: JSON, in types of its own. Kernel types stay free of it.
//!
//! Positions, tokens and sizes in bytes may pass 2^53 and travel as strings. Revisions and counts are JSON numbers: they
//! are read here up to `u64::MAX`, and no stream is long enough to pass 2^53 elsewhere. Bytes that are not exactly one
//! JSON text travel as base64.

pub(crate) mod append;
pub(crate) mod capabilities;
pub(crate) mod errors;
pub(crate) mod event;
pub(crate) mod headers;
pub(crate) mod object;
pub(crate) mod problem;
pub(crate) mod projection_errors;
pub(crate) mod projections;
pub(crate) mod read;
pub(crate) mod receipt;
pub(crate) mod row_objects;
pub(crate) mod rows;
pub(crate) mod saga_errors;
pub(crate) mod sagas;
pub(crate) mod schemas;
pub(crate) mod text;

use self::object::Object;
use self::problem::Problem;
use portolan_kernel::ports::Violation;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Serde calls some values syntax errors where it wants others, such as `{}` for an enumeration.
fn is_json(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Reads a JSON text whole, which is an object, and tells what is wrong with it and where.
///
/// # Errors
///
/// `malformed` (400) for what is no JSON, `invalid-request` (422) for what has another shape.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() || is_json(bytes) {
            let path = if path == "." { String::new() } else { path };
            let code = if error.to_string().starts_with("unknown field") { "unknown-field" } else { "wrong-shape" };
            let form = if error.is_data() { "" } else { "a value of another form belongs here: " };
            Problem::invalid_request(vec![Violation::new(path, code, format!("{form}{error}"))])
        } else {
            Problem::malformed(error.to_string())
        }
    })?;
    json.end().map_err(|error| Problem::malformed(error.to_string()))?;
    Ok(value)
}
