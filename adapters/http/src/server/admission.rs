//! Who is let in: before every route but the open ones, a request becomes an [`Admitted`], or is refused.
//!
//! The application's ports are kept here and nowhere else, so that a handler has no others than those of its caller.

use super::App;
use super::connection::Lingering;
use super::request::Request;
use crate::wire::errors::denied;
use crate::wire::problem::Problem;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use hyper::body::Body as _;
use portolan_kernel::application::{Admission, Admitted, Ports};
use portolan_kernel::ports::{AuthenticationError, Credentials};
use std::sync::Arc;

/// What a handler is given of the application: the caller, and the ports as he may use them.
pub(super) type Guest = Extension<Admitted>;

/// The ports, and who may use them.
pub(super) struct Gate {
    ports: Ports,
    admission: Admission,
}

impl Gate {
    pub(super) fn new(ports: Ports, admission: Admission) -> Self {
        Self { ports, admission }
    }

    /// The ports for what the server does on its own account, as telling whether it is ready.
    pub(super) fn unguarded(&self) -> &Ports {
        &self.ports
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, AuthenticationError> {
        self.admission.admit(&Credentials::from_headers(headers.get_all(header::AUTHORIZATION))?, &self.ports).await
    }

    /// Of which scheme credentials are, for the OpenAPI document, and whether nobody gets in without them.
    pub(super) async fn security(&self) -> Security {
        const PATIENCE: Duration = Duration::from_secs(2);
        let nobody = Credentials::none();
        let lets_in = tokio::time::timeout(PATIENCE, self.admission.admit(&nobody, &self.ports)).await;
        let challenge = self.admission.challenge();
        let scheme = challenge.split([' ', ',']).next().unwrap_or_default().to_ascii_lowercase();
        Security { scheme, is_needed: !matches!(lets_in, Ok(Ok(_))) }
    }

    /// The answer to a request that is not let in.
    fn refusal(&self, error: &AuthenticationError) -> Response {
        let says = error.to_string();
        match error {
            AuthenticationError::Denied(reason) => denied(says, reason).into_response(),
            AuthenticationError::Busy(source) => {
                // What the authenticator stands on is no stranger's business.
                let for_operator = Some(format!("{says}: {source}"));
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", says.as_str()).with("reason", says);
                Problem { for_operator, ..problem }.into_response()
            }
            _ => {
                let mut response = unauthenticated(says).into_response();
                let challenge = challenge(&self.admission.challenge(), error);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

/// What the OpenAPI document says of credentials.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) scheme: String,
    pub(super) is_needed: bool,
}

/// It is not known who sends the request.
pub(super) fn unauthenticated(says: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", says)
}

/// Lets a request go on to its route, or answers in the route's place.
pub(super) async fn admit(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match app.gate.admit(request.headers()).await {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
            next.run(request).await
        }
        Err(error) => {
            // Nobody reads the body, and the connection has to outlive it for the answer to arrive.
            if !request.body().is_end_stream()
                && let Some(lingering) = request.extensions().get::<Lingering>()
            {
                lingering.set();
            }
            app.gate.refusal(&error)
        }
    }
}

/// The header `WWW-Authenticate`.
fn challenge(of: &str, error: &AuthenticationError) -> HeaderValue {
    HeaderValue::try_from(error.challenge(of)).unwrap_or(HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let bad = AuthenticationError::Refused("no".into());
        for (of, missing, refused) in [
            ("Bearer", "Bearer", "Bearer error=\"invalid_token\""),
            ("bearer realm=\"a\"", "bearer realm=\"a\"", "bearer realm=\"a\", error=\"invalid_token\""),
            ("Basic realm=\"a\"", "Basic realm=\"a\"", "Basic realm=\"a\""),
            ("no header\n", "Bearer", "Bearer"),
        ] {
            assert_eq!(
                (challenge(of, &AuthenticationError::Missing), challenge(of, &bad)),
                (missing.parse().unwrap(), refused.parse().unwrap())
            );
        }
    }
}
