//! Rows of a read model as plain structs: which columns they have, and what they are found by.

use super::codec::{Codec, CodecError, Json};
use crate::values::{
    Cell, Collection, ColumnType, EventId, Index, InvalidName, Name, Position, Revision, StreamId, Timestamp,
};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a value has no place in a row, or a row is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowValueError {
    /// The value is outside of what a column holds.
    #[error("{value} does not fit a column of {kind:?}")]
    OutOfRange {
        /// The value, for a person.
        value: String,
        /// The column's type.
        kind: ColumnType,
    },
    /// The cell is none of the type's values: the row was made by another version of it.
    #[error("{cell} is no {expected}; give the changed row a new version of its projection")]
    NotOfType {
        /// The cell, for a person.
        cell: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The value has no JSON form, or the JSON in the cell is none of the type's values: another version of it made the row.
    #[error("a JSON column of {kind}: {source}; a changed type needs a new version of its projection")]
    Json {
        /// The type.
        kind: &'static str,
        /// What is wrong.
        source: CodecError,
    },
    /// The row has another number of cells than the type has columns.
    #[error("the row has {found} cells, and its type has {expected} columns")]
    Columns {
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
}

/// A column of a [`Row`]: its name and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowColumn {
    /// The name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether every value of the field's type has a cell ([`CellValue::FITS`]).
    pub fits: bool,
}

impl RowColumn {
    /// A column of values of this type.
    #[must_use]
    pub const fn of<T: CellValue>(name: &'static str) -> Self {
        Self { name, kind: T::KIND, fits: T::FITS }
    }

    /// A column of JSON, of values by [`json_cell`].
    #[must_use]
    pub const fn json(name: &'static str) -> Self {
        Self { name, kind: ColumnType::Json, fits: false }
    }
}

/// An index of a [`Row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowIndex {
    /// Its name.
    pub name: &'static str,
    /// The columns, in order.
    pub columns: &'static [&'static str],
    /// Whether no two rows may have the same values in them.
    pub unique: bool,
}

impl RowIndex {
    /// An index over these columns.
    #[must_use]
    pub const fn new(name: &'static str, columns: &'static [&'static str]) -> Self {
        Self { name, columns, unique: false }
    }

    /// The same index, whose values no two rows share.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }
}

/// A row of a read model: a struct with a column a field.
///
/// With the feature `macros` there is a derive of the same name. By hand:
///
/// ```
/// use portolan_kernel::domain::{CellValue, Row, RowColumn, RowIndex, RowValueError};
/// use portolan_kernel::values::Cell;
///
/// struct Balance { owner: String, balance: u64 }
///
/// impl Row for Balance {
///     const COLUMNS: &'static [RowColumn] = &[RowColumn::of::<String>("owner"), RowColumn::of::<u64>("balance")];
///     const INDEXES: &'static [RowIndex] = &[RowIndex::new("owner", &["owner"])];
///     fn to_cells(&self) -> Result<Vec<Cell>, RowValueError> {
///         Ok(vec![self.owner.to_cell()?, self.balance.to_cell()?])
///     }
///     fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError> {
///         let [owner, balance] = portolan_kernel::domain::row_cells(cells)?;
///         Ok(Self { owner: CellValue::from_cell(owner)?, balance: CellValue::from_cell(balance)? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no row of a read model",
    label = "this has no columns",
    note = "add `portolan::domain::Row` to its derives"
)]
pub trait Row: Sized + Send + Sync + 'static {
    /// The columns, in the order of the cells.
    const COLUMNS: &'static [RowColumn];

    /// What rows are found by besides their key.
    const INDEXES: &'static [RowIndex] = &[];

    /// The cells of this row, in the order of the columns.
    ///
    /// A worker asks after each event that changes the row, unless all columns [fit](RowColumn::fits) and no index is unique:
    /// then once a batch.
    ///
    /// # Errors
    ///
    /// [`RowValueError::OutOfRange`], in a column that does not fit.
    fn to_cells(&self) -> Result<Vec<Cell>, RowValueError>;

    /// The row of these cells.
    ///
    /// # Errors
    ///
    /// [`RowValueError`], for cells that another type wrote.
    fn from_cells(cells: Vec<Cell>) -> Result<Self, RowValueError>;
}

/// The cells of a row of so many columns.
///
/// # Errors
///
/// [`RowValueError::Columns`] when there are more or fewer.
pub fn row_cells<const N: usize>(cells: Vec<Cell>) -> Result<[Cell; N], RowValueError> {
    cells.try_into().map_err(|cells: Vec<Cell>| RowValueError::Columns { found: cells.len(), expected: N })
}

/// The collection that rows of this type live in.
///
/// # Errors
///
/// [`InvalidName`] when a column or an index has no usable name.
pub fn collection_of<R: Row>(name: Name, version: u32) -> Result<Collection, InvalidName> {
    let mut collection = Collection::new(name, version);
    for column in R::COLUMNS {
        collection = collection.column(Name::new(column.name)?, column.kind);
    }
    for index in R::INDEXES {
        let columns = index.columns.iter().map(|column| Name::new(*column)).collect::<Result<Vec<_>, _>>()?;
        let made = Index::new(Name::new(index.name)?, columns);
        collection = collection.index(if index.unique { made.unique() } else { made });
    }
    Ok(collection)
}

/// A value that a column holds.
#[diagnostic::on_unimplemented(
    message = "a column cannot hold `{Self}`",
    label = "this is no value of a column",
    note = "keep it as JSON: `#[row(json)]`; or implement `CellValue` for it"
)]
pub trait CellValue: Sized {
    /// What such a column holds.
    const KIND: ColumnType;

    /// Whether every value of the type has a cell: [`to_cell`](Self::to_cell) never fails.
    const FITS: bool = false;

    /// The value as a cell.
    ///
    /// # Errors
    ///
    /// [`RowValueError::OutOfRange`].
    fn to_cell(&self) -> Result<Cell, RowValueError>;

    /// The value in a cell.
    ///
    /// # Errors
    ///
    /// [`RowValueError::NotOfType`].
    fn from_cell(cell: Cell) -> Result<Self, RowValueError>;
}

/// The value as the cell of a [JSON column](RowColumn::json), by serde; what is `null` in JSON is nothing in the cell.
///
/// # Errors
///
/// [`RowValueError::Json`] when it has no JSON form.
pub fn json_cell<T: Serialize>(value: &T) -> Result<Cell, RowValueError> {
    let wrong = |source| RowValueError::Json { kind: core::any::type_name::<T>(), source };
    let json = Json::encode(value).map_err(wrong)?;
    if json == "null" {
        return Ok(Cell::Null);
    }
    let text = core::str::from_utf8(&json).map_err(|error| wrong(CodecError::Encode(error.to_string())))?;
    Ok(Cell::Text(text.to_owned()))
}

/// The value in the cell of a [JSON column](RowColumn::json).
///
/// # Errors
///
/// [`RowValueError::Json`] for JSON of another shape, [`RowValueError::NotOfType`] for a cell that is no text.
pub fn json_value<T: DeserializeOwned>(cell: &Cell) -> Result<T, RowValueError> {
    let json = match cell {
        Cell::Null => "null",
        Cell::Text(text) => text,
        _ => return Err(no::<T>(cell)),
    };
    let wrong = |source| RowValueError::Json { kind: core::any::type_name::<T>(), source };
    Json::decode(json.as_bytes()).map_err(wrong)
}

fn no<T>(cell: &Cell) -> RowValueError {
    RowValueError::NotOfType { cell: alloc::format!("{cell:?}"), expected: core::any::type_name::<T>() }
}

impl CellValue for bool {
    const KIND: ColumnType = ColumnType::Bool;
    const FITS: bool = true;
    fn to_cell(&self) -> Result<Cell, RowValueError> {
        Ok(Cell::Bool(*self))
    }
    fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
        if let Cell::Bool(yes) = cell { Ok(yes) } else { Err(no::<Self>(&cell)) }
    }
}

impl CellValue for f64 {
    const KIND: ColumnType = ColumnType::Real;
    fn to_cell(&self) -> Result<Cell, RowValueError> {
        let nan = || RowValueError::OutOfRange { value: self.to_string(), kind: Self::KIND };
        if self.is_nan() { Err(nan()) } else { Ok(Cell::Real(*self)) }
    }
    fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
        if let Cell::Real(number) = cell { Ok(number) } else { Err(no::<Self>(&cell)) }
    }
}

impl CellValue for String {
    const KIND: ColumnType = ColumnType::Text;
    const FITS: bool = true;
    fn to_cell(&self) -> Result<Cell, RowValueError> {
        Ok(Cell::Text(self.clone()))
    }
    fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
        if let Cell::Text(text) = cell { Ok(text) } else { Err(no::<Self>(&cell)) }
    }
}

impl CellValue for Bytes {
    const KIND: ColumnType = ColumnType::Bytes;
    const FITS: bool = true;
    fn to_cell(&self) -> Result<Cell, RowValueError> {
        Ok(Cell::Bytes(self.clone()))
    }
    fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
        if let Cell::Bytes(bytes) = cell { Ok(bytes) } else { Err(no::<Self>(&cell)) }
    }
}

impl<T: CellValue> CellValue for Option<T> {
    const KIND: ColumnType = T::KIND;
    const FITS: bool = T::FITS;
    fn to_cell(&self) -> Result<Cell, RowValueError> {
        self.as_ref().map_or(Ok(Cell::Null), CellValue::to_cell)
    }
    fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
        if cell == Cell::Null { Ok(None) } else { T::from_cell(cell).map(Some) }
    }
}

macro_rules! integers {
    ($($number:ty),*) => {$(
        impl CellValue for $number {
            const KIND: ColumnType = ColumnType::Integer;
            const FITS: bool = <$number>::MAX as u128 <= i64::MAX as u128;
            fn to_cell(&self) -> Result<Cell, RowValueError> {
                let large = |_| RowValueError::OutOfRange { value: self.to_string(), kind: Self::KIND };
                i64::try_from(*self).map(Cell::Integer).map_err(large)
            }
            fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
                match cell {
                    Cell::Integer(number) => Self::try_from(number).map_err(|_| no::<Self>(&cell)),
                    _ => Err(no::<Self>(&cell)),
                }
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

macro_rules! numbers {
    ($($kind:ty: $get:expr, $make:expr;)*) => {$(
        impl CellValue for $kind {
            const KIND: ColumnType = ColumnType::Integer;
            fn to_cell(&self) -> Result<Cell, RowValueError> {
                let get: fn(&Self) -> u64 = $get;
                get(self).to_cell()
            }
            fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
                let make: fn(u64) -> Option<Self> = $make;
                u64::from_cell(cell.clone()).ok().and_then(make).ok_or_else(|| no::<Self>(&cell))
            }
        }
    )*};
}
numbers! {
    Timestamp: |at| at.as_micros(), |micros| Some(Self::from_micros(micros));
    Revision: |revision| revision.get(), |number| Some(Self::new(number));
    Position: |position| position.get(), Self::new;
}

macro_rules! texts {
    ($($kind:ty),*) => {$(
        impl CellValue for $kind {
            const KIND: ColumnType = ColumnType::Text;
            const FITS: bool = true;
            fn to_cell(&self) -> Result<Cell, RowValueError> {
                Ok(Cell::Text(self.to_string()))
            }
            fn from_cell(cell: Cell) -> Result<Self, RowValueError> {
                match &cell {
                    Cell::Text(text) => text.to_owned().parse().map_err(|_| no::<Self>(&cell)),
                    _ => Err(no::<Self>(&cell)),
                }
            }
        }
    )*};
}
texts!(Name, StreamId, EventId);

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Debug;

    fn returns<T: CellValue + PartialEq + Debug>(value: T, cell: Cell) {
        assert_eq!(value.to_cell(), Ok(cell.clone()));
        assert!(T::KIND.holds(&cell));
        assert_eq!(T::from_cell(cell), Ok(value));
    }

    #[test]
    fn values_come_back() {
        returns(true, Cell::Bool(true));
        returns(i64::MAX as u64, Cell::Integer(i64::MAX));
        returns(-0.5, Cell::Real(-0.5));
        returns(String::from("x"), Cell::Text("x".into()));
        returns(None::<u64>, Cell::Null);
        returns(Some(3_u8), Cell::Integer(3));
        returns(Timestamp::from_micros(7), Cell::Integer(7));
        returns(EventId::from_bytes([7; 16]), Cell::Text(EventId::from_bytes([7; 16]).to_string()));
    }

    #[test]
    fn json_comes_back() {
        for (value, cell) in [
            (Some(alloc::vec![1_u8, 2]), Cell::Text("[1,2]".into())),
            (Some(Vec::new()), Cell::Text("[]".into())),
            (None, Cell::Null),
        ] {
            assert_eq!(json_cell(&value), Ok(cell.clone()));
            assert!(ColumnType::Json.holds(&cell));
            assert_eq!(json_value(&cell), Ok(value));
        }
        let other = json_value::<Vec<u8>>(&Cell::Text("[1,-2]".into())).map_err(|error| error.to_string());
        assert!(other.as_ref().is_err_and(|error| error.contains("[1]: ")), "{other:?}");
        assert!(matches!(json_value::<Vec<u8>>(&Cell::Null), Err(RowValueError::Json { .. })));
        assert!(matches!(json_value::<u8>(&Cell::Integer(1)), Err(RowValueError::NotOfType { .. })));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(u64::MAX.to_cell().is_err() && f64::NAN.to_cell().is_err());
        let fits = [RowColumn::of::<u32>("n"), RowColumn::of::<Option<i64>>("n"), RowColumn::of::<String>("n")];
        assert_eq!(fits.map(|column| column.fits), [true; 3]);
        let may_not = [RowColumn::of::<Option<u64>>("n"), RowColumn::of::<f64>("n"), RowColumn::json("n")];
        assert_eq!(may_not.map(|column| column.fits), [false; 3]);
        assert!(u8::from_cell(Cell::Integer(256)).is_err());
        assert!(u8::from_cell(Cell::Null).is_err());
        assert!(row_cells::<2>(Vec::new()).is_err());
    }
}
