//! Rows, entries of indexes and definitions of collections, as bytes and as items.

use crate::encoding::{Raw, decode, encode};
use crate::error::Fault;
use crate::order::{BELOW, ordered};
use crate::pieces;
use crate::rows::Token;
use crate::schema::{BLOB, Space};
use crate::table::{Item, Key};
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use portolan_kernel::values::{Cell, Collection, ColumnType, Index, Name, RowKey};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) enum CellRow<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(&'a str),
    #[serde(borrow)]
    Bytes(Raw<'a>),
}

impl<'a> CellRow<'a> {
    pub(crate) fn of(cells: &'a [Cell]) -> Vec<Self> {
        let row = |cell: &'a Cell| match cell {
            Cell::Null => Self::Null,
            Cell::Bool(is) => Self::Bool(*is),
            Cell::Integer(number) => Self::Integer(*number),
            Cell::Real(number) => Self::Real(*number),
            Cell::Text(text) => Self::Text(text),
            Cell::Bytes(bytes) => Self::Bytes(Raw(bytes)),
        };
        cells.iter().map(row).collect()
    }

    pub(crate) fn cells(rows: Vec<Self>) -> Vec<Cell> {
        let cell = |row| match row {
            Self::Null => Cell::Null,
            Self::Bool(is) => Cell::Bool(is),
            Self::Integer(number) => Cell::Integer(number),
            Self::Real(number) => Cell::Real(number),
            Self::Text(text) => Cell::Text(text.to_owned()),
            Self::Bytes(bytes) => Cell::Bytes(Bytes::copy_from_slice(bytes.0)),
        };
        rows.into_iter().map(cell).collect()
    }
}

/// An item that holds these bytes.
fn item(key: &Key, bytes: Vec<u8>) -> Item {
    let mut item = key.item();
    item.insert(BLOB.to_string(), AttributeValue::B(pieces::sealed(key, bytes).into()));
    item
}

/// What an item holds.
fn held(key: &Key, item: &Item) -> Result<Vec<u8>, Fault> {
    let blob = item.get(BLOB).and_then(|value| value.as_b().ok()).ok_or_else(|| Fault::Damaged(key.place()))?;
    pieces::unsealed(key, blob.as_ref().to_vec())
}

/// A version of a collection as it is stored. What it was before a removal had another incarnation, and other keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) collection: Collection,
    pub(crate) incarnation: Token,
}

#[derive(Serialize, Deserialize)]
struct VersionRow<'a> {
    incarnation: Token,
    #[serde(borrow)]
    columns: Vec<(&'a str, u8)>,
    /// Each with the places of its columns, and whether it is unique.
    indexes: Vec<(&'a str, Vec<u32>, bool)>,
}

impl Version {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Collection { columns, indexes, .. } = &self.collection;
        let place = |name: &Name| self.collection.position_of(name).and_then(|at| u32::try_from(at).ok());
        let index = |of: &'_ Index| of.columns.iter().map(|name| place(name).unwrap_or(u32::MAX)).collect();
        encode(&VersionRow {
            incarnation: self.incarnation,
            columns: columns.iter().map(|column| (&*column.name, kind_number(column.kind))).collect(),
            indexes: indexes.iter().map(|of| (&*of.name, index(of), of.unique)).collect(),
        })
    }

    pub(crate) fn decode(key: &Key, name: &Name, version: u32, bytes: &[u8]) -> Result<Self, Fault> {
        let row: VersionRow<'_> = decode(key, bytes)?;
        let collection = (|| {
            let mut collection = Collection::new(name.clone(), version);
            for (name, kind) in &row.columns {
                collection = collection.column(Name::new(*name).ok()?, kind_of(*kind)?);
            }
            for (name, places, unique) in &row.indexes {
                let column = |at: &u32| collection.columns.get(*at as usize).map(|column| column.name.clone());
                let index = Index::new(Name::new(*name).ok()?, places.iter().map(column).collect::<Option<Vec<_>>>()?);
                collection = collection.index(if *unique { index.unique() } else { index });
            }
            Some(collection)
        })();
        let collection = collection.ok_or_else(|| Fault::Damaged(key.place()))?;
        Ok(Self { collection, incarnation: row.incarnation })
    }

    /// The partition of its rows.
    pub(crate) fn rows(&self, space: &Space) -> String {
        space.rows(&self.collection.name, self.collection.version, self.incarnation)
    }

    /// The partition of an index's entries.
    pub(crate) fn entries(&self, space: &Space, index: &Index) -> String {
        space.entries(&self.collection.name, self.collection.version, self.incarnation, &index.name)
    }

    pub(crate) fn row_key(&self, space: &Space, row: &RowKey) -> Key {
        Key { partition: self.rows(space), sort: row.to_string() }
    }

    /// The key of the entry in this place of this index.
    pub(crate) fn entry_key(&self, space: &Space, index: usize, sort: &str) -> Option<Key> {
        let index = self.collection.indexes.get(index)?;
        Some(Key { partition: self.entries(space, index), sort: sort.to_owned() })
    }

    /// The place of a row of these cells in the index.
    pub(crate) fn entry_sort(&self, index: &Index, key: &RowKey, cells: &[Cell]) -> String {
        entry_sort(index, &self.collection.index_values(index, cells), key)
    }
}

/// The place of a row in an index: its values, then its key. Where no other row may have these values, the key is left
/// out, so that the entry is found without it.
pub(crate) fn entry_sort(index: &Index, values: &[Cell], key: &RowKey) -> String {
    let mut sort = ordered(values) + BELOW;
    if !is_claimed(index, values) {
        sort.push_str(key);
    }
    sort
}

/// Whether no two rows may have these values in the index.
pub(crate) fn is_claimed(index: &Index, values: &[Cell]) -> bool {
    index.unique && !values.contains(&Cell::Null)
}

pub(crate) fn row_item(key: &Key, cells: &[Cell]) -> Item {
    item(key, encode(&CellRow::of(cells)))
}

pub(crate) fn cells_of(key: &Key, item: &Item) -> Result<Vec<Cell>, Fault> {
    let bytes = held(key, item)?;
    Ok(CellRow::cells(decode(key, &bytes)?))
}

pub(crate) fn entry_item(key: &Key, row: &RowKey) -> Item {
    item(key, row.as_bytes().to_vec())
}

/// The key of the row that the entry is of.
pub(crate) fn row_of(key: &Key, item: &Item) -> Result<RowKey, Fault> {
    let text = String::from_utf8(held(key, item)?).ok();
    text.and_then(|text| RowKey::new(text).ok()).ok_or_else(|| Fault::Damaged(key.place()))
}

fn kind_number(kind: ColumnType) -> u8 {
    match kind {
        ColumnType::Bool => 0,
        ColumnType::Integer => 1,
        ColumnType::Real => 2,
        ColumnType::Text => 3,
        ColumnType::Json => 4,
        ColumnType::Bytes => 5,
    }
}

fn kind_of(number: u8) -> Option<ColumnType> {
    use ColumnType::{Bool, Bytes, Integer, Json, Real, Text};
    [Bool, Integer, Real, Text, Json, Bytes].get(usize::from(number)).copied()
}
