//! The route table.

use super::{App, Mounted, commands, health, queries, store, streams};
use crate::wire::problem::Problem;
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use core::convert::Infallible;
use std::sync::Arc;
use tower::service_fn;

/// The first parts of the server's own paths; nothing can be mounted under them.
pub(super) const OWN: [&str; 12] = [
    "append",
    "appends",
    "capabilities",
    "changed",
    "checkpoints",
    "commands",
    "events",
    "healthz",
    "queries",
    "read",
    "readyz",
    "streams",
];

pub(super) fn router(app: Arc<App>, mounted: &[Mounted]) -> Router {
    let mut router = Router::new()
        .route("/commands", get(commands::list))
        .route("/commands/{name}", post(commands::dispatch))
        .route("/queries", get(queries::list))
        .route("/queries/{name}", get(queries::ask).post(queries::ask_json))
        .route("/streams/{id}", get(streams::stream).post(streams::append))
        .route("/events", get(streams::events))
        .route("/append", post(store::append))
        .route("/read", post(store::read))
        .route("/changed", get(store::changed))
        .route("/appends/{scope}/{id}", get(store::recall))
        .route("/checkpoints/{name}", get(store::checkpoint))
        .route("/capabilities", get(store::capabilities))
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::ready))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app);
    for Mounted { path, service } in mounted {
        let service = service.clone();
        let service = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service(request).await) }
        });
        router = router.nest_service(path, service);
    }
    router
}

async fn no_such_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}; a slash within a name is written %2F", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not possible on {}; the header Allow says what is", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
