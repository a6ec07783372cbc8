//! Reading claims (RFC 7519).

use core::time::Duration;
use serde_json::{Map, Value};

/// The value at a path: a member's name; or names of members within one another, with dots between them. Names may have dots
/// themselves, as those that are URLs.
pub(crate) fn at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let nested = || {
        path.match_indices('.').find_map(|(dot, _)| {
            let inner = claims.get(&path[..dot])?.as_object()?;
            at(inner, &path[dot + 1..])
        })
    };
    claims.get(path).or_else(nested)
}

/// A text that is not empty.
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a str> {
    at(claims, path)?.as_str().filter(|text| !text.is_empty())
}

/// A list of texts, or one text. `None` where it is something else.
pub(crate) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Seconds since the Unix epoch, with or without a fraction, in microseconds. `None` where it is no number.
pub(crate) fn micros(value: &Value) -> Option<u64> {
    const MICROS: u64 = 1_000_000;
    if let Some(seconds) = value.as_u64() {
        return Some(seconds.saturating_mul(MICROS));
    }
    let seconds = value.as_f64()?;
    if seconds < 0.0 {
        return Some(0);
    }
    let micros = Duration::try_from_secs_f64(seconds).ok().and_then(|time| u64::try_from(time.as_micros()).ok());
    Some(micros.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_path_leads_into_objects_and_names_may_have_dots() {
        let claims = claims(json!({
            "a": {"b": {"c": 1}, "b.c": 2}, "x.y": {"z": 3}, "https://bank.example/roles": 4, "l": [5], "a.b": "6",
        }));
        let at = |path| at(&claims, path).and_then(Value::as_u64);
        assert_eq!(at("a.b.c"), Some(2), "the name that is there as it stands");
        assert_eq!(at("x.y.z"), Some(3));
        assert_eq!(at("https://bank.example/roles"), Some(4));
        assert_eq!(at("l.0"), None);
        assert_eq!(at("a.x"), None);
        assert_eq!(at(""), None);
        assert_eq!(at("."), None);
        assert_eq!(text(&claims, "a.b"), Some("6"));
        assert_eq!(text(&claims, "a.b.c"), None);
    }

    #[test]
    fn times_have_fractions_and_no_end() {
        assert_eq!(micros(&json!(1_700_000_000)), Some(1_700_000_000_000_000));
        assert_eq!(micros(&json!(1.25)), Some(1_250_000));
        assert_eq!(micros(&json!(-1)), Some(0));
        assert_eq!(micros(&json!(-0.5)), Some(0));
        assert_eq!(micros(&json!(u64::MAX)), Some(u64::MAX));
        assert_eq!(micros(&json!(1e300)), Some(u64::MAX));
        assert_eq!(micros(&json!("1700000000")), None);
        assert_eq!(micros(&json!(null)), None);
    }
}
