//! Codecs: values to bytes and back, with errors that say which field is wrong.

use crate::ports::Violation;
use crate::values::Format;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use bytes::Bytes;
use core::fmt;
use core::marker::PhantomData;
use serde::Serialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_ignored::Path;
use serde_json::Value;

/// A way to write values as bytes. An event type names its codec at compile time.
///
/// Its format describes itself, as JSON, CBOR and MessagePack do: bytes can be read without knowing what is to come.
pub trait Codec {
    /// What the bytes are.
    const FORMAT: Format;

    /// The value as bytes.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] when the value has no such form.
    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError>;

    /// What the seed makes of these bytes. A codec may ask a clone of the seed once more, to say where an error is.
    ///
    /// # Errors
    ///
    /// [`CodecError::Malformed`] when the bytes are not of the format, [`CodecError::Shape`] when they are and
    /// hold something else.
    fn decode_seed<'de, S: DeserializeSeed<'de> + Clone>(seed: S, bytes: &'de [u8]) -> Result<S::Value, CodecError>;

    /// The value in these bytes.
    ///
    /// # Errors
    ///
    /// As [`decode_seed`](Self::decode_seed).
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        Self::decode_seed(PhantomData::<T>, bytes)
    }
}

/// Why bytes and value do not meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not of the format at all: broken JSON, bytes that are no UTF-8, something after the end.
    #[error("not readable: {0}")]
    Malformed(String),
    /// The bytes are of the format and hold the wrong fields or types.
    #[error("{}{message}", prefix(path))]
    Shape {
        /// The path of the field, dotted: `lines[2].amount`; empty for the whole.
        path: String,
        /// `missing-field`, `unknown-field`, `duplicate-field`, `wrong-type` or `wrong-value`.
        code: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The value has no form in this format.
    #[error("cannot be encoded: {0}")]
    Encode(String),
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { [path, ": "].concat() }
}

impl CodecError {
    /// Something of another shape, as a whole.
    #[must_use]
    pub fn shape(message: impl Into<String>) -> Self {
        Self::Shape { path: String::new(), code: "wrong-type", message: message.into() }
    }

    /// The same error as a violation, when it is about a field.
    ///
    /// # Errors
    ///
    /// The error itself, when it is not.
    pub fn into_violation(self) -> Result<Violation, Self> {
        match self {
            Self::Shape { path, code, message } => Ok(Violation::new(path, code, message)),
            other => Err(other),
        }
    }
}

/// JSON (RFC 8259): the whole of the bytes is one text in UTF-8.
#[derive(Debug, Clone, Copy)]
pub enum Json {}

impl Codec for Json {
    const FORMAT: Format = Format::Json;

    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|error| CodecError::Encode(error.to_string()))
    }

    fn decode_seed<'de, S: DeserializeSeed<'de> + Clone>(seed: S, bytes: &'de [u8]) -> Result<S::Value, CodecError> {
        // Paths cost a little on the way; the good way does not pay for them.
        match core::str::from_utf8(bytes).map(|text| read(seed.clone(), text)) {
            Ok(Ok(value)) => Ok(value),
            _ => decode_with_paths(seed, bytes),
        }
    }
}

impl Json {
    /// The value in these bytes, which are one JSON object with fields of the value's alone: what somebody outside
    /// has sent. A struct would otherwise also be read from an array of its fields, and a misspelt field be passed
    /// over.
    ///
    /// Unknown fields are refused at every depth, with or without `#[serde(deny_unknown_fields)]`. What serde itself
    /// takes in before it looks (`flatten`, enums with `tag` or `untagged`) is not seen here; there that attribute
    /// is needed.
    ///
    /// ```
    /// # use portolan_kernel::domain::{CodecError, Json};
    /// # #[derive(serde::Deserialize, Debug, PartialEq)]
    /// # struct Deposit { amount: u64 }
    /// let wrong = Json::decode_object::<Deposit>(br#"{"amount":"5"}"#).unwrap_err();
    /// assert!(matches!(wrong, CodecError::Shape { path, .. } if path == "amount"));
    /// let unknown = Json::decode_object::<Deposit>(br#"{"amount":5,"amuont":6}"#).unwrap_err();
    /// assert!(matches!(unknown, CodecError::Shape { path, code: "unknown-field", .. } if path == "amuont"));
    /// let broken = Json::decode_object::<Deposit>(br#"{"amount":5}}"#).unwrap_err();
    /// assert!(matches!(broken, CodecError::Malformed(_)));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`].
    pub fn decode_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        let is_object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if !is_object {
            check_syntax(bytes)?;
            return Err(CodecError::shape("expected a JSON object"));
        }
        let (value, unknown) = Self::decode_seed(Strict(PhantomData), bytes)?;
        match unknown {
            None => Ok(value),
            Some(path) => Err(CodecError::Shape { path, code: "unknown-field", message: "unknown field".into() }),
        }
    }

    /// Any JSON in these bytes, whose objects have each field once at every depth: what somebody outside has sent, and a type
    /// reads later. A [`Value`] alone keeps the last of two, and nobody hears of the first.
    ///
    /// ```
    /// # use portolan_kernel::domain::{CodecError, Json};
    /// let twice = Json::decode_distinct(br#"{"amount":1,"amount":2}"#).unwrap_err();
    /// assert!(matches!(twice, CodecError::Shape { path, code: "duplicate-field", .. } if path == "amount"));
    /// assert_eq!(Json::decode_distinct(b"[1, null]").unwrap()[0], 1);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Codec::decode`].
    pub fn decode_distinct(bytes: &[u8]) -> Result<Value, CodecError> {
        Self::decode_seed(Distinct, bytes)?;
        Self::decode(bytes)
    }
}

/// Sees to it that no object has a field twice. What the values are is left to whoever reads them.
#[derive(Clone)]
struct Distinct;

impl<'de> DeserializeSeed<'de> for Distinct {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(field) = fields.next_key::<String>()? {
            if seen.contains(&field) {
                return Err(A::Error::custom(format_args!("duplicate field `{field}`")));
            }
            fields.next_value_seed(Self)?;
            seen.insert(field);
        }
        Ok(())
    }
}

/// A value, and the path of the first field that is none of its own.
struct Strict<T>(PhantomData<fn() -> T>);

impl<T> Clone for Strict<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Strict<T> {
    type Value = (T, Option<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut unknown = None;
        let mut found = |path: Path<'_>| {
            unknown.get_or_insert_with(|| dotted(&path));
        };
        let value = T::deserialize(serde_ignored::Deserializer::new(deserializer, &mut found))?;
        Ok((value, unknown))
    }
}

fn dotted(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Map { parent, key } => match dotted(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => [&parent, ".", key].concat(),
        },
        Path::Seq { parent, index } => alloc::format!("{}[{index}]", dotted(parent)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => dotted(parent),
    }
}

/// What the seed makes of a text that is all its own.
fn read<'de, S: DeserializeSeed<'de>>(seed: S, text: &'de str) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

fn decode_with_paths<'de, S: DeserializeSeed<'de>>(seed: S, bytes: &'de [u8]) -> Result<S::Value, CodecError> {
    check_syntax(bytes)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let value = seed.deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    value.map_err(|error| shape(serde_path_to_error::Error::new(track.path(), error)))
}

/// Whether the bytes are one JSON text: a wrong field before broken syntax must not hide that it is broken.
fn check_syntax(bytes: &[u8]) -> Result<(), CodecError> {
    let text = core::str::from_utf8(bytes).map_err(|error| CodecError::Malformed(error.to_string()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| CodecError::Malformed(error.to_string()))?;
    Ok(())
}

fn shape(error: serde_path_to_error::Error<serde_json::Error>) -> CodecError {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    let mut path = if path == "." { String::new() } else { path };
    // Serde tells these apart only by words.
    let (code, missing) = if let Some(rest) = message.strip_prefix("missing field `") {
        ("missing-field", rest.split('`').next())
    } else if message.starts_with("unknown field `") {
        ("unknown-field", None)
    } else if let Some(rest) = message.strip_prefix("duplicate field `") {
        ("duplicate-field", rest.split('`').next())
    } else if message.starts_with("invalid type") {
        ("wrong-type", None)
    } else {
        ("wrong-value", None)
    };
    // A field that is not there is reported at its parent.
    if let Some(field) = missing
        && path.rsplit('.').next() != Some(field)
    {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field);
    }
    CodecError::Shape { path, code, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use rstest::rstest;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        id: String,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Line {
        amount: u64,
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::cut(br#"{"id":"a","lines":["#)]
    #[case::trailing(br#"{"id":"a","lines":[]} x"#)]
    #[case::wrong_field_then_broken(br#"{"id":1,"lines":[}"#)]
    #[case::not_utf8(b"{\"id\":\"\xff\",\"lines\":[]}")]
    #[case::not_utf8_in_an_unknown_field(b"{\"id\":\"a\",\"lines\":[],\"x\":\"\xff\"}")]
    fn malformed(#[case] bytes: &[u8]) {
        assert!(matches!(Json::decode_object::<Order>(bytes), Err(CodecError::Malformed(_))));
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Open {
        id: Option<String>,
        lines: Vec<Option<OpenLine>>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct OpenLine {
        amount: u64,
    }

    #[rstest]
    #[case::top(r#"{"ids":"a","lines":[]}"#, "ids")]
    #[case::first_of_two(r#"{"lines":[],"x":1,"y":1}"#, "x")]
    #[case::deep(r#"{"lines":[null,{"amount":1,"x":{"z":1}}]}"#, "lines[1].x")]
    fn unknown_fields_are_refused_without_an_attribute(#[case] text: &str, #[case] path: &str) {
        let violation = Json::decode_object::<Open>(text.as_bytes()).unwrap_err().into_violation().unwrap();
        assert_eq!((&*violation.path, &*violation.code), (path, "unknown-field"));
        assert!(Json::decode::<Open>(text.as_bytes()).is_ok(), "only what comes from outside is judged so");
    }

    #[rstest]
    #[case::wrong_type(r#"{"id":1,"lines":[]}"#, "id", "wrong-type")]
    #[case::deep(r#"{"id":"a","lines":[{"amount":1},{"amount":-1}]}"#, "lines[1].amount", "wrong-value")]
    #[case::missing(r#"{"lines":[]}"#, "id", "missing-field")]
    #[case::missing_deep(r#"{"id":"a","lines":[{}]}"#, "lines[0].amount", "missing-field")]
    #[case::unknown(r#"{"id":"a","lines":[],"x":1}"#, "x", "unknown-field")]
    #[case::unknown_deep(r#"{"id":"a","lines":[{"amount":1,"x":{}}]}"#, "lines[0].x", "unknown-field")]
    #[case::twice(r#"{"id":"a","id":"b","lines":[]}"#, "id", "duplicate-field")]
    #[case::array(r#"["a",[]]"#, "", "wrong-type")]
    #[case::null("null", "", "wrong-type")]
    fn wrong_shape(#[case] text: &str, #[case] path: &str, #[case] code: &str) {
        let violation = Json::decode_object::<Order>(text.as_bytes()).unwrap_err().into_violation().unwrap();
        assert_eq!((&*violation.path, &*violation.code), (path, code), "{}", violation.message);
    }

    #[rstest]
    #[case::top(r#"{"a":1,"b":{},"a":[{}]}"#, "a")]
    #[case::deep(r#"[null,{"a":[{"b":1,"c":true,"b":1}]}]"#, "[1].a[0].b")]
    #[case::written_otherwise(r#"{"a":1,"\u0061":"x"}"#, "a")]
    fn fields_that_are_there_twice_are_named(#[case] text: &str, #[case] path: &str) {
        let violation = Json::decode_distinct(text.as_bytes()).unwrap_err().into_violation().unwrap();
        assert_eq!((&*violation.path, &*violation.code), (path, "duplicate-field"), "{}", violation.message);
    }

    #[rstest]
    #[case(r#"{"a":{"a":[{"a":-1},{"a":0.5}]},"b":null,"c":18446744073709551615,"d":"\u0000","e":[]}"#)]
    #[case("null")]
    fn what_is_there_once_is_read_as_ever(#[case] text: &str) {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Json::decode_distinct(text.as_bytes()), Ok(value));
        for broken in [&text[1..], &[text, "}"].concat()] {
            assert!(matches!(Json::decode_distinct(broken.as_bytes()), Err(CodecError::Malformed(_))), "{broken}");
        }
    }
}
