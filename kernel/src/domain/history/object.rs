//! A payload as its fields, whose values stay the text that they are.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a JSON object, in their order. What is not changed is neither read nor written anew: a number has all
/// its digits, and a value within a value costs nothing.
#[derive(Debug)]
pub(in super::super) struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

/// What a hop does to fields: it renames, all at once, and then adds.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) renames: Vec<(String, String)>,
    pub(super) adds: Vec<(String, Box<RawValue>)>,
}

impl<'a> Object<'a> {
    pub(in super::super) fn parse(text: &'a [u8]) -> Result<Self, String> {
        let text = core::str::from_utf8(text).map_err(|error| error.to_string())?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(in super::super) fn print(&self) -> Result<Bytes, String> {
        // Quotes, a colon and a comma each.
        let length = self.fields.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum::<usize>() + 2;
        let mut text = Vec::with_capacity(length);
        for (name, value) in &self.fields {
            text.push(if text.is_empty() { b'{' } else { b',' });
            if name.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                text.push(b'"');
                text.extend_from_slice(name.as_bytes());
                text.push(b'"');
            } else {
                text.extend(serde_json::to_vec(name).map_err(|error| error.to_string())?);
            }
            text.push(b':');
            text.extend_from_slice(value.get().as_bytes());
        }
        if text.is_empty() {
            text.push(b'{');
        }
        text.push(b'}');
        Ok(text.into())
    }

    pub(super) fn change(&mut self, changes: &'a Changes) -> Result<(), String> {
        let renamed = |name: &str| changes.renames.iter().find(|(old, _)| old == name);
        if !changes.renames.is_empty() {
            for (_, new) in &changes.renames {
                let are_called_so = self.fields.iter().filter(|(name, _)| match renamed(name) {
                    Some((_, then)) => then == new,
                    None => name == new,
                });
                if are_called_so.count() > 1 {
                    return Err(alloc::format!("more than one of its fields would be `{new}` once it is renamed"));
                }
            }
            for (name, _) in &mut self.fields {
                if let Some((_, new)) = renamed(name) {
                    *name = Cow::Borrowed(new);
                }
            }
        }
        for (name, value) in &changes.adds {
            // What is stored counts more than what would be put in its place.
            if !self.fields.iter().any(|(field, _)| field == name) {
                self.fields.push((Cow::Borrowed(name), Cow::Borrowed(value)));
            }
        }
        Ok(())
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
    use alloc::vec;
    use rstest::rstest;

    fn add(name: &str, value: &str) -> Changes {
        Changes { adds: vec![(name.into(), RawValue::from_string(value.into()).unwrap())], ..Changes::default() }
    }

    fn rename(renames: &[(&str, &str)]) -> Changes {
        let renames = renames.iter().map(|(old, new)| (old.to_string(), new.to_string())).collect();
        Changes { renames, ..Changes::default() }
    }

    #[rstest]
    #[case::added(r#"{"a":1}"#, add("b", "2"), r#"{"a":1,"b":2}"#)]
    #[case::of_nothing("{}", rename(&[("a", "b")]), "{}")]
    #[case::to_nothing("{}", add("b", "2"), r#"{"b":2}"#)]
    #[case::there_already(r#"{"b":1}"#, add("b", "2"), r#"{"b":1}"#)]
    #[case::renamed(r#"{"a":1,"b":2}"#, rename(&[("a", "c")]), r#"{"c":1,"b":2}"#)]
    #[case::not_there(r#"{"b":2}"#, rename(&[("a", "c")]), r#"{"b":2}"#)]
    #[case::swapped(r#"{"a":1,"b":2}"#, rename(&[("a", "b"), ("b", "a")]), r#"{"b":1,"a":2}"#)]
    #[case::moved_on(r#"{"a":1,"b":2}"#, rename(&[("a", "b"), ("b", "c")]), r#"{"b":1,"c":2}"#)]
    #[case::in_the_place_of_a_renamed(
        r#"{"a":1}"#,
        Changes { adds: add("a", "0").adds, ..rename(&[("a", "b")]) },
        r#"{"b":1,"a":0}"#
    )]
    #[case::escaped(r#"{"\"é\n":1}"#, add("ä\"", "null"), "{\"\\\"é\\n\":1,\"ä\\\"\":null}")]
    #[case::verbatim(
        r#"{"n":340282366920938463463374607431768211455,"f":1.10,"o":{ "x" : [1e3]}}"#,
        rename(&[("n", "m")]),
        r#"{"m":340282366920938463463374607431768211455,"f":1.10,"o":{ "x" : [1e3]}}"#
    )]
    #[case::spaced(" { \"a\" : 1 } ", add("b", "2"), r#"{"a":1,"b":2}"#)]
    fn fields_are_changed(#[case] text: &str, #[case] changes: Changes, #[case] expected: &str) {
        let mut object = Object::parse(text.as_bytes()).unwrap();
        object.change(&changes).unwrap();
        assert_eq!(object.print().unwrap(), expected);
    }

    #[test]
    fn nothing_is_lost_for_a_renamed_field() {
        let changes = rename(&[("a", "b")]);
        let mut object = Object::parse(br#"{"a":1,"b":2}"#).unwrap();
        assert!(object.change(&changes).unwrap_err().contains("would be `b`"));
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
