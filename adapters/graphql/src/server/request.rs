//! What is taken from a request, and how an answer is written.

use super::call::seconds;
use super::context::App;
use super::execute::Asking;
use crate::wire::object::Object;
use crate::wire::problem::Problem;
use core::time::Duration;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use portolan_kernel::Bytes;
use portolan_kernel::values::Metadata;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Any error.
pub type BoxError = Box<dyn core::error::Error + Send + Sync>;

/// The answer of a [`GraphqlService`](crate::GraphqlService).
pub type Answer = Response<Full<Bytes>>;

/// The media type of GraphQL over HTTP, whose statuses tell of requests that are refused.
const GRAPHQL: &str = "application/graphql-response+json";

/// How long what is left of a body that is too large is read and thrown away, so that the client sees why.
const LINGER: Duration = Duration::from_secs(2);

/// Why there is no GraphQL answer.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    /// What credentials are asked for.
    pub(super) challenge: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::of(status, Problem::new(code, message))
    }

    pub(super) fn of(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem, challenge: None }
    }
}

/// A refusal without GraphQL, in GraphQL's form.
pub(super) fn refuse(refusal: &Refusal) -> Answer {
    let errors = json!({ "errors": [super::execute::of_problem(&refusal.problem)] });
    let mut answer = written(refusal.status, "application/json", &errors);
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    if let Some(challenge) = &refusal.challenge {
        // One that no header can carry is a mistake of the authenticator's, and a 401 has to have one.
        let challenge = challenge.parse().unwrap_or(HeaderValue::from_static("Bearer"));
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// An answer of GraphQL; `refused` where the document was not carried out.
pub(super) fn answered<T: Serialize>(headers: &HeaderMap, answer: &T, refused: bool) -> Answer {
    let takes = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains(GRAPHQL));
    let is_new = headers.get_all(header::ACCEPT).iter().any(takes);
    let status = if is_new && refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    written(status, if is_new { GRAPHQL } else { "application/json" }, answer)
}

fn written<T: Serialize>(status: StatusCode, media_type: &'static str, answer: &T) -> Answer {
    let body = serde_json::to_vec(answer).unwrap_or_default();
    of_bytes(status, media_type, body.into())
}

/// An answer of these bytes.
pub(super) fn of_bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// What `POST` brings: a JSON object, within the limit and the time.
pub(super) async fn posted<B>(app: &App, headers: &HeaderMap, body: B) -> Result<Asking, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    must_be_json(headers)?;
    let body = match tokio::time::timeout(app.config.body_timeout, collected(app.config.body_bytes, body)).await {
        Ok(body) => body?,
        Err(_) => {
            let message = format!("the body took longer than {:?}", app.config.body_timeout);
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow-request", message));
        }
    };
    let asking = serde_json::from_slice(&body).map_err(|error| malformed(&error.to_string()));
    asking.map(|Object(asking)| asking)
}

fn malformed(reason: &str) -> Refusal {
    let problem = Problem::new("malformed", format!("the request cannot be read: {reason}"));
    Refusal::of(StatusCode::BAD_REQUEST, problem.with("reason", reason))
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" {
        return Ok(());
    }
    let message = "the body must be JSON; send `Content-Type: application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", message))
}

async fn collected<B>(most: usize, body: B) -> Result<Vec<u8>, Refusal>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let mut body = core::pin::pin!(body);
    let mut bytes = Vec::new();
    let mut is_whole = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| malformed(&format!("the body broke off: {}", error.into())))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > most {
            is_whole = false;
            break;
        }
        bytes.extend_from_slice(&data);
    }
    if is_whole {
        return Ok(bytes);
    }
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
    let message = format!("a body here has at most {most} bytes");
    let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message);
    Err(Refusal { problem: refusal.problem.with("limit", most.to_string()), ..refusal })
}

/// What `GET` brings in its query string.
pub(super) fn gotten(query: &str) -> Result<Asking, Refusal> {
    let mut fields = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            return Err(malformed("the query string is not UTF-8"));
        };
        let value = match name.as_str() {
            "variables" | "extensions" if value.is_empty() => Value::Null,
            "variables" | "extensions" => {
                serde_json::from_str(&value).map_err(|error| malformed(&format!("{name}: {error}")))?
            }
            _ => Value::String(value),
        };
        fields.insert(name, value);
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| malformed(&error.to_string()))
}

/// Percent-encoding, with `+` for a space.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// In which trace a request is: `X-Correlation-Id`, `traceparent`.
pub(super) fn metadata(headers: &HeaderMap) -> Metadata {
    Metadata {
        correlation: text(headers, "x-correlation-id").map(str::to_owned),
        // One of another form than W3C's is left out, as W3C says.
        traceparent: text(headers, "traceparent").filter(|trace| is_traceparent(trace)).map(str::to_owned),
        ..Metadata::default()
    }
}

/// For how long whoever asks waits: `Request-Timeout`, in seconds.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(given) = text(headers, "request-timeout") else { return Ok(None) };
    let message = "Request-Timeout is a number of seconds above 0, such as 2.5";
    let within = given.parse().ok().and_then(seconds);
    within.map(Some).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "invalid-request", message))
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
    fn query_strings() {
        let asking = gotten("query=%7Ba+b%7D&variables=%7B%22x%22%3A1%7D&operationName=A").unwrap_or_else(|_| panic!());
        assert_eq!((asking.query.as_str(), asking.operation_name.as_deref()), ("{a b}", Some("A")));
        assert_eq!(asking.variables.unwrap()["x"], 1);
        for wrong in ["", "query=%ff", "query=%7", "query=a&more=b", "query=a&variables=x", "query=a&variables=1"] {
            assert!(gotten(wrong).is_err(), "{wrong}");
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
