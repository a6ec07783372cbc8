//! Headers of commands and questions, as a client writes and a server reads them.

use core::time::Duration;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use portolan_kernel::values::Name;

/// How long the caller waits for the answer, in seconds, as a number with up to three decimals (RFC 9651, Integer or
/// Decimal). No registered field says it: `Prefer: wait` (RFC 7240) is a preference, in whole seconds, that a server
/// may leave out of account. The name is that of draft-thomson-hybi-http-timeout.
pub(crate) const REQUEST_TIMEOUT: &str = "Request-Timeout";

/// The projections to wait for: names, with commas between them, each percent-encoded where it has to be.
pub(crate) const WAIT_FOR: &str = "Portolan-Wait-For";

/// Of a question: the position that its answer must not be older than, such as that of a receipt.
pub(crate) const AT_LEAST: &str = "Portolan-At-Least";

/// What belongs together; on every answer.
pub(crate) const CORRELATION_ID: &str = "X-Correlation-Id";

/// The trace (W3C Trace Context); on an answer as it came.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// What separates names, what begins an escape, and what a header does not carry.
const IN_A_LIST: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

/// RFC 9651 has numbers of at most 12 digits before the point.
const LONGEST: Duration = Duration::from_millis(999_999_999_999_999);

/// In whole milliseconds: never longer than it is, but for the shortest. Nothing at all is not sent.
pub(crate) fn request_timeout(within: Duration) -> String {
    let millis = within.min(LONGEST).as_millis().max(1);
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    if rest == 0 { seconds.to_string() } else { format!("{seconds}.{rest:03}").trim_end_matches('0').to_owned() }
}

/// More than nothing.
pub(crate) fn read_request_timeout(text: &str) -> Option<Duration> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let number = |digits: &str, most: usize| {
        let plain = (1..=most).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
        if plain { digits.parse::<u64>().ok() } else { None }
    };
    let millis = number(&format!("{decimals:0<3}"), 3).filter(|_| !decimals.is_empty())?;
    Some(Duration::from_secs(number(seconds, 12)?) + Duration::from_millis(millis)).filter(|within| !within.is_zero())
}

pub(crate) fn wait_for(names: &[Name]) -> String {
    let encoded: Vec<String> = names.iter().map(|name| utf8_percent_encode(name, IN_A_LIST).to_string()).collect();
    encoded.join(", ")
}

/// Empty members count for nothing, as in every list of HTTP (RFC 9110, section 5.6.1).
///
/// # Errors
///
/// A sentence on the member that is no name.
pub(crate) fn read_wait_for(text: &str) -> Result<Vec<Name>, String> {
    let members = text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    let name = |member: &str| {
        let name = percent_decode_str(member).decode_utf8().map_err(|_| format!("`{member}` is not UTF-8"))?;
        Name::new(name).map_err(|error| format!("`{member}` is no projection's name: {error}"))
    };
    members.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_come_back() {
        for (millis, text) in [
            (1, "0.001"),
            (250, "0.25"),
            (1_000, "1"),
            (1_500, "1.5"),
            (60_010, "60.01"),
            (999_999_999_999_999, "999999999999.999"),
        ] {
            let within = Duration::from_millis(millis);
            assert_eq!(request_timeout(within), text);
            assert_eq!(read_request_timeout(text), Some(within));
        }
        assert_eq!(request_timeout(Duration::from_nanos(1)), "0.001");
        assert_eq!(request_timeout(Duration::from_micros(1_999)), "0.001");
        assert_eq!(request_timeout(Duration::MAX), "999999999999.999");
    }

    #[test]
    fn timeouts_that_are_none() {
        for wrong in [
            "",
            "0",
            "0.000",
            "x",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.0000",
            "1,5",
            "1s",
            "1e3",
            " 1",
            "1 ",
            "1000000000000",
            "1.5.0",
        ] {
            assert_eq!(read_request_timeout(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn names_come_back() {
        for names in [&["balances", "owners"][..], &["a, b", "50%", "%41", "\u{1F980} \"x\""], &[]] {
            let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(read_wait_for(&wait_for(&names)), Ok(names));
        }
        let by_hand: Vec<Name> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
        assert_eq!(read_wait_for(" ,a ,,\tb,"), Ok(by_hand));
        assert!(read_wait_for("a, %FF").is_err());
        assert!(read_wait_for("a, %00").is_err());
    }
}
