//! Who calls: every call is let in or refused before anything of it is read, and is served with its caller's ports.
//!
//! The ports of the application stand here and nowhere else in the server, so that a service gets them from a call that
//! has been let in, or not at all.

use crate::wire::status::{Told, reason, unauthenticated};
use core::convert::Infallible;
use core::mem;
use core::task::{Context, Poll};
use core::time::Duration;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use portolan_kernel::application::{Admission, Admitted, Ports};
use portolan_kernel::ports::{AuthenticationError, Credentials};
use portolan_kernel::values::Timestamp;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

/// The services that nobody shows credentials for. None of them has a caller's ports.
const OPEN: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

/// Who is let in, and to what.
pub(super) struct Gate {
    pub(super) admission: Admission,
    pub(super) ports: Ports,
}

impl Gate {
    pub(super) fn before(self: &Arc<Self>, inner: Routes) -> Guarded {
        Guarded { inner, gate: self.clone() }
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Status> {
        let credentials = Credentials::from_headers(headers.get_all(AUTHORIZATION)).map_err(refused)?;
        self.admission.admit(&credentials, &self.ports).await.map_err(refused)
    }
}

/// The services, with a gate before them.
#[derive(Clone)]
pub(super) struct Guarded {
    inner: Routes,
    gate: Arc<Gate>,
}

impl Service<Request<Body>> for Guarded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.inner, context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that has been found ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        if OPEN.iter().any(|service| request.uri().path().starts_with(service)) {
            return Box::pin(inner.call(request));
        }
        let gate = self.gate.clone();
        Box::pin(async move {
            match gate.admit(request.headers()).await {
                Ok(admitted) => {
                    request.extensions_mut().insert(admitted);
                    inner.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// Who has been let in with this call.
pub(super) fn admitted<M>(call: &tonic::Request<M>) -> Result<&Admitted, Status> {
    call.extensions().get().ok_or_else(|| refused(AuthenticationError::Missing))
}

/// The ports as this call's sender may use them.
pub(super) fn ports<M>(call: &tonic::Request<M>) -> Result<Ports, Status> {
    admitted(call).map(|admitted| admitted.ports.clone())
}

/// What the authenticator stands on is no stranger's business, and the operator's.
fn for_operator(error: &AuthenticationError) -> Option<String> {
    match error {
        AuthenticationError::Busy(source) => Some(format!("{error}: {source}")),
        _ => None,
    }
}

fn refused(error: AuthenticationError) -> Status {
    if let Some(line) = for_operator(&error) {
        // There is nobody to tell if that fails.
        let _ = writeln!(io::stderr(), "portolan-grpc: {line}");
    }
    let message = error.to_string();
    match error {
        AuthenticationError::Denied(why) => Told::new(Code::PermissionDenied, reason::DENIED, why).into_status(),
        AuthenticationError::Busy(_) => Told::new(Code::Unavailable, reason::BUSY, message).retry().into_status(),
        _ => unauthenticated(message),
    }
}

/// Ready at this moment of the system's clock; never without one.
pub(super) async fn reached(moment: Option<Timestamp>) {
    // How long a clock that has been set is not looked at.
    const MOST: Duration = Duration::from_secs(60);
    let Some(moment) = moment.map(|moment| Duration::from_micros(moment.as_micros())) else {
        return core::future::pending().await;
    };
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match moment.checked_sub(now) {
            None | Some(Duration::ZERO) => return,
            Some(left) => tokio::time::sleep(left.min(MOST)).await,
        }
    }
}

/// The end of a stream whose caller's credentials are no longer good.
pub(super) fn expired() -> Status {
    unauthenticated("the credentials have expired; subscribe again with new ones, after the last position seen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_kernel::ports::Source;

    #[test]
    fn why_it_is_not_known_now_is_for_the_operator() {
        let error = AuthenticationError::Busy(Source::new("ldap://10.0.0.7 is gone"));
        let line = "who sends this cannot be found out now; try again: ldap://10.0.0.7 is gone";
        assert_eq!(for_operator(&error).as_deref(), Some(line));
        let status = refused(error);
        let told = [status.message().as_bytes(), status.details()].concat();
        assert!(status.code() == Code::Unavailable && !String::from_utf8_lossy(&told).contains("ldap"), "{status:?}");
        assert_eq!(for_operator(&AuthenticationError::Refused("no".into())), None);
    }
}
