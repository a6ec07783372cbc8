//! How single values are written: names, ids, big numbers, bytes, moments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::{self, Display};
use core::str::FromStr;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use portolan_kernel::Bytes;
use portolan_kernel::values::{Position, Timestamp};
use serde::de::{Error as _, Unexpected, Visitor};
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

/// For `#[serde(deserialize_with)]`: a whole number. JSON does not tell `7.0` from `7`, and neither does a JSON Schema.
pub(crate) fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let Whole(number) = Whole::deserialize(deserializer)?;
    let wrong = || D::Error::invalid_value(Unexpected::Unsigned(number), &"a smaller number");
    T::try_from(number).map_err(|_| wrong())
}

/// For `#[serde(deserialize_with)]`: the same, or `null`.
pub(crate) fn maybe_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(|Whole(number)| number))
}

struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeVisitor).map(Self)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0")
    }

    fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    /// Past 2^53 a double is no longer every whole number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole, and in the range of u64")]
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<u64, E> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) {
            return Ok(number as u64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
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
    fn whole_numbers() {
        #[derive(Deserialize)]
        struct Numbers {
            #[serde(deserialize_with = "whole")]
            small: u32,
            #[serde(default, deserialize_with = "maybe_whole")]
            large: Option<u64>,
        }
        let read = |small: &str, large: &str| {
            let read = serde_json::from_str::<Numbers>(&format!(r#"{{"small":{small},"large":{large}}}"#));
            read.map(|numbers| (numbers.small, numbers.large)).ok()
        };
        assert_eq!(read("7.0", "null"), Some((7, None)));
        assert_eq!(read("1e3", "18446744073709551615"), Some((1_000, Some(u64::MAX))));
        assert_eq!(read("-0.0", "9007199254740992.0"), Some((0, Some(1 << 53))));
        for (small, large) in [
            ("0.5", "1"),
            ("4294967296", "1"),
            ("-1", "1"),
            ("1", "-1.0"),
            ("1", "1e300"),
            ("\"1\"", "1"),
            ("null", "1"),
        ] {
            assert_eq!(read(small, large), None, "{small} {large}");
        }
    }

    #[test]
    fn digests_come_back() {
        let digest = Hex(core::array::from_fn(|n| u8::try_from(n * 8 % 256).unwrap_or(0)));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("+f".repeat(32).parse::<Hex>().is_err());
        assert!("é".repeat(32).parse::<Hex>().is_err());
    }
}
