//! Operations and answers, and the one thing that matters about a failure: whether the operation may have arrived.

use crate::config::ClientConfig;
use crate::error::ConnectError;
use crate::wire::problem::Received;
use core::error::Error;
use core::fmt::Write as _;
use core::time::Duration;
use http::uri::{Scheme, Uri};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portolan_kernel::Bytes;
use portolan_kernel::ports::Source;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) struct Transport {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    authorization: Option<HeaderValue>,
    config: ClientConfig,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The operation has not left: it had no effect.
    NotSent(Source),
    /// The operation may have arrived, and taken effect.
    Lost(Source),
    /// The server says why.
    Refused(Received),
}

/// An answer of GraphQL.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    errors: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    message: String,
    #[serde(default)]
    extensions: Map<String, Value>,
}

impl Transport {
    pub(super) fn new(url: &str, config: ClientConfig) -> Result<Self, ConnectError> {
        let wrong = |reason: String| ConnectError::Url { url: url.to_owned(), reason };
        let parsed: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        match parsed.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => {
                return Err(wrong("this client speaks plain http; put a TLS proxy beside it".to_owned()));
            }
            _ => return Err(wrong("it begins with http://".to_owned())),
        }
        if parsed.query().is_some() {
            return Err(wrong("it has no query".to_owned()));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        // A request that met a closed connection of the pool is sent again only if no byte of it had left, which is
        // safe for commands too: that is what hyper calls a canceled request.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .retry_canceled_requests(true)
            .build(connector);
        let visible = |text: &String| HeaderValue::from_str(text).ok().filter(|value| value.to_str().is_ok());
        let authorization = match &config.authorization {
            None => None,
            Some(text) => {
                let mut value = visible(text).ok_or(ConnectError::Authorization)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), authorization, config })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How long it waits for an answer.
    pub(super) fn request_timeout(&self) -> Duration {
        self.config.request_timeout
    }

    /// Carries out an operation that has one field, and takes that field's value, within this time if it is shorter
    /// than the usual.
    pub(super) async fn field(
        &self,
        document: &str,
        variables: Value,
        within: Option<Duration>,
    ) -> Result<Value, Failure> {
        let mut data = self.data(document, variables, within).await?;
        let first = data.keys().next().cloned();
        Ok(first.and_then(|name| data.remove(&name)).unwrap_or_default())
    }

    /// Carries out an operation, and takes its data.
    pub(super) async fn data(
        &self,
        document: &str,
        variables: Value,
        within: Option<Duration>,
    ) -> Result<Map<String, Value>, Failure> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::NotSent(Source::new(error)))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| {
                let source = Source::new(chain(&error));
                if error.is_connect() { Failure::NotSent(source) } else { Failure::Lost(source) }
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.config.answer_bytes).collect().await;
            let body = body.map_err(|error| Failure::Lost(Source::new(format!("the answer broke off: {error}"))))?;
            Ok((parts.status, body.to_bytes()))
        };
        let limit = within.unwrap_or(Duration::MAX).min(self.config.request_timeout);
        let late = |_| Err(Failure::Lost(Source::new(format!("no answer within {limit:?}"))));
        let (status, body) = tokio::time::timeout(limit, answer).await.unwrap_or_else(late)?;
        let Ok(Answer { data, errors }) = serde_json::from_slice(&body) else {
            let start: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            let what = format!("the server answers {status}: {start}");
            if status == StatusCode::UNAUTHORIZED {
                // Something before the server, which has let nothing through.
                let code = "unauthenticated".to_owned();
                return Err(Failure::Refused(Received { code, message: what, members: Map::new() }));
            }
            return Err(Failure::Lost(Source::new(what)));
        };
        match (errors.into_iter().next(), data) {
            (Some(Reported { message, mut extensions }), _) => {
                let code = match extensions.remove("code") {
                    Some(Value::String(code)) => code,
                    _ => String::new(),
                };
                Err(Failure::Refused(Received { code, message, members: extensions }))
            }
            (None, Some(data)) => Ok(data),
            (None, None) => Err(Failure::Lost(Source::new("the answer has neither data nor errors"))),
        }
    }
}

/// The error with what lies under it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let _ = write!(text, ": {error}");
        next = error.source();
    }
    text
}
