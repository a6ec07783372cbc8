//! `GET /healthz`: the process lives. `GET /readyz`: it can serve.

use super::App;
use super::request::NoParameters;
use crate::wire::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use portolan_kernel::values::{Query, Read};
use std::sync::Arc;

pub(super) async fn lives(_: NoParameters) -> Response {
    ok()
}

fn ok() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

/// By reading the store: a lock held too long, a lost file, a damaged one.
pub(super) async fn ready(State(app): State<Arc<App>>, _: NoParameters) -> Result<Response, Problem> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let not_ready = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", why);
    if app.is_stopping() {
        return Err(not_ready("the server is shutting down".to_owned()));
    }
    let newest = Read::log(Query::all().with_system()).backward().limit(1);
    match tokio::time::timeout(PATIENCE, app.ports.events.read(newest)).await {
        Ok(Ok(_)) => Ok(ok()),
        Ok(Err(error)) => Err(not_ready(error.to_string())),
        Err(_) => Err(not_ready(format!("the store did not answer within {PATIENCE:?}"))),
    }
}
