//! Rows of projections, and questions for them.

use super::event::decode_direction;
use super::{Wrong, decode_list, maybe_position, number, parsed, parsed_all, required, version};
use crate::proto::{self, cell, collection, index_range, key_range, rows_request, rows_response};
use core::ops::Bound;
use portolan_kernel::ports::{RowsAnswer, RowsQuestion, WhichRows};
use portolan_kernel::values::{By, Cell, Collection, ColumnType, Cursor, Index, KeyedRow, RowKey};

impl From<&Cell> for proto::Cell {
    fn from(value: &Cell) -> Self {
        let value = match value {
            Cell::Null => cell::Value::Null(prost_types::NullValue::NullValue.into()),
            Cell::Bool(value) => cell::Value::Bool(*value),
            Cell::Integer(value) => cell::Value::Integer(*value),
            Cell::Real(value) => cell::Value::Real(*value),
            Cell::Text(value) => cell::Value::Text(value.clone()),
            Cell::Bytes(value) => cell::Value::Bytes(value.clone()),
        };
        Self { value: Some(value) }
    }
}

impl proto::Cell {
    fn checked(self) -> Result<Cell, Wrong> {
        Ok(match required("value", self.value)? {
            cell::Value::Null(_) => Cell::Null,
            cell::Value::Bool(value) => Cell::Bool(value),
            cell::Value::Integer(value) => Cell::Integer(value),
            cell::Value::Real(value) if value.is_nan() => return Err(Wrong::new("value", "it is not a number")),
            cell::Value::Real(value) => Cell::Real(value),
            cell::Value::Text(value) => Cell::Text(value),
            cell::Value::Bytes(value) => Cell::Bytes(value),
        })
    }
}

fn cells(cells: &[Cell]) -> Vec<proto::Cell> {
    cells.iter().map(Into::into).collect()
}

impl From<&RowsQuestion> for proto::RowsRequest {
    fn from(question: &RowsQuestion) -> Self {
        let rows = match &question.rows {
            WhichRows::Keys(keys) => {
                rows_request::Rows::Keys(rows_request::Keys { keys: keys.iter().map(ToString::to_string).collect() })
            }
            WhichRows::Page { by, direction, limit, after } => rows_request::Rows::Page(rows_request::Page {
                by: Some(by.into()),
                direction: proto::Direction::from(*direction).into(),
                limit: Some(*limit),
                after: after.as_ref().map(Into::into),
            }),
        };
        Self {
            projection: question.projection.to_string(),
            prefer: question.prefer.map(Into::into),
            at_least: number(question.at_least),
            rows: Some(rows),
        }
    }
}

impl proto::RowsRequest {
    pub(crate) fn checked(self) -> Result<RowsQuestion, Wrong> {
        const LIMIT: u32 = 100;
        let projection = parsed("projection", &self.projection)?;
        let mut question = match required("rows", self.rows)? {
            rows_request::Rows::Keys(keys) => RowsQuestion::keys(projection, parsed_all("keys.keys", &keys.keys)?),
            rows_request::Rows::Page(page) => {
                let by = page.by.map(rows_request::page::By::checked).transpose();
                let by = by.map_err(|wrong| wrong.of("page"))?.unwrap_or(By::Key(Bound::Unbounded, Bound::Unbounded));
                let after = page.after.map(proto::Cursor::checked).transpose();
                let mut question = RowsQuestion::page(projection, by);
                question.rows = match question.rows {
                    WhichRows::Page { by, .. } => WhichRows::Page {
                        by,
                        direction: decode_direction("page.direction", page.direction)?,
                        limit: page.limit.unwrap_or(LIMIT),
                        after: after.map_err(|wrong| wrong.of("page.after"))?,
                    },
                    keys @ WhichRows::Keys(_) => keys,
                };
                question
            }
        };
        question.prefer = self.prefer.map(|number| version("prefer", number)).transpose()?;
        question.at_least = maybe_position("at_least", self.at_least)?;
        Ok(question)
    }
}

impl From<&By> for rows_request::page::By {
    fn from(by: &By) -> Self {
        match by {
            By::Key(from, to) => Self::Key(proto::KeyRange {
                start: match from {
                    Bound::Included(key) => Some(key_range::Start::StartAt(key.to_string())),
                    Bound::Excluded(key) => Some(key_range::Start::StartAfter(key.to_string())),
                    Bound::Unbounded => None,
                },
                end: match to {
                    Bound::Included(key) => Some(key_range::End::EndAt(key.to_string())),
                    Bound::Excluded(key) => Some(key_range::End::EndBefore(key.to_string())),
                    Bound::Unbounded => None,
                },
            }),
            By::Index { name, equals, range } => Self::Index(proto::IndexRange {
                name: name.to_string(),
                equals: cells(equals),
                start: match &range.0 {
                    Bound::Included(cell) => Some(index_range::Start::StartAt(cell.into())),
                    Bound::Excluded(cell) => Some(index_range::Start::StartAfter(cell.into())),
                    Bound::Unbounded => None,
                },
                end: match &range.1 {
                    Bound::Included(cell) => Some(index_range::End::EndAt(cell.into())),
                    Bound::Excluded(cell) => Some(index_range::End::EndBefore(cell.into())),
                    Bound::Unbounded => None,
                },
            }),
        }
    }
}

impl rows_request::page::By {
    fn checked(self) -> Result<By, Wrong> {
        let key = |key: &str| parsed::<RowKey>("key", key);
        let cell = |cell: proto::Cell| cell.checked().map_err(|wrong| wrong.of("index"));
        Ok(match self {
            Self::Key(range) => By::Key(
                match range.start {
                    Some(key_range::Start::StartAt(at)) => Bound::Included(key(&at)?),
                    Some(key_range::Start::StartAfter(after)) => Bound::Excluded(key(&after)?),
                    None => Bound::Unbounded,
                },
                match range.end {
                    Some(key_range::End::EndAt(at)) => Bound::Included(key(&at)?),
                    Some(key_range::End::EndBefore(before)) => Bound::Excluded(key(&before)?),
                    None => Bound::Unbounded,
                },
            ),
            Self::Index(range) => By::Index {
                name: parsed("index.name", &range.name)?,
                equals: decode_list("index.equals", range.equals, proto::Cell::checked)?,
                range: (
                    match range.start {
                        Some(index_range::Start::StartAt(at)) => Bound::Included(cell(at)?),
                        Some(index_range::Start::StartAfter(after)) => Bound::Excluded(cell(after)?),
                        None => Bound::Unbounded,
                    },
                    match range.end {
                        Some(index_range::End::EndAt(at)) => Bound::Included(cell(at)?),
                        Some(index_range::End::EndBefore(before)) => Bound::Excluded(cell(before)?),
                        None => Bound::Unbounded,
                    },
                ),
            },
        })
    }
}

impl From<&Cursor> for proto::Cursor {
    fn from(cursor: &Cursor) -> Self {
        Self { version: cursor.version, values: cells(&cursor.values), key: cursor.key.to_string() }
    }
}

impl proto::Cursor {
    fn checked(self) -> Result<Cursor, Wrong> {
        let values = decode_list("values", self.values, proto::Cell::checked)?;
        Ok(Cursor::new(self.version, values, parsed("key", &self.key)?))
    }
}

impl From<&RowsAnswer> for proto::RowsResponse {
    fn from(answer: &RowsAnswer) -> Self {
        let row = |row: &KeyedRow| rows_response::Row { key: row.key.to_string(), cells: cells(&row.cells) };
        Self {
            collection: Some((&answer.collection).into()),
            rows: answer.rows.iter().map(row).collect(),
            next: answer.next.as_ref().map(Into::into),
        }
    }
}

impl proto::RowsResponse {
    pub(crate) fn checked(self) -> Result<RowsAnswer, Wrong> {
        let collection = required("collection", self.collection)?.checked();
        let rows = decode_list("rows", self.rows, |row| {
            Ok(KeyedRow::new(parsed("key", &row.key)?, decode_list("cells", row.cells, proto::Cell::checked)?))
        })?;
        let next = self.next.map(proto::Cursor::checked).transpose().map_err(|wrong| wrong.of("next"))?;
        Ok(RowsAnswer::new(collection.map_err(|wrong| wrong.of("collection"))?, rows, next))
    }
}

impl From<ColumnType> for collection::ColumnType {
    fn from(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool,
            ColumnType::Integer => Self::Integer,
            ColumnType::Real => Self::Real,
            ColumnType::Text => Self::Text,
            ColumnType::Json => Self::Json,
            ColumnType::Bytes => Self::Bytes,
        }
    }
}

fn decode_column_type(kind: i32) -> Result<ColumnType, Wrong> {
    use collection::ColumnType as Given;
    Ok(match Given::try_from(kind) {
        Ok(Given::Bool) => ColumnType::Bool,
        Ok(Given::Integer) => ColumnType::Integer,
        Ok(Given::Real) => ColumnType::Real,
        Ok(Given::Text) => ColumnType::Text,
        Ok(Given::Json) => ColumnType::Json,
        Ok(Given::Bytes) => ColumnType::Bytes,
        Ok(Given::Unspecified) | Err(_) => return Err(Wrong::new("columns.type", "it is none that is known here")),
    })
}

impl From<&Collection> for proto::Collection {
    fn from(of: &Collection) -> Self {
        let column = |column: &portolan_kernel::values::Column| collection::Column {
            name: column.name.to_string(),
            r#type: collection::ColumnType::from(column.kind).into(),
        };
        let index = |index: &Index| collection::Index {
            name: index.name.to_string(),
            columns: index.columns.iter().map(ToString::to_string).collect(),
            unique: index.unique,
        };
        Self {
            name: of.name.to_string(),
            version: of.version,
            columns: of.columns.iter().map(column).collect(),
            indexes: of.indexes.iter().map(index).collect(),
        }
    }
}

impl proto::Collection {
    fn checked(self) -> Result<Collection, Wrong> {
        let mut collection = Collection::new(parsed("name", &self.name)?, self.version);
        for column in self.columns {
            collection = collection.column(parsed("columns.name", &column.name)?, decode_column_type(column.r#type)?);
        }
        for given in self.indexes {
            let columns = parsed_all("indexes.columns", &given.columns)?;
            let mut index = Index::new(parsed("indexes.name", &given.name)?, columns);
            index.unique = given.unique;
            collection = collection.index(index);
        }
        Ok(collection)
    }
}
