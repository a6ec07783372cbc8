//! One operation, from its text to its answer.

use super::build::{Built, Root};
use super::context::{App, Context};
use super::limits::{complexity, operation};
use super::node::{Node, error_of};
use crate::model::{Ty, variable};
use crate::scalar::Given;
use crate::wire::object::Named;
use crate::wire::problem::Problem;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use futures::future::FutureExt as _;
use juniper::http::GraphQLResponse;
use juniper::parser::{ParseError, parse_document_source};
use juniper::{GraphQLError, Operation, OperationType, ValidatedOperation, Variables};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a client sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Asking {
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) operation_name: Option<String>,
    #[serde(default)]
    pub(crate) variables: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) extensions: Option<Map<String, Value>>,
}

impl Named for Asking {
    const WHAT: &'static str = "one operation as a JSON object; batches are not offered";
}

impl Asking {
    /// How long the caller waits: `extensions.timeout`, in seconds.
    pub(crate) fn within(&self) -> Result<Option<Duration>, Problem> {
        let Some(given) = self.extensions.as_ref().and_then(|extensions| extensions.get("timeout")) else {
            return Ok(None);
        };
        let within = given.as_f64().and_then(super::call::seconds);
        let wrong = || Problem::wrong("extensions.timeout", "wrong-value", "it is a number of seconds above 0");
        within.map(Some).ok_or_else(wrong)
    }
}

/// An operation that can be carried out.
pub(crate) type Ready<'a> = ValidatedOperation<'a, Node<'static>, Node<'static>, Node<'static>, Given>;

/// Why there is no answer: GraphQL's list of errors.
pub(crate) type Refused = Vec<Value>;

/// Judges the document and its variables.
pub(crate) fn prepare<'a>(
    app: &App,
    built: &'a Built,
    asking: &'a Asking,
) -> Result<(Ready<'a>, Variables<Given>), Refused> {
    let root: &'a Root = &built.root;
    let document = parse_document_source::<Given>(&asking.query, &root.schema)
        .map_err(|error| refused(&GraphQLError::ParseError(error)))?;
    let name = asking.operation_name.as_deref();
    let mut variables = Variables::new();
    if let Some(operation) = operation(&document, name) {
        if operation.operation_type == OperationType::Subscription && operation.selection_set.len() != 1 {
            let problem = Problem::new("invalid-document", "a subscription has one field at its root");
            return Err(vec![of_problem(&problem)]);
        }
        variables = given(built, operation, asking.variables.as_ref());
        let page = app.config.page_events.max(app.config.page_rows);
        let complexity = complexity((&built.model, &built.sizes), &document, operation, &variables, page);
        let asked = complexity.own.saturating_sub(complexity.of_schema.min(built.usual));
        let most = app.config.max_complexity;
        if asked > most {
            let message = format!(
                "the document asks for {asked}, and {most} is the most; ask for fewer fields, or smaller pages"
            );
            let problem = Problem::new("too-complex", message);
            return Err(vec![of_problem(
                &problem.with("complexity", asked.to_string()).with("limit", most.to_string()),
            )]);
        }
    }
    drop(document);
    let ready = ValidatedOperation::new(&asking.query, name, root).map_err(|error| refused(&error))?;
    Ok((ready, variables))
}

/// The variables, each as its definition in the document has it.
fn given(built: &Built, operation: &Operation<'_, Given>, given: Option<&Map<String, Value>>) -> Variables<Given> {
    let definitions = operation.variables_definition.as_ref().map(|list| list.item.items.as_slice());
    let types = definitions.unwrap_or_default().iter();
    let type_of = |wanted: &str| {
        let (_, definition) = types.clone().find(|(name, _)| name.item == wanted)?;
        Some(ty(&definition.var_type.item.to_string()))
    };
    let one = |(name, value): (&String, &Value)| {
        (name.clone(), variable(&built.model, type_of(name).as_ref(), value.clone()))
    };
    let mut variables: Variables<Given> = given.into_iter().flatten().map(one).collect();
    // Those that are left out count as they are going to.
    for (name, definition) in definitions.unwrap_or_default() {
        if let Some(default) = &definition.default_value {
            variables.entry(name.item.to_owned()).or_insert_with(|| default.item.clone());
        }
    }
    variables
}

/// The type of a variable, as the document writes it: `[Name!]!`.
fn ty(written: &str) -> Ty {
    if let Some(inner) = written.strip_suffix('!') {
        return match ty(inner) {
            Ty::Maybe(inner) => *inner,
            ty => ty,
        };
    }
    match written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => ty(inner).list().maybe(),
        None => Ty::named(written).maybe(),
    }
}

/// Carries out a query or a mutation, and writes the answer.
pub(crate) async fn answer(
    ready: &Ready<'_>,
    variables: &Variables<Given>,
    context: &Context,
) -> Result<GraphQLResponse<Given>, Refused> {
    let executed = AssertUnwindSafe(ready.execute(variables, context)).catch_unwind();
    let executed = match ready.operation_type() {
        OperationType::Query => {
            let limit = context.within.unwrap_or(context.app.config.query_timeout);
            match tokio::time::timeout(limit, executed).await {
                Ok(executed) => executed,
                Err(_) => {
                    let message = format!("the query was not answered within {limit:?}; try again, or ask for less");
                    return Err(vec![of_problem(&Problem::new("timed-out", message))]);
                }
            }
        }
        // Cut off, nobody could tell what has happened: each command has a deadline of its own.
        _ => executed.await,
    };
    match executed {
        Ok(Ok(answer)) => Ok(GraphQLResponse::from_result(Ok(answer))),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(vec![of_problem(&panicked())]),
    }
}

/// What stands for an answer after a panic.
pub(crate) fn panicked() -> Problem {
    Problem::new("panicked", "the server failed while it answered; whether the request took effect is unknown")
}

/// An error with its code, as GraphQL has it.
pub(crate) fn of_problem(problem: &Problem) -> Value {
    problem.report();
    json!({ "message": problem.message, "extensions": problem.extensions() })
}

/// The same, as a whole answer.
pub(crate) fn whole(problem: &Problem) -> GraphQLResponse<Given> {
    GraphQLResponse::error(error_of(problem))
}

/// What juniper refuses, each error with a code.
pub(crate) fn refused(error: &GraphQLError) -> Refused {
    let code = match error {
        GraphQLError::ParseError(error) => match error.item {
            ParseError::DepthLimitExceeded(_) => "too-deep",
            ParseError::TokenLimitExceeded(_) | ParseError::FieldLimitExceeded(_) => "too-long",
            _ => "malformed",
        },
        GraphQLError::ValidationError(_) => "invalid-document",
        GraphQLError::NoOperationProvided
        | GraphQLError::MultipleOperationsProvided
        | GraphQLError::UnknownOperationName => "no-such-operation",
        GraphQLError::IsSubscription | GraphQLError::NotSubscription | GraphQLError::NotSupported(_) => "not-here",
    };
    let mut list = match serde_json::to_value(error) {
        Ok(Value::Array(list)) => list,
        _ => vec![json!({ "message": error.to_string() })],
    };
    for error in &mut list {
        error["extensions"] = json!({ "code": code });
    }
    list
}
