//! Variants by name: an enum's variant as a name and a JSON payload of its fields, and back, by serde alone.
//!
//! The name is serde's: `#[serde(rename = "account.opened")]` on the variant, or `rename_all` on the enum. The
//! enum keeps serde's default form (no `tag`, `untagged` or `content`). A struct counts as an enum of one
//! variant that has the struct's name.
//!
//! ```
//! use portolan_kernel::domain::variant;
//! # use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! enum Light {
//!     #[serde(rename = "light.switched")]
//!     Switched { on: bool },
//! }
//!
//! let event = Light::Switched { on: true };
//! assert_eq!(variant::name(&event), "light.switched");
//! let payload = variant::encode(&event).unwrap();
//! assert_eq!(payload, r#"{"on":true}"#);
//! assert_eq!(variant::decode::<Light>("light.switched", &payload).unwrap(), event);
//! ```

mod de;
mod fields;
mod ser;

use super::codec::{Codec, CodecError, Json};
use super::event::EventError;
use bytes::Bytes;
use core::cell::Cell;
use de::{Variant, Which};
use fields::Fields;
use ser::NameOf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The variant's name; empty when the value is neither an enum nor a struct.
#[must_use]
pub fn name<T: Serialize + ?Sized>(value: &T) -> &'static str {
    value.serialize(NameOf).unwrap_or("")
}

/// The variant's fields as a JSON payload. A variant without fields gives `{}`.
///
/// # Errors
///
/// [`CodecError::Encode`] when a field has no JSON form, or the value is neither an enum nor a struct.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    encode_as::<Json, T>(value)
}

/// The variant's fields as a payload of this codec.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_as<C: Codec, T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    C::encode(&Fields(value))
}

/// The value whose variant has this name and this JSON payload. The payload of a variant without fields may be
/// any JSON.
///
/// # Errors
///
/// [`EventError::UnknownType`] when there is no such variant, [`EventError::Payload`] when the payload does not
/// fit it.
pub fn decode<T: DeserializeOwned>(name: &str, payload: &[u8]) -> Result<T, EventError> {
    let unknown = Cell::new(false);
    let decoded = Json::decode_seed(Variant::<T>::new(Which::Named(name, &unknown)), payload);
    if unknown.get() { Err(EventError::UnknownType(name.into())) } else { Ok(decoded?) }
}

/// The value with this name, among `names`, and this payload of a codec: the first name is that of the enum's first
/// variant, and so on. Serde's own names of the variants do not matter; a variant that serde skips has no place.
///
/// ```
/// # use portolan_kernel::domain::{Json, variant};
/// # #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// enum Light { Switched { on: bool }, Broken }
///
/// let names = ["light.switched", "light.broken"];
/// let event = variant::decode_as::<Json, Light>(&names, "light.switched", br#"{"on":true}"#).unwrap();
/// assert_eq!(event, Light::Switched { on: true });
/// ```
///
/// # Errors
///
/// [`EventError::UnknownType`] when the name is none of them, [`EventError::Payload`] when the payload does not fit
/// it.
pub fn decode_as<C: Codec, T: DeserializeOwned>(names: &[&str], name: &str, payload: &[u8]) -> Result<T, EventError> {
    let unknown = || EventError::UnknownType(name.into());
    let at = names.iter().position(|known| *known == name).and_then(|at| u32::try_from(at).ok()).ok_or_else(unknown)?;
    Ok(C::decode_seed(Variant::<T>::new(Which::At(at)), payload)?)
}

/// The variant's fields as a JSON value; a variant without fields gives an empty object, a value without JSON
/// form `null`.
#[must_use]
pub fn fields<T: Serialize + ?Sized>(value: &T) -> Value {
    encode(value).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The value with this code, among `codes` as in [`decode_as`], and these fields, if there is one.
#[must_use]
pub fn from_parts<T: DeserializeOwned>(codes: &[&str], code: &str, fields: &Value) -> Option<T> {
    let payload = Json::encode(fields).ok()?;
    decode_as::<Json, T>(codes, code, &payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt::Debug;
    use rstest::rstest;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Any {
        Unit,
        NoFields {},
        Fields { a: u64, list: Vec<u64> },
        One(String),
        Maybe(Option<u64>),
        Two(u64, bool),
        Inner(Inner),
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Inner {
        A { x: u64 },
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename = "a-struct", deny_unknown_fields)]
    struct Struct {
        a: u64,
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Nothing;

    #[rstest]
    #[case(Any::Unit, "unit", "{}")]
    #[case(Any::NoFields {}, "no-fields", "{}")]
    #[case(Any::Fields { a: 1, list: alloc::vec![2, 3] }, "fields", r#"{"a":1,"list":[2,3]}"#)]
    #[case(Any::One("\"}".into()), "one", r#""\"}""#)]
    #[case(Any::Maybe(None), "maybe", "null")]
    #[case(Any::Two(1, true), "two", "[1,true]")]
    #[case(Any::Inner(Inner::A { x: 1 }), "inner", r#"{"A":{"x":1}}"#)]
    #[case(Struct { a: 1 }, "a-struct", r#"{"a":1}"#)]
    #[case(Nothing, "Nothing", "{}")]
    fn there_and_back<T>(#[case] value: T, #[case] expected_name: &str, #[case] payload: &'static str)
    where
        T: Serialize + DeserializeOwned + Debug + PartialEq,
    {
        assert_eq!((name(&value), encode(&value).unwrap()), (expected_name, payload.into()));
        assert_eq!(decode::<T>(expected_name, payload.as_bytes()).unwrap(), value);
    }

    /// By place, the same payloads are read, whatever serde calls the variants.
    #[rstest]
    #[case(Any::Unit, 0)]
    #[case(Any::Fields { a: 1, list: alloc::vec![2, 3] }, 2)]
    #[case(Any::One("x".into()), 3)]
    #[case(Any::Two(1, true), 5)]
    #[case(Struct { a: 1 }, 0)]
    #[case(Nothing, 0)]
    fn there_and_back_by_place<T>(#[case] value: T, #[case] place: usize)
    where
        T: Serialize + DeserializeOwned + Debug + PartialEq,
    {
        let names = ["a", "b", "c", "d", "e", "f"];
        let payload = encode(&value).unwrap();
        assert_eq!(decode_as::<Json, T>(&names, names[place], &payload).unwrap(), value);
        assert_eq!(decode_as::<Json, T>(&names, "g", &payload), Err(EventError::UnknownType("g".into())));
    }

    #[test]
    fn places_without_a_variant_are_errors() {
        let names = ["unit", "struct"];
        assert!(matches!(decode_as::<Json, Struct>(&names, "struct", br#"{"a":1}"#), Err(EventError::Payload(_))));
        let beyond = decode_as::<Json, Inner>(&names, "struct", br#"{"x":1}"#);
        assert!(matches!(beyond, Err(EventError::Payload(_))));
        let wrong = decode_as::<Json, Any>(&["u", "n", "f"], "f", br#"{"a":1,"list":[2,"3"]}"#);
        assert!(matches!(wrong, Err(EventError::Payload(CodecError::Shape { path, .. })) if path == "list[1]"));
    }

    #[test]
    fn unknown_names_are_told_from_wrong_payloads() {
        assert_eq!(decode::<Any>("other", b"{}"), Err(EventError::UnknownType("other".into())));
        assert_eq!(decode::<Struct>("other", b"{}"), Err(EventError::UnknownType("other".into())));
        let wrong = decode::<Any>("fields", br#"{"a":1,"list":[2,"3"]}"#);
        assert!(matches!(wrong, Err(EventError::Payload(CodecError::Shape { path, .. })) if path == "list[1]"));
        let wrong = decode::<Struct>("a-struct", br#"{"a":1,"b":2}"#);
        assert!(matches!(wrong, Err(EventError::Payload(CodecError::Shape { path, .. })) if path == "b"));
        for broken in [&b"{"[..], b"", br#"{"a":1,"list":[]} x"#] {
            let broken = decode::<Any>("fields", broken);
            assert!(matches!(broken, Err(EventError::Payload(CodecError::Malformed(_)))), "{broken:?}");
        }
    }

    #[test]
    fn what_has_no_name_is_refused() {
        assert_eq!(name(&1), "");
        assert!(encode(&[1, 2]).is_err());
    }
}
