//! `GET /queries/{name}`: ask, with parameters that are read as the question's schema says; `POST`: with any JSON
//! object. And the list.

use super::admission::Guest;
use super::request::{
    Captured, NoParameters, Parameters, Request, at_least, etag, is_known, json_body, metadata, named, within,
};
use super::{App, json, schema};
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::receipt::WireQueries;
use axum::Extension;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portolan_kernel::Bytes;
use portolan_kernel::application::Admitted;
use portolan_kernel::ports::{QueryEnvelope, QueryError};
use portolan_kernel::values::{Format, Name};
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn ask(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, _) = request.into_parts();
    let parameters = schema::object(app.questions.get(&name), Parameters::of(&parts)?.into_values())
        .map_err(|wrong| QueryError::Invalid(wrong).to_problem())?;
    let parameters = Value::Object(parameters).to_string();
    answer(&guest, name, parameters.into(), &parts).await
}

pub(super) async fn ask_json(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    answer(&guest, name, body, &parts).await
}

async fn answer(guest: &Admitted, name: Name, parameters: Bytes, parts: &Parts) -> Result<Response, Problem> {
    let mut envelope = QueryEnvelope::new(name, parameters).with_metadata(metadata(&parts.headers)?);
    envelope.within = within(&parts.headers)?;
    envelope.at_least = at_least(&parts.headers)?;
    let answer = guest.ports.queries.ask(envelope).await.map_err(|error| error.to_problem())?;
    let mut response = match answer.revision {
        Some(revision) if is_known(&parts.headers, revision) => StatusCode::NOT_MODIFIED.into_response(),
        _ => {
            let media_type = match answer.format {
                Format::Json => "application/json",
                _ => "application/octet-stream",
            };
            ([(header::CONTENT_TYPE, media_type)], answer.body).into_response()
        }
    };
    if let Some(revision) = answer.revision
        && let Ok(tag) = HeaderValue::from_str(&etag(revision))
    {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

pub(super) async fn list(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    json(&WireQueries::new(guest.ports.queries.queries()))
}
