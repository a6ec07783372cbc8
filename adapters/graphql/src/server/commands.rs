//! Commands: a field for each, and one for those whose names are known at run time alone.

use super::call::Arguments;
use super::context::Context;
use crate::model::camel;
use crate::wire::errors::PortError as _;
use crate::wire::object::{Named, Object};
use crate::wire::problem::Problem;
use crate::wire::receipt::WireReceipt;
use crate::wire::text::At;
use core::panic::AssertUnwindSafe;
use futures::future::FutureExt as _;
use portolan_kernel::ports::{Body, CommandEnvelope, CommandError, CommandInfo, Receipt, Source};
use portolan_kernel::values::{Format, Metadata, Name, Position};
use serde_json::{Value, json};

/// The types of a command's result beside `Receipt`: their names, the codes of the problems, and what they say.
pub(crate) const FAILURES: [(&str, &str, &str); 13] = [
    ("Rejection", "rejected", "The domain says no. Asking again changes nothing until the state does."),
    ("Invalid", "invalid-command", "Fields are wrong; each is listed."),
    ("Malformed", "malformed", "The command cannot be read."),
    ("UnknownCommand", "unknown-command", "No handler has this name."),
    ("Conflict", "command-conflict", "Others kept changing the stream. Try again later."),
    ("Denied", "denied", "A policy does not allow it."),
    ("DeadlinePassed", "deadline-passed", "The deadline passed before anything was written. Try again with more time."),
    (
        "NotCaughtUp",
        "not-caught-up",
        "A success: the command took effect, and projections it was to wait for have not applied its events yet. Do not \
         send another; the same under the same id waits again.",
    ),
    ("KeyReused", "key-reused", "The id was used for another command. Choose a new one."),
    ("ShuttingDown", "shutting-down", "The application is shutting down. Ask another instance."),
    ("Busy", "busy", "There is no room for it now. Safe to retry, with a pause."),
    (
        "OutcomeUnknown",
        "outcome-unknown",
        "It may have taken effect. Settle it by sending the same command under the same id.",
    ),
    ("Failed", "failed", "Anything else; this sending had no effect."),
];

/// A command by its own field.
pub(super) async fn command(
    context: &Context,
    name: &Name,
    input: bool,
    mut given: Arguments,
) -> Result<Value, Problem> {
    let body = match (input, given.value("input")) {
        // A text that holds the object, because GraphQL has no literal for one without a type.
        (true, Some(Value::String(text))) => text,
        (true, Some(input)) => input.to_string(),
        _ => "{}".to_owned(),
    };
    send(context, name.clone(), body, given).await
}

/// Any command, as its JSON text.
pub(super) async fn dispatch(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let body = given.required("body")?;
    let name = match given.required("command") {
        Ok(name) => name,
        Err(wrong) => return Ok(of_problem(wrong)),
    };
    send(context, name, body, given).await
}

/// What comes of a command is always a result, and never an error: that would hide the results of those before it.
async fn send(context: &Context, name: Name, body: String, given: Arguments) -> Result<Value, Problem> {
    if context.app.is_stopping() {
        return Ok(failure(&CommandError::ShuttingDown));
    }
    let envelope = match envelope(context, name, body, given) {
        Ok(envelope) => envelope,
        Err(wrong) => return Ok(of_problem(wrong)),
    };
    let dispatched = AssertUnwindSafe(context.ports.commands.dispatch(envelope)).catch_unwind().await;
    Ok(match dispatched {
        Ok(Ok(receipt)) => success(&receipt),
        Ok(Err(error)) => failure(&error),
        Err(_) => failure(&CommandError::Unknown(Source::new("the server failed while it carried the command out"))),
    })
}

fn envelope(context: &Context, name: Name, body: String, mut given: Arguments) -> Result<CommandEnvelope, Problem> {
    let mut options = given.within("options");
    let mut envelope = CommandEnvelope::new(name, Body::Encoded(body.into(), Format::Json));
    envelope.id = options.parsed("id")?;
    envelope.within = options.seconds("within")?.or(context.within);
    envelope.wait_for = options.list("waitFor")?;
    envelope.metadata = metadata(context, &mut options)?;
    Ok(envelope)
}

impl Named for Metadata {
    const WHAT: &'static str = "an object of metadata";
}

/// What the request says of who asks; over it, what the field says.
pub(super) fn metadata(context: &Context, options: &mut Arguments) -> Result<Metadata, Problem> {
    let asked = &context.metadata;
    let mut metadata = match options.value("metadata") {
        None => asked.clone(),
        Some(whole) => {
            let Object(mut whole): Object<Metadata> = serde_json::from_value(whole)
                .map_err(|error| Problem::wrong("metadata", "wrong-value", error.to_string()))?;
            whole.correlation = whole.correlation.or_else(|| asked.correlation.clone());
            whole.traceparent = whole.traceparent.or_else(|| asked.traceparent.clone());
            whole
        }
    };
    if let Some(correlation) = options.text("correlation") {
        metadata.correlation = Some(correlation);
    }
    Ok(metadata)
}

fn success(receipt: &Receipt) -> Value {
    of_type("Receipt", serde_json::to_value(WireReceipt::new(receipt)).unwrap_or_default())
}

fn failure(error: &CommandError) -> Value {
    of_problem(error.to_problem())
}

fn of_problem(problem: Problem) -> Value {
    problem.report();
    // Options are wrong as fields are.
    let code = if problem.code == "invalid-request" { "invalid-command" } else { problem.code };
    // A damaged store is no more to a caller than any other failure.
    let name = FAILURES.iter().find(|(_, own, _)| *own == code).map_or("Failed", |(name, ..)| name);
    let mut members = problem.members;
    if let Some(code) = members.remove("rejection") {
        members.insert("code".to_owned(), code);
    }
    if name == "Failed" && !members.contains_key("reason") {
        members.insert("reason".to_owned(), problem.message.clone().into());
    }
    members.insert("message".to_owned(), problem.message.into());
    of_type(name, Value::Object(members))
}

fn of_type(name: &str, mut value: Value) -> Value {
    value["__typename"] = name.into();
    value
}

/// What the bus tells of the commands it takes.
pub(super) fn list(context: &Context) -> Value {
    let one = |CommandInfo { name, description, schema, .. }: CommandInfo| json!({ "name": name.as_str(), "description": description, "schema": schema, "field": camel(&name) });
    context.ports.commands.commands().into_iter().map(one).collect()
}

/// The position that an answer must not be older than.
pub(super) fn at_least(options: &mut Arguments) -> Result<Option<Position>, Problem> {
    position(options, "atLeast")
}

/// An argument that is a position.
pub(super) fn position(given: &mut Arguments, name: &str) -> Result<Option<Position>, Problem> {
    Ok(given.parsed(name)?.map(|At(position)| position))
}
