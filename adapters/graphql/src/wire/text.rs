//! How single values are written: names, ids, numbers of 64 bits, bytes, moments, cursors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::{self, Display};
use core::str::FromStr;
use portolan_kernel::Bytes;
use portolan_kernel::values::{Position, Revision, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Anything with a text form of its own, such as a checked name, as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The number written in these digits; unlike `parse`, no sign is taken.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A position, as a string of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Position);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        digits(text)
            .and_then(Position::new)
            .map(Self)
            .ok_or_else(|| format!("a position is a string of digits up to {}", Position::MAX))
    }
}

/// A position or `null`, as both are written.
pub(crate) type MaybeAt = Option<Text<At>>;

pub(crate) fn at(position: Option<Position>) -> MaybeAt {
    position.map(|position| Text(At(position)))
}

pub(crate) fn position(at: MaybeAt) -> Option<Position> {
    at.map(|Text(At(position))| position)
}

/// A revision or `null`, as both are written.
pub(crate) type MaybeRevision = Option<Text<u64>>;

pub(crate) fn number(revision: Option<Revision>) -> MaybeRevision {
    revision.map(|revision| Text(revision.get()))
}

pub(crate) fn revision(number: MaybeRevision) -> Option<Revision> {
    number.map(|Text(number)| Revision::new(number))
}

/// Bytes, in base64 with padding (RFC 4648, section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base64(pub(crate) Bytes);

impl Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

impl FromStr for Base64 {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(|error| format!("no base64: {error}"))
    }
}

/// A moment as people read it (RFC 3339, UTC, microseconds), or `@` and the microseconds where no calendar reaches.
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

/// Where a page of events begins: after this number, a revision in a stream and a position in the log, and at most up to
/// a position. `17`, `17~40`, `~40`. So a known revision or position is a cursor too. Where a stored event has become
/// several, each has a cursor of its own: `17.1`, `17.2~40`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EventCursor {
    pub(crate) after: Option<u64>,
    /// Which part of the event it is that the page begins after, from 1; `None` for all of it.
    pub(crate) part: Option<u32>,
    pub(crate) until: Option<Position>,
}

impl Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(after) = self.after {
            write!(f, "{after}")?;
            if let Some(part) = self.part {
                write!(f, ".{part}")?;
            }
        }
        match self.until {
            Some(until) => write!(f, "~{until}"),
            None => Ok(()),
        }
    }
}

impl FromStr for EventCursor {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a cursor of events is one that a page had, or the digits of a revision or a position";
        let (after, until) = match text.split_once('~') {
            Some((after, until)) => (after, Some(digits(until).and_then(Position::new).ok_or(WRONG)?)),
            None => (text, None),
        };
        let (after, part) = match after.split_once('.') {
            Some((after, part)) => {
                let part = digits(part).and_then(|part| u32::try_from(part).ok()).filter(|part| *part > 0);
                (Some(after), Some(part.ok_or(WRONG)?))
            }
            None => (Some(after).filter(|after| !after.is_empty()), None),
        };
        let after = after.map(|after| digits(after).ok_or(WRONG)).transpose()?;
        Ok(Self { after, part, until })
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
    }

    #[test]
    fn cursors_come_back() {
        for (after, part, until, text) in [
            (Some(17), None, None, "17"),
            (Some(u64::MAX), None, Position::new(40), "18446744073709551615~40"),
            (Some(17), Some(1), None, "17.1"),
            (Some(0), Some(u32::MAX), Position::new(40), "0.4294967295~40"),
            (None, None, Position::new(0), "~0"),
            (None, None, None, ""),
        ] {
            let cursor = EventCursor { after, part, until };
            assert_eq!((cursor.to_string().as_str(), text.parse()), (text, Ok(cursor)));
        }
        for wrong in
            ["x", "1~", "1~x", "+1", "1~+1", "~", "1~2~3", "-1", ".1", "1.", "1.0", "1.+1", "1.2.3", "1.x", "1~2.1"]
        {
            assert!(wrong.parse::<EventCursor>().is_err(), "{wrong}");
        }
    }
}
