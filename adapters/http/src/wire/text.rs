//! How single values are written: names, ids, big numbers, bytes, moments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::{self, Display};
use core::str::FromStr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use portolan_kernel::Bytes;
use portolan_kernel::values::{Position, Timestamp};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is percent-encoded in a path or a parameter: all but the unreserved characters of RFC 3986.
pub(crate) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Anything with a text form of its own, such as a checked name, as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A number that may pass 2^53, as a string of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digits(pub(crate) u64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        digits(&text).map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a string of digits"))
    }
}

/// The number written in these digits; unlike `parse`, no sign is taken.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A position, as a string of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Position);

impl FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        digits(text)
            .and_then(Position::new)
            .map(Self)
            .ok_or_else(|| format!("a position is a string of digits up to {}", Position::MAX))
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|Text(at)| at)
    }
}

/// Bytes, in base64 with padding (RFC 4648, section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base64(pub(crate) Bytes);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(|bytes| Self(bytes.into()))
            .map_err(|error| D::Error::custom(format!("no base64: {error}")))
    }
}

/// A digest, as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) [u8; 32]);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hex {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a digest is 64 hexadecimal digits";
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return Err(WRONG);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(WRONG) };
            *byte = u8::try_from(high * 16 + low).map_err(|_| WRONG)?;
        }
        Ok(Self(bytes))
    }
}

/// A moment as people read it (RFC 3339, UTC, microseconds), or `@` and microseconds past the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(moment) => write!(f, "{moment:.6}"),
            None => write!(f, "@{micros}"),
        }
    }
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let micros = match text.strip_prefix('@') {
            Some(micros) => digits(micros),
            None => {
                let moment: jiff::Timestamp = text.parse().map_err(|error| format!("no RFC 3339 moment: {error}"))?;
                u64::try_from(moment.as_microsecond()).ok()
            }
        };
        micros.map(|micros| Self(Timestamp::from_micros(micros))).ok_or_else(|| format!("{text} is before 1970"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_every_microsecond() {
        for micros in [0, 1, 999_999, 1_785_000_000_123_456, 253_402_207_200_000_000, u64::MAX] {
            let moment = Moment(Timestamp::from_micros(micros));
            assert_eq!(moment.to_string().parse(), Ok(moment), "{moment}");
        }
        assert_eq!(Moment(Timestamp::from_micros(1_500_000)).to_string(), "1970-01-01T00:00:01.500000Z");
    }

    #[test]
    fn digests_come_back() {
        let digest = Hex(core::array::from_fn(|n| u8::try_from(n * 8 % 256).unwrap_or(0)));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("+f".repeat(32).parse::<Hex>().is_err());
        assert!("é".repeat(32).parse::<Hex>().is_err());
    }
}
