//! What is taken from a request: body, path, parameters, headers. Each failure is a problem that names the place.

use super::App;
use super::connection::Lingering;
use crate::wire::errors::PortError as _;
use crate::wire::headers::{
    AT_LEAST, CORRELATION_ID, REQUEST_TIMEOUT, TRACEPARENT, WAIT_FOR, read_request_timeout, read_wait_for,
};
use crate::wire::object::Object;
use crate::wire::problem::Problem;
use crate::wire::text::At;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::BytesMut;
use core::time::Duration;
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use portolan_kernel::Bytes;
use portolan_kernel::ports::{CommandError, Source, Violation};
use portolan_kernel::values::{Metadata, Name, Position, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A request whose body is still on its way.
pub(super) type Request = axum::http::Request<Body>;

/// The whole body, as JSON by its media type, within the limit and the time.
pub(super) async fn json_body(app: &App, request: Request, limit: u64) -> Result<(Parts, Bytes), Problem> {
    let (mut parts, body) = request.into_parts();
    let lingering = parts.extensions.get::<Lingering>().cloned();
    let read = async {
        must_be_json(&parts.headers)?;
        let announced = text(&parts.headers, "content-length")?.and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(body_too_large(limit));
        }
        match tokio::time::timeout(app.config.body_timeout, collected(app, body, limit)).await {
            Ok(read) => read,
            Err(_) => Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow-request",
                format!("the body took longer than {:?}", app.config.body_timeout),
            )),
        }
    }
    .await;
    match read {
        Ok((body, share)) => {
            // Given back when the request has been answered.
            parts.extensions.insert(Arc::new(share));
            Ok((parts, body))
        }
        Err(problem) => {
            // What is left of the body still comes; the connection has to outlive it for the answer to arrive.
            if let Some(lingering) = lingering {
                lingering.set();
            }
            Err(problem)
        }
    }
}

/// The body, and its share of what all bodies together may take. A share is claimed as bytes come, so that one who
/// only announces them takes nothing from others.
async fn collected(app: &App, mut body: Body, limit: u64) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    let mut bytes = BytesMut::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if (bytes.len() + data.len()) as u64 > limit {
            return Err(body_too_large(limit));
        }
        let claimed = u32::try_from(data.len()).ok().and_then(|n| app.bodies.clone().try_acquire_many_owned(n).ok());
        match (claimed, &mut share) {
            (Some(claimed), Some(share)) => share.merge(claimed),
            (Some(claimed), None) => share = Some(claimed),
            (None, _) => {
                let full = Source::new("too many large requests at once");
                return Err(CommandError::Busy(full).to_problem());
            }
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), share))
}

fn body_too_large(limit: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", format!("a body here has at most {limit} bytes"))
        .with("limit", limit.to_string())
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = text(headers, "content-type")?.unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    let given = if given.is_empty() { "nothing".to_owned() } else { format!("`{given}`") };
    let detail = format!("the body must be JSON; send `Content-Type: application/json`, not {given}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail))
}

/// Decodes the one captured part of the path.
pub(super) type Captured = Result<Path<String>, PathRejection>;

/// Decodes two of them.
pub(super) type CapturedTwo = Result<Path<(String, String)>, PathRejection>;

/// A checked name out of the path.
pub(super) fn named<T: core::str::FromStr<Err: core::fmt::Display>>(
    part: &str,
    captured: Captured,
) -> Result<T, Problem> {
    let Path(text) = captured.map_err(|error| Problem::malformed(error.body_text()))?;
    checked(part, &text)
}

/// Two parts of the path, the first of them a checked name.
pub(super) fn two<T: core::str::FromStr<Err: core::fmt::Display>>(
    part: &str,
    captured: CapturedTwo,
) -> Result<(T, String), Problem> {
    let Path((name, other)) = captured.map_err(|error| Problem::malformed(error.body_text()))?;
    Ok((checked(part, &name)?, other))
}

/// A checked value of this parameter or header.
pub(super) fn checked<T: core::str::FromStr<Err: core::fmt::Display>>(path: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::wrong(path, "wrong-value", error.to_string()))
}

/// The parameters of a query string. Each route takes what it knows; what is left is a mistake.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| Problem::malformed("the query string is not UTF-8"))
        };
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// All values of a parameter.
    pub(super) fn all<T: core::str::FromStr<Err: core::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<Vec<T>, Problem> {
        let mut values = Vec::new();
        self.0.retain_mut(|(key, value)| {
            let other = *key != name;
            if !other {
                values.push(core::mem::take(value));
            }
            other
        });
        values.iter().map(|value| checked(name, value)).collect()
    }

    /// The value of a parameter that may be given once.
    pub(super) fn one<T: core::str::FromStr<Err: core::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.all(name)?;
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(Problem::wrong(name, "repeated", "it can be given only once")),
        }
    }

    /// What is left: the values of each, in the order given.
    pub(super) fn into_values(self) -> BTreeMap<String, Vec<String>> {
        let mut values = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in self.0 {
            values.entry(name).or_default().push(value);
        }
        values
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let unknown: BTreeSet<String> = self.0.into_iter().map(|(name, _)| name).collect();
        let violation = |name| Violation::new(name, "unknown-parameter", "there is no such parameter here");
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_request(unknown.into_iter().map(violation).collect()))
        }
    }
}

/// For a route that takes no parameters.
pub(super) struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Parameters::of(parts)?.finish().map(|()| Self)
    }
}

/// The text of a header that may be given once.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::wrong(name, "repeated", "the header can be given only once"));
    }
    let text = core::str::from_utf8(value.as_bytes());
    text.map(|text| Some(text.to_owned())).map_err(|_| Problem::wrong(name, "wrong-value", "the header is not UTF-8"))
}

/// The header `Idempotency-Key`: the id as it is, or as a quoted string (RFC 9651, section 3.3.3).
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Name>, Problem> {
    const HEADER: &str = "Idempotency-Key";
    let Some(given) = text(headers, HEADER)? else { return Ok(None) };
    let id = match given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => given,
        Some(quoted) => unquoted(quoted)
            .ok_or_else(|| Problem::wrong(HEADER, "wrong-value", "in a quoted key only \\\" and \\\\ are escapes"))?,
    };
    checked(HEADER, &id).map(Some)
}

/// The header `Request-Timeout`: how long the caller waits for the answer.
pub(super) fn within(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(given) = text(headers, REQUEST_TIMEOUT)? else { return Ok(None) };
    let message = "it is a number of seconds above 0 with at most three decimals, such as 2.5";
    read_request_timeout(&given).map(Some).ok_or_else(|| Problem::wrong(REQUEST_TIMEOUT, "wrong-value", message))
}

/// The header `Portolan-At-Least`: the position that an answer must not be older than.
pub(super) fn at_least(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(given) = text(headers, AT_LEAST)? else { return Ok(None) };
    checked(AT_LEAST, &given).map(|At(position)| Some(position))
}

/// The header `Portolan-Wait-For`: the projections to wait for. Several of it are one list.
pub(super) fn wait_for(headers: &HeaderMap) -> Result<Vec<Name>, Problem> {
    let wrong = |message: String| Problem::wrong(WAIT_FOR, "wrong-value", message);
    let mut names = Vec::new();
    for value in headers.get_all(WAIT_FOR) {
        let text = core::str::from_utf8(value.as_bytes()).map_err(|_| wrong("the header is not UTF-8".to_owned()))?;
        names.extend(read_wait_for(text).map_err(wrong)?);
    }
    Ok(names)
}

/// The seconds of `Prefer: wait=25` (RFC 7240), as far as this server waits. A preference of another form is none.
pub(super) fn preferred_wait(app: &App, headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default());
    let mut named = preferences.filter_map(|one| one.split_once('='));
    let (_, wait) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    let wait: u64 = wait.trim().trim_matches('"').parse().ok()?;
    Some(wait.min(app.config.changed_wait.as_secs()))
}

/// Says on the answer how long it would have waited.
pub(super) fn prefers(wait: Option<u64>, response: &mut Response) {
    if let Some(Ok(applied)) = wait.map(|wait| HeaderValue::try_from(format!("wait={wait}"))) {
        response.headers_mut().insert("preference-applied", applied);
    }
}

/// How long an answer may take that waits for a projection.
pub(super) struct Patience {
    time: Option<Duration>,
    wait: Option<u64>,
}

impl Patience {
    /// What `Request-Timeout` says; else `Prefer: wait`, of which at least a second is given, as no answer takes no time
    /// at all.
    pub(super) fn of(app: &App, headers: &HeaderMap) -> Result<Self, Problem> {
        let within = within(headers)?;
        let wait = preferred_wait(app, headers).map(|wait| wait.max(1)).filter(|_| within.is_none());
        Ok(Self { time: within.or(wait.map(Duration::from_secs)), wait })
    }

    /// The same, but where nothing is said it is this long.
    pub(super) fn or(self, otherwise: Option<Duration>) -> Self {
        Self { time: self.time.or(otherwise), ..self }
    }

    /// The answer to the work, or this problem if it takes longer.
    pub(super) async fn answer(
        self,
        work: impl Future<Output = Result<Response, Problem>>,
        otherwise: impl FnOnce() -> Problem,
    ) -> Result<Response, Problem> {
        let mut answer = match self.time {
            None => work.await,
            Some(time) => tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(otherwise())),
        }?;
        prefers(self.wait, &mut answer);
        Ok(answer)
    }
}

fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            _ => text.push(c),
        }
    }
    Some(text)
}

/// Who asks, in which trace: `Portolan-Metadata` (a JSON object, percent-encoded), over it `X-Correlation-Id` and
/// `traceparent`. A `traceparent` of another form than W3C's is left out, as W3C says.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Problem> {
    const WHOLE: &str = "Portolan-Metadata";
    let mut metadata = match text(headers, WHOLE)?.filter(|whole| !whole.is_empty()) {
        None => Metadata::default(),
        Some(encoded) => {
            let json: Vec<u8> = percent_decode_str(&encoded).collect();
            let Object(whole) = serde_json::from_slice(&json)
                .map_err(|error| Problem::wrong(WHOLE, "wrong-value", error.to_string()))?;
            whole
        }
    };
    if let Some(correlation) = text(headers, CORRELATION_ID)?.filter(|id| !id.is_empty()) {
        metadata.correlation = Some(correlation);
    }
    if let Some(trace) = text(headers, TRACEPARENT)?.filter(|trace| is_traceparent(trace)) {
        metadata.traceparent = Some(trace);
    }
    Ok(metadata)
}

pub(super) fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    hex && lengths.starts_with(&[2, 32, 16, 2]) && (lengths.len() == 4 || !text.starts_with("00"))
}

/// The entity tag of a revision.
pub(super) fn etag(revision: Revision) -> String {
    format!("\"{revision}\"")
}

/// Whether `If-None-Match` names this revision, by weak comparison.
pub(super) fn is_known(headers: &HeaderMap, revision: Revision) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    let current = etag(revision);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    #[test]
    fn a_key_is_taken_bare_and_quoted() {
        for (given, id) in [
            ("k-1", Some("k-1")),
            ("\"k-1\"", Some("k-1")),
            (r#"" \"a\\b\" ""#, Some(r#" "a\b" "#)),
            ("\u{1F980} %20", Some("\u{1F980} %20")),
            ("\"", Some("\"")),
            (r#""a"b""#, None),
            (r#""a\n""#, None),
            ("\"\"", None),
        ] {
            let key = idempotency_key(&headers("idempotency-key", given));
            assert_eq!(key.ok().flatten().as_deref(), id, "{given}");
        }
    }

    #[test]
    fn known_revisions() {
        for (given, known) in
            [("\"7\"", true), ("W/\"7\"", true), ("\"1\", \"7\"", true), ("*", true), ("\"77\"", false), ("7", false)]
        {
            assert_eq!(is_known(&headers("if-none-match", given), Revision::new(7)), known, "{given}");
        }
    }

    #[test]
    fn traces() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&format!("cc{}-what", &good[2..]).replace("what", "abc")));
        for wrong in ["", "00", &good.to_uppercase(), &format!("{good}-00"), &good[1..]] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
