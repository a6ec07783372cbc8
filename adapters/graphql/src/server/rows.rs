//! Rows of projections: by key, by index, and in order, with a field a column.

use super::call::Arguments;
use super::commands::position;
use super::context::Context;
use super::store::json;
use crate::wire::cells::{RowCursor, WireQuestion, WireRows};
use crate::wire::errors::PortError as _;
use crate::wire::object::Object;
use crate::wire::problem::Problem;
use crate::wire::text::Base64;
use core::ops::Bound;
use juniper::ArcStr;
use portolan_kernel::ports::{RowsAnswer, RowsQuestion};
use portolan_kernel::values::{By, Cell, Collection, ColumnType, Cursor, Index, KeyedRow, Name, RowKey};
use serde::Deserialize as _;
use serde_json::{Map, Value, json as object};

/// The members of a row that are no columns; no column has such a name.
pub(super) const KEY: &str = "\u{0}key";
pub(super) const COLUMNS: &str = "\u{0}columns";

/// The rows of one projection, as the schema has them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) projection: Name,
    /// The version of the code that the application has.
    pub(super) version: u16,
    pub(super) indexes: Vec<TableIndex>,
}

/// An index: its columns, each with the argument that it is given by.
#[derive(Debug)]
pub(crate) struct TableIndex {
    pub(super) name: Name,
    pub(super) columns: Vec<(ArcStr, ColumnType)>,
}

/// The port's own form, for clients that are the port.
pub(super) async fn rows(context: &Context, mut given: Arguments) -> Result<Value, Problem> {
    let question = given.value("question").unwrap_or_default();
    let Object(question) = Object::<WireQuestion>::deserialize(question)
        .map_err(|error| Problem::wrong("question", "wrong-value", error.to_string()))?;
    let answer = context.ports.projections.rows(question.decode()).await;
    answer.map(|answer| json(&WireRows::new(&answer))).map_err(|error| error.to_problem())
}

/// The row of a key, or `null`.
pub(super) async fn row(context: &Context, table: &Table, mut given: Arguments) -> Result<Value, Problem> {
    let key: RowKey = given.required("key")?;
    let at_least = position(&mut given, "atLeast")?;
    one(context, table, key, at_least).await
}

pub(super) async fn one(
    context: &Context,
    table: &Table,
    key: RowKey,
    at_least: Option<portolan_kernel::values::Position>,
) -> Result<Value, Problem> {
    let answer = context.row((table.projection.clone(), table.version, at_least), key.clone()).await?;
    let row = answer.rows.iter().find(|row| row.key == key);
    Ok(row.map(|row| node(&answer.collection, row)).unwrap_or_default())
}

/// All rows, by key.
pub(super) async fn list(context: &Context, table: &Table, mut given: Arguments) -> Result<Value, Problem> {
    let bound = |key: Option<RowKey>| key.map_or(Bound::Unbounded, Bound::Included);
    let (from, to) = (given.parsed("from")?, given.parsed("to")?);
    page(context, table, By::Key(bound(from), bound(to)), given).await
}

/// The rows that an index finds.
pub(super) async fn by(context: &Context, table: &Table, index: usize, mut given: Arguments) -> Result<Value, Problem> {
    let Some(index) = table.indexes.get(index) else { return Err(Problem::wrong("", "wrong-value", "no such index")) };
    let mut equals = Vec::new();
    let mut left_out: Option<&ArcStr> = None;
    for (name, kind) in &index.columns {
        match (given.raw(name), left_out) {
            (Some(value), None) => equals.push(cell(*kind, value).ok_or_else(|| unfit(name))?),
            (Some(_), Some(before)) => {
                let message = format!("an index is searched from its first column on, and {before} is left out");
                return Err(Problem::wrong(name, "contradiction", message));
            }
            (None, _) => left_out = left_out.or(Some(name)),
        }
    }
    let range = match index.columns.last().filter(|_| equals.len() + 1 == index.columns.len()) {
        None => match given.value("from").or_else(|| given.value("to")) {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some(_) => {
                let message = "a range is of the index's last column: give the columns before it, and not that one";
                return Err(Problem::wrong("from", "contradiction", message));
            }
        },
        Some((_, kind)) => {
            let mut bound = |name: &str| match given.value(name) {
                None => Ok(Bound::Unbounded),
                Some(value) => cell(*kind, value).map(Bound::Included).ok_or_else(|| unfit(name)),
            };
            (bound("from")?, bound("to")?)
        }
    };
    page(context, table, By::Index { name: index.name.clone(), equals, range }, given).await
}

fn unfit(name: &str) -> Problem {
    Problem::wrong(name, "wrong-value", "the column does not hold such a value")
}

async fn page(context: &Context, table: &Table, by: By, mut given: Arguments) -> Result<Value, Problem> {
    let most = context.app.config.page_rows;
    let (first, last) = (given.count("first", most)?, given.count("last", most)?);
    let (after, before): (Option<RowCursor>, Option<RowCursor>) = (given.parsed("after")?, given.parsed("before")?);
    let (count, backward, cursor) = match (first, last, after, before) {
        (first, None, after, None) => (first, false, after),
        (None, last, None, before) => (last, true, before),
        _ => {
            let message = "a page is `first` rows `after` a cursor, or the `last` `before` one";
            return Err(Problem::wrong("first", "contradiction", message));
        }
    };
    let begun = cursor.is_some();
    let question = RowsQuestion::page(table.projection.clone(), by.clone())
        .limit(count.unwrap_or(100.min(most)))
        .prefer(table.version)
        .after(cursor.map(|RowCursor(cursor)| cursor))
        .at_least(position(&mut given, "atLeast")?);
    let question = if backward { question.backward() } else { question };
    let answer = context.ports.projections.rows(question).await.map_err(|error| error.to_problem())?;
    Ok(connection(&answer, &by, backward, begun))
}

fn connection(answer: &RowsAnswer, by: &By, backward: bool, begun: bool) -> Value {
    let collection = &answer.collection;
    let index: Option<&Index> = match by {
        By::Key(..) => None,
        By::Index { name, .. } => collection.find_index(name),
    };
    let cursor = |row: &KeyedRow| {
        let values = index.map(|index| collection.index_values(index, &row.cells)).unwrap_or_default();
        RowCursor(Cursor::new(collection.version, values, row.key.clone())).to_string()
    };
    let edge = |row: &KeyedRow| object!({ "cursor": cursor(row), "node": node(collection, row) });
    let mut edges: Vec<Value> = answer.rows.iter().map(edge).collect();
    let near = answer.rows.first().map(cursor);
    let more = answer.next.is_some();
    let next = answer.next.clone().map(|next| RowCursor(next).to_string());
    let far = next.or_else(|| answer.rows.last().map(cursor));
    let info = if backward {
        edges.reverse();
        object!({ "hasNextPage": begun, "hasPreviousPage": more, "startCursor": far, "endCursor": near })
    } else {
        object!({ "hasNextPage": more, "hasPreviousPage": begun, "startCursor": near, "endCursor": far })
    };
    object!({ "edges": edges, "pageInfo": info, "edition": answer.edition().to_string() })
}

/// A row as the schema has it, whichever edition it is of: a column that this one does not have is `null`.
fn node(collection: &Collection, row: &KeyedRow) -> Value {
    let mut members = Map::new();
    for (column, cell) in collection.columns.iter().zip(&row.cells) {
        members.insert(column.name.to_string(), value(column.kind, cell));
    }
    let columns = Value::Object(members.clone());
    members.insert(KEY.to_owned(), row.key.as_str().into());
    members.insert(COLUMNS.to_owned(), columns);
    Value::Object(members)
}

fn value(kind: ColumnType, cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => (*value).into(),
        Cell::Integer(number) => (*number).into(),
        Cell::Real(number) => (*number).into(),
        Cell::Text(text) if kind == ColumnType::Json => {
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        Cell::Text(text) => text.as_str().into(),
        Cell::Bytes(bytes) => Base64(bytes.clone()).to_string().into(),
    }
}

fn cell(kind: ColumnType, value: Value) -> Option<Cell> {
    Some(match (kind, value) {
        (_, Value::Null) => Cell::Null,
        (ColumnType::Bool, Value::Bool(value)) => Cell::Bool(value),
        (ColumnType::Integer, Value::Number(number)) => Cell::Integer(number.as_i64()?),
        (ColumnType::Real, Value::Number(number)) => Cell::Real(number.as_f64()?),
        (ColumnType::Text, Value::String(text)) => Cell::Text(text),
        (ColumnType::Bytes, Value::String(text)) => Cell::Bytes(text.parse().map(|Base64(bytes)| bytes).ok()?),
        _ => return None,
    })
}
