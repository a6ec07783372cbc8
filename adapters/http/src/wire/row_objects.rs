//! Rows as people read them: objects with a member a column.

use super::rows::{Opaque, Real};
use super::text::Text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_kernel::ports::RowsAnswer;
use portolan_kernel::values::{Cell, Collection, ColumnType, Edition, KeyedRow, Name, RowKey};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

/// A page of rows; `next` is the cursor of the page after it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct RowObjects<'a> {
    projection: &'a str,
    edition: Text<Edition>,
    rows: Vec<Keyed<'a>>,
    next: Option<Text<Opaque>>,
}

#[derive(Debug, serde::Serialize)]
struct Keyed<'a> {
    key: &'a str,
    row: Object<'a>,
}

/// One row.
#[derive(Debug, serde::Serialize)]
pub(crate) struct RowObject<'a> {
    projection: &'a str,
    edition: Text<Edition>,
    key: &'a str,
    row: Object<'a>,
}

impl<'a> RowObjects<'a> {
    pub(crate) fn new(answer: &'a RowsAnswer) -> Self {
        let keyed = |row: &'a KeyedRow| Keyed { key: &row.key, row: Object::new(&answer.collection, row) };
        Self {
            projection: &answer.collection.name,
            edition: Text(answer.edition()),
            rows: answer.rows.iter().map(keyed).collect(),
            next: answer.next.clone().map(|next| Text(Opaque(next))),
        }
    }
}

impl<'a> RowObject<'a> {
    /// The row of this key, if the answer has it.
    pub(crate) fn new(answer: &'a RowsAnswer, key: &RowKey) -> Option<Self> {
        let row = answer.rows.iter().find(|row| row.key == *key)?;
        let (projection, edition) = (answer.collection.name.as_str(), Text(answer.edition()));
        Some(Self { projection, edition, key: &row.key, row: Object::new(&answer.collection, row) })
    }
}

#[derive(Debug)]
struct Object<'a> {
    collection: &'a Collection,
    cells: &'a [Cell],
}

impl<'a> Object<'a> {
    fn new(collection: &'a Collection, row: &'a KeyedRow) -> Self {
        Self { collection, cells: &row.cells }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.collection.columns.len()))?;
        for (column, cell) in self.collection.columns.iter().zip(self.cells) {
            object.serialize_entry(column.name.as_str(), &Member { kind: column.kind, cell })?;
        }
        object.end()
    }
}

struct Member<'a> {
    kind: ColumnType,
    cell: &'a Cell,
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.cell {
            Cell::Null => serializer.serialize_unit(),
            Cell::Bool(yes) => serializer.serialize_bool(*yes),
            Cell::Integer(number) => serializer.serialize_i64(*number),
            // JSON has no infinity.
            Cell::Real(number) if number.is_infinite() => serializer.collect_str(&Real(*number)),
            Cell::Real(number) => serializer.serialize_f64(*number),
            Cell::Text(text) => match self.kind {
                // What is none, or nested too deep to be read as one, stays the text it is.
                ColumnType::Json => match serde_json::from_str::<&RawValue>(text) {
                    Ok(json) => json.serialize(serializer),
                    Err(_) => serializer.serialize_str(text),
                },
                _ => serializer.serialize_str(text),
            },
            Cell::Bytes(bytes) => serializer.collect_str(&STANDARD.encode(bytes)),
        }
    }
}

/// A text as a value of such a column.
///
/// # Errors
///
/// What it has to be.
pub(crate) fn cell_of(kind: ColumnType, text: &str) -> Result<Cell, &'static str> {
    match kind {
        ColumnType::Bool => match text {
            "true" => Ok(Cell::Bool(true)),
            "false" => Ok(Cell::Bool(false)),
            _ => Err("it has to be `true` or `false`"),
        },
        ColumnType::Integer => {
            let number = text.parse().map_err(|_| "it has to be a whole number of 64 bits")?;
            Ok(Cell::Integer(number))
        }
        ColumnType::Real => text.parse().map(|Real(number)| Cell::Real(number)),
        ColumnType::Text => Ok(Cell::Text(text.to_owned())),
        ColumnType::Bytes => {
            let bytes = STANDARD.decode(text).map_err(|_| "it has to be base64, with padding")?;
            Ok(Cell::Bytes(bytes.into()))
        }
        ColumnType::Json => Err("rows cannot be found by a column of JSON"),
    }
}

/// Whether both are found by the same names and types.
pub(crate) fn are_alike(one: &Collection, other: &Collection) -> bool {
    (&one.columns, &one.indexes) == (&other.columns, &other.indexes)
}

/// The type of a column; JSON, by which nothing is found, where there is no such column.
pub(crate) fn kind_of(collection: &Collection, column: &Name) -> ColumnType {
    let column = collection.columns.iter().find(|of| of.name == *column);
    column.map_or(ColumnType::Json, |column| column.kind)
}
