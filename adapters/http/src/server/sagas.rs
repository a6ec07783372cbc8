//! Sagas: started, listed, shown, and acted upon by operators.

use super::admission::Guest;
use super::correlation::{self, Made};
use super::projections::{page_limit, same_origin};
use super::request::{
    Captured, CapturedTwo, NoParameters, Parameters, Request, idempotency_key, json_body, metadata, named, within,
};
use super::{App, id, json};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::saga_errors::named as of_saga;
use crate::wire::sagas::{After, WireAct, WireDefinitions, WireSagas, WireStarted, WireSummary, WireTimeline, path};
use crate::wire::text::ESCAPED;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use core::fmt::Write as _;
use core::time::Duration;
use hyper::body::Body as _;
use percent_encoding::utf8_percent_encode;
use portolan_kernel::domain::{CodecError, Json};
use portolan_kernel::ports::{
    ActOnSaga, ListSagas, SagaAction, SagaError, SagaOrchestrator as _, Source, StartSaga, UnknownSagaAction, Violation,
};
use portolan_kernel::values::{Name, SagaId, SagaIdError};
use std::sync::Arc;

/// Whether an action could be at this path.
pub(super) fn is_action(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["", "sagas", _, _, action] if action.parse::<SagaAction>().is_ok())
}

/// Answers 201 where the saga was started now, and 200 where it had been before.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    let (given, within) = (idempotency_key(&parts.headers)?, within(&parts.headers)?);
    let mut metadata = metadata(&parts.headers)?;
    // An id that the server made stands for one request; of a saga its own id is it.
    metadata.correlation.take_if(|_| parts.extensions.get::<Made>().is_some());
    let input = Json::decode_distinct(&body).map_err(|error| match error {
        CodecError::Malformed(reason) => Problem::malformed(reason),
        error => {
            let wrong =
                error.into_violation().unwrap_or_else(|error| Violation::new("", "malformed", error.to_string()));
            SagaError::Invalid(vec![wrong]).to_problem()
        }
    })?;
    drop(body);
    let saga = match given {
        Some(id) => SagaId::new(&name, &id).map_err(|error| wrong(&error, "Idempotency-Key"))?,
        None => {
            let made = id::fresh().map_err(|error| SagaError::Busy(Source::new(error)).to_problem())?;
            SagaId::new(&name, &made.to_string()).map_err(|error| wrong(&error, "id"))?
        }
    };
    let correlation = metadata.correlation.clone().unwrap_or_else(|| saga.to_string());
    let start = guest.ports.sagas.start(StartSaga::new(saga.clone(), input).with_metadata(metadata));
    let late = || SagaError::Unknown(Source::new("the deadline passed"));
    let started = in_time(within, start, late).await.map_err(|error| match error {
        // Who gave no id is told it here, or could not start it again.
        SagaError::Unknown(_) => of_saga(error.to_problem(), &saga),
        error => error.to_problem(),
    })?;
    let mut response = json(&WireStarted::new(&started))?;
    if let Ok(location) = HeaderValue::try_from(path(&started.saga)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if !started.repeated {
        *response.status_mut() = StatusCode::CREATED;
        correlation::of_receipt(Some(&correlation), response.headers_mut());
    }
    Ok(response)
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let mut list = ListSagas::all();
    list.name = parameters.one("name")?;
    list.phases = parameters.all("phase")?.into_iter().collect();
    list.after = parameters.one("after")?;
    list.limit = page_limit(&app, &mut parameters)?;
    parameters.finish()?;
    let asked = list.clone();
    let page = asking(&parts.headers, guest.ports.sagas.list(list)).await?;
    json(&WireSagas::new(page, |after| next_sagas(&asked, after)))
}

/// The path of the page after this one.
fn next_sagas(asked: &ListSagas, after: &str) -> String {
    let mut path = format!("/sagas?limit={}", asked.limit);
    let name = asked.name.iter().map(|name| ("name", name.as_str()));
    let phases = asked.phases.iter().map(|phase| ("phase", phase.name()));
    for (parameter, value) in name.chain(phases).chain([("after", after)]) {
        // Writing to a string does not fail.
        let _ = write!(path, "&{parameter}={}", utf8_percent_encode(value, ESCAPED));
    }
    path
}

pub(super) async fn status(Extension(guest): Guest, path: CapturedTwo, request: Request) -> Result<Response, Problem> {
    let saga = saga(path)?;
    let (parts, _) = request.into_parts();
    Parameters::of(&parts)?.finish()?;
    let summary = asking(&parts.headers, guest.ports.sagas.status(saga)).await?;
    json(&WireSummary::new(&summary))
}

pub(super) async fn timeline(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    captured: CapturedTwo,
    request: Request,
) -> Result<Response, Problem> {
    let saga = saga(captured)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let after = parameters.one("after")?.map(|After(revision)| revision);
    let limit = page_limit(&app, &mut parameters)?;
    parameters.finish()?;
    let page = asking(&parts.headers, guest.ports.sagas.timeline(saga.clone(), after, limit)).await?;
    json(&WireTimeline::new(page, |after| format!("{}/timeline?limit={limit}&after={after}", path(&saga))))
}

/// Answers with the saga as it stands then.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    captured: Result<Path<(String, String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path((name, id, action)) = captured.map_err(|error| Problem::malformed(error.body_text()))?;
    let saga = saga_of(&name, &id)?;
    let unknown = |error: UnknownSagaAction| Problem::wrong("action", "unknown-action", error.to_string());
    let action: SagaAction = action.parse().map_err(unknown)?;
    let (parts, note) = if request.body().is_end_stream() {
        (request.into_parts().0, String::new())
    } else {
        let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
        (parts, from_json::<WireAct>(&body)?.note)
    };
    // Without a body, a page of anybody's could have a browser send it.
    same_origin(&parts)?;
    Parameters::of(&parts)?.finish()?;
    let act = ActOnSaga::new(saga, action).with_note(note).with_metadata(metadata(&parts.headers)?);
    let late = || SagaError::Unknown(Source::new("the deadline passed"));
    let acted = in_time(within(&parts.headers)?, guest.ports.sagas.act(act), late).await;
    json(&WireSummary::new(&acted.map_err(|error| error.to_problem())?))
}

pub(super) async fn definitions(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    let infos = guest.ports.sagas.describe().await.map_err(|error| error.to_problem())?;
    json(&WireDefinitions::new(infos))
}

fn saga(captured: CapturedTwo) -> Result<SagaId, Problem> {
    let Path((name, id)) = captured.map_err(|error| Problem::malformed(error.body_text()))?;
    saga_of(&name, &id)
}

fn saga_of(name: &str, id: &str) -> Result<SagaId, Problem> {
    SagaId::new(name, id).map_err(|error| wrong(&error, "id"))
}

/// What names no saga: its name, or its id, which stands there.
fn wrong(error: &SagaIdError, id: &str) -> Problem {
    let place = if matches!(error, SagaIdError::Name(_)) { "name" } else { id };
    Problem::wrong(place, "wrong-value", error.to_string())
}

/// The answer, in the time that `Request-Timeout` gives. Nothing is lost by asking again.
async fn asking<T>(headers: &HeaderMap, work: impl Future<Output = Result<T, SagaError>>) -> Result<T, Problem> {
    let late = || SagaError::Busy(Source::new("the deadline passed"));
    in_time(within(headers)?, work, late).await.map_err(|error| error.to_problem())
}

async fn in_time<T>(
    within: Option<Duration>,
    work: impl Future<Output = Result<T, SagaError>>,
    late: impl FnOnce() -> SagaError,
) -> Result<T, SagaError> {
    match within {
        None => work.await,
        Some(within) => tokio::time::timeout(within, work).await.unwrap_or_else(|_| Err(late())),
    }
}
