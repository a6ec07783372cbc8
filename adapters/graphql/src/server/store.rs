//! The store behind the log: what it is, and what it keeps beside its events.

use super::call::Arguments;
use super::commands::position;
use super::context::Context;
use super::events::query;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::store::{WireCheckpoint, WireRecalled, WireStore};
use serde::Serialize;
use serde_json::Value;

pub(super) fn store(context: &Context) -> Value {
    json(&WireStore::new(&context.ports.events.capabilities()))
}

pub(super) async fn checkpoint(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let state = context.ports.events.checkpoint(given.required("name")?).await;
    state.map(|state| json(&WireCheckpoint::new(state))).map_err(|error| error.to_problem())
}

pub(super) async fn recall(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let recalled = context.ports.events.recall(given.required("scope")?, given.required("id")?).await;
    match recalled.map_err(|error| error.to_problem())? {
        Some(recalled) => Ok(json(&WireRecalled::new(&recalled))),
        None => Ok(Value::Null),
    }
}

/// Whether something may have come after the position, at the latest when the caller or the server waits no longer.
pub(super) async fn changed(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let query = query(&mut given)?;
    let after = position(&mut given, "after")?;
    let wait = given.seconds("wait")?.unwrap_or_default().min(context.app.config.changed_wait);
    let changed = context.ports.events.changed(query, after);
    let told = tokio::select! {
        told = tokio::time::timeout(wait, changed) => told,
        () = context.app.stopping() => return Ok(Value::Bool(false)),
    };
    match told {
        Ok(told) => told.map(|()| Value::Bool(true)).map_err(|error| error.to_problem()),
        Err(_) => Ok(Value::Bool(false)),
    }
}

/// What is written here has string keys and no numbers that JSON lacks.
pub(super) fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
