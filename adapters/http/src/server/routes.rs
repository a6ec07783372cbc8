//! The route table.

use super::{
    App, Mounted, Switches, admission, commands, health, openapi, projections, queries, rows, rows_by_index, sagas,
    schemas, store, streams,
};
use crate::wire::problem::Problem;
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use core::convert::Infallible;
use std::sync::Arc;
use tower::service_fn;

type Route = (&'static str, MethodRouter<Arc<App>>);

/// The routes that are open to everybody, with credentials or without. All others are behind the gate.
pub(super) fn open() -> [Route; 3] {
    [("/openapi.json", get(openapi::serve)), ("/healthz", get(health::lives)), ("/readyz", get(health::ready))]
}

/// The routes of callers who have been let in. Those that can be off keep their places when they are.
pub(super) fn guarded(switches: Switches) -> [Route; 28] {
    let only = |on: bool, route: MethodRouter<Arc<App>>| if on { route } else { MethodRouter::new() };
    let raw = |route| only(switches.raw_appends, route);
    [
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
        ("/sagas", get(sagas::list)),
        ("/sagas/{name}", post(sagas::start)),
        ("/sagas/{name}/{id}", get(sagas::status)),
        ("/sagas/{name}/{id}/timeline", get(sagas::timeline)),
        ("/sagas/{name}/{id}/{action}", only(switches.saga_actions, post(sagas::act))),
        ("/saga-definitions", get(sagas::definitions)),
        ("/schemas", get(schemas::list)),
        ("/schemas/{type}/{version}", get(schemas::one)),
        ("/streams/{id}", get(streams::stream).merge(raw(post(streams::append)))),
        ("/events", get(streams::events)),
        ("/append", raw(post(store::append))),
        ("/read", post(store::read)),
        ("/changed", get(store::changed)),
        ("/appends/{scope}/{id}", get(store::recall)),
        ("/checkpoints/{name}", get(store::checkpoint)),
        ("/capabilities", get(store::capabilities)),
    ]
}

/// The paths of all of them.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    open().into_iter().chain(guarded(ALL)).map(|(path, _)| path)
}

/// With nothing off.
pub(super) const ALL: Switches = Switches { raw_appends: true, projection_actions: true, saga_actions: true };

/// Whether this is the first part of one of the server's own paths; nothing can be mounted under these.
pub(super) fn is_own(first: &str) -> bool {
    paths().any(|path| path.split('/').nth(1) == Some(first))
}

pub(super) fn router(app: Arc<App>, switches: Switches, mounted: &[Mounted]) -> Router {
    let of = |routes: &mut dyn Iterator<Item = Route>| {
        let router = routes.fold(Router::new(), |router, (path, route)| router.route(path, route));
        router.method_not_allowed_fallback(method_not_allowed)
    };
    // What is nowhere, and what a route does not take, is behind the gate too.
    let guarded = of(&mut guarded(switches).into_iter()).fallback(no_such_route);
    let guarded = guarded.layer(from_fn_with_state(app.clone(), admission::admit));
    let mut router = of(&mut open().into_iter()).merge(guarded).with_state(app);
    // A mounted service has a gate of its own.
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
    if method == Method::POST && sagas::is_action(path) {
        let detail = "this server lets nobody act upon sagas; use another way in, or start it with these actions";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "saga-actions-off", detail);
    }
    let detail = format!("{method} is not possible on {path}; the header Allow says what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
