//! Requests and answers, and the one thing that matters about a failure: whether the request may have arrived.

use crate::config::ClientConfig;
use crate::error::ConnectError;
use crate::wire::errors::denied;
use crate::wire::problem::Problem;
use core::error::Error;
use core::fmt::Write as _;
use core::time::Duration;
use http::uri::{Scheme, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portolan_kernel::Bytes;
use portolan_kernel::ports::Source;

pub(super) struct Transport {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    authorization: Option<HeaderValue>,
    config: ClientConfig,
}

/// An answer of any status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The request has not left: it had no effect.
    NotSent(Source),
    /// The request may have arrived, and taken effect.
    Lost(Source),
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
        let authorization = config.authorization.as_deref().map(HeaderValue::from_str).transpose();
        let mut authorization = authorization.map_err(|_| ConnectError::Credentials)?;
        if let Some(authorization) = &mut authorization {
            authorization.set_sensitive(true);
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        // A request that met a closed connection of the pool is sent again only if no byte of it had left, which
        // is safe for appends too: that is what hyper calls a canceled request.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), authorization, config })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// How long it waits for an answer.
    pub(super) fn request_timeout(&self) -> Duration {
        self.config.request_timeout
    }

    /// Sends a request to a path of the server, and takes the whole answer, within this time if it is shorter than
    /// the usual.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        json: Option<Vec<u8>>,
        within: Option<Duration>,
    ) -> Result<Answer, Failure> {
        let unsent = |error: http::Error| Failure::NotSent(Source::new(error));
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(json.unwrap_or_default()))).map_err(unsent)?;

        let answer = async {
            let response = self.client.request(request).await.map_err(|error| {
                let source = Source::new(chain(&error));
                if error.is_connect() { Failure::NotSent(source) } else { Failure::Lost(source) }
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, self.config.answer_bytes).collect().await;
            let body = body.map_err(|error| Failure::Lost(Source::new(format!("the answer broke off: {error}"))))?;
            Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        let limit = within.unwrap_or(Duration::MAX).min(self.config.request_timeout);
        let late = |_| Err(Failure::Lost(Source::new(format!("no answer within {limit:?}"))));
        tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
    }
}

impl Answer {
    /// The problem of an answer that is an error; one is made for an error that is none of ours, as a proxy's.
    pub(super) fn problem(&self) -> Problem {
        let problem = Problem::decode(self.status, &self.body).unwrap_or_else(|| {
            let start: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
            Problem::new(self.status, "", format!("the server answers {}: {start}", self.status))
        });
        // Whoever is not known may do nothing: every port calls that denied. A proxy's refusal is the same.
        if self.status == StatusCode::UNAUTHORIZED { denied(problem.detail.clone(), &problem.detail) } else { problem }
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
