//! A serializer that writes nothing and tells a variant's name.

use core::fmt;
use serde::ser::{self, Impossible, Serialize, Serializer};

pub(super) struct NameOf;

/// The value has no name.
#[derive(Debug)]
pub(super) struct Nameless;

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is neither an enum nor a struct, and so has no name")
    }
}

impl core::error::Error for Nameless {}

impl ser::Error for Nameless {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Named = &'static str;

fn nameless<T>() -> Result<T, Nameless> {
    Err(Nameless)
}

macro_rules! nameless {
    ($($method:ident($($of:ty),*);)*) => {$(
        fn $method(self, $(_: $of),*) -> Result<Named, Nameless> {
            nameless()
        }
    )*};
}

impl Serializer for NameOf {
    type Ok = Named;
    type Error = Nameless;
    type SerializeSeq = Impossible<Named, Nameless>;
    type SerializeTuple = Impossible<Named, Nameless>;
    type SerializeTupleStruct = Fields;
    type SerializeTupleVariant = Fields;
    type SerializeMap = Impossible<Named, Nameless>;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    nameless! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_f32(f32);
        serialize_f64(f64); serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]); serialize_none();
        serialize_unit();
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Named, Nameless> {
        nameless()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Nameless> {
        nameless()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Nameless> {
        nameless()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Nameless> {
        nameless()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Named, Nameless> {
        Ok(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Named, Nameless> {
        Ok(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, _: &T) -> Result<Named, Nameless> {
        Ok(name)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: &T,
    ) -> Result<Named, Nameless> {
        Ok(name)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Fields, Nameless> {
        Ok(Fields(name))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields, Nameless> {
        Ok(Fields(name))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields, Nameless> {
        Ok(Fields(name))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields, Nameless> {
        Ok(Fields(name))
    }
}

/// Passes over the fields.
pub(super) struct Fields(&'static str);

macro_rules! passes_over {
    ($($of:ident::$method:ident($($key:ty)?);)*) => {$(
        impl ser::$of for Fields {
            type Ok = Named;
            type Error = Nameless;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)? _: &T) -> Result<(), Nameless> {
                Ok(())
            }

            fn end(self) -> Result<Named, Nameless> {
                Ok(self.0)
            }
        }
    )*};
}
passes_over! {
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}
