//! Strings as JSON has them.

use alloc::string::String;
use core::fmt::Write as _;
use serde_json::Value;

/// Writes the text between quotation marks, escaped where it must be.
pub(crate) fn write_json_string(text: &str, into: &mut String) {
    // To its end, whatever is found: so many bytes are looked at together.
    let is_escaped = |found, byte: &u8| found | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\');
    if text.as_bytes().iter().fold(false, is_escaped) {
        // A string takes whatever it is given.
        let _ = write!(into, "{}", Value::String(text.into()));
        return;
    }
    into.push('"');
    into.push_str(text);
    into.push('"');
}
