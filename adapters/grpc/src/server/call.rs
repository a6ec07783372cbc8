//! What is taken from a call besides its message: deadline and metadata.

use crate::wire::Wrong;
use crate::wire::status::invalid_request;
use core::time::Duration;
use portolan_kernel::values::{Metadata, Name};
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The call's deadline, less what is left to the way back: the answer that it has passed should come before it is over.
pub(super) fn within(metadata: &MetadataMap) -> Result<Option<Duration>, Status> {
    const TIMEOUT: &str = "grpc-timeout";
    const MOST: Duration = Duration::from_millis(100);
    let Some(given) = text(metadata, TIMEOUT)? else { return Ok(None) };
    let timeout = read_timeout(given).ok_or_else(|| {
        invalid_request(Wrong::new(TIMEOUT, "it is at most eight digits and a unit, one of `HMSmun`, such as 2500m"))
    })?;
    Ok(Some(timeout - (timeout / 10).min(MOST)))
}

fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_right = matches!(digits.len(), 1..=8) && digits.bytes().all(|c| c.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_right)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The id of a command that its message leaves out, from `idempotency-key`.
pub(super) fn idempotency_key(metadata: &MetadataMap) -> Result<Option<Name>, Status> {
    const KEY: &str = "idempotency-key";
    let Some(given) = text(metadata, KEY)? else { return Ok(None) };
    crate::wire::parsed(KEY, given).map(Some).map_err(invalid_request)
}

/// What the message's metadata leaves out, from `x-correlation-id` and `traceparent`. A `traceparent` of another form than
/// W3C's is left out, as W3C says.
pub(super) fn complete(to: &mut Metadata, metadata: &MetadataMap) -> Result<(), Status> {
    if to.correlation.is_none() {
        to.correlation = text(metadata, "x-correlation-id")?.filter(|id| !id.is_empty()).map(str::to_owned);
    }
    if to.traceparent.is_none() {
        to.traceparent = text(metadata, "traceparent")?.filter(|trace| is_traceparent(trace)).map(str::to_owned);
    }
    Ok(())
}

fn text<'m>(metadata: &'m MetadataMap, name: &str) -> Result<Option<&'m str>, Status> {
    let mut values = metadata.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid_request(Wrong::new(name, "it can be given only once")));
    }
    value.to_str().map(Some).map_err(|_| invalid_request(Wrong::new(name, "it has characters that are not ASCII")))
}

fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    hex && lengths.starts_with(&[2, 32, 16, 2]) && (lengths.len() == 4 || !text.starts_with("00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (given, nanos) in [("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000)] {
            assert_eq!(read_timeout(given), Some(Duration::from_nanos(nanos)), "{given}");
        }
        for (given, nanos) in [("4m", 4_000_000), ("5u", 5_000), ("99999999n", 99_999_999), ("0S", 0)] {
            assert_eq!(read_timeout(given), Some(Duration::from_nanos(nanos)), "{given}");
        }
        for wrong in ["", "S", "5", "5s", "+5S", "-5S", "123456789S", "5\u{1F980}", "1.5S"] {
            assert_eq!(read_timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn traces() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for wrong in ["", "00", &good.to_uppercase(), &format!("{good}-00"), &good[1..]] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
