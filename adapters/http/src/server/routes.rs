//! The route table.

use super::{App, Mounted, commands, health, openapi, queries, store, streams};
use crate::wire::problem::Problem;
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{MethodRouter, get, post};
use core::convert::Infallible;
use std::sync::Arc;
use tower::service_fn;

/// The server's own routes. Those that write to the store directly keep their places when they are off.
pub(super) fn own(raw_appends: bool) -> [(&'static str, MethodRouter<Arc<App>>); 15] {
    let raw = |route: MethodRouter<Arc<App>>| if raw_appends { route } else { MethodRouter::new() };
    [
        ("/openapi.json", get(openapi::serve)),
        ("/commands", get(commands::list)),
        ("/commands/{name}", post(commands::dispatch)),
        ("/queries", get(queries::list)),
        ("/queries/{name}", get(queries::ask).post(queries::ask_json)),
        ("/streams/{id}", get(streams::stream).merge(raw(post(streams::append)))),
        ("/events", get(streams::events)),
        ("/append", raw(post(store::append))),
        ("/read", post(store::read)),
        ("/changed", get(store::changed)),
        ("/appends/{scope}/{id}", get(store::recall)),
        ("/checkpoints/{name}", get(store::checkpoint)),
        ("/capabilities", get(store::capabilities)),
        ("/healthz", get(health::lives)),
        ("/readyz", get(health::ready)),
    ]
}

/// Whether this is the first part of one of the server's own paths; nothing can be mounted under these.
pub(super) fn is_own(first: &str) -> bool {
    own(true).iter().any(|(path, _)| path.split('/').nth(1) == Some(first))
}

pub(super) fn router(app: Arc<App>, raw_appends: bool, mounted: &[Mounted]) -> Router {
    let routes = own(raw_appends).into_iter();
    let mut router = routes
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
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

/// A route that would take a POST, if it were on, is one that takes raw appends.
async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path = uri.path();
    if method == Method::POST && (path == "/append" || path.starts_with("/streams/")) {
        let detail =
            "this server takes no appends that bypass the domain; send a command, or start it with raw appends";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "raw-appends-off", detail);
    }
    let detail = format!("{method} is not possible on {path}; the header Allow says what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
