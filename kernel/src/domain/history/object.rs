//! A payload as its fields, whose values stay the text that they are.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// The fields of a JSON object, in their order. What is not changed is neither read nor written anew: a number has all
/// its digits, and a value within a value costs nothing.
#[derive(Debug)]
pub(in super::super) struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

/// What a hop does to a field.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(String, Box<RawValue>),
    Rename(String, String),
}

impl<'a> Object<'a> {
    pub(in super::super) fn parse(text: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    pub(in super::super) fn print(&self) -> Result<Bytes, String> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|error| error.to_string())
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field == name)
    }

    pub(super) fn change(&mut self, change: &'a Change) -> Result<(), String> {
        match change {
            // What is stored counts more than what would be put in its place.
            Change::Add(name, value) => {
                if self.at(name).is_none() {
                    self.fields.push((Cow::Borrowed(name), Cow::Borrowed(value)));
                }
            }
            Change::Rename(old, new) => {
                let Some(at) = self.at(old) else { return Ok(()) };
                if self.at(new).is_some() {
                    return Err(alloc::format!(
                        "it has both `{old}` and `{new}`, and the one was renamed to the other"
                    ));
                }
                self.fields[at].0 = Cow::Borrowed(new);
            }
        }
        Ok(())
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(name) = map.next_key_seed(FieldName)? {
                    fields.push((name, Cow::Borrowed(map.next_value()?)));
                }
                Ok(Object { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Serde itself never lends the text of a `Cow`.
struct FieldName;

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for FieldName {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn add(name: &str, value: &str) -> Change {
        Change::Add(name.into(), RawValue::from_string(value.into()).unwrap())
    }

    #[rstest]
    #[case::added(r#"{"a":1}"#, add("b", "2"), r#"{"a":1,"b":2}"#)]
    #[case::there_already(r#"{"b":1}"#, add("b", "2"), r#"{"b":1}"#)]
    #[case::renamed(r#"{"a":1,"b":2}"#, Change::Rename("a".into(), "c".into()), r#"{"c":1,"b":2}"#)]
    #[case::not_there(r#"{"b":2}"#, Change::Rename("a".into(), "c".into()), r#"{"b":2}"#)]
    #[case::escaped(r#"{"\"é\n":1}"#, add("ä\"", "null"), "{\"\\\"é\\n\":1,\"ä\\\"\":null}")]
    #[case::verbatim(
        r#"{"n":340282366920938463463374607431768211455,"f":1.10,"o":{ "x" : [1e3]}}"#,
        Change::Rename("n".into(), "m".into()),
        r#"{"m":340282366920938463463374607431768211455,"f":1.10,"o":{ "x" : [1e3]}}"#
    )]
    #[case::spaced(" { \"a\" : 1 } ", add("b", "2"), r#"{"a":1,"b":2}"#)]
    fn changes(#[case] text: &str, #[case] change: Change, #[case] expected: &str) {
        let mut object = Object::parse(text.as_bytes()).unwrap();
        object.change(&change).unwrap();
        assert_eq!(object.print().unwrap(), expected);
    }

    #[test]
    fn nothing_is_lost_for_a_renamed_field() {
        let rename = Change::Rename("a".into(), "b".into());
        let mut object = Object::parse(br#"{"a":1,"b":2}"#).unwrap();
        assert!(object.change(&rename).unwrap_err().contains("both `a` and `b`"));
    }

    #[rstest]
    #[case("[1]")]
    #[case("3")]
    #[case("{")]
    #[case("{} {}")]
    fn what_is_no_object_is_refused(#[case] text: &str) {
        assert!(Object::parse(text.as_bytes()).is_err());
    }
}
