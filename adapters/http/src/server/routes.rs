//! The route table.

use super::{
    App, Mounted, Switches, commands, health, openapi, projections, queries, rows, rows_by_index, store, streams,
};
use crate::wire::problem::Problem;
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{MethodRouter, get, post};
use core::convert::Infallible;
use std::sync::Arc;
use tower::service_fn;

/// The server's own routes. Those that can be off keep their places when they are.
pub(super) fn own(switches: Switches) -> [(&'static str, MethodRouter<Arc<App>>); 23] {
    let only = |on: bool, route: MethodRouter<Arc<App>>| if on { route } else { MethodRouter::new() };
    let raw = |route| only(switches.raw_appends, route);
    [
        ("/openapi.json", get(openapi::serve)),
        ("/commands", get(commands::list)),
        ("/commands/{name}", post(commands::dispatch)),
        ("/queries", get(queries::list)),
        ("/queries/{name}", get(queries::ask).post(queries::ask_json)),
        ("/projections", get(projections::list)),
        ("/projections/{name}", get(projections::status)),
        ("/projections/{name}/{action}", only(switches.projection_actions, post(projections::act))),
        ("/projections/{name}/parked", get(projections::parked)),
        ("/projections/{name}/wait", get(projections::wait)),
        ("/projections/{name}/rows", get(rows::list).post(rows::whole)),
        ("/projections/{name}/rows/{key}", get(rows::one)),
        ("/projections/{name}/rows/by/{index}", get(rows_by_index::find)),
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

/// With nothing off.
pub(super) const ALL: Switches = Switches { raw_appends: true, projection_actions: true };

/// Whether this is the first part of one of the server's own paths; nothing can be mounted under these.
pub(super) fn is_own(first: &str) -> bool {
    own(ALL).iter().any(|(path, _)| path.split('/').nth(1) == Some(first))
}

pub(super) fn router(app: Arc<App>, switches: Switches, mounted: &[Mounted]) -> Router {
    let routes = own(switches).into_iter();
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

/// A route that would take a POST, if it were on, is one that takes raw appends or an action.
async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path = uri.path();
    if method == Method::POST && (path == "/append" || path.starts_with("/streams/")) {
        let detail =
            "this server takes no appends that bypass the domain; send a command, or start it with raw appends";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "raw-appends-off", detail);
    }
    if method == Method::POST && projections::is_action(path) {
        let detail = "this server lets nobody act upon projections; use another way in, or start it with these actions";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "projection-actions-off", detail);
    }
    let detail = format!("{method} is not possible on {path}; the header Allow says what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
