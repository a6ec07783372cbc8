//! A serializer that writes the canonical form of plain values straight away, without a tree of them.

use super::write_scalar;
use crate::values::write_json_string;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::ops::Range;
use serde::ser::{
    self, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};
use serde_json::Value;

/// Writes scalars, sequences and structs of them. Everything else is [`NotPlain`].
pub(super) struct Plain<'a>(pub(super) &'a mut String);

/// The value has a part whose form is found by a tree, or no form at all. Something may have been written.
#[derive(Debug)]
pub(super) struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is more than scalars, sequences and structs")
    }
}

impl core::error::Error for NotPlain {}

impl ser::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Written = Result<(), NotPlain>;

/// What serde_json passes its own values through structs by begins with this.
const RESERVED: &str = "$serde_json::private::";

macro_rules! numbers {
    ($($method:ident($of:ty);)*) => {$(
        fn $method(self, value: $of) -> Written {
            // A string takes whatever it is given.
            let _ = write!(self.0, "{value}");
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Plain<'a> {
    type Ok = ();
    type Error = NotPlain;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Impossible<(), NotPlain>;
    type SerializeMap = Impossible<(), NotPlain>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), NotPlain>;

    numbers! {
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_bool(bool);
    }

    fn serialize_f32(self, value: f32) -> Written {
        write_scalar(&Value::from(value), self.0);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Written {
        write_scalar(&Value::from(value), self.0);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        write_json_string(value, self.0);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        Err(NotPlain)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written {
        Err(NotPlain)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, NotPlain> {
        self.0.push('[');
        Ok(Items(self.0))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'a>, NotPlain> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'a>, NotPlain> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotPlain> {
        Err(NotPlain)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'a>, NotPlain> {
        if name.starts_with(RESERVED) {
            return Err(NotPlain);
        }
        self.0.push('{');
        let begin = self.0.len();
        Ok(Fields { into: self.0, begin, fields: Vec::with_capacity(len) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotPlain> {
        Err(NotPlain)
    }
}

/// A sequence that is being written.
pub(super) struct Items<'a>(&'a mut String);

macro_rules! items {
    ($($of:ident::$method:ident;)*) => {$(
        impl $of for Items<'_> {
            type Ok = ();
            type Error = NotPlain;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Written {
                item.serialize(Plain(self.0))?;
                self.0.push(',');
                Ok(())
            }

            fn end(self) -> Written {
                self.0.push(']');
                Ok(())
            }
        }
    )*};
}
items! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
}

/// A struct that is being written: its fields as they come, sorted in the end.
pub(super) struct Fields<'a> {
    into: &'a mut String,
    begin: usize,
    /// Each key, and where its field is.
    fields: Vec<(&'static str, Range<usize>)>,
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        let from = self.into.len();
        write_json_string(key, self.into);
        self.into.push(':');
        value.serialize(Plain(self.into))?;
        self.into.push(',');
        self.fields.push((key, from..self.into.len()));
        Ok(())
    }

    fn end(self) -> Written {
        let Self { into, begin, mut fields } = self;
        if !fields.is_sorted_by(|(one, _), (next, _)| one < next) {
            fields.sort_unstable_by_key(|(key, _)| *key);
            // In a tree the last of two would stay.
            if fields.windows(2).any(|two| two[0].0 == two[1].0) {
                return Err(NotPlain);
            }
            let end = into.len();
            for (_, field) in fields {
                into.extend_from_within(field);
            }
            into.drain(begin..end);
        }
        into.push('}');
        Ok(())
    }
}
