//! A deserializer that presents a payload as one variant of an enum.

use core::cell::Cell;
use core::marker::PhantomData;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

/// Which variant it is.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// That of this name; the flag is set when there is none.
    Named(&'a str, &'a Cell<bool>),
    /// The one at this place. A struct has one place, 0.
    At(u32),
}

/// Reads a payload as the fields of a variant.
pub(super) struct Variant<'a, T>(Which<'a>, PhantomData<fn() -> T>);

impl<'a, T> Variant<'a, T> {
    pub(super) fn new(which: Which<'a>) -> Self {
        Self(which, PhantomData)
    }
}

impl<T> Clone for Variant<'_, T> {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Variant<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, payload: D) -> Result<T, D::Error> {
        T::deserialize(Tagged { which: self.0, payload })
    }
}

struct Tagged<'a, D> {
    which: Which<'a>,
    payload: D,
}

impl<D> Tagged<'_, D> {
    /// The payload, if a struct of this name is what is meant.
    fn of_struct<E: Error>(self, name: &'static str) -> Result<D, E> {
        match self.which {
            Which::Named(wanted, unknown) if wanted != name => {
                unknown.set(true);
                Err(E::custom(format_args!("expected {name}")))
            }
            Which::At(at) if at > 0 => Err(E::custom(format_args!("{name} has one form"))),
            _ => Ok(self.payload),
        }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Tagged<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.of_struct::<D::Error>(name)?.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.of_struct::<D::Error>(name)?.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        IgnoredAny::deserialize(self.of_struct::<D::Error>(name)?)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> EnumAccess<'de> for Tagged<'_, D> {
    type Error = D::Error;
    type Variant = Payload<D>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Payload<D>), D::Error> {
        let variant = match self.which {
            Which::Named(name, unknown) => {
                let variant = seed.deserialize(IntoDeserializer::<D::Error>::into_deserializer(name));
                unknown.set(variant.is_err());
                variant
            }
            Which::At(at) => seed.deserialize(IntoDeserializer::<D::Error>::into_deserializer(at)),
        };
        Ok((variant?, Payload(self.payload)))
    }
}

struct Payload<D>(D);

impl<'de, D: Deserializer<'de>> VariantAccess<'de> for Payload<D> {
    type Error = D::Error;

    fn unit_variant(self) -> Result<(), D::Error> {
        IgnoredAny::deserialize(self.0).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, D::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }
}
