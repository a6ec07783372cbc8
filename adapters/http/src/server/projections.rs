//! `GET /projections`, `GET /projections/{name}`, its parked events, waiting for it, and what operators do to it.

use super::admission::Guest;
use super::request::{Captured, CapturedTwo, NoParameters, Parameters, Patience, Request, named, two};
use super::streams::Limit;
use super::{App, json};
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::projection_errors::behind;
use crate::wire::projections::{WireParkedPage, WireProjections, WireStatus};
use crate::wire::text::{At, digits};
use axum::Extension;
use axum::extract::State;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use core::str::FromStr;
use core::time::Duration;
use portolan_kernel::ports::{ProjectionAction, ProjectionRegistry as _};
use portolan_kernel::values::{Edition, Name};
use std::sync::Arc;

/// The last part of the path of each action.
pub(super) const ACTIONS: [&str; 9] =
    ["pause", "resume", "reset", "rebuild", "cancel-rebuild", "activate", "remove", "retry", "drop"];

/// The version of a projection's code, as a parameter.
pub(super) struct Version(pub(super) u16);

impl FromStr for Version {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = digits(text).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        number.map(Self).ok_or("a version is a number from 1 to 65535")
    }
}

struct Which(Edition);

impl FromStr for Which {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let edition = text.parse().ok();
        edition.map(Self).ok_or("an edition is a version such as `3`, or one of its rebuilds such as `3.2`")
    }
}

/// Whether such an action could be at this path.
pub(super) fn is_action(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["", "projections", _, action] if ACTIONS.contains(&action))
}

pub(super) async fn list(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    let statuses = guest.ports.projections.list().await.map_err(|error| error.to_problem())?;
    json(&WireProjections { projections: statuses.iter().map(WireStatus::new).collect() })
}

pub(super) async fn status(Extension(guest): Guest, name: Captured, _: NoParameters) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let status = guest.ports.projections.status(name).await.map_err(|error| error.to_problem())?;
    json(&WireStatus::new(&status))
}

/// Answers 204 once the action is recorded.
pub(super) async fn act(Extension(guest): Guest, path: CapturedTwo, request: Request) -> Result<Response, Problem> {
    let (name, action): (Name, _) = two("name", path)?;
    let (parts, _) = request.into_parts();
    same_origin(&parts)?;
    let mut parameters = Parameters::of(&parts)?;
    let action = named_action(&action, &mut parameters)?;
    parameters.finish()?;
    guest.ports.projections.act(name, action).await.map_err(|error| error.to_problem())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// An action needs no body, so that a page of anybody's could have a browser send it. A browser says where such a page is
/// from (Fetch, `Origin`); nobody else has to.
pub(super) fn same_origin(parts: &Parts) -> Result<(), Problem> {
    let Some(origin) = parts.headers.get(ORIGIN) else { return Ok(()) };
    let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
    let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str().as_bytes()));
    let of_page = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, of)| of.as_bytes());
    if of_page.is_some() && of_page == host {
        return Ok(());
    }
    let reason = "a page of another origin sent it; operators' actions are for callers that are no pages";
    Err(Problem::new(StatusCode::FORBIDDEN, "denied", reason).with("reason", reason))
}

fn named_action(name: &str, parameters: &mut Parameters) -> Result<ProjectionAction, Problem> {
    let missing =
        |parameter: &str, what: &str| Problem::wrong(parameter, "missing", format!("it has to be given: {what}"));
    Ok(match name {
        "pause" => ProjectionAction::Pause,
        "resume" => ProjectionAction::Resume,
        "reset" => ProjectionAction::Reset,
        "rebuild" => ProjectionAction::Rebuild,
        "cancel-rebuild" => ProjectionAction::CancelRebuild,
        "activate" => ProjectionAction::Activate(parameters.one("version")?.map(|Version(version)| version)),
        "remove" => {
            let Which(edition) =
                parameters.one("edition")?.ok_or_else(|| missing("edition", "which rows to remove"))?;
            ProjectionAction::Remove(edition)
        }
        "retry" => ProjectionAction::Retry(parameters.one("position")?.map(|At(position)| position)),
        "drop" => {
            let At(position) =
                parameters.one("position")?.ok_or_else(|| missing("position", "which event to leave out"))?;
            ProjectionAction::Drop(position)
        }
        _ => {
            return Err(Problem::wrong(
                "action",
                "unknown-action",
                format!("an action is one of: {}", ACTIONS.join(", ")),
            ));
        }
    })
}

pub(super) async fn parked(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let after = parameters.one("after")?.map(|At(position)| position);
    let limit = page_limit(&app, &mut parameters)?;
    parameters.finish()?;
    let page = guest.ports.projections.parked(name, after, limit).await.map_err(|error| error.to_problem())?;
    json(&WireParkedPage::new(&page))
}

/// The most rows or parked events in a page.
pub(super) fn page_limit(app: &App, parameters: &mut Parameters) -> Result<u32, Problem> {
    const USUAL: u32 = 100;
    let limit = parameters.one("limit")?.map_or(USUAL, |Limit(limit)| limit);
    Ok(limit.min(app.config.page_events).max(1))
}

/// Answers 204 once the projection has applied every event up to the position, and 503 when the time is over: as long as
/// `Request-Timeout` or `Prefer: wait` says; without them, a second.
pub(super) async fn wait(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    const USUAL: Duration = Duration::from_secs(1);
    let name: Name = named("name", name)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let position = parameters.one("position")?.map(|At(position)| position);
    let position = position.ok_or_else(|| Problem::wrong("position", "missing", "it has to be given: up to where"))?;
    parameters.finish()?;
    let patience = Patience::of(&app, &parts.headers)?.or(Some(USUAL));
    let waits = async {
        tokio::select! {
            biased;
            waited = guest.ports.projections.wait_for(name.clone(), position) => waited.map_err(|error| error.to_problem())?,
            () = app.stopping() => return Err(super::shutting_down()),
        }
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    patience.answer(waits, || behind(&name, position)).await
}
