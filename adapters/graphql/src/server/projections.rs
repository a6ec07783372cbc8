//! Projections: how they stand, waiting for them, and what operators do.

use super::call::Arguments;
use super::commands::position;
use super::context::Context;
use super::store::json;
use crate::model::member;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::projection::{WireParkedPage, WireStatus};
use portolan_kernel::ports::ProjectionAction;
use portolan_kernel::values::Name;
use serde_json::Value;

pub(super) async fn list(context: &Context) -> Result<Value, Problem> {
    let all = context.ports.projections.list().await.map_err(|error| error.to_problem())?;
    Ok(all.iter().map(|status| json(&WireStatus::new(status))).collect())
}

pub(super) async fn one(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let status = context.ports.projections.status(given.required("name")?).await;
    status.map(|status| json(&WireStatus::new(&status))).map_err(|error| error.to_problem())
}

/// Of the projection that the field is part of.
pub(super) async fn parked(context: &Context, parent: &Value, mut given: Arguments) -> Result<Value, Problem> {
    let name: Name = super::call::parsed("name", member(parent, "name").as_str().unwrap_or_default())?;
    let after = position(&mut given, "after")?;
    let first = given.count("first", context.app.config.page_events)?.unwrap_or(100);
    let page = context.ports.projections.parked(name, after, first).await;
    page.map(|page| json(&WireParkedPage::new(&page))).map_err(|error| error.to_problem())
}

/// Whether it has come so far, at the latest when the caller or the server waits no longer.
pub(super) async fn wait_for(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let name: Name = given.required("projection")?;
    let to = position(&mut given, "position")?.ok_or_else(|| Problem::wrong("position", "missing", "it is needed"))?;
    let wait = given.seconds("wait")?.unwrap_or_default().min(context.app.config.changed_wait);
    let waited = tokio::select! {
        waited = tokio::time::timeout(wait, context.ports.projections.wait_for(name, to)) => waited,
        () = context.app.stopping() => return Ok(Value::Bool(false)),
    };
    match waited {
        Ok(waited) => waited.map(|()| Value::Bool(true)).map_err(|error| error.to_problem()),
        Err(_) => Ok(Value::Bool(false)),
    }
}

/// What an operator can do, as `ProjectionAction` of the schema has it.
pub(super) const ACTIONS: [(&str, &str); 9] = [
    ("PAUSE", "It moves no further. Its rows stay readable."),
    ("RESUME", "It goes on, also after it has stopped: then it tries the event again that it stopped at."),
    ("RESET", "Its rows are emptied at once and made anew; readers see them come."),
    (
        "REBUILD",
        "Its rows are made anew beside those that are read, and readers are switched once they have caught up.",
    ),
    ("CANCEL_REBUILD", "A rebuild that is not done ends, and its rows are removed."),
    ("ACTIVATE", "Readers see this `version` until another is named; without one, the newest that has caught up."),
    ("REMOVE", "The rows of this `edition` are removed. The one that is read cannot be."),
    ("RETRY", "The parked event at this `position` is tried again; without one, all parked events."),
    ("DROP", "The event at this `position`, parked or stopped at, is left out for good."),
];

pub(super) async fn act(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let name: Name = given.required("projection")?;
    let needs = |what| Problem::wrong(what, "missing", "this action needs it");
    let (version, edition) = (given.value("version"), given.parsed("edition")?);
    let at = position(&mut given, "position")?;
    let version = version.and_then(|version| version.as_u64()).map(u16::try_from).transpose();
    let version = version.map_err(|_| Problem::wrong("version", "out-of-range", "a version is at most 65535"))?;
    let action = match given.text("action").as_deref().unwrap_or_default() {
        "PAUSE" => ProjectionAction::Pause,
        "RESUME" => ProjectionAction::Resume,
        "RESET" => ProjectionAction::Reset,
        "REBUILD" => ProjectionAction::Rebuild,
        "CANCEL_REBUILD" => ProjectionAction::CancelRebuild,
        "ACTIVATE" => ProjectionAction::Activate(version),
        "REMOVE" => ProjectionAction::Remove(edition.ok_or_else(|| needs("edition"))?),
        "RETRY" => ProjectionAction::Retry(at),
        "DROP" => ProjectionAction::Drop(at.ok_or_else(|| needs("position"))?),
        other => return Err(Problem::wrong("action", "wrong-value", format!("there is no action {other}"))),
    };
    let done = context.ports.projections.act(name, action).await;
    done.map(|()| Value::Bool(true)).map_err(|error| error.to_problem())
}
