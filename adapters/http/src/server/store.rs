//! The port `EventStore`, whole: `POST /append`, `POST /read`, `GET /changed`, `GET /appends/{scope}/{id}`,
//! `GET /checkpoints/{name}`, `GET /capabilities`.

use super::admission::Guest;
use super::request::{Captured, NoParameters, Parameters, Request, json_body, named, preferred_wait, prefers};
use super::{App, json};
use crate::wire::append::{WireAppend, WireAppended, WireCheckpointState, WireRecalled};
use crate::wire::capabilities::WireCapabilities;
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::read::{WirePage, WireQuery, WireRead};
use crate::wire::text::At;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use portolan_kernel::values::{Name, Query};
use std::sync::Arc;

pub(super) async fn append(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = json_body(&app, request, app.append_body_bytes(&guest.ports)).await?;
    Parameters::of(&parts)?.finish()?;
    let append = from_json::<WireAppend<'_>>(&body)?.decode()?;
    drop(body);
    let appended = guest.ports.events.append(append).await.map_err(|error| error.to_problem())?;
    json(&WireAppended::new(&appended))
}

pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    let read = from_json::<WireRead>(&body)?.decode();
    let page = guest.ports.events.read(read).await.map_err(|error| error.to_problem())?;
    json(&WirePage::new(&page))
}

/// Answers 204 once something may have changed, or nothing has for as long as `Prefer: wait` says; without it, at once.
pub(super) async fn changed(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let after = parameters.one::<At>("after")?.map(|At(after)| after);
    let query = match parameters.one::<String>("query")? {
        Some(query) => from_json::<WireQuery>(query.as_bytes())?.decode(),
        None => Query::all(),
    };
    parameters.finish()?;
    let wait = preferred_wait(&app, &parts.headers);
    tokio::select! {
        biased;
        changed = guest.ports.events.changed(query, after) => changed.map_err(|error| error.to_problem())?,
        () = tokio::time::sleep(Duration::from_secs(wait.unwrap_or(0))) => {}
        () = app.stopping() => {}
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    prefers(wait, &mut response);
    Ok(response)
}

pub(super) async fn recall(
    Extension(guest): Guest,
    path: Result<Path<(String, String)>, PathRejection>,
    _: NoParameters,
) -> Result<Response, Problem> {
    let Path((scope, id)) = path.map_err(|error| Problem::malformed(error.body_text()))?;
    let name = |part, text: &str| super::request::checked::<Name>(part, text);
    let (scope, id) = (name("scope", &scope)?, name("id", &id)?);
    let recalled = guest.ports.events.recall(scope, id).await.map_err(|error| error.to_problem())?;
    match recalled {
        Some(recalled) => json(&WireRecalled::new(&recalled)),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, "not-recorded", "nothing is recorded under this key, or no longer"))
        }
    }
}

pub(super) async fn checkpoint(Extension(guest): Guest, name: Captured, _: NoParameters) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let state = guest.ports.events.checkpoint(name).await.map_err(|error| error.to_problem())?;
    json(&WireCheckpointState::new(state))
}

pub(super) async fn capabilities(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    json(&WireCapabilities::new(&guest.ports.events.capabilities()))
}
