//! Questions: a field for each, and one for those whose names are known at run time alone.

use super::call::{Arguments, Parameters};
use super::commands::{at_least, metadata};
use super::context::Context;
use crate::model::camel;
use crate::wire::errors::PortError as _;
use crate::wire::problem::Problem;
use crate::wire::text::Base64;
use portolan_kernel::ports::{Answer, QueryEnvelope, QueryInfo};
use portolan_kernel::values::{Format, Name};
use serde_json::{Map, Value, json};

/// A question by its own field.
pub(super) async fn question(
    context: &Context,
    name: &Name,
    parameters: &Parameters,
    mut given: Arguments,
) -> Result<Value, Problem> {
    let parameters = match parameters {
        Parameters::Each(names) => {
            let taken = |(name, wire): &(String, String)| Some((wire.clone(), given.raw(name)?));
            let object: Map<String, Value> = names.iter().filter_map(taken).collect();
            Value::Object(object).to_string()
        }
        Parameters::Whole => match given.value("parameters") {
            // A text that holds the object, because GraphQL has no literal for one without a type.
            Some(Value::String(text)) => text,
            Some(parameters) => parameters.to_string(),
            None => "{}".to_owned(),
        },
    };
    let answer = send(context, name.clone(), parameters, given).await?;
    match answer.format {
        Format::Json => serde_json::from_slice(&answer.body).map_err(|error| {
            let reason = format!("the answer is no JSON: {error}");
            Problem::new("failed", reason.clone()).with("reason", reason)
        }),
        _ => Ok(Value::String(Base64(answer.body).to_string())),
    }
}

/// Any question, with its parameters as a JSON text.
pub(super) async fn ask(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let name = given.required("query")?;
    let parameters = given.required("parameters")?;
    let Answer { format, body, revision, .. } = send(context, name, parameters, given).await?;
    Ok(json!({
        "format": if format == Format::Json { "JSON" } else { "BINARY" },
        "bodyBase64": Base64(body).to_string(),
        "revision": revision.map(portolan_kernel::values::Revision::get),
    }))
}

async fn send(context: &Context, name: Name, parameters: String, mut given: Arguments) -> Result<Answer, Problem> {
    let mut options = given.within("options");
    let mut envelope = QueryEnvelope::new(name, parameters);
    envelope.at_least = at_least(&mut options)?;
    envelope.within = options.seconds("within")?.or(context.within);
    envelope.metadata = metadata(context, &mut options)?;
    context.ports.queries.ask(envelope).await.map_err(|error| error.to_problem())
}

/// What the bus tells of the questions it answers.
pub(super) fn list(context: &Context) -> Value {
    let one = |QueryInfo { name, description, schema, answer_schema, .. }: QueryInfo| {
        json!({
            "name": name.as_str(),
            "description": description,
            "schema": schema,
            "answerSchema": answer_schema,
            "field": camel(&name),
        })
    };
    context.ports.queries.queries().into_iter().map(one).collect()
}
