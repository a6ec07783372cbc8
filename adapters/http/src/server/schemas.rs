//! `GET /schemas` and `GET /schemas/{type}/{version}`.

use super::admission::Guest;
use super::json;
use super::request::{CapturedTwo, Parameters, Request, checked, two};
use crate::server::request::NoParameters;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::schemas::{Kind, WireSchemaVersions, WireSchemas, no_schema};
use crate::wire::text::digits;
use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use core::str::FromStr;
use portolan_kernel::Bytes;
use portolan_kernel::ports::{Schema, SchemaError, SchemaRegistry, SchemaSubject};
use portolan_kernel::values::Name;

/// The media type of a JSON Schema (draft-bhutton-json-schema-01, section 15.1).
pub(super) const MEDIA_TYPE: &str = "application/schema+json";

/// A version as a part of the path. There is no version 0, and asking for it is no mistake of form.
struct Version(u32);

impl FromStr for Version {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let number = digits(text).and_then(|number| u32::try_from(number).ok());
        number.map(Self).ok_or("a version is a number up to 4294967295")
    }
}

pub(super) async fn list(Extension(guest): Guest, _: NoParameters) -> Result<Response, Problem> {
    let all = guest.ports.schemas.list().await.map_err(|error| error.to_problem())?;
    json(&WireSchemas { schemas: all.iter().map(WireSchemaVersions::new).collect() })
}

pub(super) async fn one(Extension(guest): Guest, path: CapturedTwo, request: Request) -> Result<Response, Problem> {
    let (name, version): (Name, _) = two("type", path)?;
    let Version(version) = checked("version", &version)?;
    let (parts, _) = request.into_parts();
    let mut parameters = Parameters::of(&parts)?;
    let kind = parameters.one::<Kind>("kind")?;
    parameters.finish()?;
    let schemas = &guest.ports.schemas;
    let found = match kind {
        Some(kind) => schemas.schema(kind.subject(name), version).await,
        None => of_any_kind(&**schemas, name, version).await,
    };
    let Schema { subject, version, schema, .. } = found.map_err(|error| error.to_problem())?;
    let schema = schema.ok_or_else(|| no_schema(&subject, version))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Bytes::from(schema.to_string())).into_response())
}

/// The event of this name; the command, where there is no such event in any version.
async fn of_any_kind(schemas: &dyn SchemaRegistry, name: Name, version: u32) -> Result<Schema, SchemaError> {
    let event = SchemaSubject::event(name.clone());
    let no_event = match schemas.schema(event.clone(), version).await {
        Err(error @ SchemaError::Unknown { .. }) => error,
        settled => return settled,
    };
    let command = match schemas.schema(SchemaSubject::command(name), version).await {
        Err(SchemaError::Unknown { .. }) => return Err(no_event),
        settled => settled?,
    };
    if schemas.list().await?.iter().any(|of| of.subject == event) { Err(no_event) } else { Ok(command) }
}
