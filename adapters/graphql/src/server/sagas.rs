//! Sagas: a mutation to start each, one for those whose names are known at run time alone, and what operators see and do.

use super::call::{Arguments, SagaInput};
use super::commands::metadata;
use super::context::Context;
use super::store::json;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::saga::{Loud, WireDefinition, WireSaga, WireSagaPage, WireStarted, WireTimeline};
use core::panic::AssertUnwindSafe;
use futures::future::FutureExt as _;
use portolan_kernel::domain::{CodecError, Json};
use portolan_kernel::ports::{ActOnSaga, ListSagas, SagaError, Source, StartSaga};
use portolan_kernel::values::{Name, Revision, SagaId, SagaIdError};
use serde_json::{Map, Value};

/// A saga by its own field.
pub(super) async fn start(
    context: &Context,
    name: &Name,
    input: SagaInput,
    mut given: Arguments,
) -> Result<Value, Problem> {
    let input = match (input, given.value("input")) {
        (SagaInput::Nothing, _) => Value::Object(Map::new()),
        // A text that holds the object, because GraphQL has no literal for one without a type.
        (SagaInput::Json, Some(Value::String(text))) => parsed(&text)?,
        (_, input) => input.unwrap_or_default(),
    };
    begin(context, saga(name, &mut given)?, input, given).await
}

/// Any saga, with its input as a JSON text.
pub(super) async fn start_any(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let input = parsed(&given.text("input").unwrap_or_default())?;
    begin(context, which(&mut given)?, input, given).await
}

async fn begin(context: &Context, saga: SagaId, input: Value, mut given: Arguments) -> Result<Value, Problem> {
    let start = StartSaga::new(saga, input).with_metadata(metadata(context, &mut given.within("options"))?);
    let started = recorded(context, context.ports.sagas.start(start)).await?;
    Ok(json(&WireStarted::new(&started)))
}

pub(super) async fn act(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let saga = which(&mut given)?;
    let Loud(action) = given.required("action")?;
    let note = given.text("note").unwrap_or_default();
    let act = ActOnSaga::new(saga, action).with_note(note);
    let act = act.with_metadata(metadata(context, &mut given.within("options"))?);
    let summary = recorded(context, context.ports.sagas.act(act)).await?;
    Ok(json(&WireSaga::new(&summary)))
}

/// What records something: a panic, or that it takes longer than the caller waits, is a result of its own, and hides nothing
/// of the others in the document.
async fn recorded<T>(context: &Context, doing: impl Future<Output = Result<T, SagaError>>) -> Result<T, Problem> {
    if context.app.is_stopping() {
        return Err(SagaError::ShuttingDown.to_problem());
    }
    let unknown = |why: &str| Err(SagaError::Unknown(Source::new(why)));
    let doing = AssertUnwindSafe(doing).catch_unwind();
    let done = match context.within {
        None => Ok(doing.await),
        Some(within) => tokio::time::timeout(within, doing).await,
    };
    let done = match done {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => unknown("the server failed while it did this"),
        Err(_) => unknown("the deadline passed"),
    };
    done.map_err(|error| error.to_problem())
}

pub(super) async fn list(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let mut list = ListSagas::all().after(given.text("after")).limit(first(context, &mut given)?);
    list.name = given.parsed("name")?;
    list.phases = given.list("phases")?.into_iter().map(|Loud(phase)| phase).collect();
    let page = context.ports.sagas.list(list).await.map_err(|error| error.to_problem())?;
    Ok(json(&WireSagaPage::new(&page)))
}

pub(super) async fn one(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let summary = context.ports.sagas.status(which(&mut given)?).await;
    summary.map(|summary| json(&WireSaga::new(&summary))).map_err(|error| error.to_problem())
}

pub(super) async fn timeline(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let (saga, first) = (which(&mut given)?, first(context, &mut given)?);
    let after = given.value("after").map(|after| {
        let after = after.as_u64().map(Revision::new);
        after.ok_or_else(|| Problem::wrong("after", "out-of-range", "a revision is not below 0"))
    });
    let timeline = context.ports.sagas.timeline(saga, after.transpose()?, first).await;
    timeline.map(|timeline| json(&WireTimeline::new(&timeline))).map_err(|error| error.to_problem())
}

pub(super) async fn definitions(context: &Context) -> Result<Value, Problem> {
    let all = context.ports.sagas.describe().await.map_err(|error| error.to_problem())?;
    Ok(all.into_iter().map(|info| json(&WireDefinition::new(info))).collect())
}

/// The most entries of a page. What it is to hold none, the port says.
fn first(context: &Context, given: &mut Arguments) -> Result<u32, Problem> {
    let most = context.app.config.page_events;
    let Some(first) = given.value("first") else { return Ok(ListSagas::DEFAULT_LIMIT.min(most)) };
    let first =
        first.as_u64().ok_or_else(|| Problem::wrong("first", "out-of-range", format!("it is from 1 to {most}")))?;
    Ok(u32::try_from(first).unwrap_or(u32::MAX).min(most))
}

fn parsed(input: &str) -> Result<Value, Problem> {
    Json::decode_distinct(input.as_bytes()).map_err(|error| match error {
        CodecError::Malformed(error) => Problem::wrong("input", "malformed", format!("it is no JSON: {error}")),
        error => Problem::wrong("input", "wrong-value", error.to_string()),
    })
}

/// The saga that two arguments name.
fn which(given: &mut Arguments) -> Result<SagaId, Problem> {
    let name = given.text("name").unwrap_or_default();
    saga(&name, given)
}

fn saga(name: &str, given: &mut Arguments) -> Result<SagaId, Problem> {
    SagaId::new(name, &given.text("id").unwrap_or_default()).map_err(|error| {
        let path = if matches!(error, SagaIdError::Name(_)) { "name" } else { "id" };
        Problem::wrong(path, "wrong-value", error.to_string())
    })
}
