//! Who asks: from what a request shows to the ports as its sender may use them.

use super::request::Refusal;
use super::service::Inner;
use crate::wire::problem::Problem;
use core::fmt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portolan_kernel::application::Admitted;
use portolan_kernel::ports::{AuthenticationError, Credentials, Source};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;

/// Lets a request in by its header `Authorization`, or says why not, as HTTP has it.
pub(super) async fn by_headers(inner: &Inner, headers: &HeaderMap) -> Result<Admitted, Refusal> {
    let admitted = match of_headers(headers) {
        Ok(credentials) => inner.admission.admit(&credentials, &inner.ports).await,
        Err(error) => Err(error),
    };
    admitted.map_err(|error| refusal(&error, &inner.admission.challenge()))
}

/// Refuses what a page of another origin has a browser send. A browser says where a page is from (Fetch, `Origin`); nobody
/// else has to. `POST` needs no such rule: without asking first, which nobody grants here, a page can have nothing sent
/// that is JSON.
pub(super) fn same_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let may = |origin: &HeaderValue| {
        let Ok(origin) = origin.to_str() else { return false };
        let of_page = origin.split_once("://").map(|(_, of)| of.as_bytes());
        (of_page.is_some() && of_page == host) || allowed.iter().any(|allowed| allowed == origin)
    };
    if headers.get_all(header::ORIGIN).iter().all(may) {
        return Ok(());
    }
    let reason = "a page of another origin sent it; the server has to allow that origin for WebSockets";
    Err(Refusal::of(StatusCode::FORBIDDEN, Problem::new("denied", reason).with("reason", reason)))
}

/// What the header shows.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Credentials, AuthenticationError> {
    Credentials::from_headers(headers.get_all(header::AUTHORIZATION))
}

pub(super) fn wrong(reason: &'static str) -> AuthenticationError {
    AuthenticationError::Refused(Cow::Borrowed(reason))
}

fn refusal(error: &AuthenticationError, challenge: &str) -> Refusal {
    let refused = |code| Problem::new(code, error.to_string());
    match error {
        AuthenticationError::Missing | AuthenticationError::Refused(_) => {
            let refusal = Refusal::of(StatusCode::UNAUTHORIZED, refused(UNAUTHENTICATED));
            Refusal { challenge: Some(error.challenge(challenge)), ..refusal }
        }
        AuthenticationError::Denied(reason) => {
            Refusal::of(StatusCode::FORBIDDEN, refused("denied").with("reason", reason.as_str()))
        }
        AuthenticationError::Busy(source) => Refusal::of(StatusCode::SERVICE_UNAVAILABLE, busy(error, source)),
        _ => Refusal::of(StatusCode::FORBIDDEN, refused("denied").with("reason", error.to_string())),
    }
}

/// What the authenticator stands on is no stranger's business.
fn busy(error: &AuthenticationError, source: &Source) -> Problem {
    let says = error.to_string();
    let for_operator = Some(format!("{says}: {source}"));
    Problem { for_operator, ..Problem::new("busy", says.as_str()).with("reason", says) }
}

/// The code of a request that does not show who sends it.
const UNAUTHENTICATED: &str = "unauthenticated";

/// What ends a subscription together with the credentials that it was begun with.
pub(super) fn expired() -> Problem {
    Problem::new(UNAUTHENTICATED, "these credentials have expired: come back with new ones")
}

/// How a WebSocket is closed on somebody who is not let in. A client that has shown nothing need not try again; one whose
/// credentials are not good any more may have better ones.
pub(super) fn closing(error: &AuthenticationError) -> (u16, String) {
    match error {
        AuthenticationError::Missing => (4401, format!("Unauthorized: {error}")),
        AuthenticationError::Busy(source) => {
            let problem = busy(error, source);
            problem.report();
            (1013, problem.message)
        }
        _ => (4403, format!("Forbidden: {error}")),
    }
}

/// What `connection_init` shows: the members of its payload that are called `authorization`, in any case.
#[derive(Debug, Default)]
pub(super) struct Shown(Vec<Value>);

impl Shown {
    pub(super) fn credentials(self) -> Result<Credentials, AuthenticationError> {
        let texts = self.0.into_iter().filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong("`authorization` is no text")),
        });
        // As a header has it, so that no authenticator gets other text by this way.
        Credentials::from_headers(texts.collect::<Result<Vec<_>, _>>()?)
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Payload;
        impl<'de> Visitor<'de> for Payload {
            type Value = Shown;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shown, A::Error> {
                let mut shown = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if name.eq_ignore_ascii_case("authorization") {
                        shown.push(value);
                    }
                }
                Ok(Shown(shown))
            }
        }
        deserializer.deserialize_map(Payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_payload(json: &str) -> Result<Credentials, AuthenticationError> {
        serde_json::from_str::<Shown>(json).unwrap().credentials()
    }

    #[test]
    fn a_payload_shows_credentials_once() {
        for (json, expected) in [
            ("{}", Credentials::none()),
            (r#"{"token": "x"}"#, Credentials::none()),
            (r#"{"authorization": null}"#, Credentials::none()),
            (r#"{"authorization": "Bearer x"}"#, Credentials::new("Bearer x")),
            (r#"{"Authorization": "Bearer x", "more": [1]}"#, Credentials::new("Bearer x")),
            (r#"{"authorization": ""}"#, Credentials::new("")),
        ] {
            assert_eq!(of_payload(json).unwrap(), expected, "{json}");
        }
        for json in [
            r#"{"authorization": "Bearer x", "authorization": "Bearer x"}"#,
            r#"{"authorization": "Bearer x", "Authorization": "Bearer y"}"#,
            r#"{"authorization": 1}"#,
            r#"{"authorization": ["Bearer x"]}"#,
            r#"{"authorization": "Bearer é"}"#,
            r#"{"authorization": "Bearer x\r\nmore: y"}"#,
        ] {
            assert!(matches!(of_payload(json), Err(AuthenticationError::Refused(_))), "{json}");
        }
        for json in ["[\"Bearer x\"]", "\"Bearer x\"", "1"] {
            assert!(serde_json::from_str::<Shown>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_challenge_tells_of_tokens_that_are_not_good() {
        let refused = AuthenticationError::Refused(Cow::Borrowed("no"));
        for (challenge, expected) in [
            ("Bearer", "Bearer error=\"invalid_token\""),
            ("bearer realm=\"bank\"", "bearer realm=\"bank\", error=\"invalid_token\""),
            ("Basic realm=\"bank\"", "Basic realm=\"bank\""),
            ("Bearers", "Bearers"),
        ] {
            assert_eq!(refusal(&refused, challenge).challenge.as_deref(), Some(expected));
            assert_eq!(refusal(&AuthenticationError::Missing, challenge).challenge.as_deref(), Some(challenge));
        }
    }

    #[test]
    fn why_it_is_not_known_now_is_for_the_operator() {
        let error = AuthenticationError::Busy(Source::new("ldap://10.0.0.7 is gone"));
        let Refusal { status, problem, .. } = refusal(&error, "Bearer");
        let told = format!("{} {}", problem.message, problem.extensions());
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && !told.contains("ldap"), "{told}");
        assert_eq!(problem.members["reason"], problem.message);
        let line = "who sends this cannot be found out now; try again: ldap://10.0.0.7 is gone";
        assert_eq!(problem.for_operator.as_deref(), Some(line));
        assert!(!closing(&error).1.contains("ldap"));
    }
}
