//! Other services on the same port, each under a path of its own.

use super::{HttpServer, routes};
use crate::error::ServeError;
use crate::wire::problem::Problem;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use core::error::Error;
use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Body;
use portolan_kernel::Bytes;
use std::sync::Arc;
use tower::ServiceExt as _;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request to a mounted service. No limit is set on it; the service sets its own.
pub type MountBody = UnsyncBoxBody<Bytes, BoxError>;

type Request = http::Request<axum::body::Body>;

#[derive(Clone)]
pub(super) struct Mounted {
    pub(super) path: String,
    pub(super) service: Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>,
}

impl HttpServer {
    /// The same server, with this service under a path: `/graphql` takes `/graphql` and all below it. The service
    /// sees paths without that beginning. An error of the service is answered as 500. A service that answers 101 takes the
    /// connection over, as [`hyper::upgrade`] has it, for a WebSocket: from then on it is that service's alone, and the
    /// server neither counts it nor waits for it.
    ///
    /// The service authenticates its requests itself: what the server is [given](Self::with_admission) for that does not
    /// stand before it.
    ///
    /// ```
    /// # fn example(server: portolan_http::HttpServer) -> portolan_http::HttpServer {
    /// use core::convert::Infallible;
    /// use portolan_http::MountBody;
    ///
    /// let hello = tower::service_fn(async |_: http::Request<MountBody>| {
    ///     Ok::<_, Infallible>(http::Response::new("hello".to_owned()))
    /// });
    /// server.mount("/hello", hello)
    /// # }
    /// ```
    #[must_use]
    pub fn mount<S, B>(mut self, path: &str, service: S) -> Self
    where
        S: tower::Service<http::Request<MountBody>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = move |request: Request| -> BoxFuture<'static, Response> {
            let request = request.map(|body| body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync());
            // Not an async block: within one the compiler forgets that the body's error is 'static.
            Box::pin(service.clone().oneshot(request).map(|answer| match answer {
                Ok(response) => response.map(axum::body::Body::new),
                Err(error) => {
                    let error: BoxError = error.into();
                    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", error.to_string()).into_response()
                }
            }))
        };
        self.mounted.push(Mounted { path: path.to_owned(), service: Arc::new(service) });
        self
    }
}

/// Whether each path is one of its own, so that the router takes them all.
pub(super) fn check(mounted: &[Mounted]) -> Result<(), ServeError> {
    for (at, Mounted { path, .. }) in mounted.iter().enumerate() {
        let wrong = |reason| Err(ServeError::Mount { path: path.clone(), reason });
        let Some(rest) = path.strip_prefix('/') else { return wrong("a path begins with `/`") };
        if rest.split('/').any(|part| part.is_empty()) {
            return wrong("a path has no empty parts, and does not end with `/`");
        }
        if !rest.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~/".contains(&c)) {
            return wrong("a path here has only letters, digits, and `-`, `.`, `_`, `~`, `/`");
        }
        if rest.split('/').next().is_some_and(routes::is_own) {
            return wrong("the server's own routes are there");
        }
        let below = |other: &str| other.strip_prefix(path.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        let above = |other: &str| path.strip_prefix(other).is_some_and(|r| r.starts_with('/'));
        if mounted.iter().take(at).any(|other| below(&other.path) || above(&other.path)) {
            return wrong("another service is mounted there, above or below");
        }
    }
    Ok(())
}
