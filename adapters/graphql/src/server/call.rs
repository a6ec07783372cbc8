//! What fields ask for, outside of the data that they are part of.

use super::context::Context;
use super::rows::Table;
use super::{commands, events, projections, queries, rows, sagas, store};
use crate::model::{Member, Model, argument};
use crate::scalar::Given;
use crate::wire::problem::Problem;
use core::fmt::Display;
use core::str::FromStr;
use core::time::Duration;
use portolan_kernel::values::Name;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a field asks for.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// A command: with its input in an argument, or without any.
    Command {
        name: Name,
        input: bool,
    },
    Dispatch,
    Commands,
    /// A question: its parameters are the arguments, or one of them.
    Question {
        name: Name,
        parameters: Parameters,
    },
    Ask,
    Queries,
    Stream,
    Events,
    Store,
    Checkpoint,
    Recall,
    Changed,
    Projections,
    Projection,
    Parked,
    WaitFor,
    Act,
    Rows,
    Row(Arc<Table>),
    RowList(Arc<Table>),
    /// Rows by the index of this place.
    RowsBy(Arc<Table>, usize),
    StartSaga {
        name: Name,
        input: SagaInput,
    },
    StartAnySaga,
    Sagas,
    Saga,
    SagaTimeline,
    SagaDefinitions,
    ActOnSaga,
}

/// What a saga is started with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SagaInput {
    /// An object without members.
    Nothing,
    /// An argument of a type of its own.
    Typed,
    /// An argument that is any JSON, or the text of it.
    Json,
}

/// Where the parameters of a question are.
#[derive(Debug, Clone)]
pub(crate) enum Parameters {
    /// Each is an argument: its name, and that in JSON.
    Each(Vec<(String, String)>),
    /// All are one argument of this name.
    Whole,
}

/// Answers.
pub(crate) async fn run(call: &Call, context: &Context, parent: &Value, given: Arguments) -> Result<Value, Problem> {
    match call {
        Call::Command { name, input } => commands::command(context, name, *input, given).await,
        Call::Dispatch => commands::dispatch(context, given).await,
        Call::Commands => Ok(commands::list(context)),
        Call::Question { name, parameters } => queries::question(context, name, parameters, given).await,
        Call::Ask => queries::ask(context, given).await,
        Call::Queries => Ok(queries::list(context)),
        Call::Stream => events::stream(context, given).await,
        Call::Events => events::events(context, given).await,
        Call::Store => Ok(store::store(context)),
        Call::Checkpoint => store::checkpoint(context, given).await,
        Call::Recall => store::recall(context, given).await,
        Call::Changed => store::changed(context, given).await,
        Call::Projections => projections::list(context).await,
        Call::Projection => projections::one(context, given).await,
        Call::Parked => projections::parked(context, parent, given).await,
        Call::WaitFor => projections::wait_for(context, given).await,
        Call::Act => projections::act(context, given).await,
        Call::Rows => rows::rows(context, given).await,
        Call::Row(table) => rows::row(context, table, given).await,
        Call::RowList(table) => rows::list(context, table, given).await,
        Call::RowsBy(table, index) => rows::by(context, table, *index, given).await,
        Call::StartSaga { name, input } => sagas::start(context, name, *input, given).await,
        Call::StartAnySaga => sagas::start_any(context, given).await,
        Call::Sagas => sagas::list(context, given).await,
        Call::Saga => sagas::one(context, given).await,
        Call::SagaTimeline => sagas::timeline(context, given).await,
        Call::SagaDefinitions => sagas::definitions(context).await,
        Call::ActOnSaga => sagas::act(context, given).await,
    }
}

/// The arguments of a field, as JSON.
#[derive(Debug, Default)]
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    pub(crate) fn of(model: &Model, field: &Member, given: &juniper::Arguments<'_, Given>) -> Self {
        let taken = |member: &Member| Some((member.name.to_string(), argument(model, member, given)?));
        Self(field.arguments.iter().filter_map(taken).collect())
    }

    /// The arguments within an argument that is an object; none where it is left out.
    pub(crate) fn within(&mut self, name: &str) -> Self {
        self.0.remove(name).map(Self::from).unwrap_or_default()
    }

    /// The argument as it is, `null` too; `None` where it is left out.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// The argument; `None` where it is left out or `null`.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.value(name).and_then(|value| value.as_bool()).unwrap_or_default()
    }

    /// An argument with a text form of its own.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| parsed(name, &text)).transpose()
    }

    /// The same, where the schema has it that it is given.
    pub(crate) fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Problem> {
        self.parsed(name)?.ok_or_else(|| Problem::wrong(name, "missing", "it has to be given"))
    }

    /// A list of such.
    pub(crate) fn list<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Vec<T>, Problem> {
        let list = match self.value(name) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let one = |(n, value): (usize, &Value)| parsed(&format!("{name}[{n}]"), value.as_str().unwrap_or_default());
        list.iter().enumerate().map(one).collect()
    }

    /// A number from 1 to the most.
    pub(crate) fn count(&mut self, name: &str, most: u32) -> Result<Option<u32>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        let count = count.ok_or_else(|| Problem::wrong(name, "out-of-range", format!("it is from 1 to {most}")))?;
        // A page may hold fewer than asked for.
        Ok(Some(count.min(most)))
    }

    /// Seconds above 0.
    pub(crate) fn seconds(&mut self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let seconds = value.as_f64().and_then(seconds);
        seconds.map(Some).ok_or_else(|| Problem::wrong(name, "out-of-range", "it is a number of seconds above 0"))
    }
}

impl From<Value> for Arguments {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(object) => Self(object),
            _ => Self::default(),
        }
    }
}

/// A duration of so many seconds, if it is one above 0. What is longer than any is the longest.
pub(crate) fn seconds(seconds: f64) -> Option<Duration> {
    let duration =
        Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { Duration::MAX } else { Duration::ZERO });
    (!duration.is_zero()).then_some(duration)
}

pub(crate) fn parsed<T: FromStr<Err: Display>>(path: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::wrong(path, "wrong-value", error.to_string()))
}
