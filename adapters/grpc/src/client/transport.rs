//! Calls and answers, and the one thing that matters about a failure: whether the call may have had an effect.

use crate::config::ClientConfig;
use crate::error::ConnectError;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::wire::status::{Details, reason};
use core::error::Error;
use core::fmt::Write as _;
use core::time::Duration;
use http::uri::{Scheme, Uri};
use portolan_kernel::ports::Source;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

/// What the metadata of a status may have: a server of this crate sends less.
const METADATA_BYTES: u32 = 1 << 20;

pub(super) struct Transport {
    endpoint: Endpoint,
    channel: Option<Channel>,
    uri: String,
    config: ClientConfig,
    shown: Shown,
}

/// What is shown with every call.
#[derive(Clone)]
pub(super) struct Shown(Option<AsciiMetadataValue>);

impl Interceptor for Shown {
    fn call(&mut self, mut call: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            call.metadata_mut().insert("authorization", value.clone());
        }
        Ok(call)
    }
}

impl Shown {
    fn new(authorization: Option<&str>) -> Result<Self, ConnectError> {
        let Some(authorization) = authorization else { return Ok(Self(None)) };
        let value = AsciiMetadataValue::try_from(authorization).ok().filter(|value| value.to_str().is_ok());
        let mut value = value.ok_or(ConnectError::Authorization)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

/// Why there is no answer.
pub(super) enum Failure {
    /// No connection could be made: the call had no effect.
    NotSent(Source),
    /// The call may have arrived, and taken effect.
    Lost(Source),
    /// A status that is not OK.
    Answered(Box<Status>),
}

/// Whether URIs of this scheme can be connected to, with TLS or without it.
fn is_spoken(scheme: Option<&Scheme>, tls: bool) -> Result<(), &'static str> {
    match scheme {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(()),
        Some(scheme) if *scheme == Scheme::HTTPS && tls => Ok(()),
        Some(scheme) if *scheme == Scheme::HTTPS => Err("https needs the feature `tls` of portolan-grpc"),
        _ => Err("it begins with http:// or https://"),
    }
}

impl Transport {
    pub(super) fn new(uri: &str, config: ClientConfig) -> Result<Self, ConnectError> {
        let wrong = |reason: String| ConnectError::Uri { uri: uri.to_owned(), reason };
        let parsed: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        is_spoken(parsed.scheme(), cfg!(feature = "tls")).map_err(|reason| wrong(reason.to_owned()))?;
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
            return Err(wrong("it has neither path nor query".to_owned()));
        }
        let shown = Shown::new(config.authorization.as_deref())?;
        let endpoint = Endpoint::from(parsed)
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(config.keep_alive_interval)
            .keep_alive_timeout(config.keep_alive_timeout)
            .http2_max_header_list_size(METADATA_BYTES);
        Ok(Self { endpoint, channel: None, uri: uri.trim_end_matches('/').to_owned(), config, shown })
    }

    #[cfg(feature = "tls")]
    pub(super) fn is_secure(&self) -> bool {
        self.endpoint.uri().scheme() == Some(&Scheme::HTTPS)
    }

    #[cfg(feature = "tls")]
    pub(super) fn with_tls(mut self, tls: &ClientTls) -> Result<Self, ConnectError> {
        let with = self.endpoint.tls_config(tls.to_config());
        self.endpoint = with.map_err(|error| ConnectError::Tls(Source::new(chain(&error))))?;
        Ok(self)
    }

    /// The same with a channel, which connects when it is first used, and again when it has lost its connection.
    pub(super) fn opened(self) -> Self {
        Self { channel: Some(self.channel()), ..self }
    }

    fn channel(&self) -> Channel {
        self.channel.clone().unwrap_or_else(|| self.endpoint.connect_lazy())
    }

    /// The channel, with what is shown on each call.
    pub(super) fn service(&self) -> InterceptedService<Channel, Shown> {
        InterceptedService::new(self.channel(), self.shown.clone())
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// A call that changes nothing: the server is told how long this client waits.
    pub(super) async fn read<M, T>(
        &self,
        message: M,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let timeout = self.config.request_timeout;
        let mut request = Request::new(message);
        tell(&mut request, timeout);
        self.answered(call(request), timeout).await
    }

    /// A call that may change something, whose answer is waited for within this time if that is shorter than the usual.
    pub(super) async fn write<M, T>(
        &self,
        request: Request<M>,
        within: Option<Duration>,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let limit = within.unwrap_or(Duration::MAX).min(self.config.request_timeout);
        self.answered(call(request), limit).await
    }

    async fn answered<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
        limit: Duration,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Failure::of(status)),
            Err(_) => Err(Failure::Lost(Source::new(format!("no answer within {limit:?}")))),
        }
    }
}

/// Tells the server how long the answer is waited for: at most as long as eight digits can tell, in hours.
pub(super) fn tell<M>(request: &mut Request<M>, timeout: Duration) {
    const LONGEST: Duration = Duration::from_secs(99_999_999 * 3_600);
    request.set_timeout(timeout.min(LONGEST));
}

/// The trace once more, where others on the way look for it.
pub(super) fn traced<M>(message: M, traceparent: Option<String>) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(Ok(value)) = traceparent.map(|trace| trace.parse()) {
        request.metadata_mut().insert("traceparent", value);
    }
    request
}

impl Failure {
    pub(super) fn of(status: Status) -> Self {
        // A status that has come over the wire has no source.
        let Some(source) = Error::source(&status) else { return Self::Answered(Box::new(status)) };
        let text = Source::new(chain(source));
        let mut next = Some(source);
        while let Some(error) = next {
            if error.is::<tonic::ConnectError>() {
                return Self::NotSent(text);
            }
            next = error.source();
        }
        Self::Lost(text)
    }
}

/// Whether a status that has no port's error in it says that the call had no effect: from a server of this crate that did
/// not let it come to the port, or from one that has no such method.
pub(super) fn had_no_effect(status: &Status) -> bool {
    match Details::of(status).reason() {
        Some(given) => given != reason::PANICKED && status.code() != Code::Unknown,
        // One that this client has made itself has no metadata.
        None => status.code() == Code::Unimplemented && !status.metadata().is_empty(),
    }
}

/// Why the server does not let this client in, or not there, where that is what a status says: the call had no effect.
pub(super) fn denied(status: &Status) -> Option<String> {
    let is_denied = match Details::of(status).reason() {
        Some(given) => matches!(&*given, reason::UNAUTHENTICATED | reason::DENIED),
        // One that this client has made itself has no metadata.
        None => {
            matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated) && !status.metadata().is_empty()
        }
    };
    is_denied.then(|| status.message().to_owned())
}

/// Whether a read that was answered so may succeed later.
pub(super) fn may_pass(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable};
    matches!(status.code(), Unavailable | ResourceExhausted | DeadlineExceeded | Cancelled | Aborted)
}

/// A status as a source.
pub(super) fn source_of(status: &Status) -> Source {
    Source::new(format!("{:?}: {}", status.code(), status.message()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_asks_for_the_feature() {
        let https = Some(&Scheme::HTTPS);
        assert_eq!(is_spoken(https, true), Ok(()));
        assert!(is_spoken(https, false).unwrap_err().contains("`tls`"));
        for tls in [true, false] {
            assert_eq!(is_spoken(Some(&Scheme::HTTP), tls), Ok(()));
            assert!(is_spoken(None, tls).is_err());
        }
    }
}
