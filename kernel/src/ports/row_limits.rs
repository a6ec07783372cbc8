//! What a store of read models takes, and what is wrong with what it is given whatever it holds.

use super::RowError;
use crate::values::{Batch, By, Cell, Change, Collection, ColumnType, Find, RowKey};
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Bound;

/// How much a store of read models takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowLimits {
    /// Changes in one batch. A worker splits between events; one event that needs more stops it.
    pub batch_changes: u32,
    /// Bytes of keys and cells in one batch.
    pub batch_bytes: u64,
    /// Bytes of one row, key included.
    pub row_bytes: u64,
    /// Bytes of the values that one row has in one index.
    pub index_bytes: u64,
    /// Rows in one page, whatever limit the question names, and keys in one `get`.
    pub page_rows: u32,
}

impl Default for RowLimits {
    /// The usual limits: 10,000 changes and 16 MiB a batch, 1 MiB a row, 1,024 bytes an index entry, 1,000 rows a
    /// page.
    fn default() -> Self {
        Self { batch_changes: 10_000, batch_bytes: 16 << 20, row_bytes: 1 << 20, index_bytes: 1_024, page_rows: 1_000 }
    }
}

impl RowLimits {
    /// Judges a definition: the first step of every store's `define`.
    ///
    /// # Errors
    ///
    /// [`RowError::Invalid`].
    pub fn check_collection(&self, collection: &Collection) -> Result<(), RowError> {
        let invalid = |what: String| Err(RowError::Invalid(format!("{} {what}", collection.name)));
        if collection.version == 0 {
            return invalid("has version 0; versions begin at 1".to_string());
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = collection.columns.iter().find(|column| !names.insert(&column.name)) {
            return invalid(format!("has two columns {}", twice.name));
        }
        let mut names = BTreeSet::new();
        for index in &collection.indexes {
            if !names.insert(&index.name) {
                return invalid(format!("has two indexes {}", index.name));
            }
            if index.columns.is_empty() {
                return invalid(format!("has an index {} over no column", index.name));
            }
            let mut columns = BTreeSet::new();
            for name in &index.columns {
                let column = collection.columns.iter().find(|column| column.name == *name);
                if column.is_none_or(|column| column.kind == ColumnType::Json) || !columns.insert(name) {
                    return invalid(format!(
                        "has an index {} over {name}, which is no column, one that holds JSON, or named twice",
                        index.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// Judges the size of a batch: the first step of every store's `commit`.
    ///
    /// # Errors
    ///
    /// [`RowError::TooLarge`].
    pub fn check_batch(&self, batch: &Batch) -> Result<(), RowError> {
        within("changes of the batch", batch.changes.len() as u64, self.batch_changes.into())?;
        within("bytes of the batch", batch.changes.iter().map(bytes_of).sum(), self.batch_bytes)
    }

    /// Judges a change by its collection.
    ///
    /// # Errors
    ///
    /// [`RowError::Invalid`] when its cells do not fit the columns, [`RowError::TooLarge`].
    pub fn check_change(&self, collection: &Collection, change: &Change) -> Result<(), RowError> {
        let Some(cells) = &change.cells else { return Ok(()) };
        let place = || format!("row {} of {}", change.key, collection.name);
        if cells.len() != collection.columns.len() {
            return Err(RowError::Invalid(format!(
                "{} has {} cells for {} columns",
                place(),
                cells.len(),
                collection.columns.len()
            )));
        }
        if let Some((column, cell)) =
            collection.columns.iter().zip(cells).find(|(column, cell)| !column.kind.holds(cell))
        {
            let (name, kind) = (&column.name, column.kind);
            return Err(RowError::Invalid(format!("{} has {cell:?} in {name}, which holds {kind:?}", place())));
        }
        within("bytes of a row", bytes_of(change), self.row_bytes)?;
        for index in &collection.indexes {
            let values = collection.index_values(index, cells);
            within("bytes of an index entry", values.iter().map(Cell::bytes).sum(), self.index_bytes)?;
        }
        Ok(())
    }

    /// Judges how many rows are asked for by key.
    ///
    /// # Errors
    ///
    /// [`RowError::TooLarge`].
    pub fn check_get(&self, keys: &[RowKey]) -> Result<(), RowError> {
        within("keys asked for at once", keys.len() as u64, self.page_rows.into())
    }

    /// Judges a question by the collection it is about.
    ///
    /// # Errors
    ///
    /// [`RowError::Invalid`].
    pub fn check_find(&self, collection: &Collection, find: &Find) -> Result<(), RowError> {
        let invalid = |what: String| Err(RowError::Invalid(format!("the question about {} {what}", find.collection)));
        if find.limit == 0 {
            return invalid("is for 0 rows; ask for at least 1".to_string());
        }
        let columns = match &find.by {
            By::Key(..) => 0,
            By::Index { name, equals, range } => {
                let Some(index) = collection.find_index(name) else {
                    return invalid(format!("names the index {name}, which there is not"));
                };
                let bounded = !matches!(range, (Bound::Unbounded, Bound::Unbounded));
                if equals.len() + usize::from(bounded) > index.columns.len() {
                    return invalid(format!("has more values than the index {name} has columns"));
                }
                let of_range = [&range.0, &range.1].into_iter().filter_map(|bound| match bound {
                    Bound::Included(cell) | Bound::Excluded(cell) => Some((equals.len(), cell)),
                    Bound::Unbounded => None,
                });
                for (at, cell) in equals.iter().enumerate().chain(of_range) {
                    let column = collection.columns.iter().find(|column| column.name == index.columns[at]);
                    if column.is_none_or(|column| !column.kind.holds(cell)) {
                        return invalid(format!("compares {} with {cell:?}", index.columns[at]));
                    }
                }
                index.columns.len()
            }
        };
        match &find.after {
            Some(cursor) if cursor.values.len() != columns => {
                invalid("has a cursor of another order; keep the order from page to page".to_string())
            }
            _ => Ok(()),
        }
    }
}

fn bytes_of(change: &Change) -> u64 {
    change.key.len() as u64 + change.cells.iter().flatten().map(Cell::bytes).sum::<u64>()
}

fn within(what: &'static str, size: u64, limit: u64) -> Result<(), RowError> {
    if size > limit { Err(RowError::TooLarge { what: Cow::Borrowed(what), size, limit }) } else { Ok(()) }
}
