//! Between which bounds numbers are.

use core::cmp::Ordering;
use serde_json::{Number, Value};

/// A bound, exactly where it is whole.
#[derive(Clone, Copy)]
struct Bound {
    whole: Option<i128>,
    near: f64,
    is_open: bool,
}

impl Bound {
    fn of(value: &Value, is_open: bool) -> Option<Self> {
        let Value::Number(number) = value else { return None };
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        Some(Self { whole, near: Number::as_f64(number)?, is_open })
    }

    #[allow(clippy::cast_precision_loss, reason = "whole bounds are compared exactly")]
    fn whole(whole: i128) -> Self {
        Self { whole: Some(whole), near: whole as f64, is_open: false }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self.whole, other.whole) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.near.partial_cmp(&other.near).unwrap_or(Ordering::Equal),
        }
    }
}

/// The least and the most that integers of a format can be, as schemars calls the formats.
fn range(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Whether the format is one of integers of a width.
pub(super) fn is_width(format: &Value) -> bool {
    format.as_str().and_then(range).is_some()
}

struct Bounds {
    least: Option<Bound>,
    most: Option<Bound>,
}

fn bounds(schema: &Value) -> Bounds {
    let of_format = schema.get("format").and_then(Value::as_str).and_then(range);
    let said = |keyword: &str, is_open| schema.get(keyword).and_then(|value| Bound::of(value, is_open));
    // Of two the tighter one; of equal ones that which is not met.
    let tighter = |one: Option<Bound>, other: Option<Bound>, wanted: Ordering| match (one, other) {
        (Some(one), Some(other)) => match one.cmp(&other) {
            Ordering::Equal => Some(if one.is_open { one } else { other }),
            order => Some(if order == wanted { one } else { other }),
        },
        (one, other) => one.or(other),
    };
    let least = tighter(said("minimum", false), said("exclusiveMinimum", true), Ordering::Greater);
    let most = tighter(said("maximum", false), said("exclusiveMaximum", true), Ordering::Less);
    Bounds {
        least: tighter(least, of_format.map(|(least, _)| Bound::whole(least)), Ordering::Greater),
        most: tighter(most, of_format.map(|(_, most)| Bound::whole(most)), Ordering::Less),
    }
}

/// Whether all numbers of the one schema are between the bounds of the other.
pub(super) fn are_within(written: &Value, read: &Value) -> bool {
    let (written, read) = (bounds(written), bounds(read));
    let holds = |inner: Option<Bound>, outer: Option<Bound>, wanted: Ordering| match (inner, outer) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(inner), Some(outer)) => match inner.cmp(&outer) {
            Ordering::Equal => inner.is_open || !outer.is_open,
            order => order == wanted,
        },
    };
    holds(written.least, read.least, Ordering::Greater) && holds(written.most, read.most, Ordering::Less)
}

/// Whether what is counted in the one is counted as narrowly as in the other: lengths, items, properties.
pub(super) fn are_counted_within(written: &Value, read: &Value, [least, most]: [&str; 2]) -> bool {
    let count = |schema: &Value, keyword| schema.get(keyword).and_then(Value::as_u64);
    let is_least = count(read, least).is_none_or(|of| of <= count(written, least).unwrap_or(0));
    is_least && count(read, most).is_none_or(|of| count(written, most).is_some_and(|most| most <= of))
}
