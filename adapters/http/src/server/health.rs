//! `GET /healthz`: the process lives. `GET /readyz`: it can serve.

use super::App;
use super::request::NoParameters;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use portolan_kernel::values::{Append, Query, Read};
use std::sync::Arc;

pub(super) async fn lives(_: NoParameters) -> Response {
    ok()
}

fn ok() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

/// By reading the store: a lost file, a damaged one. And by an append that asks for nothing: it writes nothing
/// (ES-10), and yet takes the way of every write: a lock held too long, a queue that is full, a file that cannot be
/// written any more. A disk that has filled up shows once a write has met it.
pub(super) async fn ready(State(app): State<Arc<App>>, _: NoParameters) -> Result<Response, Problem> {
    const PATIENCE: Duration = Duration::from_secs(2);
    if app.is_stopping() {
        return Err(not_ready("the server is shutting down".to_owned()));
    }
    let newest = Read::log(Query::all().with_system()).backward().limit(1);
    let events = &app.gate.unguarded().events;
    let answers = async {
        events.read(newest).await.map_err(|error| error.to_problem())?;
        events.append(Append::default()).await.map_err(|error| error.to_problem())
    };
    match tokio::time::timeout(PATIENCE, answers).await {
        Ok(Ok(_)) => Ok(ok()),
        Ok(Err(problem)) => Err(Problem { for_operator: problem.for_operator, ..not_ready(problem.detail) }),
        Err(_) => Err(not_ready(format!("the store did not answer within {PATIENCE:?}"))),
    }
}

fn not_ready(why: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", why)
}
