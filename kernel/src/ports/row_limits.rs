//! What a store of read models takes, where a checkpoint moves, and what is wrong with what it is given whatever it holds.

use super::RowError;
use crate::values::{
    Batch, By, Cell, Change, Checkpoint, CheckpointState, Collection, ColumnType, Find, Move, RowKey, Token,
};
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Bound;

/// How much a store of read models takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowLimits {
    /// Columns of a collection.
    pub columns: u32,
    /// Indexes of a collection.
    pub indexes: u32,
    /// Columns of one index.
    pub index_columns: u32,
    /// Changes in one batch, activations included. A worker splits between events; one event that needs more stops it.
    pub batch_changes: u32,
    /// Bytes of keys and cells in one batch.
    pub batch_bytes: u64,
    /// Bytes of one row, key included.
    pub row_bytes: u64,
    /// Bytes of the values that one row has in one index.
    pub index_bytes: u64,
    /// Rows in one page, whatever limit the question names, and keys in one `get`.
    pub page_rows: u32,
    /// Bytes of keys and cells in one page: it ends with the row that reaches them. A `get` of more is
    /// [`RowError::TooLarge`].
    pub page_bytes: u64,
    /// Whether it knows work that a batch carries beside its changes ([`Beside`](crate::values::Beside)).
    pub beside: bool,
}

impl Default for RowLimits {
    /// The usual limits: 500 columns and 32 indexes a collection, 500 columns an index, 10,000 changes and 16 MiB a batch, 1 MiB a row,
    /// 1,024 bytes an index entry, 1,000 rows and 16 MiB a page.
    fn default() -> Self {
        Self {
            columns: 500,
            indexes: 32,
            index_columns: 500,
            batch_changes: 10_000,
            batch_bytes: 16 << 20,
            row_bytes: 1 << 20,
            index_bytes: 1_024,
            page_rows: 1_000,
            page_bytes: 16 << 20,
            beside: false,
        }
    }
}

impl RowLimits {
    /// Judges a definition: the first step of every store's `define`.
    ///
    /// # Errors
    ///
    /// [`RowError::Invalid`], [`RowError::TooLarge`].
    pub fn check_collection(&self, collection: &Collection) -> Result<(), RowError> {
        within("columns of a collection", collection.columns.len() as u64, self.columns.into())?;
        within("indexes of a collection", collection.indexes.len() as u64, self.indexes.into())?;
        for index in &collection.indexes {
            within("columns of an index", index.columns.len() as u64, self.index_columns.into())?;
        }
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
    /// [`RowError::TooLarge`], and `Invalid` for work that the store does not know.
    pub fn check_batch(&self, batch: &Batch) -> Result<(), RowError> {
        if !self.beside && !batch.beside.is_empty() {
            return Err(RowError::Invalid("the batch carries work that this kind of store does not know".to_string()));
        }
        let changes = batch.changes.len() as u64 + batch.activate.len() as u64;
        within("changes of the batch", changes, self.batch_changes.into())?;
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

    /// Judges how many bytes the rows have that a `get` has found so far.
    ///
    /// # Errors
    ///
    /// [`RowError::TooLarge`].
    pub fn check_got(&self, bytes: u64) -> Result<(), RowError> {
        within("bytes of the rows asked for at once", bytes, self.page_bytes)
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

/// Judges how the checkpoint of a batch moves (RM-01), and tells where it will stand: what every store does first in
/// the transaction that commits rows. `stands` is the state it finds; `None`: nobody has moved or claimed it.
///
/// # Errors
///
/// [`RowError::WrongStore`], [`RowError::CheckpointMoved`], and `Invalid` for one that would go back without a reset.
pub fn judge_checkpoint(checkpoint: &Checkpoint, stands: Option<CheckpointState>) -> Result<CheckpointState, RowError> {
    let Checkpoint { name, store, token, from, to, .. } = checkpoint;
    let (position, largest) = stands.map_or((None, Token(0)), |stands| (stands.position, stands.token));
    if let Some(stands) = stands
        && stands.store != *store
        && !matches!(to, Move::Reset(_))
    {
        return Err(RowError::WrongStore { name: name.clone(), named: *store, actual: stands.store });
    }
    // A claim moves nothing, and is judged by its token alone: an inline store may move the checkpoint without a pause.
    if (position != *from && !matches!(to, Move::Claim)) || largest > *token {
        return Err(RowError::CheckpointMoved { name: name.clone(), actual: position, token: largest });
    }
    let to = match to {
        Move::Claim => position,
        Move::Reset(to) => *to,
        Move::At(to) if Some(*to) < position => {
            return Err(RowError::Invalid(format!("checkpoint {name} would go back to {to}; only a reset does")));
        }
        Move::At(to) => Some(*to),
    };
    Ok(CheckpointState::new(*store, to, *token))
}

fn bytes_of(change: &Change) -> u64 {
    change.key.len() as u64 + change.cells.iter().flatten().map(Cell::bytes).sum::<u64>()
}

fn within(what: &'static str, size: u64, limit: u64) -> Result<(), RowError> {
    if size > limit { Err(RowError::TooLarge { what: Cow::Borrowed(what), size, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{Index, Name, Position, StoreId};

    fn columns(count: usize) -> Collection {
        let named = |n| Name::new(format!("c{n}")).unwrap();
        let collection = Collection::new(Name::new("wide").unwrap(), 1);
        (0..count).fold(collection, |collection, n| collection.column(named(n), ColumnType::Integer))
    }

    fn indexes(count: usize) -> Collection {
        let index = |n| Index::new(Name::new(format!("i{n}")).unwrap(), [Name::new("c0").unwrap()]);
        (0..count).fold(columns(1), |collection, n| collection.index(index(n)))
    }

    #[test]
    fn a_collection_has_only_so_many_columns_and_indexes() {
        let limits = RowLimits::default();
        for good in [columns(500), indexes(32)] {
            limits.check_collection(&good).unwrap();
        }
        for large in [columns(501), indexes(33)] {
            let refused = limits.check_collection(&large).unwrap_err();
            assert!(matches!(refused, RowError::TooLarge { .. }), "{refused:?}");
        }
    }

    #[test]
    fn an_index_has_only_so_many_columns() {
        let limits = RowLimits { index_columns: 2, ..RowLimits::default() };
        let over = |count: usize| {
            let collection = columns(3);
            let named = collection.columns.iter().take(count).map(|column| column.name.clone());
            let index = Index::new(Name::new("i").unwrap(), named);
            limits.check_collection(&collection.index(index))
        };
        over(2).unwrap();
        assert!(matches!(over(3), Err(RowError::TooLarge { size: 3, limit: 2, .. })));
    }

    #[test]
    fn activations_count_among_the_changes() {
        let limits = RowLimits { batch_changes: 2, ..RowLimits::default() };
        let name = || Name::new("n").unwrap();
        let state = CheckpointState::new(StoreId::from_bytes([1; 16]), None, Token(1));
        let batch = Batch::new(Checkpoint::new(name(), state, Token(1), Move::At(Position::new(1).unwrap())));
        let batch = batch.delete(name(), 1, RowKey::new("k").unwrap()).activate(name(), 1);
        limits.check_batch(&batch).unwrap();
        assert!(matches!(limits.check_batch(&batch.activate(name(), 2)), Err(RowError::TooLarge { size: 3, .. })));
    }
}
