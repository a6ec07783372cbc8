//! `POST /commands/{name}`: dispatch; and the list of commands.

use super::admission::Guest;
use super::request::{
    Captured, NoParameters, Parameters, Request, etag, idempotency_key, json_body, metadata, named, preferred_wait,
    prefers, wait_for, within,
};
use super::{App, correlation, json};
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::receipt::{WireCommands, WireReceipt};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use portolan_kernel::ports::{Body, CommandEnvelope, CommandError, Receipt};
use portolan_kernel::values::{Format, Name};
use serde::de::IgnoredAny;
use std::sync::Arc;

pub(super) async fn dispatch(
    State(app): State<Arc<App>>,
    Extension(guest): Guest,
    name: Captured,
    request: Request,
) -> Result<Response, Problem> {
    let name: Name = named("name", name)?;
    let (parts, body) = json_body(&app, request, app.config.body_bytes).await?;
    Parameters::of(&parts)?.finish()?;
    let id = idempotency_key(&parts.headers)?;
    let metadata = metadata(&parts.headers)?;
    let (within, wait_for) = (within(&parts.headers)?, wait_for(&parts.headers)?);
    // What has to be waited for is waited for as long as is preferred, and then the receipt says that it was in vain.
    let wait =
        preferred_wait(&app, &parts.headers).filter(|wait| *wait > 0 && within.is_none() && !wait_for.is_empty());
    serde_json::from_slice::<IgnoredAny>(&body).map_err(|error| Problem::malformed(error.to_string()))?;
    let mut envelope = CommandEnvelope::new(name, Body::Encoded(body, Format::Json)).with_metadata(metadata);
    (envelope.id, envelope.within, envelope.wait_for) = (id, within.or(wait.map(Duration::from_secs)), wait_for);
    let mut response = match guest.ports.commands.dispatch(envelope).await {
        Ok(receipt) => receipt_response(&receipt)?,
        Err(error) => {
            let mut response = error.to_problem().into_response();
            if let CommandError::NotCaughtUp { receipt, .. } = &error {
                add_headers(receipt, &mut response);
            }
            response
        }
    };
    prefers(wait, &mut response);
    Ok(response)
}

/// The receipt, with the first stream's revision as its entity tag.
pub(super) fn receipt_response(receipt: &Receipt) -> Result<Response, Problem> {
    let mut response = json(&WireReceipt::new(receipt))?;
    add_headers(receipt, &mut response);
    Ok(response)
}

fn add_headers(receipt: &Receipt, response: &mut Response) {
    if let Some((_, Some(revision))) = receipt.streams.first()
        && let Ok(tag) = HeaderValue::from_str(&etag(*revision))
    {
        response.headers_mut().insert(header::ETAG, tag);
    }
    correlation::of_receipt(receipt.correlation.as_deref(), response.headers_mut());
}

pub(super) async fn list(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    json(&WireCommands::new(guest.ports.commands.commands()))
}
