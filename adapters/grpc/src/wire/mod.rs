//! Values of the kernel as messages, and back.
//!
//! Into a message is `From`, and cannot fail; out of one is `checked`, which names the field that is wrong.

mod append;
mod bus;
mod capabilities;
pub(crate) mod errors;
mod event;
mod projection;
mod read;
mod rows;
mod saga;
pub(crate) mod status;

pub(crate) use append::decode_checkpoint;
pub(crate) use bus::json_of;
pub(crate) use capabilities::decode_capabilities;
pub(crate) use projection::decode_action;
pub(crate) use saga::decode_saga;
use saga::decode_saga_action;

use core::fmt::Display;
use core::str::FromStr;
use core::time::Duration;
use portolan_kernel::ports::Violation;
use portolan_kernel::values::{Position, Timestamp};

/// A field of a message that holds what it cannot.
#[derive(Debug)]
pub(crate) struct Wrong {
    path: String,
    message: String,
}

impl Wrong {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same, where its message is a field of another.
    pub(crate) fn of(self, field: impl Display) -> Self {
        Self { path: format!("{field}.{}", self.path), ..self }
    }

    pub(crate) fn violation(self) -> Violation {
        Violation::new(self.path, "wrong-value", self.message)
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A checked value out of the text of a field.
pub(crate) fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: T::Err| Wrong::new(field, error.to_string()))
}

/// Checked values out of a list of texts.
pub(crate) fn parsed_all<T: FromStr<Err: Display>>(field: &str, texts: &[String]) -> Result<Vec<T>, Wrong> {
    let one = |(at, text): (usize, &String)| parsed(&format!("{field}[{at}]"), text);
    texts.iter().enumerate().map(one).collect()
}

pub(crate) fn position(field: &str, number: u64) -> Result<Position, Wrong> {
    Position::new(number).ok_or_else(|| Wrong::new(field, format!("a position is at most {}", Position::MAX)))
}

pub(crate) fn maybe_position(field: &str, number: Option<u64>) -> Result<Option<Position>, Wrong> {
    number.map(|number| position(field, number)).transpose()
}

pub(crate) fn number(position: Option<Position>) -> Option<u64> {
    position.map(Position::get)
}

/// A version of the code of a projection.
pub(crate) fn version(field: &str, number: u32) -> Result<u16, Wrong> {
    u16::try_from(number).map_err(|_| Wrong::new(field, format!("it is at most {}", u16::MAX)))
}

pub(crate) fn required<T>(field: &str, given: Option<T>) -> Result<T, Wrong> {
    given.ok_or_else(|| Wrong::new(field, "it is missing, or of a kind that is not known here"))
}

pub(crate) fn decode_list<M, T>(
    field: &str,
    messages: Vec<M>,
    decode: impl Fn(M) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let one = |(at, message)| decode(message).map_err(|wrong| wrong.of(format_args!("{field}[{at}]")));
    messages.into_iter().enumerate().map(one).collect()
}

const MICROS: u64 = 1_000_000;

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    prost_types::Timestamp { seconds: (micros / MICROS) as i64, nanos: (micros % MICROS) as i32 * 1_000 }
}

pub(crate) fn decode_timestamp(field: &str, at: Option<prost_types::Timestamp>) -> Result<Timestamp, Wrong> {
    let at = required(field, at)?;
    let micros = || {
        let seconds = u64::try_from(at.seconds).ok()?.checked_mul(MICROS)?;
        seconds.checked_add(u64::try_from(at.nanos).ok()? / 1_000)
    };
    micros().map(Timestamp::from_micros).ok_or_else(|| Wrong::new(field, "it is no time that can be told here"))
}

/// The longest `google.protobuf.Duration`, 10,000 years; a longer one becomes it.
const LONGEST: i64 = 315_576_000_000;

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    match i64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds < LONGEST => prost_types::Duration { seconds, nanos: duration.subsec_nanos() as i32 },
        _ => prost_types::Duration { seconds: LONGEST, nanos: 0 },
    }
}

pub(crate) fn decode_duration(field: &str, duration: Option<prost_types::Duration>) -> Result<Duration, Wrong> {
    let duration = required(field, duration)?;
    match (u64::try_from(duration.seconds), u32::try_from(duration.nanos)) {
        (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) => Ok(Duration::new(seconds, nanos)),
        _ => Err(Wrong::new(field, "it is no length of time")),
    }
}
