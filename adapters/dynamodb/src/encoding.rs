//! How records are written: postcard's encoding, which is close to the bytes themselves.

use crate::error::Fault;
use crate::table::Key;
use portolan_kernel::values::{Format, Position};
use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// Bytes, written at once and not one by one.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Raw<'de>, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

pub(crate) fn encode(row: &impl Serialize) -> Vec<u8> {
    // Only a sequence of unknown length or a full buffer could fail, and there is neither.
    postcard::to_allocvec(row).unwrap_or_default()
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(key: &Key, bytes: &'a [u8]) -> Result<T, Fault> {
    postcard::from_bytes(bytes).map_err(|_| Fault::Damaged(key.place()))
}

pub(crate) fn position(number: u64) -> Option<Position> {
    Position::new(number)
}

pub(crate) fn format_number(format: Format) -> u8 {
    match format {
        Format::Json => 0,
        _ => 1,
    }
}

pub(crate) fn format_of(number: u8) -> Option<Format> {
    match number {
        0 => Some(Format::Json),
        1 => Some(Format::Binary),
        _ => None,
    }
}
