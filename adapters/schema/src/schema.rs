//! Compiled schemas, and what they find wrong.

use crate::{integers, json};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use portolan_kernel::ports::PayloadViolation;
use serde_json::Value;

/// Past this size of a payload it is not said where it is wrong: every place costs a multiple of what the sender paid.
const TELLING_BYTES: usize = 64 << 10;

/// How many places are listed of an append at most.
pub(crate) const MOST: usize = 100;

/// What is told of one place has at most so many bytes in its pointer and in its message: names and schemas can be long.
const TEXT_BYTES: usize = 300;

/// A schema, or why it is of no use.
pub(crate) type Compiled = Result<Validator, String>;

/// Compiles a schema; nothing is fetched for it.
pub(crate) fn compile(schema: &Value) -> Compiled {
    jsonschema::options()
        // What is asked for outside would be asked for by whoever can register a schema. Also where another crate of the
        // build turns on what fetches.
        .offline()
        // Linear in the payload, which strangers choose.
        .with_pattern_options(PatternOptions::regex())
        .with_keyword("type", integers::types)
        .with_keyword("format", integers::widths)
        .build(schema)
        .map_err(|error| {
            let at = error.instance_path().as_str();
            let of_regex = matches!(error.kind(), ValidationErrorKind::Format { format } if format == "regex");
            let more = if of_regex { " (look-around and back-references are not taken)" } else { "" };
            let at = if at.is_empty() { String::new() } else { format!("at {at}: ") };
            format!("{}{more}", shortened(&format!("{at}{error}")))
        })
}

/// What is wrong with the payload of this event of an append; one place more than are listed says that there are more.
pub(crate) fn violations(event: u32, payload: &[u8], schema: &Validator) -> Vec<PayloadViolation> {
    let whole = |message: &str| vec![PayloadViolation::new(event, "", message)];
    let value = match json::read(payload) {
        Ok(value) => value,
        Err(error) => return whole(&shortened(&format!("it cannot be read as JSON: {error}"))),
    };
    if schema.is_valid(&value) {
        return Vec::new();
    }
    if payload.len() > TELLING_BYTES {
        return whole("it is not as the schema says; where is told of payloads up to 65536 bytes");
    }
    let one = |error: jsonschema::ValidationError<'_>| {
        let pointer = shortened(error.instance_path().as_str());
        PayloadViolation::new(event, pointer, shortened(&error.masked_with("it").to_string()))
    };
    schema.iter_errors(&value).take(MOST + 1).map(one).collect()
}

/// The beginning of a text that is too long.
fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", &text[..end])
}
