//! What rows are found by, as a caller has it.

use crate::domain::{CellValue, RowValueError};
use crate::values::{Cell, EventId, Name, Position, Revision, RowKey, StreamId, Timestamp};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;

/// A value of a column that an index has: every [`CellValue`], and borrowed texts and bytes.
pub trait IndexValue {
    /// The value as a cell.
    ///
    /// # Errors
    ///
    /// [`RowValueError::OutOfRange`].
    fn cell(&self) -> Result<Cell, RowValueError>;
}

impl<T: CellValue> IndexValue for T {
    fn cell(&self) -> Result<Cell, RowValueError> {
        self.to_cell()
    }
}

impl IndexValue for Cell {
    fn cell(&self) -> Result<Cell, RowValueError> {
        Ok(self.clone())
    }
}

macro_rules! borrowed {
    ($($kind:ty: $cell:expr;)*) => {$(
        impl IndexValue for $kind {
            fn cell(&self) -> Result<Cell, RowValueError> {
                let cell: fn(&Self) -> Cell = $cell;
                Ok(cell(self))
            }
        }
        impl IndexValue for Option<$kind> {
            fn cell(&self) -> Result<Cell, RowValueError> {
                self.as_ref().map_or(Ok(Cell::Null), IndexValue::cell)
            }
        }
    )*};
}
borrowed! {
    &str: |text| Cell::Text((*text).to_string());
    &[u8]: |bytes| Cell::Bytes(Bytes::copy_from_slice(bytes));
    RowKey: |key| Cell::Text(key.to_string());
}

macro_rules! referred {
    ($($kind:ty),*) => {$(
        impl IndexValue for &$kind {
            fn cell(&self) -> Result<Cell, RowValueError> {
                (**self).cell()
            }
        }
    )*};
}
referred!(String, Bytes, Cell, EventId, Name, Position, Revision, RowKey, StreamId, Timestamp);

/// The values of an index's first columns: one, a tuple of up to four, a vector, or `()` for none.
pub trait IndexValues {
    /// The values as cells, in the order of the index.
    ///
    /// # Errors
    ///
    /// [`RowValueError::OutOfRange`].
    fn cells(&self) -> Result<Vec<Cell>, RowValueError>;
}

impl<V: IndexValue> IndexValues for V {
    fn cells(&self) -> Result<Vec<Cell>, RowValueError> {
        self.cell().map(|cell| alloc::vec![cell])
    }
}

impl IndexValues for Vec<Cell> {
    fn cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(self.clone())
    }
}

impl IndexValues for () {
    fn cells(&self) -> Result<Vec<Cell>, RowValueError> {
        Ok(Vec::new())
    }
}

macro_rules! tuples {
    ($(($($of:ident),*);)*) => {$(
        impl<$($of: IndexValue),*> IndexValues for ($($of,)*) {
            fn cells(&self) -> Result<Vec<Cell>, RowValueError> {
                #[expect(non_snake_case, reason = "a value is named as its type")]
                let ($($of,)*) = self;
                Ok(alloc::vec![$($of.cell()?),*])
            }
        }
    )*};
}
tuples! {
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_form_are_cells() {
        let text = |text: &str| Cell::Text(text.into());
        assert_eq!("ann".cells(), Ok(alloc::vec![text("ann")]));
        assert_eq!((&Name::new("ann").unwrap(),).cells(), Ok(alloc::vec![text("ann")]));
        assert_eq!(None::<&str>.cells(), Ok(alloc::vec![Cell::Null]));
        let bytes = Cell::Bytes(Bytes::from_static(b"x"));
        let four = ("ann", 7_u64, Some(true), &b"x"[..]).cells();
        assert_eq!(four, Ok(alloc::vec![text("ann"), Cell::Integer(7), Cell::Bool(true), bytes]));
        assert_eq!(().cells(), Ok(alloc::vec![]));
        assert!((1, u64::MAX).cells().is_err());
    }
}
